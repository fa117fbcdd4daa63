//! Client assertions, of the daemon's certificate and of another issuer: no token unless the right key signed the right
//! names. The input is a letter for who signs and how, a line of header, then the claims; or the whole assertion.
#![no_main]

use apptoken_fuzz::entra::{CLIENT, ENTRA, ISSUER, NOW, SUBJECT};
use apptoken_jose::{Algorithm, base64url};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use url::form_urlencoded::Serializer;

fuzz_target!(|input: &[u8]| {
    let Some((&who, rest)) = input.split_first() else { return };
    let (signer, algorithm) = match who {
        b'd' => (Some(Signer::Daemon), Algorithm::Rs256),
        b'D' => (Some(Signer::Daemon), Algorithm::Ps256),
        b'i' => (Some(Signer::Issuer), Algorithm::Rs256),
        b'I' => (Some(Signer::Issuer), Algorithm::Ps256),
        _ => (None, Algorithm::Rs256),
    };
    let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    let (header, claims) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let assertion = match &signer {
        None => String::from_utf8_lossy(rest).into_owned(),
        Some(signer) => {
            let signed = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
            let key = if matches!(signer, Signer::Daemon) { &ENTRA.daemon } else { &ENTRA.issuer };
            let signature = key.sign(algorithm, signed.as_bytes()).expect("a signature");
            format!("{signed}.{}", base64url::encode(&signature))
        }
    };
    let body = Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", CLIENT)
        .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .append_pair("client_assertion", &assertion)
        .append_pair("scope", "api://todolist/.default")
        .finish();
    if ENTRA.ask("oauth2/v2.0/token", &[], body.as_bytes()).is_none() {
        return;
    }
    let signer = signer.expect("a token for an assertion that nobody signed");
    let header: Value = serde_json::from_slice(header).expect("a header that was believed is JSON");
    let claims: Value = serde_json::from_slice(claims).expect("claims that were believed are JSON");
    assert_eq!(header["alg"], algorithm.as_str());
    match signer {
        Signer::Daemon => {
            let is_client = |name: &str| claims[name].as_str().is_some_and(|id| id.eq_ignore_ascii_case(CLIENT));
            assert!(is_client("iss") && is_client("sub"), "somebody else's assertion");
            assert!(claims["aud"].to_string().contains("://"), "an assertion for somebody else");
        }
        Signer::Issuer => {
            assert_eq!((&claims["iss"], &claims["sub"]), (&ISSUER.into(), &SUBJECT.into()));
            assert!(claims["aud"].to_string().contains("api://AzureADTokenExchange"));
        }
    }
    if let Some(expires) = claims["exp"].as_f64() {
        assert!(expires > (NOW - 301) as f64, "an assertion that has expired");
    }
});

enum Signer {
    Daemon,
    Issuer,
}
