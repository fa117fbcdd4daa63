//! Each credential gets a token, and what it sends is what the documents say.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};

use apptoken::{AssertionForm, Certificate, Error, ErrorKind, SecretString};
use apptoken_jose::{Algorithm, base64url, jws};
use common::recording::{field, recorded};
use common::{CONTOSO, DAEMON, FABRIKAM, GRAPH, TODO, World, certificate, minutes, secret};
use serde_json::Value;
use testkit::keys;

#[tokio::test]
async fn a_secret_goes_into_the_form() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let client = builder.client_secret(secret()).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    let names = recording.forms()[0].iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names, ["client_id", "scope", "client_secret", "grant_type"]);
    testkit::witness(&client);
}

#[tokio::test]
async fn every_form_of_certificate_is_accepted() {
    let world = World::start().await;
    let pem = |key, password: Option<&str>| {
        Certificate::from_pem(keys::CERTIFICATE, key, password.map(SecretString::from).as_ref()).unwrap()
    };
    let pfx = |file, password: &str| Certificate::from_pfx(file, &SecretString::from(password)).unwrap();
    for certificate in [
        pem(keys::PKCS8, None),
        pem(keys::PKCS1, None),
        pem(keys::ENCRYPTED, Some(keys::KEY_PASSWORD)),
        pem(keys::ENCRYPTED_3DES, Some(keys::KEY_PASSWORD)),
        pfx(keys::PFX, keys::PFX_PASSWORD),
        pfx(keys::PFX_LEGACY, keys::PFX_PASSWORD),
        pfx(keys::PFX_NO_PASSWORD, ""),
    ] {
        let client = world.bare().certificate(certificate).build().unwrap();
        client.acquire_token_for_client([TODO]).await.unwrap();
        testkit::witness(&client);
    }
}

#[tokio::test]
async fn certificate_files_are_read_as_their_bytes_are() {
    let world = World::start().await;
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/keys");
    let file = |name: &str| keys.join(name);
    let (password, passphrase) = (SecretString::from(keys::PFX_PASSWORD), SecretString::from(keys::KEY_PASSWORD));
    for certificate in [
        Certificate::from_pfx_file(file("modern.pfx"), &password).unwrap(),
        Certificate::from_pem_files(file("daemon.crt"), file("pkcs8.pem"), None).unwrap(),
        Certificate::from_pem_files(file("daemon.crt"), file("encrypted.pem"), Some(&passphrase)).unwrap(),
    ] {
        assert_eq!(certificate.thumbprint(), common::certificate().thumbprint());
        let client = world.bare().certificate(certificate).build().unwrap();
        client.acquire_token_for_client([TODO]).await.unwrap();
    }
}

#[tokio::test]
async fn an_assertion_is_ps256_back_dated_and_for_this_endpoint() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(certificate()).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    let form = &recording.forms()[0];
    let type_ = field(form, "client_assertion_type");
    assert_eq!(type_, Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    assert_eq!(field(form, "client_secret"), None);

    // read by jsonwebtoken, which we did not write, with the certificate that OpenSSL made
    let assertion = &recording.assertions()[0];
    let x509 = apptoken_jose::Certificate::from_pem(keys::CERTIFICATE).unwrap().remove(0);
    let parsed = jws::Unverified::parse(assertion).unwrap();
    parsed.verify(&x509.public_key().unwrap(), &[Algorithm::Ps256]).unwrap();
    assert_eq!(parsed.header().x5t_s256.as_deref(), Some(&*x509.x5t_s256()));
    assert_eq!((&parsed.header().x5t, parsed.header().x5c.len()), (&None, 0));
    let claims = parsed.claims();
    assert_eq!(claims["aud"], format!("{}/{CONTOSO}/oauth2/v2.0/token", world.entra.authority()));
    assert_eq!((&claims["iss"], &claims["sub"]), (&Value::from(DAEMON), &Value::from(DAEMON)));
    let number = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!((number("exp") - number("iat"), number("iat") - number("nbf")), (600, 300));
    assert!(claims["jti"].as_str().unwrap().len() == 36);
}

#[tokio::test]
async fn x5c_is_an_array_of_the_chain_when_asked_for() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(certificate()).send_x5c(true).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    let assertion = recording.assertions().remove(0);
    let header: Value =
        serde_json::from_slice(&base64url::decode(assertion.split('.').next().unwrap()).unwrap()).unwrap();
    let x5c = header["x5c"].as_array().unwrap();
    let der = base64url::decode_lenient(x5c[0].as_str().unwrap()).unwrap();
    assert_eq!(
        (x5c.len(), der.as_slice()),
        (1, apptoken_jose::Certificate::from_pem(keys::CERTIFICATE).unwrap()[0].der())
    );
}

#[tokio::test]
async fn an_assertion_is_reused_while_it_is_good() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(certificate()).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    client.acquire_token_for_client([TODO]).tenant(FABRIKAM).await.unwrap();
    world.advance(minutes(9));
    client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    let assertions = recording.assertions();
    assert_eq!(assertions[0], assertions[1], "another scope, the same endpoint");
    assert_ne!(assertions[0], assertions[2], "another tenant is another audience");
    assert_ne!(assertions[0], assertions[3], "nine of its ten minutes have passed");
}

#[tokio::test]
async fn a_refused_assertion_is_not_used_again() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let other = Certificate::from_pem(keys::OTHER_CERTIFICATE, keys::OTHER_KEY, None).unwrap();
    let client = builder.certificate(other).build().unwrap();
    for _ in 0..2 {
        let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
        testkit::witness_error(&error);
        assert!(error.denied().unwrap().has_code(700027), "{error:?}");
        assert!(error.advice().unwrap().contains("thumbprints"));
    }
    assert_ne!(recording.assertions()[0], recording.assertions()[1]);
}

#[tokio::test]
async fn a_callback_is_told_what_its_assertion_is_for() {
    let world = World::start().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (recording, builder) = recorded(&world);
    let (asks, signer) = (asked.clone(), apptoken_jose::SigningKey::from_pem(keys::PKCS8, None).unwrap());
    let client = builder
        .client_assertion(move |request: apptoken::AssertionRequest| {
            let (asks, signer) = (asks.clone(), signer.clone());
            async move {
                let x509 = apptoken_jose::Certificate::from_pem(keys::CERTIFICATE)?.remove(0);
                let mut header = serde_json::Map::new();
                header.insert("x5t".into(), x509.x5t().into());
                let claims = serde_json::json!({
                    "aud": request.token_endpoint, "iss": request.client_id, "sub": request.client_id,
                    "exp": 9_000_000_000_u64, "jti": "1",
                });
                asks.lock().unwrap().push(request);
                jws::sign(&header, &claims, &signer, Algorithm::Rs256)
            }
        })
        .build()
        .unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    client.acquire_token_for_client([TODO]).claims(r#"{"a":1}"#).await.unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!((asked.len(), recording.forms().len()), (2, 2), "never on a hit");
    assert_eq!((asked[0].client_id.as_str(), asked[0].tenant.as_str(), &asked[0].claims), (DAEMON, CONTOSO, &None));
    assert_eq!(asked[1].claims.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(field(&recording.forms()[1], "claims"), Some(r#"{"a":1}"#));
}

#[tokio::test]
async fn a_refusal_comes_with_the_authoritys_words_and_our_advice() {
    let world = World::start().await;
    let client = world.bare().client_secret(format!("{}-wrong", testkit::CANARY)).build().unwrap();
    let error: Error = client.acquire_token_for_client([TODO]).await.unwrap_err();
    testkit::witness_error(&error);
    let denied = error.denied().unwrap();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!((denied.http_status(), denied.error(), denied.codes()), (401, "invalid_client", &[7000215][..]));
    assert!(denied.description().starts_with("AADSTS7000215:") && !denied.description().contains("Trace ID"));
    assert_eq!(denied.correlation_id().unwrap(), error.correlation_id().unwrap().to_string());
    let logged = world.entra.sign_ins();
    assert_eq!(denied.trace_id(), Some(&*logged.last().unwrap().trace_id.to_string()));
    assert!(error.advice().unwrap().contains("not its Secret ID"));
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(text.contains("AADSTS7000215") && text.contains("correlation id") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn rs256_names_the_certificate_by_its_sha1() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(certificate()).assertion_form(AssertionForm::Rs256).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    let (assertion, x509) = (recording.assertions().remove(0), certificate_of_openssl());
    let parsed = jws::Unverified::parse(&assertion).unwrap();
    parsed.verify(&x509.public_key().unwrap(), &[Algorithm::Rs256]).unwrap();
    assert_eq!((parsed.header().x5t.as_deref(), &parsed.header().x5t_s256), (Some(&*x509.x5t()), &None));
}

#[tokio::test]
async fn a_chain_is_sent_leaf_first() {
    let world = World::start().await;
    let chained = Certificate::from_pfx(keys::PFX_CHAIN, &SecretString::from(keys::PFX_PASSWORD)).unwrap();
    let x509 = apptoken_jose::pfx::open(keys::PFX_CHAIN, keys::PFX_PASSWORD.as_bytes()).unwrap().chain.remove(0);
    world.entra.directory().add_certificate(DAEMON, "chained", &x509).unwrap();
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(chained).send_x5c(true).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    let assertion = recording.assertions().remove(0);
    let x5c = &jws::Unverified::parse(&assertion).unwrap().header().x5c.clone();
    let subjects = x5c.iter().map(|der| {
        let der = base64url::decode_lenient(der).unwrap();
        apptoken_jose::Certificate::from_der(der).unwrap().subject().to_owned()
    });
    assert_eq!(subjects.collect::<Vec<_>>(), ["CN=chained", "CN=intermediate", "CN=root"]);
}

/// By subject name and issuer: nothing of the certificate is registered, and without `x5c` nothing is known of it.
#[tokio::test]
async fn a_certificate_is_trusted_by_its_name() {
    let now = apptoken::clock::Clock::system_time(&apptoken::clock::SystemClock);
    let (x509, key) = apptoken_jose::issue::self_signed("daemon.contoso.com", now, 10).unwrap();
    let key = key.to_pkcs8_pem().unwrap();
    let mut app = uuid::Uuid::nil();
    let world = World::start_with(|builder| {
        builder.tenant("named", |tenant| {
            let authority = tenant.certificate_authority("itself", std::slice::from_ref(&x509));
            app = tenant.application("Named", |app| {
                app.trusted_subject_name(authority, "daemon.contoso.com");
            });
        })
    })
    .await;
    let client = |send| {
        let certificate = Certificate::from_pem(x509.to_pem().as_bytes(), key.as_bytes(), None).unwrap();
        apptoken::ConfidentialClient::builder(app.to_string())
            .tenant("named.onmicrosoft.com")
            .authority(world.entra.authority())
            .add_root_certificate_pem(world.entra.ca_pem())
            .clock(world.clock.clone())
            .certificate(certificate)
            .send_x5c(send)
            .build()
            .unwrap()
    };
    client(true).acquire_token_for_client([GRAPH]).await.unwrap();
    let error = client(false).acquire_token_for_client([GRAPH]).await.unwrap_err();
    assert!(error.denied().unwrap().has_code(700027), "{error:?}");
}

#[tokio::test]
async fn extra_claims_stand_beside_the_assertions_own() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(certificate()).assertion_claims(r#"{"client_ip":"192.0.2.1"}"#).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    let assertion = recording.assertions().remove(0);
    let claims = jws::Unverified::parse(&assertion).unwrap().claims().clone();
    assert_eq!((&claims["client_ip"], &claims["iss"]), (&Value::from("192.0.2.1"), &Value::from(DAEMON)));
    for (claims, words) in [(r#"{"aud":"x"}"#, "\"aud\""), ("[]", "JSON object")] {
        let error = world.bare().certificate(certificate()).assertion_claims(claims).build().unwrap_err();
        assert!(error.kind() == ErrorKind::Configuration && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn an_assertion_made_elsewhere_is_sent_as_it_is() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    builder.certificate(certificate()).build().unwrap().acquire_token_for_client([TODO]).await.unwrap();
    let assertion = recording.assertions().remove(0);
    let (recording, builder) = recorded(&world);
    let client = builder.static_assertion(assertion.clone()).build().unwrap();
    testkit::witness(&client);
    client.acquire_token_for_client([TODO]).await.unwrap();
    world.advance(minutes(20));
    let error = client.acquire_token_for_client([GRAPH]).await.unwrap_err();
    assert!(error.denied().unwrap().has_code(700024), "{error:?}");
    assert_eq!(recording.assertions(), [assertion.clone(), assertion], "refused, and sent once");
}

fn certificate_of_openssl() -> apptoken_jose::Certificate {
    apptoken_jose::Certificate::from_pem(keys::CERTIFICATE).unwrap().remove(0)
}
