use std::io::Cursor;

use proptest::prelude::*;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::cache::KeptToken;

pub(super) const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
pub(super) const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub(super) const VAULT: &str = "https://vault.azure.net/.default";

/// Files as each MSAL writes them, with one plain token each.
pub(super) const PYTHON: &str = include_str!("../../../tests/msal_cache/python.json");
pub(super) const NODE: &str = include_str!("../../../tests/msal_cache/node.json");
pub(super) const GO: &str = include_str!("../../../tests/msal_cache/go.json");
const JAVA: &str = include_str!("../../../tests/msal_cache/java.json");
const DOTNET: &str = include_str!("../../../tests/msal_cache/dotnet.json");

pub(super) fn plain() -> &'static Components {
    static NONE: std::sync::OnceLock<Components> = std::sync::OnceLock::new();
    NONE.get_or_init(Components::default)
}

pub(super) fn fmi() -> Components {
    Components::new([("fmi_path".to_owned(), "SomeFmiPath/fmi".to_owned())])
}

pub(super) fn wanted(components: &Components) -> Wanted<'_> {
    static ALIASES: std::sync::LazyLock<Vec<String>> =
        std::sync::LazyLock::new(|| vec!["login.windows.net".to_owned(), "login.microsoft.com".to_owned()]);
    let host = "login.microsoftonline.com";
    Wanted { host, aliases: &ALIASES, client_id: CLIENT, realm: TENANT, target: VAULT, components }
}

pub(super) fn token(secret: &str, expires_on: u64) -> KeptToken {
    KeptToken {
        secret: Zeroizing::new(secret.to_owned()),
        expires_on,
        refresh_on: Some(expires_on - 1800),
        cached_at: Some(expires_on - 3600),
        correlation_id: None,
    }
}

/// A file in memory.
#[derive(Debug)]
struct Document {
    text: Vec<u8>,
    outline: Outline,
}

impl Document {
    fn parse(text: &[u8]) -> Result<Self, Stopped> {
        // the shortest window: all that can lie across the end of one does
        Ok(Self { text: text.to_vec(), outline: Outline::read(text, 0)? })
    }

    fn find(&self, wanted: &Wanted<'_>) -> Option<KeptToken> {
        let found = self.outline.find(wanted, &mut Cursor::new(&self.text)).unwrap();
        assert!(found.is_none() || self.outline.may_have(wanted));
        found
    }

    fn put(&mut self, wanted: &Wanted<'_>, token: &KeptToken, profile: MsalProfile) {
        let change = Change::put(&self.outline, &mut Cursor::new(&self.text), wanted, token, profile).unwrap();
        self.apply(&change);
    }

    fn remove(&mut self, wanted: &Wanted<'_>) -> bool {
        let change = Change::remove(&self.outline, &mut Cursor::new(&self.text), wanted).unwrap();
        self.apply(&change);
        !change.is_nothing()
    }

    fn remove_app_tokens(&mut self, doomed: impl Fn(&str, Option<u64>) -> bool) -> usize {
        let file = &mut Cursor::new(&self.text);
        let change = Change::default().and_app_tokens(&self.outline, file, doomed).unwrap();
        let before = self.len();
        self.apply(&change);
        before - self.len()
    }

    fn len(&self) -> usize {
        self.outline.rows.len()
    }

    /// What is written is as long as was said.
    fn apply(&mut self, change: &Change) {
        let changed = change.of(&self.outline);
        let mut text = Vec::new();
        changed.write(&mut Cursor::new(&self.text), &mut text).unwrap();
        assert_eq!(text.len() as u64, changed.length());
        *self = Self::parse(&text).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&text)));
    }
}

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap()
}

fn value(document: &Document) -> Value {
    serde_json::from_slice(&document.text).unwrap()
}

/// A file with one row, which is plain MSAL Python's but for `changes`.
fn with_row(changes: &Value) -> Document {
    let mut row = json!({
        "credential_type": "AccessToken", "secret": "S", "home_account_id": null, "environment": "login.microsoftonline.com",
        "client_id": CLIENT, "target": VAULT, "realm": TENANT, "token_type": "Bearer", "cached_at": "1795385053",
        "expires_on": "1795388652",
    });
    for (name, value) in changes.as_object().unwrap() {
        row[name] = value.clone();
    }
    let key = format!("-login.microsoftonline.com-accesstoken-{CLIENT}-{TENANT}-{VAULT}");
    document(&json!({ "AccessToken": { key: row } }).to_string())
}

#[test]
fn what_each_msal_writes_is_read() {
    for (name, text, expires_on, refresh_on) in [
        ("python", PYTHON, 1_795_388_652, Some(1_795_386_853)),
        ("node", NODE, 1_795_388_562, Some(1_795_386_763)),
        ("go", GO, 1_795_388_771, Some(1_795_386_972)),
        ("java", JAVA, 1_795_388_600, None),
        ("dotnet", DOTNET, 1_795_388_700, Some(1_795_386_900)),
    ] {
        let found = document(text).find(&wanted(plain())).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(found.secret.as_str(), format!("PLAIN-{name}"));
        assert_eq!((found.expires_on, found.refresh_on), (expires_on, refresh_on), "{name}");
    }
}

#[test]
fn a_token_with_components_is_found_by_them_and_never_without() {
    for (name, text) in [("python", PYTHON), ("node", NODE), ("dotnet", DOTNET)] {
        let found = document(text).find(&wanted(&fmi())).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(found.secret.as_str(), format!("FMI-{name}"));
        let other = Components::new([("fmi_path".to_owned(), "another".to_owned())]);
        assert_eq!(document(text).find(&wanted(&other)), None, "{name}");
        // the plain one gone, the other is not taken for it
        let mut without = document(text);
        assert!(without.remove(&wanted(plain())));
        assert!(without.len() > 0);
        assert_eq!(without.find(&wanted(plain())), None, "{name}");
    }
    // under the plain key, by whatever sign
    for sign in [
        json!({ "ext_cache_key": "abc" }),
        json!({ "ext": { "fmi_path": "a" } }),
        json!({ "additionalCacheKeyComponents": { "fmi_path": "a" } }),
        json!({ "credential_type": "ATExt" }),
        json!({ "requestedClaims": "{}", "requestedClaimsHash": "abc" }),
        json!({ "token_type": "pop", "kid": "1" }),
        json!({ "home_account_id": "uid.utid" }),
        json!({ "userAssertionHash": "abc" }),
    ] {
        assert_eq!(with_row(&sign).find(&wanted(plain())), None, "{sign}");
    }
}

#[test]
fn odd_forms_are_read_and_odd_rows_are_passed_over() {
    for (changes, found) in [
        (json!({}), true),
        (json!({ "home_account_id": "", "token_type": null, "cached_at": null, "refresh_on": null }), true),
        (json!({ "expires_on": 1_795_388_652, "cached_at": 1_795_385_053.5, "refresh_on": "1795386853.5" }), true),
        (json!({ "environment": "LOGIN.Windows.NET", "token_type": "bearer", "credential_type": "accesstoken" }), true),
        (json!({ "client_id": CLIENT.to_uppercase(), "target": "https://VAULT.azure.net/.default" }), true),
        (json!({ "ext_cache_key": "", "ext": {}, "additionalCacheKeyComponents": null, "requestedClaims": "" }), true),
        (json!({ "refresh_on": "soon", "cached_at": [] }), true),
        (json!({ "expires_on": null }), false),
        (json!({ "expires_on": "tomorrow" }), false),
        (json!({ "expires_on": "-5" }), false),
        (json!({ "expires_on": 1e300 }), false),
        (json!({ "secret": "" }), false),
        (json!({ "secret": 5 }), false),
        (json!({ "environment": "login.example.com" }), false),
        (json!({ "realm": "22222222-2222-3333-4444-555555555555" }), false),
    ] {
        assert_eq!(with_row(&changes).find(&wanted(plain())).is_some(), found, "{changes}");
    }
    let upper = PYTHON.replace("-login.microsoftonline.com-accesstoken-", "-LOGIN.microsoftonline.com-AccessToken-");
    assert!(document(&upper).find(&wanted(plain())).is_some(), "keys in capitals, as the first versions wrote them");
    let mut nulls: Value = serde_json::from_str(PYTHON).unwrap();
    nulls["AccessToken"]["-null"] = Value::Null;
    assert!(document(&nulls.to_string()).find(&wanted(plain())).is_some(), "a row that is null costs itself only");
    assert!(document("\u{feff}{}").find(&wanted(plain())).is_none());
    assert_eq!(document("  \n").len(), 0);
    for corrupt in ["{", "[]", "null", "{\"AccessToken\":[]}", "{\"AccessToken\":{}}x", "{\"A\":1,}", "{}\0"] {
        assert!(Document::parse(corrupt.as_bytes()).is_err(), "{corrupt}");
    }
    assert!(Document::parse(b"\xef \xbb \xbf{}").is_err(), "no byte-order mark");
}

#[test]
fn what_is_written_has_the_forms_that_python_node_and_go_find() {
    let mut written = document("");
    written.put(&wanted(plain()), &token("NEW", 1_795_390_000), MsalProfile::All);
    let key = format!("-login.microsoftonline.com-accesstoken-{CLIENT}-{TENANT}-{VAULT}");
    let row = |home: Value| {
        json!({
            "home_account_id": home, "environment": "login.microsoftonline.com", "credential_type": "AccessToken",
            "client_id": CLIENT, "secret": "NEW", "realm": TENANT, "target": VAULT, "token_type": "Bearer",
            "cached_at": "1795386400", "expires_on": "1795390000", "extended_expires_on": "1795390000",
            "refresh_on": "1795388200",
        })
    };
    assert_eq!(
        value(&written),
        json!({
            "AccessToken": { key.clone(): row(Value::Null), format!("{key}-"): row("".into()) },
            "RefreshToken": {}, "IdToken": {}, "Account": {}, "AppMetadata": {},
        })
    );
    for (profile, keys) in [(MsalProfile::Python, [key.clone()]), (MsalProfile::Node, [format!("{key}-")])] {
        let mut one = document("");
        one.put(&wanted(plain()), &token("NEW", 1_795_390_000), profile);
        let names = value(&one)["AccessToken"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names, keys, "{profile:?}");
    }
    // on a port: Python writes none, Node and Go do
    let local = Wanted { host: "localhost:8443", aliases: &[], ..wanted(plain()) };
    let mut written = document("");
    written.put(&local, &token("NEW", 1_795_390_000), MsalProfile::All);
    let rows = &value(&written)["AccessToken"];
    assert_eq!(rows[format!("-localhost-accesstoken-{CLIENT}-{TENANT}-{VAULT}")]["environment"], "localhost");
    assert_eq!(
        rows[format!("-localhost:8443-accesstoken-{CLIENT}-{TENANT}-{VAULT}-")]["environment"],
        "localhost:8443"
    );
}

#[test]
fn a_new_token_replaces_every_form_of_the_old_one_and_nothing_else() {
    for text in [PYTHON, NODE, GO, JAVA, DOTNET] {
        let mut file = document(text);
        file.put(&wanted(plain()), &token("NEW", 1_795_390_000), MsalProfile::All);
        assert_eq!(file.find(&wanted(plain())).unwrap().secret.as_str(), "NEW");
        let text = String::from_utf8(file.text.clone()).unwrap();
        assert!(!text.contains("PLAIN-"), "{text}");
        assert_eq!(text.matches("\"NEW\"").count(), 2);
        assert!(file.remove(&wanted(plain())));
        assert!(!file.remove(&wanted(plain())));
        assert_eq!(file.find(&wanted(plain())), None);
    }
    // one with components: in Python's form only, beside the plain one
    let mut file = document(PYTHON);
    file.put(&wanted(&fmi()), &token("NEW", 1_795_390_000), MsalProfile::All);
    assert_eq!(file.find(&wanted(&fmi())).unwrap().secret.as_str(), "NEW");
    assert_eq!(file.find(&wanted(plain())).unwrap().secret.as_str(), "PLAIN-python");
    assert_eq!(file.len(), 2);
}

#[test]
fn strangers_are_kept_to_the_byte() {
    let strange = r#"{"Future": [1.50, {"b":1,"a":1e2}],"RefreshToken":{"k":{"secret":"R","n":12345678901234567890123}},
        "AccessToken":{"theirs":{"home_account_id":"u.t","x":0.10}},"Account":{"u":{"tenantProfiles":["{\"a\":1}"]}}}"#;
    let mut file = document(strange);
    file.put(&wanted(plain()), &token("NEW", 1_795_390_000), MsalProfile::All);
    let text = String::from_utf8(file.text.clone()).unwrap();
    for kept in [
        r#"[1.50, {"b":1,"a":1e2}]"#,
        r#"{"k":{"secret":"R","n":12345678901234567890123}}"#,
        r#""theirs":{"home_account_id":"u.t","x":0.10}"#,
        r#"{"u":{"tenantProfiles":["{\"a\":1}"]}}"#,
    ] {
        assert!(text.contains(kept), "{kept}\n{text}");
    }
    assert_eq!(file.remove_app_tokens(|client, _| client == CLIENT), 2);
    assert_eq!(file.len(), 1, "a user's token stays");
    // one that follows an expired one, where all that have expired must go
    let full = with_row(&json!({}));
    let (file, new) = (&mut Cursor::new(&full.text), token("NEW", 1_795_399_999));
    let change = Change::put(&full.outline, file, &wanted(plain()), &new, MsalProfile::Python).unwrap();
    let mut both = document(&String::from_utf8(full.text.clone()).unwrap());
    both.apply(&change.and_app_tokens(&full.outline, file, |_, _| true).unwrap());
    assert_eq!((both.len(), both.find(&wanted(plain())).unwrap().expires_on), (1, 1_795_399_999));
    let mut old = document(NODE);
    assert_eq!(old.remove_app_tokens(|_, expires_on| expires_on.is_some_and(|end| end < 1_795_388_600)), 1);
    assert!(!format!("{:?} {:?}", document(NODE).outline, token("S3CRET", 5000)).contains("S3CRET"));
}

#[test]
fn what_cannot_be_parsed_in_a_row_costs_itself_only() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let plain_key = format!("-login.microsoftonline.com-accesstoken-{CLIENT}-{TENANT}-{VAULT}");
    for row in [
        r#""\ud800":{"secret":"\udc00"}"#.to_owned(),
        r#""":{"n":1e999999,"m":-0.0e-0}"#.to_owned(),
        r#""\u0000":"\u0000""#.to_owned(),
        format!("\"k\":{deep}"),
        format!("\"{}\":{{}}", "k".repeat(10_000)),
    ] {
        let text =
            format!("\u{feff}\r\n{{ \"\\udfff\" : {deep} ,\r\n\"\\u0041ccess\\u0054oken\" : {{ {row} }}\r\n}}\r\n");
        let mut file = document(&text);
        file.put(&wanted(plain()), &token("NEW", 1_795_390_000), MsalProfile::All);
        assert_eq!(file.find(&wanted(plain())).unwrap().secret.as_str(), "NEW");
        assert_eq!(file.remove_app_tokens(|_, _| true), 2);
        assert_eq!(file.text, text.trim_start_matches('\u{feff}').as_bytes(), "to the byte");
    }
    // under our own key it is in the way of nobody
    let mut file =
        document(&format!(r#"{{"AccessToken":{{"{plain_key}":{{"secret":"\ud800"}},"{plain_key}":{deep}}}}}"#));
    assert_eq!(file.find(&wanted(plain())), None);
    file.put(&wanted(plain()), &token("NEW", 1_795_390_000), MsalProfile::Python);
    assert_eq!((file.len(), file.find(&wanted(plain())).unwrap().secret.as_str()), (1, "NEW"));
}

/// Any JSON, with a taste for what a cache file holds.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
        ".{0,8}".prop_map(Value::from),
        prop_oneof![
            Just("AccessToken"),
            Just(CLIENT),
            Just(TENANT),
            Just(VAULT),
            Just("login.windows.net"),
            Just("99999")
        ]
        .prop_map(Value::from),
    ];
    let name = prop_oneof![
        ".{0,8}",
        prop_oneof![
            Just("AccessToken".to_owned()),
            Just(format!("-login.windows.net-accesstoken-{CLIENT}-{TENANT}-{VAULT}")),
            Just("credential_type".to_owned()),
            Just("environment".to_owned()),
            Just("client_id".to_owned()),
            Just("realm".to_owned()),
            Just("target".to_owned()),
            Just("secret".to_owned()),
            Just("expires_on".to_owned()),
            Just("ext".to_owned()),
        ],
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn unknown_members_survive_any_document(sections in prop::collection::btree_map(".{0,8}", any_json(), 0..6), rows in prop::collection::btree_map(".{0,12}", any_json(), 0..6)) {
        let mut before = Value::Object(sections.into_iter().collect());
        before["AccessToken"] = Value::Object(rows.into_iter().collect());
        let mut file = document(&before.to_string());
        file.put(&wanted(plain()), &token("NEW", 1_795_390_000), MsalProfile::All);
        let found = file.find(&wanted(plain())).unwrap();
        prop_assert_eq!(found.secret.as_str(), "NEW");
        prop_assert!(file.remove(&wanted(plain())));
        prop_assert_eq!(value(&file), before);
    }

    #[test]
    fn no_json_and_no_text_makes_it_panic(json in any_json(), text in ".{0,200}") {
        for text in [json.to_string(), json!({ "AccessToken": json }).to_string(), text] {
            if let Ok(mut file) = Document::parse(text.as_bytes()) {
                let _ = file.find(&wanted(plain()));
                let _ = file.remove_app_tokens(|_, expires_on| expires_on.is_none());
                file.put(&wanted(&fmi()), &token("NEW", 1_795_390_000), MsalProfile::All);
                prop_assert!(file.find(&wanted(&fmi())).is_some());
            }
        }
    }

    #[test]
    fn a_row_is_taken_only_when_it_is_wholly_ours(changes in prop::collection::btree_map(prop_oneof![
        Just("ext"), Just("ext_cache_key"), Just("additionalCacheKeyComponents"), Just("home_account_id"), Just("token_type"),
        Just("client_id"), Just("realm"), Just("target"), Just("environment"), Just("secret"), Just("expires_on"), Just("kid"),
    ], any_json(), 0..4)) {
        let changes = json!(changes);
        if with_row(&changes).find(&wanted(plain())).is_some() {
            for name in ["ext", "ext_cache_key", "additionalCacheKeyComponents", "home_account_id", "kid"] {
                let value = &changes[name];
                let empty = value.is_null() || *value == "" || *value == json!({}) || *value == json!([]);
                prop_assert!(empty, "{name} {value}");
            }
        }
    }
}
