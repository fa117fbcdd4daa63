//! Key files made by OpenSSL are read; what OpenSSL and `jsonwebtoken` sign is verified, and the other way round.
#![allow(clippy::unwrap_used, reason = "a test")]

use apptoken_jose::{Algorithm, Certificate, JwsError, KeyError, PublicKey, SigningKey, jwk::Jwk, jws, pfx};
use jsonwebtoken::{DecodingKey, EncodingKey, Validation};
use serde_json::{Map, Value, json};
use testkit::keys;

fn key() -> SigningKey {
    SigningKey::from_pem(keys::PKCS8, None).unwrap()
}

fn certificate() -> Certificate {
    Certificate::from_pem(keys::CERTIFICATE).unwrap().remove(0)
}

#[test]
fn every_form_of_the_key_is_the_same_key() {
    let want = key().public_key().clone();
    assert_eq!(certificate().public_key(), Ok(want.clone()));
    let password = Some(keys::KEY_PASSWORD.as_bytes());
    for (name, pem, password) in [
        ("PKCS#1", keys::PKCS1, None),
        ("PBES2 AES", keys::ENCRYPTED, password),
        ("PBES2 3DES", keys::ENCRYPTED_3DES, password),
        ("DEK-Info AES-128", keys::ENCRYPTED_TRADITIONAL, password),
        ("DEK-Info AES-256", keys::ENCRYPTED_TRADITIONAL_256, password),
        ("DEK-Info 3DES", keys::ENCRYPTED_TRADITIONAL_3DES, password),
        (
            "noise that is not UTF-8 around an encrypted key",
            &[b"caf\xe9\n", keys::ENCRYPTED, b"\xff"].concat(),
            password,
        ),
        ("certificate before the key", &[keys::CERTIFICATE, keys::PKCS8].concat(), None),
    ] {
        assert_eq!(SigningKey::from_pem(pem, password).unwrap().public_key(), &want, "{name}");
    }
    for (name, file, password) in [
        ("modern", keys::PFX, keys::PFX_PASSWORD),
        ("legacy", keys::PFX_LEGACY, keys::PFX_PASSWORD),
        ("no password", keys::PFX_NO_PASSWORD, ""),
        ("our own", &pfx::create(&key(), &[certificate()], b"c4n4ry-own").unwrap(), "c4n4ry-own"),
    ] {
        let opened = pfx::open(file, password.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(opened.key.public_key(), &want, "{name}");
        assert_eq!(opened.chain, [certificate()], "{name}");
        testkit::witness(&opened);
    }
    let written = key().to_pkcs8_pem().unwrap();
    assert_eq!(SigningKey::from_pem(written.as_bytes(), None).unwrap().public_key(), &want);
}

#[test]
fn what_is_no_usable_key_says_what_it_is() {
    let pem = |pem, password| SigningKey::from_pem(pem, password).map(drop).unwrap_err();
    let open = |file, password| pfx::open(file, password).map(drop).unwrap_err();
    assert_eq!(pem(keys::CERTIFICATE, None), KeyError::NoPrivateKey);
    assert_eq!(pem(b"", None), KeyError::NoPrivateKey);
    assert_eq!(pem(b"\xff\xfe", None), KeyError::NoPrivateKey);
    assert_eq!(pem(keys::EC_KEY, None), KeyError::NotRsa);
    assert_eq!(pem(keys::SMALL_KEY, None), KeyError::TooSmall { bits: 1024 });
    assert_eq!(pem(keys::ENCRYPTED, None), KeyError::Encrypted);
    assert_eq!(pem(keys::ENCRYPTED, Some(b"wrong")), KeyError::WrongPassword);
    assert_eq!(pem(keys::ENCRYPTED_PBES1, Some(b"c4n4ry-key")), KeyError::UnsupportedEncryption);
    assert_eq!(pem(keys::ENCRYPTED_TRADITIONAL, None), KeyError::Encrypted);
    assert_eq!(pem(keys::ENCRYPTED_TRADITIONAL, Some(b"wrong")), KeyError::WrongPassword);
    let other_cipher =
        String::from_utf8(keys::ENCRYPTED_TRADITIONAL.to_vec()).unwrap().replace("AES-128-CBC", "DES-CBC");
    assert_eq!(pem(other_cipher.as_bytes(), Some(b"c4n4ry-key")), KeyError::UnsupportedEncryption);
    assert_eq!(Certificate::from_pem(keys::PKCS8), Err(KeyError::NoCertificate));
    assert_eq!(open(keys::PFX, b"wrong"), KeyError::WrongPassword);
    assert_eq!(open(keys::PFX_LEGACY, b"wrong"), KeyError::WrongPassword);
    assert_eq!(open(keys::PFX_NO_KEY, keys::PFX_PASSWORD.as_bytes()), KeyError::NoPrivateKey);
    assert_eq!(open(keys::PFX_EC, keys::PFX_PASSWORD.as_bytes()), KeyError::NotRsa);
    assert_eq!(open(keys::CERTIFICATE, b""), KeyError::Malformed("PFX file"));
    assert_eq!(open(&keys::PFX[..500], keys::PFX_PASSWORD.as_bytes()), KeyError::Malformed("PFX file"));
}

#[test]
fn openssl_and_we_verify_each_other() {
    let public = certificate().public_key().unwrap();
    assert_eq!(public.verify(Algorithm::Rs256, keys::MESSAGE, keys::MESSAGE_RS256), Ok(()));
    assert_eq!(public.verify(Algorithm::Ps256, keys::MESSAGE, keys::MESSAGE_PS256), Ok(()));
    assert_eq!(public.verify(Algorithm::Ps256, keys::MESSAGE, keys::MESSAGE_RS256), Err(JwsError::BadSignature));
    assert_eq!(public.verify(Algorithm::Rs256, b"another", keys::MESSAGE_RS256), Err(JwsError::BadSignature));
    // PKCS#1 v1.5 has no randomness: the same key and message give OpenSSL's very bytes
    assert_eq!(key().sign(Algorithm::Rs256, keys::MESSAGE).unwrap(), keys::MESSAGE_RS256);
}

#[test]
fn jsonwebtoken_and_we_verify_each_other() {
    let claims = json!({ "iss": "daemon", "exp": 4_000_000_000_u64 });
    let encoding = EncodingKey::from_rsa_pem(keys::PKCS1).unwrap();
    let jwk = Jwk::from_certificate(&certificate()).unwrap();
    let decoding = DecodingKey::from_rsa_components(jwk.n.as_deref().unwrap(), jwk.e.as_deref().unwrap()).unwrap();
    for (ours, theirs) in
        [(Algorithm::Rs256, jsonwebtoken::Algorithm::RS256), (Algorithm::Ps256, jsonwebtoken::Algorithm::PS256)]
    {
        let mut header = Map::new();
        header.insert("x5t#S256".into(), certificate().x5t_s256().into());
        let token = jws::sign(&header, &claims, &key(), ours).unwrap();
        let read = jsonwebtoken::decode::<Value>(&token, &decoding, &Validation::new(theirs)).unwrap();
        assert_eq!(read.claims, claims);
        assert_eq!(read.header.x5t_s256, Some(certificate().x5t_s256()));

        let token = jsonwebtoken::encode(&jsonwebtoken::Header::new(theirs), &claims, &encoding).unwrap();
        let parsed = jws::Unverified::parse(&token).unwrap();
        parsed.verify(&jwk.public_key().unwrap(), &[ours]).unwrap();
        assert_eq!(Value::Object(parsed.claims().clone()), claims);
        let other = if ours == Algorithm::Rs256 { Algorithm::Ps256 } else { Algorithm::Rs256 };
        assert_eq!(parsed.verify(&jwk.public_key().unwrap(), &[other]), Err(JwsError::AlgorithmNotAllowed));
        testkit::witness(&parsed);
    }
}

#[test]
fn the_header_is_true_and_the_token_leaves_no_copy() {
    let mut header = Map::new();
    header.insert("alg".into(), "none".into());
    header.insert("typ".into(), "at+jwt".into());
    let token = jws::sign(&header, &json!({ "iss": "daemon" }), &key(), Algorithm::Ps256).unwrap();
    let parsed = jws::Unverified::parse(&token).unwrap();
    assert_eq!((parsed.header().alg.as_str(), parsed.header().typ.as_deref()), ("PS256", Some("at+jwt")));
    parsed.verify(key().public_key(), &[Algorithm::Ps256]).unwrap();
    // a String with room to spare is copied when a SecretString is made of it
    assert_eq!(token.capacity(), token.len());
}

/// RFC 7515 appendix A.2: an RS256 signature by others.
#[test]
fn rfc_7515_a2() {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let jwk: Jwk = serde_json::from_value(json!({ "kty": "RSA", "n": n, "e": "AQAB" })).unwrap();
    let parsed = jws::Unverified::parse(token).unwrap();
    assert_eq!(parsed.claims()["iss"], "joe");
    assert_eq!(parsed.verify(&jwk.public_key().unwrap(), &[Algorithm::Rs256]), Ok(()));
    let wrong = PublicKey::from_components(key().public_key().n(), key().public_key().e()).unwrap();
    assert_eq!(parsed.verify(&wrong, &[Algorithm::Rs256]), Err(JwsError::BadSignature));
}

#[test]
fn hostile_tokens_are_refused() {
    let part = |json: &str| apptoken_jose::base64url::encode(json.as_bytes());
    let token = |header: &str, claims: &str| format!("{}.{}.c2ln", part(header), part(claims));
    let alg = r#"{"alg":"RS256"}"#;
    for (text, want) in [
        (String::new(), JwsError::Malformed),
        ("a.b".into(), JwsError::Malformed),
        ("a.b.c.d".into(), JwsError::Malformed),
        (token("[]", "{}"), JwsError::Malformed),
        (token("{}", "{}"), JwsError::Malformed),
        (token(r#"{"alg":1}"#, "{}"), JwsError::Malformed),
        (token(alg, "1"), JwsError::Malformed),
        (token(r#"{"alg":"RS256","alg":"none"}"#, "{}"), JwsError::DuplicateMember),
        (token(alg, r#"{"aud":"a","aud":"b"}"#), JwsError::DuplicateMember),
        (token(r#"{"alg":"RS256","crit":["b64"]}"#, "{}"), JwsError::CriticalExtension),
        (token(alg, &format!(r#"{{"a":"{}"}}"#, "x".repeat(jws::MAX_TOKEN_BYTES))), JwsError::TooLong),
        (token(alg, &"[".repeat(10_000)), JwsError::Malformed),
    ] {
        assert_eq!(jws::Unverified::parse(&text).map(drop), Err(want), "{text:.60}");
    }
    for alg in ["none", "None", "HS256", "RS384", "rs256", ""] {
        let token = token(&format!(r#"{{"alg":"{alg}"}}"#), "{}");
        let parsed = jws::Unverified::parse(&token).unwrap();
        assert_eq!(
            parsed.verify(key().public_key(), &[Algorithm::Rs256, Algorithm::Ps256]),
            Err(JwsError::AlgorithmNotAllowed),
            "{alg}"
        );
    }
}

#[test]
fn a_certificate_tells_its_thumbprints_and_dates() {
    let certificate = certificate();
    assert_eq!(certificate.subject(), "CN=daemon");
    assert!(certificate.not_before() < certificate.not_after());
    assert_eq!(Certificate::from_pem(certificate.to_pem().as_bytes()).unwrap(), std::slice::from_ref(&certificate));
    assert_eq!(certificate.thumbprint_hex().len(), 40);
    assert_eq!(certificate.x5t().len(), 27);
    assert_eq!(certificate.x5t_s256().len(), 43);
    assert_eq!(Certificate::from_pem(keys::EC_CERTIFICATE).unwrap()[0].public_key(), Err(KeyError::NotRsa));
    assert!(Certificate::from_der(&b"not DER"[..]).is_err());
}

/// Leaf, intermediate and root by OpenSSL, in a PFX and in PEM files of any order.
#[test]
fn a_chain_comes_leaf_first() {
    let want = ["CN=chained", "CN=intermediate", "CN=root"];
    let subjects = |chain: &[Certificate]| chain.iter().map(|one| one.subject().to_owned()).collect::<Vec<_>>();
    let opened = pfx::open(keys::PFX_CHAIN, keys::PFX_PASSWORD.as_bytes()).unwrap();
    assert_eq!(subjects(&opened.chain), want);
    let leaf = opened.key.public_key();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let shuffled = order.iter().flat_map(|&at| opened.chain[at].to_pem().into_bytes()).collect::<Vec<_>>();
        let read = Certificate::from_pem(&shuffled).unwrap();
        assert_eq!(subjects(&Certificate::in_order(read, leaf)), want, "{order:?}");
    }
    let strangers = vec![certificate(), opened.chain[1].clone(), opened.chain[0].clone()];
    assert_eq!(subjects(&Certificate::in_order(strangers, leaf)), ["CN=chained", "CN=intermediate", "CN=daemon"]);
}
