//! Whatever comes: no panic, and nothing granted by accident.

use std::sync::OnceLock;

use apptoken_jose::{base64url, issue};
use proptest::prelude::*;
use url::form_urlencoded::Serializer;

use super::*;
use crate::clock::EmulatorClock;
use crate::sign_in::blank;

const APP: &str = "33333333-cccc-4ccc-8ccc-000000000003";

fn state() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| {
        let (certificate, _) = issue::self_signed("daemon", EmulatorClock::new(0).now(), 9).unwrap();
        let seed = serde_json::json!({
            "tenants": [{ "defaultDomain": "contoso.com" }],
            "applications": [{ "appId": APP, "displayName": "Daemon",
                "passwordCredentials": [{ "secretText": format!("{}-s", testkit::CANARY) }],
                "keyCredentials": [{ "certificate": certificate.to_pem() }] }],
        });
        State::bare(&crate::Seed::from_json(&seed.to_string()).unwrap()).unwrap()
    })
}

fn ask(tenant: &str, endpoint: TokenVersion, fields: &[(&str, &str)]) -> Result<Granted, Refusal> {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let form = Form::parse(body.as_bytes())?;
    let ids = Ids { trace: Uuid::nil(), correlation: Uuid::nil() };
    answer(
        state(),
        &TokenRequest {
            tenant,
            endpoint,
            form: &form,
            basic: None,
            certificate: None,
            mtls_host: false,
            issuer_keys: None,
            ids,
        },
        &mut blank(),
    )
}

/// JSON of any shape, mostly with the members that count.
fn object() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["alg", "x5t", "x5t#S256", "kid", "x5c", "iss", "sub", "aud", "exp", "nbf"]);
    let value = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("JSON has no NaN", |f| f.is_finite()).prop_map(|f| format!("{f:e}")),
        prop::sample::select(vec!["RS256", "PS256", "none", APP, "https://localhost/contoso.com", "1e999", "9e18"])
            .prop_map(|text| format!("{text:?}")),
        ".{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
        Just("[[{}]]".to_owned()),
    ];
    prop::collection::btree_map(name, value, 0..10).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Form::parse(&body);
    }

    #[test]
    fn what_is_encoded_is_read(value in ".{0,40}") {
        let body = Serializer::new(String::new()).append_pair("scope", &value).finish();
        let form = Form::parse(body.as_bytes()).unwrap();
        prop_assert_eq!(form.get("scope").unwrap_or_default(), value);
    }

    #[test]
    fn no_request_is_granted_by_accident(tenant in ".{0,20}|contoso.com", scope in ".{0,40}", secret in ".{0,40}") {
        for endpoint in [TokenVersion::V1, TokenVersion::V2] {
            let fields = [
                ("grant_type", "client_credentials"),
                ("client_id", APP),
                ("client_secret", &secret),
                (if endpoint == TokenVersion::V1 { "resource" } else { "scope" }, &scope),
            ];
            prop_assert!(ask(&tenant, endpoint, &fields).is_err());
        }
        let _ = scope::resource(&scope);
    }

    #[test]
    fn no_assertion_panics_or_is_believed_unsigned(header in object(), claims in object(), tail in "[A-Za-z0-9_-]{0,12}") {
        let part = |json: &str| base64url::encode(json.as_bytes());
        let assertion = format!("{}.{}.{tail}", part(&header), part(&claims));
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", APP),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &assertion),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        prop_assert!(ask("contoso.com", TokenVersion::V2, &fields).is_err());
    }
}
