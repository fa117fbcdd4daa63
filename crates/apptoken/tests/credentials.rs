//! Each credential gets a token, and what it sends is what the documents say.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};

use apptoken::http::{Request, ReqwestTransport, Response, Transport, TransportError};
use apptoken::{Certificate, ConfidentialClient, Error, ErrorKind, SecretString};
use apptoken_jose::{Algorithm, base64url, jws};
use common::{CONTOSO, DAEMON, FABRIKAM, GRAPH, TODO, World, certificate, minutes, secret};
use serde_json::Value;
use testkit::keys;

type Form = Vec<(String, String)>;

/// Passes requests on and keeps their forms.
#[derive(Clone)]
struct Recording {
    to: Arc<ReqwestTransport>,
    forms: Arc<Mutex<Vec<Form>>>,
}

impl Recording {
    fn new(world: &World) -> Self {
        let to = ReqwestTransport::builder().add_root_certificate_pem(world.entra.ca_pem().as_bytes()).unwrap().build();
        Self { to: Arc::new(to), forms: Arc::default() }
    }

    fn forms(&self) -> Vec<Form> {
        self.forms.lock().unwrap().clone()
    }

    fn assertions(&self) -> Vec<String> {
        self.forms().iter().map(|form| field(form, "client_assertion").unwrap().to_owned()).collect()
    }
}

impl Transport for Recording {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let form = url::form_urlencoded::parse(request.body()).into_owned().collect();
        self.forms.lock().unwrap().push(form);
        self.to.send(request).await
    }
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn recorded(world: &World) -> (Recording, apptoken::ConfidentialClientBuilder) {
    let recording = Recording::new(world);
    let builder = ConfidentialClient::builder(DAEMON)
        .tenant(CONTOSO)
        .authority(world.entra.authority())
        .clock(world.clock.clone())
        .transport(recording.clone());
    (recording, builder)
}

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
