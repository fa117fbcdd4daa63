//! Client assertions: what real clients send is taken, in all their spellings; everything else has its refusal.
//! Most assertions here are made by the jsonwebtoken crate, not by the code that reads them.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;
mod subject_names;

use apptoken_emulator::CredentialKind;
use apptoken_jose::{Algorithm, base64url, jws};
use common::{CONTOSO, DAEMON, DaemonKey, Entra, daemon_key, start};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use std::time::Duration;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[tokio::test]
async fn every_spelling_of_a_thumbprint_with_both_algorithms() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    let sha1 = daemon.certificate.thumbprint_sha1();
    let sha256 = daemon.certificate.thumbprint_sha256();
    for algorithm in [jsonwebtoken::Algorithm::RS256, jsonwebtoken::Algorithm::PS256] {
        for (style, encode) in STYLES {
            for (name, thumbprint) in [("x5t", encode(&sha1)), ("x5t#S256", encode(&sha256)), ("kid", encode(&sha1))] {
                let mut header = Header::new(algorithm);
                match name {
                    "x5t" => header.x5t = Some(thumbprint),
                    "kid" => header.kid = Some(thumbprint),
                    _ => header.x5t_s256 = Some(thumbprint),
                }
                let answer = entra.assert(&mint(&header, &claims(&entra), &daemon)).await;
                assert_eq!(answer.status, 200, "{algorithm:?} {name} {style}: {}", answer.json);
            }
        }
    }
    assert_eq!(entra.last_sign_in().credential, Some(CredentialKind::Certificate));
    let answer = entra.assert(&mint(&x5t(&daemon), &claims(&entra), &daemon)).await;
    let token = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
    assert_eq!(token["azpacr"], "2");
}

#[tokio::test]
async fn the_claims_that_real_clients_write() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    let now = entra.emulator.clock().now_unix();
    for (client, change) in [
        ("MSAL.NET writes strings", json!({ "nbf": now.to_string(), "exp": (now + 600).to_string() })),
        (
            "MSAL Python writes fractions and no nbf",
            json!({ "iat": now as f64 + 0.5, "exp": now as f64 + 600.5, "nbf": null }),
        ),
        ("a fraction in a string", json!({ "exp": format!("{}.25", now + 600) })),
        ("a clock four minutes ahead", json!({ "nbf": now + 240, "exp": now + 840 })),
        ("a clock four minutes behind", json!({ "nbf": now - 840, "exp": now - 240 })),
        ("no iat, no jti", json!({ "iat": null, "jti": null })),
        ("a day", json!({ "exp": now + 86_400 })),
        (
            "capital letters",
            json!({ "iss": DAEMON.to_string().to_uppercase(), "sub": DAEMON.to_string().to_uppercase() }),
        ),
        ("members unknown", json!({ "xms_anything": { "a": [1] } })),
    ] {
        let answer = entra.assert(&mint(&x5t(&daemon), &changed(&claims(&entra), &change), &daemon)).await;
        assert_eq!(answer.status, 200, "{client}: {}", answer.json);
    }
}

/// As the asynchronous half of azure-identity for Python writes it; the signature is over the padded text.
#[tokio::test]
async fn padded_parts() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    let padded = |bytes: &[u8]| {
        let text = base64url::encode(bytes);
        let padding = (4 - text.len() % 4) % 4;
        text + &"=".repeat(padding)
    };
    for blanks in 0..3 {
        let header = json!({ "typ": "JWT", "alg": "PS256", "x5t#S256": daemon.certificate.x5t_s256() });
        let claims = format!("{}{}", claims(&entra), " ".repeat(blanks));
        let signed = format!("{}.{}", padded(header.to_string().as_bytes()), padded(claims.as_bytes()));
        let signature = padded(&daemon.key.sign(Algorithm::Ps256, signed.as_bytes()).unwrap());
        assert!(signature.ends_with('='));
        let answer = entra.assert(&format!("{signed}.{signature}")).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        let unpadded = format!("{}.{signature}", signed.replace('=', ""));
        assert_eq!(
            entra.assert(&unpadded).await.status == 200,
            !signed.contains('='),
            "the signature is over the text"
        );
    }
}

#[tokio::test]
async fn every_name_of_the_token_endpoint_is_an_audience() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    let host = entra.emulator.authority();
    let port = host.rsplit_once(':').unwrap().1;
    for audience in [
        format!("{host}/{CONTOSO}/oauth2/v2.0/token"),
        format!("{host}/{CONTOSO}/oauth2/v2.0/token/"),
        format!("{host}/contoso.onmicrosoft.com/oauth2/v2.0/token"),
        format!("{host}/contoso.com/oauth2/token"),
        format!("{host}/{CONTOSO}/v2.0"),
        format!("{host}/{CONTOSO}"),
        format!("https://127.0.0.1:{port}/{CONTOSO}/oauth2/v2.0/token"),
        format!("https://login.microsoftonline.com/{CONTOSO}/oauth2/v2.0/token"),
        format!("https://login.windows.net/{CONTOSO}/oauth2/v2.0/token"),
        format!("https://westus2.login.microsoft.com/{CONTOSO}/oauth2/v2.0/token"),
    ] {
        let claims = changed(&claims(&entra), &json!({ "aud": audience }));
        let answer = entra.assert(&mint(&x5t(&daemon), &claims, &daemon)).await;
        assert_eq!(answer.status, 200, "{audience}: {}", answer.json);
    }
}

#[tokio::test]
async fn x5c_in_any_shape_is_passed_over() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    let der = daemon.certificate.x5c();
    let broken: String =
        der.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect();
    for x5c in [json!([der]), json!([der, der]), json!(der), json!([broken]), json!([daemon.certificate.to_pem()])] {
        let mut header = Map::new();
        header.insert("x5t#S256".into(), daemon.certificate.x5t_s256().into());
        header.insert("x5c".into(), x5c);
        let assertion = jws::sign(&header, &claims(&entra), &daemon.key, Algorithm::Ps256).unwrap();
        assert_eq!(entra.assert(&assertion).await.status, 200);
    }
}

/// MSAL Node sends one for minutes, and Entra is not known to mind. The log says so.
#[tokio::test]
async fn an_assertion_may_be_used_again_and_that_is_noted() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    let assertion = mint(&x5t(&daemon), &claims(&entra), &daemon);
    for times in [None, Some("used once before, first at "), Some("used 2 times before, first at ")] {
        assert_eq!(entra.assert(&assertion).await.status, 200);
        let logged = entra.last_sign_in();
        let noted = logged.evidence.iter().find(|evidence| evidence.subject == "jti");
        assert_eq!(noted.is_some(), times.is_some());
        assert!(times.is_none_or(|times| noted.unwrap().presented.starts_with(times)), "{noted:?}");
    }
    let another = changed(&claims(&entra), &json!({ "jti": "another" }));
    assert_eq!(entra.assert(&mint(&x5t(&daemon), &another, &daemon)).await.status, 200);
    assert_eq!(entra.last_sign_in().evidence, []);
}

/// Simulated, for applications that ask for it.
#[tokio::test]
async fn an_application_may_take_each_assertion_once() {
    let mut strict = uuid::Uuid::nil();
    let tenant = |t: &mut apptoken_emulator::TenantBuilder| {
        t.id(CONTOSO);
        strict = t.application("Strict", |app| {
            app.single_use_assertions();
        });
    };
    let entra = common::start_with(apptoken_emulator::Emulator::builder().tenant("contoso", tenant)).await;
    let daemon = daemon_key(&entra.emulator);
    entra.emulator.directory().add_certificate(&strict.to_string(), "test", &daemon.certificate).unwrap();
    let good = changed(&claims(&entra), &json!({ "iss": strict, "sub": strict }));
    let once = async |claims: &Value| {
        let assertion = mint(&x5t(&daemon), claims, &daemon);
        let form = common::form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &strict.to_string()),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &assertion),
            ("scope", common::GRAPH_DEFAULT),
        ]);
        let answer = entra.send(entra.post(&format!("/{CONTOSO}/oauth2/v2.0/token"), form)).await;
        (answer.status, answer.json["error"].clone(), answer.json["error_codes"][0].clone())
    };
    let replayed = (401, json!("invalid_client"), json!(50012));

    // one that is refused for another reason is not used up
    let early = changed(&good, &json!({ "nbf": entra.emulator.clock().now_unix() + 3600 }));
    assert_eq!(once(&early).await.2, 700024);
    assert_eq!(once(&good).await.0, 200);
    assert_eq!(once(&good).await, replayed);
    let logged = entra.last_sign_in();
    assert!(logged.evidence[0].presented.starts_with("used once before"), "{logged:?}");
    assert_eq!(once(&changed(&good, &json!({ "jti": "another" }))).await.0, 200);
    assert_eq!(once(&changed(&good, &json!({ "jti": null }))).await, (400, json!("invalid_request"), json!(90014)));

    // it is known for as long as it is taken, with the clock skew that is forgiven
    entra.emulator.clock().advance(Duration::from_secs(600 + 240));
    assert_eq!(once(&good).await, replayed);
    // its name is free again when it is past
    entra.emulator.clock().advance(Duration::from_secs(61));
    let later = entra.emulator.clock().now_unix();
    let renewed = changed(&good, &json!({ "nbf": later, "exp": later + 600 }));
    assert_eq!(once(&renewed).await.0, 200);
    assert_eq!(once(&renewed).await, replayed);
}

#[tokio::test]
async fn each_refusal_is_entras() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    let stranger = daemon_key(&entra.emulator);
    entra.emulator.clock().freeze();
    let now = entra.emulator.clock().now_unix();
    let good = claims(&entra);
    let with = |change: Value| mint(&x5t(&daemon), &changed(&good, &change), &daemon);
    let token_of = |tenant: &str| format!("{}/{tenant}/oauth2/v2.0/token", entra.emulator.authority());
    let path = |path: &str| format!("{}/{CONTOSO}{path}", entra.emulator.authority());
    let mut no_header = Header::new(jsonwebtoken::Algorithm::RS256);
    no_header.typ = Some("JWT".into());
    let rs512 = {
        let mut header = Header::new(jsonwebtoken::Algorithm::RS512);
        header.x5t = Some(daemon.certificate.x5t());
        mint(&header, &good, &daemon)
    };
    let none = format!("{}.{}.", b64(br#"{"alg":"none"}"#), b64(good.to_string().as_bytes()));
    let proper = mint(&x5t(&daemon), &good, &daemon);
    let forged = format!("{}AAAA", &proper[..proper.len() - 4]);
    let other = DAEMON.to_string().replace('3', "4");

    let cases = [
        ("not a JWT", "hello".into(), 400, "invalid_request", 50027, None),
        ("not JSON inside", "e30.e30.e30.e30".into(), 400, "invalid_request", 50027, None),
        ("no iss", with(json!({ "iss": null })), 400, "invalid_request", 90014, None),
        ("no sub", with(json!({ "sub": null })), 400, "invalid_request", 90014, None),
        ("no aud", with(json!({ "aud": null })), 400, "invalid_request", 90014, None),
        ("no exp", with(json!({ "exp": null })), 400, "invalid_request", 90014, None),
        ("exp is no date", with(json!({ "exp": "soon" })), 400, "invalid_request", 50027, None),
        ("alg none", none, 401, "invalid_client", 5002738, Some(("alg", "none"))),
        ("alg RS512", rs512, 401, "invalid_client", 5002738, Some(("alg", "RS512"))),
        (
            "no thumbprint",
            mint(&no_header, &good, &daemon),
            401,
            "invalid_client",
            5002723,
            Some(("thumbprint", "none of them")),
        ),
        (
            "another's iss",
            with(json!({ "iss": other, "sub": other })),
            401,
            "invalid_client",
            700021,
            Some(("issuer", &*other)),
        ),
        ("sub is not iss", with(json!({ "sub": other })), 401, "invalid_client", 50048, Some(("subject", &*other))),
        (
            "federated",
            with(json!({ "iss": "https://token.actions.githubusercontent.com" })),
            401,
            "invalid_client",
            700211,
            Some(("issuer", "https://token.actions")),
        ),
        (
            "another tenant's aud",
            with(json!({ "aud": token_of("fabrikam.onmicrosoft.com") })),
            401,
            "invalid_client",
            700023,
            Some(("audience", "fabrikam")),
        ),
        (
            "another host's aud",
            with(json!({ "aud": format!("https://evil.example/{CONTOSO}/oauth2/v2.0/token") })),
            401,
            "invalid_client",
            700023,
            None,
        ),
        ("aud of common", with(json!({ "aud": token_of("common") })), 401, "invalid_client", 700023, None),
        (
            "aud of another endpoint",
            with(json!({ "aud": path("/oauth2/v2.0/authorize") })),
            401,
            "invalid_client",
            700023,
            Some(("audience", "authorize")),
        ),
        ("aud above the endpoint", with(json!({ "aud": path("/oauth2/v2.0") })), 401, "invalid_client", 700023, None),
        (
            "aud below the endpoint",
            with(json!({ "aud": path("/oauth2/v2.0/token/x") })),
            401,
            "invalid_client",
            700023,
            None,
        ),
        (
            "expired",
            with(json!({ "nbf": now - 1200, "exp": now - 600 })),
            401,
            "invalid_client",
            700024,
            Some(("time", "Z")),
        ),
        (
            "not yet",
            with(json!({ "nbf": now + 600, "exp": now + 1200 })),
            401,
            "invalid_client",
            700024,
            Some(("time", "Z")),
        ),
        (
            "not yet by half a minute",
            with(json!({ "nbf": now + 330, "exp": now + 930 })),
            401,
            "invalid_client",
            700024,
            None,
        ),
        (
            "unregistered",
            mint(&x5t(&stranger), &good, &stranger),
            401,
            "invalid_client",
            700027,
            Some(("thumbprint", &*sha256(&stranger))),
        ),
        (
            "another key",
            mint(&x5t(&daemon), &good, &stranger),
            401,
            "invalid_client",
            700027,
            Some(("signature", "does not match")),
        ),
        ("forged", forged, 401, "invalid_client", 700027, Some(("signature", "does not match"))),
    ];
    for (what, assertion, status, error, code, evidence) in cases {
        let answer = entra.assert(&assertion).await;
        let said = format!("{what}: {}", answer.json);
        assert_eq!((answer.status, &answer.json["error"]), (status, &json!(error)), "{said}");
        assert_eq!(answer.json["error_codes"], json!([code]), "{said}");
        let logged = entra.last_sign_in();
        assert_eq!(logged.code, Some(code), "{said}");
        if let Some((subject, presented)) = evidence {
            let found = logged.evidence.iter().find(|evidence| evidence.subject == subject).expect(&said);
            assert!(found.presented.contains(presented), "{said} {found:?}");
        }
        testkit::witness(&logged);
        testkit::witness(&answer);
    }
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

#[tokio::test]
async fn the_log_shows_the_registered_thumbprints_beside_the_presented_one() {
    let entra = start().await;
    let (one, two) = (entra.new_certificate(), entra.new_certificate());
    let stranger = daemon_key(&entra.emulator);
    let mut by_sha1 = Header::new(jsonwebtoken::Algorithm::RS256);
    by_sha1.x5t = Some(stranger.certificate.x5t());
    for (header, hex) in [(x5t(&stranger), sha256 as Hex), (by_sha1, sha1)] {
        let answer = entra.assert(&mint(&header, &claims(&entra), &stranger)).await;
        assert!(answer.json["error_description"].as_str().unwrap().contains(&hex(&stranger)));
        let evidence = &entra.last_sign_in().evidence[0];
        assert_eq!(evidence.expected, format!("{}, {}", hex(&one), hex(&two)));
        assert_eq!(evidence.presented, hex(&stranger));
    }

    entra.emulator.directory().remove_certificate(&DAEMON.to_string(), &sha1(&one)).unwrap();
    assert_eq!(entra.assert(&mint(&x5t(&one), &claims(&entra), &one)).await.json["error_codes"], json!([700027]));
    assert_eq!(entra.assert(&mint(&x5t(&two), &claims(&entra), &two)).await.status, 200);
}

#[tokio::test]
async fn certificates_have_their_time() {
    let entra = start().await;
    let daemon = entra.new_certificate(); // thirty days
    let clock = entra.emulator.clock();
    clock.advance(Duration::from_secs(31 * 86_400));
    let answer = entra.assert(&mint(&x5t(&daemon), &claims(&entra), &daemon)).await;
    assert_eq!((answer.status, &answer.json["error_codes"]), (401, &json!([700027])));
    assert!(answer.json["error_description"].as_str().unwrap().contains("is expired"));

    clock.rewind(Duration::from_secs(60 * 86_400));
    let answer = entra.assert(&mint(&x5t(&daemon), &claims(&entra), &daemon)).await;
    assert_eq!((answer.status, &answer.json["error_codes"]), (401, &json!([1000502])));
}

type Style = (&'static str, fn(&[u8]) -> String);

/// base64url or standard, padded or not (MSAL Python, MSAL Go, MSAL Node, azure_identity), and hex.
const STYLES: [Style; 6] = [
    ("base64url", b64),
    ("base64url padded", |bytes| pad(b64(bytes))),
    ("standard", |bytes| standard(&b64(bytes))),
    ("standard padded", |bytes| pad(standard(&b64(bytes)))),
    ("hex", |bytes| bytes.iter().map(|byte| format!("{byte:02X}")).collect()),
    ("lower-case hex", |bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
];

fn b64(bytes: &[u8]) -> String {
    apptoken_jose::base64url::encode(bytes)
}

fn standard(text: &str) -> String {
    text.replace('-', "+").replace('_', "/")
}

fn pad(mut text: String) -> String {
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

type Hex = fn(&DaemonKey) -> String;

fn sha1(key: &DaemonKey) -> String {
    key.certificate.thumbprint_hex()
}

fn sha256(key: &DaemonKey) -> String {
    key.certificate.thumbprint_sha256().iter().map(|byte| format!("{byte:02X}")).collect()
}

fn x5t(daemon: &DaemonKey) -> Header {
    let mut header = Header::new(jsonwebtoken::Algorithm::PS256);
    header.x5t_s256 = Some(daemon.certificate.x5t_s256());
    header
}

fn claims(entra: &Entra) -> Value {
    let now = entra.emulator.clock().now_unix();
    json!({
        "aud": format!("{}/{CONTOSO}/oauth2/v2.0/token", entra.emulator.authority()),
        "iss": DAEMON, "sub": DAEMON, "jti": uuid::Uuid::new_v4(), "iat": now, "nbf": now, "exp": now + 600,
    })
}

/// `null` removes.
fn changed(claims: &Value, change: &Value) -> Value {
    let mut claims = claims.as_object().unwrap().clone();
    for (name, value) in change.as_object().unwrap() {
        claims.insert(name.clone(), value.clone());
    }
    claims.retain(|_, value| !value.is_null());
    claims.into()
}

fn mint(header: &Header, claims: &Value, key: &DaemonKey) -> String {
    let key = EncodingKey::from_rsa_pem(key.key_pem.as_bytes()).unwrap();
    jsonwebtoken::encode(header, claims, &key).unwrap()
}

impl Entra {
    async fn assert(&self, assertion: &str) -> common::Answer {
        let changes = [("client_secret", ""), ("client_assertion", assertion), ("client_assertion_type", JWT_BEARER)];
        self.token(&changes).await
    }
}
