use apptoken::{Certificate, ConfidentialClient, ConfidentialClientBuilder, ErrorKind};
use apptoken_jose::jws;
use serde_json::json as value;
use testkit::keys;

use crate::common::{CONTOSO, DAEMON, TODO, secret};
use crate::stub::{Seen, Stub, json};
use crate::{CIAM, Entra, post};

const GUID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn grant(name: &str) -> http::Response<axum::body::Body> {
    json(200, &value!({ "token_type": "bearer", "expires_in": 3600, "access_token": name }))
}

/// A server that grants a token at one path and knows no other.
async fn server(path: &'static str) -> Stub {
    Stub::start(move |request| match (request.method.as_str(), request.path == path) {
        ("POST", true) => grant("granted"),
        _ => json(404, &value!("nothing here")),
    })
    .await
}

fn at(stub: &Stub, path: &str) -> ConfidentialClientBuilder {
    ConfidentialClient::builder(DAEMON).authority(stub.url(path)).allow_http_loopback(true)
}

fn field(request: &Seen, name: &str) -> String {
    request.form(name).unwrap_or_default()
}

/// An assertion's `aud`, and the header that names the certificate.
fn assertion(request: &Seen) -> (String, String, bool) {
    let text = field(request, "client_assertion");
    let token = jws::Unverified::parse(&text).unwrap();
    let certificate = apptoken_jose::Certificate::from_pem(keys::CERTIFICATE).unwrap().remove(0);
    token
        .verify(&certificate.public_key().unwrap(), &[apptoken_jose::Algorithm::Rs256, apptoken_jose::Algorithm::Ps256])
        .unwrap();
    let sha1 = token.header().x5t.as_deref() == Some(certificate.x5t().as_str());
    (token.claims()["aud"].as_str().unwrap().to_owned(), token.header().alg.clone(), sha1)
}

fn certificate() -> Certificate {
    Certificate::from_pem(keys::CERTIFICATE, keys::PKCS8, None).unwrap()
}

#[tokio::test]
async fn adfs() {
    let fs = server("/adfs/oauth2/token").await;
    let client = at(&fs, "/adfs/").client_secret(secret()).build().unwrap();
    // scopes are its own affair
    let token = client.acquire_token_for_client(["https://api.example/openid", "read"]).await.unwrap();
    assert_eq!((token.secret(), token.tenant_id(), token.scopes()), ("granted", "", "https://api.example/openid read"));
    assert_eq!(field(&fs.last(), "scope"), "https://api.example/openid read");
    assert_eq!(field(&fs.last(), "grant_type"), "client_credentials");
    assert_eq!(fs.requests(), 1);
    let error = client.acquire_token_for_client("read").tenant(CONTOSO).await.unwrap_err();
    assert!(error.to_string().contains("has no tenants"), "{error}");
    assert_eq!((error.kind(), fs.requests()), (ErrorKind::Configuration, 1));

    at(&fs, "/adfs").certificate(certificate()).build().unwrap().acquire_token_for_client("read").await.unwrap();
    assert_eq!(assertion(&fs.last()), (fs.url("/adfs/oauth2/token"), "RS256".into(), true));
}

#[tokio::test]
async fn dsts() {
    let dsts = server("/dstsv2/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/token").await;
    let client = at(&dsts, &format!("/dstsv2/{GUID}")).certificate(certificate()).build().unwrap();
    let token = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(token.tenant_id(), GUID);
    let audience = dsts.url(&format!("/dstsv2/{GUID}/oauth2/v2.0/token"));
    assert_eq!(assertion(&dsts.last()), (audience, "RS256".into(), true));
    let other = client.acquire_token_for_client(TODO).tenant("contoso.com").await.unwrap_err();
    assert_eq!(dsts.last().path, "/dstsv2/contoso.com/oauth2/v2.0/token", "{other}");
}

#[tokio::test]
async fn b2c() {
    let b2c = server("/tfp/contoso.onmicrosoft.com/B2C_1_daemon/oauth2/v2.0/token").await;
    let client = at(&b2c, "/tfp/contoso.onmicrosoft.com/B2C_1_daemon/").certificate(certificate()).build().unwrap();
    let token = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(token.tenant_id(), CONTOSO);
    let audience = b2c.url("/tfp/contoso.onmicrosoft.com/B2C_1_daemon/oauth2/v2.0/token");
    assert_eq!(assertion(&b2c.last()), (audience, "PS256".into(), false));
    let error = client.acquire_token_for_client(TODO).tenant("fabrikam.com").await.unwrap_err();
    assert!(error.to_string().contains("its own tenant"), "{error}");
    let error = client.acquire_token_for_client("read").await.unwrap_err();
    assert!(error.to_string().contains("/.default"), "{error}");
    assert_eq!(b2c.requests(), 1);
}

/// The tenant is inferred from the host; the token comes from the local Entra ID in that name, over TLS.
#[tokio::test]
async fn ciam() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[CIAM], &[]);
    let client = ConfidentialClient::builder(DAEMON)
        .authority(format!("https://{CIAM}/"))
        .client_secret(secret())
        .transport(transport.clone())
        .clock(entra.clock.clone())
        .build()
        .unwrap();
    let token = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!((token.tenant_id(), transport.take()), (CONTOSO, vec![post(CIAM)]));
}

#[tokio::test]
async fn a_wrong_kind_is_told_by_its_404() {
    let other = Stub::start(|_| json(404, &value!("nothing here"))).await;
    let client = at(&other, "/adfs").client_secret(secret()).build().unwrap();
    let error = client.acquire_token_for_client("read").await.unwrap_err();
    testkit::witness_error(&error);
    let advice = error.advice().unwrap();
    assert!(advice.contains(&other.url("/adfs/oauth2/token")) && advice.contains("an ADFS authority"), "{advice}");
    assert_eq!(error.kind(), ErrorKind::Protocol);
}
