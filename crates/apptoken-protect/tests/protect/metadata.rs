//! What the guard makes of its configuration, and of an authority that does not answer as it should.

use std::time::Duration;

use apptoken_protect::{BuildError, Protect, Rejection};
use serde_json::json;

use crate::authority::{Authority, Trouble};
use crate::caller::{TestClock, builder};
use crate::tokens::{API, Signer, TENANT, v1, v2};

#[tokio::test]
async fn wrong_configuration_names_its_remedy_and_sends_nothing() {
    testkit::init();
    let start = || Protect::api("api://todolist").tenant(TENANT);
    for (builder, said) in [
        (Protect::api("api://todolist"), "the tenant is missing"),
        (start().tenant("common"), "not one tenant"),
        (start().tenant("[Enter tenant id]"), "neither a GUID nor a domain name"),
        (start().authority("http://login.microsoftonline.com"), "not HTTPS"),
        (start().authority("http://127.0.0.1:1"), "allow_http_loopback"),
        (start().authority("login"), "not a URL"),
        (start().authority("https://localhost/contoso.com"), "give one of them"),
        (start().audience(""), "App ID URI or client id"),
        (start().audience("api://todolist/.default"), r#"the audience is "api://todolist""#),
        (start().realm("a\nb"), "plain ASCII"),
    ] {
        let error = builder.build_lazy().unwrap_err();
        assert!(matches!(error, BuildError::Configuration(_)) && error.to_string().contains(said), "{said}: {error}");
    }
    let said = |error: BuildError| error.to_string();
    assert!(said(start().client_id("todolist").unwrap_err()).contains("not a GUID"));
    assert!(said(start().allow_callers(["x"]).unwrap_err()).contains("not a GUID"));
    assert!(said(start().add_root_certificate_pem("x").unwrap_err()).contains("BEGIN CERTIFICATE"));
}

#[tokio::test]
async fn a_misbehaving_authority_is_named_at_the_start() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let refusal = r#"{"error":"invalid_tenant","error_description":"AADSTS90002: Tenant not found."}"#;
    for (trouble, said) in [
        (Trouble::Status(503, ""), "was answered 503"),
        (Trouble::Status(400, refusal), "was answered 400: AADSTS90002: Tenant not found."),
        (Trouble::Redirect, "was answered 302"),
        (Trouble::Huge, "more than 1048576 bytes"),
        (Trouble::Body("<html>"), "not answered with the JSON"),
        (Trouble::Body(r#"{"issuer":7}"#), "not answered with the JSON"),
        (Trouble::Hang, "took too long"),
    ] {
        authority.publish(|site| site.trouble = Some(trouble));
        let short = builder(&authority, &TestClock::new()).timeout(Duration::from_millis(300));
        assert!(refused(short).await.contains(said), "{said}");
    }
    assert_eq!(authority.count("/elsewhere"), 0, "redirects are not followed");
    authority.publish(|site| site.trouble = None);

    let other = "66667777-aaaa-8888-bbbb-9999cccc0000";
    for (issuer, said) in [
        ("https://evil.example/tenant/v2.0".to_owned(), "neither on the authority nor Microsoft's"),
        ("https://login.microsoftonline.com/{tenantid}/v2.0".to_owned(), "no tenant's id"),
        (format!("https://login.microsoftonline.com/{other}/v2.0"), "the configured tenant is"),
        ("tenant".to_owned(), "not a URL"),
    ] {
        authority.publish(|site| site.v2_issuer = issuer);
        assert!(refused(builder(&authority, &TestClock::new())).await.contains(said), "{said}");
    }
    let by_domain = || builder(&authority, &TestClock::new()).tenant("contoso.com");
    authority.publish(|site| site.v2_issuer = format!("https://login.microsoftonline.com/{other}/v2.0"));
    assert!(refused(by_domain()).await.contains("belongs to tenant"), "two tenants in two documents");
    authority.publish(|site| site.v2_issuer = v2()["iss"].as_str().unwrap().into());

    for address in ["http://login.microsoftonline.com/keys", "ftp://localhost/keys", "keys"] {
        authority.publish(|site| site.jwks_uri = Some(address.into()));
        assert!(refused(builder(&authority, &TestClock::new())).await.contains("names a jwks_uri"), "{address}");
    }
    authority.publish(|site| site.jwks_uri = None);

    let small = Signer::new("small", testkit::keys::PKCS8).jwk();
    let mut weak = small.clone();
    weak["n"] = "AQAB".into();
    let mut secret = small;
    secret["use"] = "enc".into();
    authority.publish(|site| site.v2_keys = vec![json!({ "kty": "EC", "kid": "ec" }), json!(7), weak, secret]);
    assert!(refused(builder(&authority, &TestClock::new())).await.contains("holds no RSA key"));
}

#[tokio::test]
async fn a_strange_key_costs_only_itself() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    authority.publish(|site| site.v2_keys.insert(0, json!({ "kty": "EC", "kid": "first", "x": [] })));
    let protect = builder(&authority, &TestClock::new()).build().await.unwrap();
    assert!(protect.validate(&signer.sign(&v2())).await.is_ok());
}

#[tokio::test]
async fn a_tenant_may_go_by_its_domain() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let protect = builder(&authority, &TestClock::new()).tenant("Contoso.com").build().await.unwrap();
    assert_eq!(protect.validate(&signer.sign(&v2())).await.unwrap().tenant_id(), TENANT);
    assert_eq!(authority.count("/contoso.com/v2.0/.well-known/openid-configuration"), 1);
    // The authority's address may carry the tenant, as other libraries write it.
    let url = format!("{}/{TENANT}/v2.0", authority.url);
    let protect = builder(&authority, &TestClock::new()).authority(url).build().await.unwrap();
    assert!(protect.validate(&signer.sign(&v1())).await.is_ok());
}

#[tokio::test]
async fn audiences_as_configured() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let build = |audience: &str| {
        Protect::api(audience)
            .tenant(TENANT)
            .authority(&authority.url)
            .allow_http_loopback(true)
            .clock(TestClock::new().function())
    };
    let uri_only = build("api://todolist").build().await.unwrap();
    assert!(uri_only.validate(&signer.sign(&v1())).await.is_ok());
    let refused = uri_only.validate(&signer.sign(&v2())).await.unwrap_err();
    assert!(matches!(refused, Rejection::AudienceMismatch { .. }));
    assert!(refused.to_string().contains("add it with client_id()"), "{refused}");
    let id_only = build(&API.to_uppercase()).build().await.unwrap();
    assert!(id_only.validate(&signer.sign(&v2())).await.is_ok());
    assert!(id_only.validate(&signer.sign(&v1())).await.is_err());
    let slash = signer.sign(&crate::tokens::with(v1(), &[("aud", json!("api://todolist/"))]));
    assert!(uri_only.validate(&slash).await.unwrap_err().to_string().contains("differ by a slash"));
    assert!(build("api://todolist").audience("api://todolist/").build().await.unwrap().validate(&slash).await.is_ok());
}

async fn refused(builder: apptoken_protect::ProtectBuilder) -> String {
    let error = builder.build().await.unwrap_err();
    testkit::witness_error(&error);
    let BuildError::Metadata { source, .. } = error else { panic!("{error}") };
    assert!(source.url().starts_with("http://127.0.0.1:"));
    source.to_string()
}
