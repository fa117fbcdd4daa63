//! The scanner beside serde_json, which reads everything into maps.

use std::io::Cursor;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::scan::Scanner;
use super::tests::{CLIENT, GO, NODE, PYTHON, TENANT, VAULT, fmi, plain, token, wanted};
use super::*;
use crate::cache::KeptToken;

/// Any JSON as it can be written: members twice, any white space, any character by its number.
#[derive(Clone, Debug)]
enum Text {
    Raw(&'static str),
    String(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// How a text is written: digits that are used up one at a time.
struct Style<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl Style<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    fn space(&mut self) -> &'static str {
        ["", "", "", " ", "\n    ", "\t\r\n"][usize::from(self.next()) % 6]
    }

    fn string(&mut self, text: &str) -> String {
        if !self.next().is_multiple_of(4) {
            return Value::from(text).to_string();
        }
        let escaped = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", escaped.collect::<String>())
    }
}

impl Text {
    fn write(&self, style: &mut Style<'_>) -> String {
        let text = match self {
            Self::Raw(text) => (*text).to_owned(),
            Self::String(text) => style.string(text),
            Self::List(items) => {
                format!("[{}{}]", style.space(), items.iter().map(|i| i.write(style)).collect::<Vec<_>>().join(","))
            }
            Self::Object(members) => {
                let member = |(name, value): &(String, Self)| {
                    let (before, name, after) = (style.space(), style.string(name), style.space());
                    format!("{before}{name}{after}:{}", value.write(style))
                };
                let members = members.iter().map(member).collect::<Vec<_>>().join(",");
                format!("{{{members}{}}}", style.space())
            }
        };
        format!("{}{text}{}", style.space(), style.space())
    }
}

fn any_text() -> impl Strategy<Value = Text> {
    const NUMBERS: &[&str] =
        &["0", "-0", "1.50", "12345678901234567890123", "1e2", "-1.5E-7", "99999", "true", "false", "null"];
    let leaf = prop_oneof![
        prop::sample::select(NUMBERS).prop_map(Text::Raw),
        ".{0,8}".prop_map(Text::String),
        "[ -~]{60,200}".prop_map(Text::String),
        "[a\"\\\\/\u{0}-\u{1f}é€😀]{0,12}".prop_map(Text::String),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Text::List),
            prop::collection::vec((".{0,4}", inner), 0..4).prop_map(Text::Object),
        ]
    })
}

fn some_string(choices: &[&str]) -> impl Strategy<Value = Text> + use<> {
    prop::sample::select(choices.iter().map(|&text| Text::String(text.to_owned())).collect::<Vec<_>>())
}

/// An entity, mostly one that may be wanted, in the forms that any MSAL writes.
fn any_row() -> impl Strategy<Value = Text> {
    let null = || Just(Text::Raw("null"));
    const NUMBERS: &[&str] = &["1795388652", "1795388652.5", "0", "-5", "1e300", "true"];
    let time = prop_oneof![
        some_string(&["1795388652", "1795399999", " 1795388000.5", "soon", ""]),
        prop::sample::select(NUMBERS).prop_map(Text::Raw),
        null(),
    ];
    let member = prop_oneof![
        1 => ("home_account_id|HOME_ACCOUNT_ID|userAssertionHash|ext_cache_key|kid", prop_oneof![some_string(&["", "x"]), null()]),
        1 => ("ext|additionalCacheKeyComponents", prop_oneof![Just(Text::Object(Vec::new())), null(), any_text()]),
        1 => ("token_type|credential_type", some_string(&["Bearer", "pop", "accesstoken", "ATExt", ""])),
        1 => ("environment", some_string(&["LOGIN.windows.net", "login.example.com"])),
        1 => ("target|realm|client_id", some_string(&[VAULT, TENANT, CLIENT, "https://VAULT.azure.net/.default"])),
        3 => ("expires_on|cached_at|refresh_on", time),
        2 => ("secret", some_string(&["A", "B", "C\"\\é", ""])),
        2 => (".{0,6}", any_text()),
    ];
    let usual = [
        ("credential_type", "AccessToken"),
        ("environment", "login.microsoftonline.com"),
        ("client_id", CLIENT),
        ("realm", TENANT),
        ("target", VAULT),
        ("secret", "S"),
        ("expires_on", "1795388652"),
    ];
    let usual = usual.map(|(name, text)| (name.to_owned(), Text::String(text.to_owned())));
    prop_oneof![
        8 => prop::collection::vec(member, 0..4).prop_map(move |more| Text::Object(usual.iter().cloned().chain(more).collect())),
        1 => any_text(),
    ]
}

fn any_rows() -> impl Strategy<Value = Text> {
    let keys = wanted(plain()).keys().into_iter().chain(wanted(&fmi()).keys());
    let keys = keys.flat_map(|key| [key.to_uppercase(), key]).collect::<Vec<_>>();
    let key = prop_oneof![4 => prop::sample::select(keys), 1 => ".{0,12}"];
    prop_oneof![
        6 => prop::collection::vec((key, any_row()), 0..5).prop_map(Text::Object),
        1 => Just(Text::Raw("null")),
    ]
}

/// A file's text.
fn any_file() -> impl Strategy<Value = String> {
    let section = prop_oneof![
        2 => (Just("AccessToken".to_owned()), any_rows()),
        2 => ("RefreshToken|Account|.{0,8}", any_text()),
    ];
    (prop::collection::vec(section, 0..5), prop::collection::vec(any::<u8>(), 1..40))
        .prop_map(|(sections, digits)| Text::Object(sections).write(&mut Style(digits.iter().cycle())))
}

/// The token that a program finds that reads the file into maps.
fn plainly(file: &Value, wanted: &Wanted<'_>) -> Option<KeptToken> {
    let keys = wanted.keys();
    let rows =
        file["AccessToken"].as_object().into_iter().flatten().filter(|(key, _)| keys.contains(&key.to_lowercase()));
    rows.filter_map(|(_, row)| row::read(&row.to_string(), wanted)).max_by_key(|token| token.expires_on)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_token_found_is_the_one_that_a_reading_into_maps_finds(text in any_file()) {
        let file: Value = serde_json::from_str(&text).unwrap();
        for length in [0, text.len() as u64] {
            let outline = Outline::read(text.as_bytes(), length).unwrap();
            for components in [plain(), &fmi()] {
                let found = outline.find(&wanted(components), &mut Cursor::new(&text)).unwrap();
                let expected = plainly(&file, &wanted(components));
                // of two that live as long either will do
                prop_assert_eq!(found.map(|t| t.expires_on), expected.map(|t| t.expires_on), "{}", text);
            }
        }
    }

    #[test]
    fn a_change_is_what_it_would_be_in_maps(text in any_file(), put in any::<bool>()) {
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        let keys = wanted(plain()).keys();
        let outline = Outline::read(text.as_bytes(), 0).unwrap();
        let mut file = Cursor::new(&text);
        let new = token("NEW", 1_795_390_000);
        let change = if put {
            Change::put(&outline, &mut file, &wanted(plain()), &new, MsalProfile::All)
        } else {
            Change::remove(&outline, &mut file, &wanted(plain()))
        };
        let changed = change.unwrap().of(&outline);
        let mut written = Vec::new();
        changed.write(&mut file, &mut written).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        if let Some(rows) = expected["AccessToken"].as_object_mut() {
            rows.retain(|key, _| !keys.contains(&key.to_lowercase()));
        }
        let mut others = written.clone();
        if put {
            let found = plainly(&written, &wanted(plain())).unwrap();
            prop_assert_eq!(found.secret.as_str(), "NEW");
            let rows = others["AccessToken"].as_object_mut().unwrap();
            rows.retain(|key, _| !keys.contains(key));
        }
        // a section that was missing or null is there, and a new file has all five
        let members = |file: &Value| {
            let mut members = file.as_object().unwrap().clone();
            members.retain(|_, section| !section.is_null() && *section != serde_json::json!({}));
            members
        };
        prop_assert_eq!(members(&others), members(&expected), "{}", text);
    }

    #[test]
    fn what_is_json_to_serde_json_is_so_to_the_scanner_and_nothing_else(
        text in any_text(),
        digits in prop::collection::vec(any::<u8>(), 1..40),
        place in any::<prop::sample::Index>(),
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3),
            prop::sample::select(vec![&b"\""[..], b"\\", b",", b"}", b"]", b"{", b"\\u12", b"0", b".", b"e+", b"-", b"\xc3\xa9", b"\xed\xa0\x80", b"tru", b"null"])
                .prop_map(<[u8]>::to_vec),
        ],
        cut in 0..3_usize,
    ) {
        let mut text = text.write(&mut Style(digits.iter().cycle())).into_bytes();
        let start = place.index(text.len() + 1);
        let end = (start + cut).min(text.len());
        text.splice(start..end, bytes);
        let expected = serde_json::from_slice::<Box<RawValue>>(&text).is_ok();
        let mut scanner = Scanner::new(&*text, 0);
        let read = scanner.value().is_ok() && scanner.is_over();
        prop_assert_eq!(read, expected, "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn of_the_same_name_twice_the_later_counts() {
    let old = PYTHON.replace("PLAIN-python", "OLD").replace("1795388652", "1795399999");
    let section = |text: &str| {
        let file: Value = serde_json::from_str(text).unwrap();
        file["AccessToken"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| format!("{}:{v}", Value::from(&**k)))
            .collect::<Vec<_>>()
    };
    let (old, new) = (section(&old).join(","), section(PYTHON).join(","));
    for text in [
        format!("{{\"AccessToken\":{{{old}}},\"AccessToken\":{{{new}}}}}"),
        format!("{{\"AccessToken\":{{{old},{new}}}}}"),
    ] {
        let outline = Outline::read(text.as_bytes(), 0).unwrap();
        let mut file = Cursor::new(&text);
        let found = outline.find(&wanted(plain()), &mut file).unwrap().unwrap();
        assert_eq!((found.secret.as_str(), found.expires_on), ("PLAIN-python", 1_795_388_652));
    }
}

#[test]
fn a_file_cut_anywhere_is_known_to_be() {
    for text in [PYTHON, NODE, GO] {
        let whole = text.trim_end();
        for length in 1..whole.len() {
            assert!(Outline::read(&whole.as_bytes()[..length], 0).is_err(), "{length}");
        }
    }
}
