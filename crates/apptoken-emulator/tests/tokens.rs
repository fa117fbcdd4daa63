//! What a granted token looks like: the answer around it, and the claims in it.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::Duration;

use apptoken_emulator::{CredentialKind, IssuerMode, Outcome, TokenVersion};
use apptoken_jose::base64url;
use common::{
    API_V1, API_V2, API_V2_DEFAULT, CONTOSO, DAEMON, Entra, GRAPH_DEFAULT, describe, form, good, secret, start,
    start_with,
};
use jsonwebtoken::errors::ErrorKind;
use serde_json::{Value, json};

/// For an API of one's own, without roles and optional claims, as captured from Entra.
const V2_CLAIMS: &str = "aio aud azp azpacr exp iat iss nbf oid rh sub tid uti ver xms_ftd";
const TAILSPIN: uuid::Uuid = uuid::uuid!("66666666-ffff-4fff-8fff-000000000006");
const ONE: uuid::Uuid = uuid::uuid!("77777777-aaaa-4aaa-8aaa-000000000007");
const TWO: uuid::Uuid = uuid::uuid!("88888888-bbbb-4bbb-8bbb-000000000008");
const CLIENT: uuid::Uuid = uuid::uuid!("99999999-cccc-4ccc-8ccc-000000000009");
const V1_CLAIMS: &str = "aio appid appidacr aud exp iat idp iss nbf oid rh sub tid uti ver xms_ftd";

#[tokio::test]
async fn v2_answers_with_four_members_and_numbers() {
    let entra = start().await;
    let answer = entra.token(&[]).await;
    assert_eq!(answer.status, 200);
    let members: Vec<_> = answer.json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "ext_expires_in", "token_type"]);
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!([&answer.json["expires_in"], &answer.json["ext_expires_in"]], [3599, 3599]);
    for (name, value) in [
        ("cache-control", "no-store, no-cache"),
        ("pragma", "no-cache"),
        ("expires", "-1"),
        ("content-type", "application/json; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    let logged = entra.last_sign_in();
    assert_eq!(answer.headers["x-ms-request-id"], logged.trace_id.to_string());
    assert_eq!((logged.outcome, logged.code), (Outcome::Granted, None));
    assert_eq!(logged.credential, Some(CredentialKind::Secret));
    assert_eq!((logged.tenant_id, logged.app_id), (Some(CONTOSO), Some(DAEMON.to_string())));
    assert_eq!(logged.resource.as_deref(), Some("api://todolist"));
}

#[tokio::test]
async fn v1_answers_with_strings_and_the_resource() {
    let entra = start().await;
    entra.emulator.clock().freeze();
    let now = entra.emulator.clock().now_unix();
    let body = good(&[("scope", ""), ("resource", "https://contoso.com/orders")]);
    let answer = entra.send(entra.post("/contoso.com/oauth2/token/", body)).await;
    assert_eq!(answer.status, 200);
    let mut rest = answer.json.clone();
    rest.as_object_mut().unwrap().remove("access_token");
    let expected = json!({
        "token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599",
        "expires_on": (now + 3600).to_string(), "not_before": (now - 300).to_string(),
        "resource": "https://contoso.com/orders",
    });
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn the_resource_decides_the_version_whatever_the_endpoint() {
    let entra = start().await;
    entra.emulator.clock().freeze();
    let now = entra.emulator.clock().now_unix();
    for endpoint in ["v2", "v1"] {
        for (resource, version) in [("api://todolist", "2.0"), ("https://contoso.com/orders", "1.0")] {
            let answer = if endpoint == "v2" {
                entra.token(&[("scope", &format!("{resource}/.default"))]).await
            } else {
                let body = good(&[("scope", ""), ("resource", resource)]);
                entra.send(entra.post(&format!("/{CONTOSO}/oauth2/token"), body)).await
            };
            let token = answer.json["access_token"].as_str().unwrap();
            let claims = Value::Object(entra.claims(token).await);
            let header = jsonwebtoken::decode_header(token).unwrap();
            assert_eq!(claims["ver"], version, "{endpoint} {resource}");
            assert_eq!(claims["tid"], CONTOSO.to_string());
            assert_eq!(claims["oid"], claims["sub"]);
            assert_eq!([&claims["iat"], &claims["nbf"]], [now - 300, now - 300]);
            assert_eq!(claims["exp"], now + 3600);
            assert_eq!(claims["uti"].as_str().unwrap().len(), 22);
            assert_eq!(claims.get("roles"), None, "nobody has consented");
            assert_eq!((claims.get("idtyp"), claims.get("scp"), claims.get("nonce")), (None, None, None));
            assert_eq!(header.kid.as_ref().unwrap().len(), 27);
            let members = if version == "2.0" { V2_CLAIMS } else { V1_CLAIMS };
            let present: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(present.join(" "), members, "these and no others");
            assert!(claims["rh"].as_str().unwrap().starts_with("1.A"), "{}", claims["rh"]);
            if version == "2.0" {
                assert_eq!(claims["aud"], API_V2.to_string());
                assert_eq!(claims["iss"], format!("https://login.microsoftonline.com/{CONTOSO}/v2.0"));
                assert_eq!((claims["azp"].as_str().unwrap(), &claims["azpacr"]), (&*DAEMON.to_string(), &json!("1")));
                assert_eq!((claims.get("appid"), header.x5t), (None, None));
            } else {
                assert_eq!(claims["aud"], "https://contoso.com/orders");
                assert_eq!(claims["iss"], format!("https://sts.windows.net/{CONTOSO}/"));
                assert_eq!(claims["idp"], claims["iss"]);
                assert_eq!(
                    (claims["appid"].as_str().unwrap(), &claims["appidacr"]),
                    (&*DAEMON.to_string(), &json!("1"))
                );
                assert_eq!((claims.get("azp"), header.x5t), (None, header.kid));
            }
        }
    }
}

#[tokio::test]
async fn v1_audience_is_spelt_as_asked_and_v2_is_the_id() {
    let entra = start().await;
    for (scope, audience) in [
        ("https://database.windows.net/.default", "https://database.windows.net"),
        ("https://database.windows.net//.default", "https://database.windows.net/"),
        ("https://management.azure.com//.default", "https://management.azure.com/"),
        ("https://GRAPH.microsoft.com/.default", "https://GRAPH.microsoft.com"),
        ("https://acct1.blob.core.windows.net/.default", "https://acct1.blob.core.windows.net"),
        (&*format!("{API_V1}/.default"), &*API_V1.to_string()),
        ("api://todolist//.default", &*API_V2.to_string()),
        (&*format!("{API_V2}/.default"), &*API_V2.to_string()),
        ("api://AzureADTokenExchange/.default", "fb60f99c-7a34-4190-8149-302f77469936"),
    ] {
        let claims = entra.claims(&entra.granted(scope).await).await;
        assert_eq!(claims["aud"], audience, "{scope}");
    }
}

#[tokio::test]
async fn the_log_warns_of_an_audience_that_sql_refuses() {
    let entra = start().await;
    entra.granted("https://database.windows.net//.default").await;
    assert_eq!(entra.last_sign_in().message, None);
    entra.granted("https://database.windows.net/.default").await;
    let logged = entra.last_sign_in();
    assert!(logged.message.unwrap().contains("takes only https://database.windows.net/"));
    assert_eq!(logged.evidence[0].expected, "https://database.windows.net/");
    assert_eq!(logged.evidence[0].presented, "https://database.windows.net");
}

#[tokio::test]
async fn roles_come_with_consent_and_go_with_it() {
    let entra = start().await;
    let directory = entra.emulator.directory();
    let roles = async |scope: &str| entra.claims(&entra.granted(scope).await).await.get("roles").cloned();

    assert_eq!(roles(API_V2_DEFAULT).await, None);
    let granted = directory.grant_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
    assert_eq!(granted, ["DaemonAppRole", "Reader", "User.Read.All"]);
    assert_eq!(roles(API_V2_DEFAULT).await, Some(json!(["DaemonAppRole", "Reader"])));
    assert_eq!(entra.last_sign_in().roles, ["DaemonAppRole", "Reader"]);
    assert_eq!(roles(GRAPH_DEFAULT).await, Some(json!(["User.Read.All"])));

    directory.remove_app_role("contoso.com", &DAEMON.to_string(), "api://todolist", "Reader").unwrap();
    assert_eq!(roles(API_V2_DEFAULT).await, Some(json!(["DaemonAppRole"])));
    directory.revoke_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
    assert_eq!(roles(API_V2_DEFAULT).await, None);
    directory.assign_app_role("contoso.com", &DAEMON.to_string(), "api://todolist", "NeverAsked").unwrap();
    assert_eq!(roles(API_V2_DEFAULT).await, Some(json!(["NeverAsked"])));
}

#[tokio::test]
async fn tokens_for_microsofts_own_apis_say_more() {
    let entra = start().await;
    let claims = entra.claims(&entra.granted(GRAPH_DEFAULT).await).await;
    assert_eq!(claims["idtyp"], "app");
    assert_eq!(claims["app_displayname"], "Daemon");
    assert_eq!(claims["wids"], json!(["0997a1d0-0d1d-4acb-b408-d5ca73121e90"]));
    assert_eq!(claims["tenant_region_scope"], "EU");
    assert!(claims["xms_tcdt"].is_i64());
}

/// What a challenge says of `nbf`: a token no older than the revocation, and yet good at once.
#[tokio::test]
async fn a_challenge_moves_the_tokens_beginning_up_to_now() {
    let entra = start().await;
    entra.emulator.clock().freeze();
    let now = entra.emulator.clock().now_unix();
    for (wanted, from) in [(now - 4000, now - 300), (now - 10, now - 10), (now + 4000, now)] {
        let claims = json!({ "access_token": { "nbf": { "essential": true, "value": wanted.to_string() } } });
        let answer = entra.token(&[("claims", &claims.to_string())]).await;
        let token = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
        assert_eq!([&token["nbf"], &token["iat"], &token["exp"]], [from, from, now + 3600], "{wanted}");
    }
}

/// The API's registration decides, and the client's has no say.
#[tokio::test]
async fn an_api_asks_for_optional_claims() {
    let entra = start().await;
    let directory = entra.emulator.directory();
    let own_secret = format!("{}-claims", testkit::CANARY);
    let seed = format!(
        r#"{{ "tenants": [{{ "tenantId": "{TAILSPIN}", "defaultDomain": "tailspin.com", "countryLetterCode": "de", "preferredLanguage": "DE" }}],
             "applications": [
               {{ "displayName": "One", "appId": "{ONE}", "homeTenant": "tailspin.com", "identifierUris": ["api://one"] }},
               {{ "displayName": "Two", "appId": "{TWO}", "homeTenant": "tailspin.com", "identifierUris": ["api://two"],
                  "requestedAccessTokenVersion": 2 }},
               {{ "displayName": "Client", "appId": "{CLIENT}", "homeTenant": "tailspin.com",
                  "passwordCredentials": [{{ "secretText": "{own_secret}" }}] }}] }}"#
    );
    directory.add(&apptoken_emulator::Seed::from_json(&seed).unwrap()).unwrap();
    let claims = async |api: &str, capable: bool| {
        let claims = if capable { r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"# } else { "" };
        let client = CLIENT.to_string();
        let scope = format!("{api}/.default");
        let form =
            good(&[("client_id", &client), ("client_secret", &own_secret), ("scope", &scope), ("claims", claims)]);
        let answer = entra.send(entra.post("/tailspin.com/oauth2/v2.0/token", form)).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        Value::Object(entra.claims(answer.json["access_token"].as_str().unwrap()).await)
    };
    let members = |claims: &Value| claims.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");

    let ask = |app: uuid::Uuid, claims: Value| {
        let claims = serde_json::from_value(json!({ "accessToken": claims })).unwrap();
        directory.set_optional_claims(&app.to_string(), Some(claims)).unwrap();
    };
    let all = json!([
        { "name": "idtyp", "additionalProperties": ["include_user_token"] }, { "name": "aud", "additionalProperties": ["use_guid"] },
        { "name": "xms_cc" }, { "name": "tenant_ctry" }, { "name": "tenant_region_scope" }, { "name": "xms_tpl" },
        // users have these
        { "name": "email" }, { "name": "ipaddr" }, { "name": "acct" }, { "name": "no-such-claim" },
    ]);
    // the client's own registration
    ask(CLIENT, all.clone());
    assert_eq!(members(&claims("api://one", true).await), V1_CLAIMS);
    assert_eq!(members(&claims("api://two", true).await), V2_CLAIMS);

    // an extension of users' objects, and aud as it is
    for api in [ONE, TWO] {
        ask(api, json!([{ "name": "idtyp", "source": "user" }, { "name": "aud" }]));
    }
    let one = claims("api://one", true).await;
    assert_eq!((members(&one), &one["aud"]), (V1_CLAIMS.into(), &json!("api://one")));
    assert_eq!(members(&claims("api://two", true).await), V2_CLAIMS);

    for (name, api, usual) in [("api://one", ONE, V1_CLAIMS), ("api://two", TWO, V2_CLAIMS)] {
        ask(api, all.clone());
        let token = claims(name, true).await;
        let mut expected: Vec<_> = usual.split(' ').collect();
        expected.extend(["idtyp", "tenant_ctry", "tenant_region_scope", "xms_cc", "xms_tpl"]);
        expected.sort_unstable();
        assert_eq!(members(&token), expected.join(" "), "{name}");
        assert_eq!(token["aud"], json!(api), "{name}");
        assert_eq!((&token["idtyp"], &token["xms_cc"]), (&json!("app"), &json!(["cp1"])));
        assert_eq!([&token["tenant_ctry"], &token["tenant_region_scope"], &token["xms_tpl"]], ["DE", "EU", "de"]);
        assert_eq!(token["exp"].as_i64().unwrap() - token["iat"].as_i64().unwrap(), 3900, "Graph's alone live longer");
        assert_eq!(claims(name, false).await.get("xms_cc"), None, "the client did not say so");
    }
    directory.set_optional_claims(&TWO.to_string(), None).unwrap();
    assert_eq!(members(&claims("api://two", true).await), V2_CLAIMS);
}

#[tokio::test]
async fn lifetimes_can_be_set_and_long_ones_have_refresh_in() {
    let entra = start().await;
    let faults = entra.emulator.faults();
    faults.token_lifetime(Some(Duration::from_secs(60)));
    let answer = entra.token(&[]).await.json;
    assert_eq!((&answer["expires_in"], answer.get("refresh_in")), (&json!(60), None));

    faults.token_lifetime(Some(Duration::from_secs(86_400)));
    let answer = entra.token(&[]).await.json;
    assert_eq!((&answer["expires_in"], &answer["refresh_in"]), (&json!(86_400), &json!(43_200)));

    faults.clear();
    faults.refresh_in(Some(Duration::from_secs(10)));
    assert_eq!(entra.token(&[]).await.json["refresh_in"], 10);
}

#[tokio::test]
async fn a_secret_may_come_in_the_basic_header() {
    let entra = start().await;
    let encode = |text: &str| form(&[("", text)])[1..].to_owned();
    let user = encode(&DAEMON.to_string());
    let request = entra
        .post("/contoso.com/oauth2/v2.0/token", good(&[("client_id", ""), ("client_secret", "")]))
        .basic_auth(user, Some(encode(&secret())));
    assert_eq!(entra.send(request).await.status, 200);

    let request = entra
        .post("/contoso.com/oauth2/v2.0/token", good(&[("client_secret", "")]))
        .basic_auth("somebody-else", Some(encode(&secret())));
    let answer = entra.send(request).await;
    assert_eq!((answer.status, &answer.json["error_codes"]), (400, &json!([9002313])));
    assert!(answer.json["error_description"].as_str().unwrap().contains("differ"), "{}", answer.json);
}

#[tokio::test]
async fn the_ways_of_real_clients_are_taken() {
    let entra = start().await;
    let spaces = good(&[("scope", "api://todolist/.default openid offline_access profile")]);
    let telemetry = good(&[
        ("client_info", "1"),
        ("x-client-SKU", "msal.js.node"),
        ("x-client-current-telemetry", "5|771,2,,,|,"),
        ("claims", r#"{"access_token":{"xms_cc":{"values":["cp1"]}},"id_token":{"signin_state":{}}}"#),
    ]);
    for (path, body) in [
        ("/contoso.com/oauth2/v2.0/token?client-request-id=7f0b0c1e-4b5f-4a77-9c0e-0c5d1c5e0a11", telemetry),
        ("/contoso.com/oauth2/v2.0/token?", good(&[])),
        ("/contoso.com/oauth2/v2.0/token/", good(&[])),
        ("//contoso.com//oauth2/v2.0//token", good(&[])),
        ("/CONTOSO.com/oauth2/v2.0/token", spaces.replace('+', "%20")),
        ("/contoso.com/oauth2/v2.0/token", spaces),
    ] {
        let request = entra.post(path, body).header("content-type", "application/x-www-form-urlencoded;charset=utf-8");
        let answer = entra.send(request).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.json);
        if path.contains("client-request-id") {
            assert_eq!(answer.headers["x-ms-clitelem"], "1,0,0,,");
            assert_eq!(entra.last_sign_in().correlation_id.to_string(), "7f0b0c1e-4b5f-4a77-9c0e-0c5d1c5e0a11");
        }
    }
}

#[tokio::test]
async fn a_new_signing_key_leaves_the_old_tokens_good() {
    let entra = start().await;
    let old = entra.granted(API_V2_DEFAULT).await;
    entra.emulator.rotate_signing_key().await.unwrap();
    let new = entra.granted(API_V2_DEFAULT).await;
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid;
    assert_ne!(kid(&old), kid(&new));
    entra.claims(&old).await;
    entra.claims(&new).await;
    // A key of another emulator is not accepted.
    let stranger = start().await.granted(API_V2_DEFAULT).await;
    let keys = entra.get("/contoso.com/discovery/v2.0/keys").await.json;
    assert!(common::verify(&stranger, &serde_json::from_value(keys).unwrap()).is_none());
}

#[tokio::test]
async fn local_issuers_are_the_emulators_own_address() {
    let entra = start_with(describe().issuer_mode(IssuerMode::Local)).await;
    for (scope, path, configuration) in [
        (API_V2_DEFAULT, format!("/{CONTOSO}/v2.0"), format!("/{CONTOSO}/v2.0/.well-known/openid-configuration")),
        (GRAPH_DEFAULT, format!("/{CONTOSO}/"), format!("/{CONTOSO}/.well-known/openid-configuration")),
    ] {
        let claims = entra.claims(&entra.granted(scope).await).await;
        assert_eq!(claims["iss"], entra.url(&path));
        assert_eq!(entra.get(&configuration).await.json["issuer"], claims["iss"]);
    }
}

/// As an API's author would set the jsonwebtoken crate up: issuer and keys from the metadata, its own audience.
#[tokio::test]
async fn a_validator_that_is_not_ours_takes_tokens_of_both_issuer_modes() {
    for mode in [IssuerMode::Entra, IssuerMode::Local] {
        let entra = start_with(describe().issuer_mode(mode)).await;
        for (scope, metadata, audience) in [
            (API_V2_DEFAULT, "v2.0/.well-known/openid-configuration", API_V2.to_string()),
            (GRAPH_DEFAULT, ".well-known/openid-configuration", "https://graph.microsoft.com".to_owned()),
        ] {
            let metadata = entra.get(&format!("/{CONTOSO}/{metadata}")).await.json;
            let keys = entra.client.get(metadata["jwks_uri"].as_str().unwrap());
            let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(entra.send(keys).await.json).unwrap();
            let check = |token: &str, audience: &str| {
                let header = jsonwebtoken::decode_header(token)?;
                let jwk = keys.find(&header.kid.unwrap()).unwrap();
                let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
                rules.set_issuer(&[metadata["issuer"].as_str().unwrap()]);
                rules.set_audience(&[audience]);
                rules.validate_nbf = true;
                jsonwebtoken::decode::<Value>(token, &jsonwebtoken::DecodingKey::from_jwk(jwk)?, &rules)
            };
            let token = entra.granted(scope).await;
            assert_eq!(check(&token, &audience).unwrap().claims["tid"], CONTOSO.to_string(), "{mode:?}");
            let refused = |token: &str, audience| check(token, audience).unwrap_err().into_kind();
            assert_eq!(refused(&token, "api://another"), ErrorKind::InvalidAudience);
            let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
            let mut changed: Value = serde_json::from_slice(&base64url::decode(claims).unwrap()).unwrap();
            changed["roles"] = json!(["Admin"]);
            let changed = format!("{header}.{}.{signature}", base64url::encode(changed.to_string().as_bytes()));
            assert_eq!(refused(&changed, &audience), ErrorKind::InvalidSignature);
        }
    }
}

#[tokio::test]
async fn the_directory_changes_under_a_running_server() {
    let entra = start().await;
    let directory = entra.emulator.directory();
    let daemon = DAEMON.to_string();
    let new = directory.add_secret(&daemon, "second", Duration::from_secs(3600)).unwrap();
    testkit::witness(&new);
    assert_eq!(entra.token(&[("client_secret", &new.text)]).await.status, 200);
    directory.remove_secret(&daemon, new.key_id).unwrap();
    assert_eq!(entra.token(&[("client_secret", &new.text)]).await.status, 401);

    directory.set_token_version(&API_V2.to_string(), TokenVersion::V1).unwrap();
    assert_eq!(entra.claims(&entra.granted(API_V2_DEFAULT).await).await["aud"], "api://todolist");
    assert_eq!(
        directory.grant_admin_consent("nowhere.example", &daemon).unwrap_err().to_string(),
        "no tenant \"nowhere.example\" in this directory"
    );
    directory.remove_application(&API_V2.to_string()).unwrap();
    assert_eq!(entra.token(&[]).await.json["error_codes"], json!([500011]));
}

#[tokio::test]
async fn a_multi_tenant_application_is_someone_else_in_each_tenant() {
    let app = uuid::Uuid::new_v4();
    let builder = describe().tenant("northwind", |northwind| {
        northwind.application("Guest", |guest| {
            guest.app_id(app).secret(secret()).also_in("fabrikam.onmicrosoft.com");
            guest.requires("https://graph.microsoft.com", ["User.Read.All"]);
        });
    });
    let entra = start_with(builder).await;
    let directory = entra.emulator.directory();
    directory.grant_admin_consent("fabrikam.onmicrosoft.com", &app.to_string()).unwrap();
    let mut principals = Vec::new();
    for (tenant, roles) in
        [("northwind.onmicrosoft.com", None), ("fabrikam.onmicrosoft.com", Some(json!(["User.Read.All"])))]
    {
        let body = good(&[("client_id", &app.to_string()), ("scope", GRAPH_DEFAULT)]);
        let answer = entra.send(entra.post(&format!("/{tenant}/oauth2/v2.0/token"), body)).await;
        let claims = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
        assert_eq!(claims.get("roles").cloned(), roles, "{tenant}");
        assert_eq!(claims["tid"], directory.snapshot().tenant(tenant).unwrap().id.to_string());
        principals.push(claims["oid"].clone());
    }
    assert_ne!(principals[0], principals[1]);

    directory.remove_service_principal("fabrikam.onmicrosoft.com", &app.to_string()).unwrap();
    let body = good(&[("client_id", &app.to_string()), ("scope", GRAPH_DEFAULT)]);
    let answer = entra.send(entra.post("/fabrikam.onmicrosoft.com/oauth2/v2.0/token", body)).await;
    assert_eq!(answer.json["error_codes"], json!([7000229]));
}

#[tokio::test]
async fn a_thousand_tokens_at_once() {
    let entra = std::sync::Arc::new(start().await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let entra: std::sync::Arc<Entra> = entra.clone();
        tasks.spawn(async move { entra.token(&[]).await.status });
    }
    while let Some(status) = tasks.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(entra.emulator.token_requests(), 1000);
    assert_eq!(entra.emulator.sign_ins().len(), 1000);
}
