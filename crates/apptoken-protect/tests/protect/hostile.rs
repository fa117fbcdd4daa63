//! Every way to present a token that must not pass, and what it is answered.

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::caller::{TestClock, api, builder, call, call_with};
use crate::tokens::{API, APP, NOW, Signer, TENANT, v1, v2, with};

const OTHER: &str = "66667777-aaaa-8888-bbbb-9999cccc0000";

#[tokio::test]
async fn hostile_tokens() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let protect = builder(&authority, &TestClock::new()).build().await.unwrap();
    let api = api(protect.clone());

    for row in table(&signer) {
        let answer = call(&api, "/todo", &row.authorization).await;
        let name = row.name;
        assert_eq!(answer.status, row.status, "{name}: {answer:?}");
        assert_eq!(answer.problem["reason"], row.reason, "{name}");
        assert_eq!(answer.problem["status"], row.status, "{name}");
        assert_eq!(answer.problem["error"].as_str().unwrap_or(""), row.error, "{name}");
        assert!(answer.problem["detail"].as_str().unwrap().contains(row.detail), "{name}: {}", answer.problem);
        assert_eq!(answer.headers["cache-control"], "no-store", "{name}");
        let base = format!(
            r#"Bearer realm="api://todolist", authorization_uri="{}/{TENANT}/oauth2/authorize", client_id="{API}""#,
            authority.url
        );
        let rest = answer.challenge().strip_prefix(&base).unwrap_or_else(|| panic!("{name}: {}", answer.challenge()));
        if row.error.is_empty() {
            assert_eq!(rest, "", "{name}");
        } else {
            let error = format!(r#", error="{}", error_description=""#, row.error);
            assert!(rest.starts_with(&error) && rest.contains(row.detail), "{name}: {rest}");
        }
        // A client whose token is not believed learns nothing of what would be.
        if row.status == 401 {
            assert!(
                !answer.text.contains(TENANT) && !answer.text.contains(OTHER) && !answer.text.contains(API),
                "{name}"
            );
        }
    }
    assert_eq!(authority.fetches(), 2, "once at the start, once for the unknown kid");
    assert!(testkit::logged().contains(&format!("the token's tid is `{OTHER}`, the configured tenant is {TENANT}")));
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

struct Row {
    name: &'static str,
    authorization: Vec<String>,
    status: u16,
    error: &'static str,
    reason: &'static str,
    detail: &'static str,
}

fn table(signer: &Signer) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut header = |name, authorization: &[&str], status, error, reason, detail| {
        let authorization = authorization.iter().map(|value| (*value).to_owned()).collect();
        rows.push(Row { name, authorization, status, error, reason, detail });
    };
    let good = format!("Bearer {}", signer.sign(&v2()));
    header("nothing", &[], 401, "", "token_missing", "carries no access token");
    header("other scheme", &["Basic dXNlcjpwYXNz"], 401, "", "token_missing", "carries no access token");
    header("empty", &["Bearer"], 400, "invalid_request", "authorization_malformed", "not 'Bearer'");
    header(
        "two headers",
        &[&good, &good],
        400,
        "invalid_request",
        "authorization_ambiguous",
        "more than one Authorization",
    );

    let mut token = |name, token: String, status, reason, detail| {
        let error = if status == 403 { "insufficient_scope" } else { "invalid_token" };
        rows.push(Row { name, authorization: vec![format!("Bearer {token}")], status, error, reason, detail });
    };
    for (name, text) in
        [("a word", "word"), ("two parts", "a.b"), ("not base64url", "a+b.c.d"), ("five parts", "a.b.c.d.e")]
    {
        token(name, text.to_owned(), 401, "token_malformed", "not a well-formed");
    }
    token("17 KiB", "a".repeat(17 * 1024), 401, "token_too_long", "too long");

    let claims = v2().to_string();
    let raw = |header: Value| signer.sign_raw(&header.to_string(), &claims, Algorithm::RS256);
    let headed = |change: &[(&str, Value)]| with(signer.header(), change);
    let unsigned = raw(headed(&[("alg", json!("none"))]));
    token("alg none", unsigned.clone(), 401, "algorithm_refused", "not signed with RS256");
    let stripped = unsigned[..=unsigned.rfind('.').unwrap()].to_owned();
    token("alg none, no signature", stripped, 401, "algorithm_refused", "not signed with RS256");
    token("alg NONE", raw(headed(&[("alg", json!("NONE"))])), 401, "algorithm_refused", "not signed with RS256");
    let pem = apptoken_jose::Certificate::from_pem(testkit::keys::CERTIFICATE).unwrap()[0].to_pem();
    let hmac = Signer { kid: signer.kid.clone(), key: EncodingKey::from_secret(pem.as_bytes()) };
    let confused = hmac.sign_raw(&headed(&[("alg", json!("HS256"))]).to_string(), &claims, Algorithm::HS256);
    token("HS256 with the public key", confused, 401, "algorithm_refused", "not signed with RS256");
    let pss = signer.sign_raw(&headed(&[("alg", json!("PS256"))]).to_string(), &claims, Algorithm::PS256);
    token("PS256 by the right key", pss, 401, "algorithm_refused", "not signed with RS256");
    let lied = signer.sign_raw(&headed(&[]).to_string(), &claims, Algorithm::PS256);
    token("PS256 that says RS256", lied, 401, "signature_invalid", "signature");
    let forged = Signer::new(&signer.kid, testkit::keys::OTHER_KEY).sign(&v2());
    token("another key under the same kid", forged, 401, "signature_invalid", "signature");
    let (parts, other) = (signer.sign(&v2()), signer.sign(&with(v2(), &[("roles", json!(["Admin"]))])));
    let (message, claims_of_other) = (parts.rsplit_once('.').unwrap(), other.split('.').nth(1).unwrap());
    let swapped = format!("{}.{claims_of_other}.{}", message.0.split_once('.').unwrap().0, message.1);
    token("claims swapped", swapped, 401, "signature_invalid", "signature");
    let damaged = format!("{}{}", &parts[..parts.len() - 4], if parts.ends_with("AAAA") { "BBBA" } else { "AAAA" });
    token("signature damaged", damaged, 401, "signature_invalid", "signature");
    token("signature cut off", format!("{}.", message.0), 401, "signature_invalid", "signature");

    token("no kid", raw(headed(&[("kid", Value::Null)])), 401, "key_id_missing", "which key signed it");
    token("empty kid", raw(headed(&[("kid", json!(""))])), 401, "key_id_missing", "which key signed it");
    token("unknown kid", raw(headed(&[("kid", json!("../../etc"))])), 401, "key_unknown", "is not known. Ask");
    token("crit", raw(headed(&[("crit", json!(["exp"]))])), 401, "token_malformed", "not a well-formed");
    token("typ pop", raw(headed(&[("typ", json!("pop"))])), 401, "token_malformed", "not a well-formed");
    let twice = signer.header().to_string().replacen('{', r#"{"alg":"none","#, 1);
    token("alg twice", signer.sign_raw(&twice, &claims, Algorithm::RS256), 401, "token_malformed", "not a well-formed");
    let twice = claims.replacen('{', r#"{"aud":"api://other","#, 1);
    let twice = signer.sign_raw(&signer.header().to_string(), &twice, Algorithm::RS256);
    token("aud twice", twice, 401, "token_malformed", "not a well-formed");
    let array = signer.sign_raw(&signer.header().to_string(), "[1]", Algorithm::RS256);
    token("claims are an array", array, 401, "token_malformed", "not a well-formed");

    let mut claim = |name, changes: &[(&str, Value)], status, reason, detail| {
        token(name, signer.sign(&with(v2(), changes)), status, reason, detail);
    };
    claim("expired", &[("exp", json!(NOW - 3600))], 401, "expired", "is expired");
    claim("expired, at the edge", &[("exp", json!(NOW - 300))], 401, "expired", "is expired");
    claim("not yet valid", &[("nbf", json!(NOW + 3600))], 401, "not_yet_valid", "not valid yet");
    claim("not yet valid, at the edge", &[("nbf", json!(NOW + 301))], 401, "not_yet_valid", "not valid yet");
    claim("without exp", &[("exp", Value::Null)], 401, "claim_invalid", "missing or has the wrong type");
    claim("without tid", &[("tid", Value::Null)], 401, "claim_invalid", "missing or has the wrong type");
    claim("without iss", &[("iss", Value::Null)], 401, "claim_invalid", "missing or has the wrong type");
    claim("without oid", &[("oid", Value::Null)], 401, "claim_invalid", "missing or has the wrong type");
    claim(
        "other resource",
        &[("aud", json!("https://graph.microsoft.com"))],
        401,
        "audience_mismatch",
        "another resource",
    );
    claim("other client id", &[("aud", json!(OTHER))], 401, "audience_mismatch", "another resource");
    claim("slash not configured", &[("aud", json!("api://todolist/"))], 401, "audience_mismatch", "another resource");
    claim("several audiences", &[("aud", json!([API, "x"]))], 401, "claim_invalid", "wrong type");
    let elsewhere = format!("https://login.microsoftonline.com/{OTHER}/v2.0");
    claim("other tenant's issuer", &[("iss", json!(elsewhere))], 401, "issuer_mismatch", "another issuer. Ask");
    claim("foreign issuer", &[("iss", json!("https://evil.example/"))], 401, "issuer_mismatch", "another issuer. Ask");
    let without_slash = format!("https://sts.windows.net/{TENANT}");
    claim(
        "v1 issuer without its slash",
        &[("iss", json!(without_slash))],
        401,
        "issuer_mismatch",
        "another issuer. Ask",
    );
    let v1_issuer = v1()["iss"].clone();
    claim("v1 issuer in a v2 token", &[("iss", v1_issuer)], 401, "claim_invalid", "missing or has the wrong type");
    claim("other tenant", &[("tid", json!(OTHER))], 401, "tenant_mismatch", "another tenant. Ask");
    claim("user's, by scp", &[("scp", json!("Todo.Read"))], 403, "user_token", "issued for a user");
    claim("user's, by sub", &[("sub", json!("opaque"))], 403, "user_token", "issued for a user");
    claim("user's, by idtyp", &[("idtyp", json!("user"))], 403, "user_token", "issued for a user");
    claim("no roles", &[("roles", Value::Null)], 403, "roles_absent", "no app role");
    claim("another role", &[("roles", json!(["Other"]))], 403, "role_missing", "not been granted an app role");
    rows
}

#[tokio::test]
async fn no_letter_of_a_token_may_change() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let protect = builder(&authority, &TestClock::new()).build().await.unwrap();
    let token = signer.sign(&v2());
    for (place, letter) in token.char_indices() {
        for other in ['A', 'b', '_', '.'].into_iter().filter(|other| *other != letter) {
            let changed = format!("{}{other}{}", &token[..place], &token[place + 1..]);
            assert!(protect.validate(&changed).await.is_err(), "{letter} to {other} at {place}");
        }
        let shortened = format!("{}{}", &token[..place], &token[place + 1..]);
        assert!(protect.validate(&shortened).await.is_err(), "without {place}");
    }
    assert!(protect.validate(&token).await.is_ok());
    assert!(authority.fetches() <= 2);
}

#[tokio::test]
async fn good_tokens_pass() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let protect = builder(&authority, &TestClock::new()).build().await.unwrap();
    let api = api(protect.clone());
    let token = signer.sign(&v2());
    for authorization in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER  {token} ")] {
        let answer = call(&api, "/todo", &[authorization]).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, APP));
    }
    for (name, claims) in [
        ("v1", v1()),
        ("v1 for the client id", with(v1(), &[("aud", json!(API))])),
        ("skew of exp", with(v2(), &[("exp", json!(NOW - 299))])),
        ("skew of nbf", with(v2(), &[("nbf", json!(NOW + 300))])),
        ("no nbf", with(v2(), &[("nbf", Value::Null)])),
        ("float times", with(v2(), &[("exp", json!(NOW as f64 + 0.5))])),
        ("idtyp", with(v2(), &[("idtyp", json!("app")), ("sub", json!("/eid1/c/pub/t/x/a/y/z"))])),
        ("unknown claims", with(v2(), &[("xms_new", json!({ "a": [null] })), ("wids", json!([1]))])),
    ] {
        let answer = call_with(&api, "/todo", &signer.sign(&claims)).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
    let caller = protect.validate(&token).await.unwrap();
    assert_eq!((caller.app_id(), caller.tenant_id(), caller.roles()), (APP, TENANT, &["DaemonAppRole".to_owned()][..]));
    testkit::witness(&protect);
    testkit::witness(&caller);
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

#[tokio::test]
async fn roles_of_a_route() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let api = api(builder(&authority, &TestClock::new()).build().await.unwrap());
    let one = signer.sign(&v2());
    let both = signer.sign(&with(v2(), &[("roles", json!(["Admin", "DaemonAppRole"]))]));
    assert_eq!(call_with(&api, "/both", &both).await.status, 200);
    let refused = call_with(&api, "/both", &one).await;
    assert_eq!(refused.status, 403);
    assert!(refused.problem["detail"].as_str().unwrap().ends_with("Needed: all of DaemonAppRole, Admin."));
    assert!(refused.challenge().contains(r#"error="insufficient_scope""#), "{}", refused.challenge());
    assert_eq!(call_with(&api, "/open", &one).await.status, 200);
}

#[tokio::test]
async fn lists_in_place_of_roles() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let build = |listed: &str| builder(&authority, &TestClock::new()).allow_callers([listed]).unwrap();
    let without = signer.sign(&with(v2(), &[("roles", Value::Null)]));
    let listed = api(build(APP).build().await.unwrap());
    assert_eq!(call_with(&listed, "/open", &without).await.status, 200);
    assert_eq!(call_with(&listed, "/todo", &without).await.problem["reason"], "role_missing");
    let unlisted = api(build(OTHER).build().await.unwrap());
    assert_eq!(call_with(&unlisted, "/open", &without).await.problem["reason"], "roles_absent");
    let anyone = api(builder(&authority, &TestClock::new()).allow_without_roles(true).build().await.unwrap());
    assert_eq!(call_with(&anyone, "/open", &without).await.status, 200);
    let users = builder(&authority, &TestClock::new()).allow_user_tokens(true).build().await.unwrap();
    let user = signer.sign(&with(v2(), &[("scp", json!("Todo.Read")), ("roles", Value::Null)]));
    let caller = users.validate(&user).await.unwrap();
    assert!(!caller.is_app_only());
    assert_eq!(caller.scopes(), ["Todo.Read"]);
}

#[tokio::test]
async fn a_guard_for_roles_alone_lets_nobody_in() {
    testkit::init();
    let layer = apptoken_protect::RequireRoles::any(["DaemonAppRole"]);
    let api = axum::Router::new().route("/todo", axum::routing::get(|| async { "open!" })).layer(layer);
    let answer = call_with(&api, "/todo", "a.b.c").await;
    assert_eq!((answer.status.as_u16(), answer.problem["reason"].as_str()), (500, Some("protect_missing")));
    assert!(testkit::logged().contains("add the Protect layer outside it"));
}

#[tokio::test]
async fn handlers_cannot_print_the_token() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let show = |headers: axum::http::HeaderMap| async move { format!("{headers:?}") };
    let protect = builder(&authority, &TestClock::new()).build().await.unwrap();
    let api = axum::Router::new().route("/show", axum::routing::get(show)).layer(protect);
    let answer = call_with(&api, "/show", &signer.sign(&v2())).await;
    assert!(answer.text.contains("authorization") && !answer.text.contains("eyJ"), "{}", answer.text);
}
