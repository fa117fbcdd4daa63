//! The documents that clients and APIs read first.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use apptoken_jose::Certificate;
use apptoken_jose::base64url::decode_lenient;
use common::{CONTOSO, start};
use serde_json::json;

#[tokio::test]
async fn v2_configuration() {
    let entra = start().await;
    for tenant in [CONTOSO.to_string(), "contoso.com".into(), "CONTOSO.onmicrosoft.com".into()] {
        // MSAL Go appends a bare question mark.
        let answer = entra.get(&format!("/{tenant}/v2.0/.well-known/openid-configuration?")).await;
        assert_eq!(answer.status, 200);
        let json = answer.json;
        assert_eq!(json["issuer"], format!("https://login.microsoftonline.com/{CONTOSO}/v2.0"));
        assert_eq!(json["token_endpoint"], entra.url(&format!("/{CONTOSO}/oauth2/v2.0/token")));
        assert_eq!(json["jwks_uri"], entra.url(&format!("/{CONTOSO}/discovery/v2.0/keys")));
        assert_eq!(json["cloud_instance_name"], "microsoftonline.com");
        assert_eq!(json["subject_types_supported"], json!(["pairwise"]));
        assert_eq!(
            json["token_endpoint_auth_methods_supported"],
            json!(["client_secret_post", "private_key_jwt", "client_secret_basic", "self_signed_tls_client_auth"])
        );
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(answer.headers["cache-control"], "max-age=86400, private");
    }
}

#[tokio::test]
async fn v1_configuration() {
    let entra = start().await;
    let json = entra.get("/contoso.com/.well-known/openid-configuration").await.json;
    assert_eq!(json["issuer"], format!("https://sts.windows.net/{CONTOSO}/"));
    assert_eq!(json["token_endpoint"], entra.url(&format!("/{CONTOSO}/oauth2/token")));
    assert_eq!(json["jwks_uri"], entra.url(&format!("/{CONTOSO}/discovery/keys")));
    assert!(json["check_session_iframe"].is_string());
}

#[tokio::test]
async fn common_has_an_issuer_for_any_tenant() {
    let entra = start().await;
    for tenant in ["common", "organizations"] {
        let json = entra.get(&format!("/{tenant}/v2.0/.well-known/openid-configuration")).await.json;
        assert_eq!(json["issuer"], "https://login.microsoftonline.com/{tenantid}/v2.0");
        assert_eq!(json["token_endpoint"], entra.url(&format!("/{tenant}/oauth2/v2.0/token")));
    }
    let json = entra.get("/consumers/v2.0/.well-known/openid-configuration").await.json;
    assert_eq!(json["issuer"], "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0");
}

#[tokio::test]
async fn unknown_tenants_have_their_own_word_here() {
    let entra = start().await;
    for (tenant, error, code) in [
        ("99999999-9999-4999-8999-999999999999", "invalid_tenant", 90002),
        ("nowhere.example", "invalid_tenant", 90002),
        ("undefined", "invalid_request", 900023),
        ("%7Btenant%7D", "invalid_request", 900023),
    ] {
        for document in
            ["v2.0/.well-known/openid-configuration", ".well-known/openid-configuration", "discovery/v2.0/keys"]
        {
            let answer = entra.get(&format!("/{tenant}/{document}")).await;
            assert_eq!((answer.status, &answer.json["error"]), (400, &json!(error)), "{tenant} {document}");
            assert_eq!(answer.json["error_codes"], json!([code]));
        }
    }
}

#[tokio::test]
async fn a_tenant_may_be_percent_encoded_and_personal_accounts_have_a_tenant() {
    let entra = start().await;
    let issuer = async |tenant: &str| {
        entra.get(&format!("/{tenant}/v2.0/.well-known/openid-configuration")).await.json["issuer"].clone()
    };
    assert_eq!(issuer("contoso%2Ecom").await, issuer("contoso.com").await);
    let consumers = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    assert_eq!(
        (issuer("consumers").await, issuer("9188040d-6c67-4c5b-b112-36a304b66dad").await),
        (json!(consumers), json!(consumers))
    );
}

#[tokio::test]
async fn keys_have_certificates_and_no_alg() {
    let entra = start().await;
    for (path, issuer) in [
        ("/common/discovery/v2.0/keys", Some("https://login.microsoftonline.com/{tenantid}/v2.0")),
        ("/contoso.com/discovery/keys", None),
    ] {
        let keys = entra.get(path).await.json;
        let key = &keys["keys"][0];
        assert_eq!((&key["kty"], &key["use"], &key["e"]), (&json!("RSA"), &json!("sig"), &json!("AQAB")));
        assert_eq!((key.get("alg"), key["issuer"].as_str()), (None, issuer));
        assert_eq!(key["kid"], key["x5t"]);
        let certificate = Certificate::from_der(decode_lenient(key["x5c"][0].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(key["x5t"], certificate.x5t());
        assert_eq!(key["n"], apptoken_jose::base64url::encode(certificate.public_key().unwrap().n()));
    }
    entra.emulator.rotate_signing_key().await.unwrap();
    let keys = entra.get("/common/discovery/v2.0/keys").await.json;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn instance_discovery() {
    let entra = start().await;
    let ask = async |endpoint: &str| {
        let query = common::form(&[("api-version", "1.1"), ("authorization_endpoint", endpoint)]);
        entra.get(&format!("/common/discovery/instance?{query}")).await
    };
    let answer = ask("https://login.microsoftonline.com/contoso.com/oauth2/v2.0/authorize").await;
    assert_eq!(answer.status, 200);
    let first = &answer.json["metadata"][0];
    assert_eq!(first["preferred_network"], "login.microsoftonline.com");
    assert_eq!(first["preferred_cache"], "login.windows.net");
    assert!(first["aliases"].as_array().unwrap().contains(&json!("sts.windows.net")));

    // MSAL Python forgets the port of a custom authority; the answer puts it back.
    let answer = ask(&format!("https://localhost/{CONTOSO}/oauth2/v2.0/authorize")).await;
    let expected = entra.url(&format!("/{CONTOSO}/v2.0/.well-known/openid-configuration"));
    assert_eq!(answer.json["tenant_discovery_endpoint"], expected);

    let answer = ask("https://evil.example/common/oauth2/v2.0/authorize").await;
    assert_eq!((answer.status, &answer.json["error"]), (400, &json!("invalid_instance")));
    assert_eq!(answer.json["error_codes"], json!([50049]));
    assert_eq!(entra.get("/common/discovery/instance").await.json["error_codes"], json!([900144]));
}

#[tokio::test]
async fn documents_follow_the_name_that_they_are_asked_by() {
    let entra = start().await;
    let port = entra.emulator.authority().rsplit_once(':').unwrap().1.to_owned();
    let url = format!("https://127.0.0.1:{port}/{CONTOSO}/v2.0/.well-known/openid-configuration");
    let json = entra.send(entra.client.get(url)).await.json;
    assert_eq!(json["token_endpoint"], format!("https://127.0.0.1:{port}/{CONTOSO}/oauth2/v2.0/token"));
}

#[tokio::test]
async fn documents_are_only_read() {
    let entra = start().await;
    let url = entra.url("/common/discovery/v2.0/keys");
    assert_eq!(entra.send(entra.client.post(&url)).await.status, 405);
    let head = entra.send(entra.client.head(&url)).await;
    assert_eq!((head.status, head.json.is_null()), (200, true));
    assert_eq!(entra.get("/").await.status, 200);
    assert_eq!(entra.get("/contoso.com/oauth2/v2.0/authorize").await.status, 404);
}
