//! One settings file, as .NET's JSON configuration provider reads it, to flat leaves.
//!
//! Comments, trailing commas and a byte-order mark are accepted; single quotes, bare keys, hexadecimal numbers, raw
//! control characters and keys that differ only in case are refused, as .NET refuses them.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, ParseOptions};
use zeroize::Zeroizing;

use super::layer::{Layer, Scalar, Shape};
use crate::error::ConfigurationError;
use crate::origin::Origin;

/// Reads `path` into a layer; `Ok(None)` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Layer>, ConfigurationError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ConfigurationError::in_file(path, None, format!("cannot be opened: {error}"))),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let limit = MAX_BYTES as u64 + 1;
    Read::by_ref(&mut file)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| ConfigurationError::in_file(path, None, format!("cannot be read: {error}")))?;
    parse(path, &bytes).map(Some)
}

/// The settings in `bytes`, which came from `path`.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Layer, ConfigurationError> {
    if bytes.len() > MAX_BYTES {
        let problem = format!("is larger than {} KiB, too large for a settings file", MAX_BYTES / 1024);
        return Err(ConfigurationError::in_file(path, None, problem));
    }
    let text = decode(path, bytes)?;
    if text.trim().is_empty() {
        return Err(ConfigurationError::in_file(path, None, "is empty: a JSON object { … } belongs there"));
    }
    let parsed = jsonc_parser::parse_to_ast(&text, &CollectOptions::default(), &DOTNET).map_err(|error| {
        let at = position(&text, error.range().start);
        ConfigurationError::in_file(path, Some(at), format!("is not valid JSON: {}", what(error.kind())))
    })?;
    let root = match parsed.value {
        Some(Value::Object(root)) => root,
        Some(other) => {
            let at = position(&text, other.start());
            return Err(ConfigurationError::in_file(path, Some(at), "must hold one JSON object { … } at its top"));
        }
        None => {
            let problem = "holds only comments: a JSON object { … } belongs there";
            return Err(ConfigurationError::in_file(path, None, problem));
        }
    };
    let mut walk = Walk { path: path.into(), text: &text, lines: line_starts(&text), layer: Layer::default() };
    walk.object(&root, "")?;
    Ok(walk.layer)
}

/// The walk over one file's syntax tree that fills a layer.
struct Walk<'t> {
    path: Arc<Path>,
    text: &'t str,
    /// Where each line begins, to find the line of each of very many keys.
    lines: Vec<usize>,
    layer: Layer,
}

impl Walk<'_> {
    fn object(&mut self, object: &Object<'_>, prefix: &str) -> Result<(), ConfigurationError> {
        for property in &object.properties {
            let at = property.start();
            self.no_raw_controls(at, property.name.end())?;
            let key = join(prefix, property.name.as_str());
            self.value(&property.value, &key, at)?;
        }
        Ok(())
    }

    fn value(&mut self, value: &Value<'_>, key: &str, at: usize) -> Result<(), ConfigurationError> {
        if key.len() > MAX_KEY {
            return Err(self.error(at, format!("holds a key longer than {MAX_KEY} bytes, its sections included")));
        }
        match value {
            Value::Object(object) => {
                self.shape(key, Shape::Object, at)?;
                self.object(object, key)
            }
            Value::Array(array) => {
                self.shape(key, Shape::Array, at)?;
                for (index, element) in array.elements.iter().enumerate() {
                    self.value(element, &join(key, &index.to_string()), element.start())?;
                }
                Ok(())
            }
            Value::StringLit(text) => {
                self.no_raw_controls(text.start(), text.end())?;
                self.leaf(key, Scalar::Text(text.value.as_ref().into()), at)
            }
            Value::NumberLit(number) => self.leaf(key, Scalar::Number(number.value.to_owned()), at),
            Value::BooleanLit(boolean) => self.leaf(key, Scalar::Boolean(boolean.value), at),
            Value::NullKeyword(_) => self.leaf(key, Scalar::Null, at),
        }
    }

    fn leaf(&mut self, key: &str, value: Scalar, at: usize) -> Result<(), ConfigurationError> {
        let origin = self.origin(at);
        self.layer.set(key, value, origin).map_err(|earlier| self.duplicate(key, at, &earlier))
    }

    fn shape(&mut self, key: &str, shape: Shape, at: usize) -> Result<(), ConfigurationError> {
        let origin = self.origin(at);
        self.layer.set_shape(key, shape, origin).map_err(|earlier| self.duplicate(key, at, &earlier))
    }

    fn duplicate(&self, key: &str, at: usize, earlier: &Origin) -> ConfigurationError {
        let line = if let Origin::File { line, .. } = earlier { *line } else { 0 };
        let problem = format!("stands here a second time (first in line {line}; case does not count): keep one");
        self.error(at, problem).with_key(key)
    }

    /// .NET refuses a raw line break or tab inside quotes; the parser lets it pass.
    fn no_raw_controls(&self, start: usize, end: usize) -> Result<(), ConfigurationError> {
        let quoted = self.text.get(start..end).unwrap_or_default();
        match quoted.bytes().position(|byte| byte < 0x20) {
            Some(offset) => Err(self.error(
                start + offset,
                "is not valid JSON: a line break or control character inside quotes (is a closing quote missing?)",
            )),
            None => Ok(()),
        }
    }

    fn origin(&self, at: usize) -> Origin {
        let line = self.lines.partition_point(|start| *start <= at);
        Origin::File { path: self.path.clone(), line: u32::try_from(line).unwrap_or(u32::MAX) }
    }

    fn error(&self, at: usize, problem: impl Into<String>) -> ConfigurationError {
        ConfigurationError::in_file(&self.path, Some(position(self.text, at)), problem)
    }
}

/// UTF-8, with or without a byte-order mark, or UTF-16 with one (what some Windows tools write).
fn decode(path: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, ConfigurationError> {
    let not_text = |at: usize| {
        let before = String::from_utf8_lossy(&bytes[..at]);
        ConfigurationError::in_file(path, Some(position(&before, before.len())), "is not UTF-8 text")
    };
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units =
            Zeroizing::new(rest.chunks(2).map(|pair| unit([pair[0], *pair.get(1).unwrap_or(&0)])).collect::<Vec<_>>());
        String::from_utf16(&units)
            .map(Zeroizing::new)
            .map_err(|_| ConfigurationError::in_file(path, None, "begins as UTF-16 but is not: save it as UTF-8"))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => match std::str::from_utf8(rest) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(error) => Err(not_text(bytes.len() - rest.len() + error.valid_up_to())),
        },
    }
}

/// Line and column, from 1, of the byte at `offset`.
fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect()
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}:{name}") }
}

/// The parser's finding in our words. Never quotes the file: the text beside an error may be a secret.
fn what(kind: &ParseErrorKind) -> &'static str {
    match kind {
        ParseErrorKind::ExpectedComma => "a comma is missing before this",
        ParseErrorKind::ExpectedColonAfterObjectKey => "a colon is missing after the key",
        ParseErrorKind::ExpectedObjectValue => "a value is missing after the colon",
        ParseErrorKind::ExpectedStringObjectProperty => "a key must stand in double quotes",
        ParseErrorKind::HexadecimalNumbersNotAllowed => "hexadecimal numbers are not allowed",
        ParseErrorKind::MultipleRootJsonValues => "something follows the end of the JSON object",
        ParseErrorKind::SingleQuotedStringsNotAllowed => "text must stand in double quotes, not single ones",
        ParseErrorKind::String(jsonc_parser::ParseStringErrorKind::UnterminatedStringLiteral) => {
            "the closing quote is missing"
        }
        ParseErrorKind::String(_) => "not a JSON escape: a backslash is written \\\\",
        ParseErrorKind::UnexpectedCloseBrace => "a closing brace } in the wrong place",
        ParseErrorKind::UnexpectedCloseBracket => "a closing bracket ] in the wrong place",
        ParseErrorKind::UnexpectedColon => "a colon in the wrong place",
        ParseErrorKind::UnexpectedComma => "a comma in the wrong place",
        ParseErrorKind::UnexpectedWord => "text must stand in double quotes",
        ParseErrorKind::UnexpectedToken | ParseErrorKind::UnexpectedTokenInObject => "something unexpected stands here",
        ParseErrorKind::UnterminatedArray => "the list that begins here is not closed with ]",
        ParseErrorKind::UnterminatedCommentBlock => "the comment that begins here is not closed with */",
        ParseErrorKind::UnterminatedObject => "the object that begins here is not closed with }",
        ParseErrorKind::NestingDepthExceeded => "it is nested too deeply",
        _ => "not a JSON number",
    }
}

/// What .NET's `JsonConfigurationProvider` lets pass.
const DOTNET: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Far more than any settings file, far less than what would hurt.
const MAX_BYTES: usize = 1024 * 1024;

/// Bounds the memory that nested long keys could take: each leaf carries its whole path.
const MAX_KEY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    /// JSON objects whose keys differ in more than case.
    fn object() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        let value = leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map("[a-z]{1,6}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map("[a-z]{1,6}", value, 0..6)
            .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
    }

    /// Each scalar of `value` must be a leaf of `layer`, at its path.
    fn has_all(layer: &Layer, path: &str, value: &serde_json::Value) -> bool {
        use serde_json::Value::{Array, Bool, Null, Number, Object, String};
        match (value, layer.leaf(path).map(|leaf| &leaf.value)) {
            (Object(object), None) => object.iter().all(|(name, value)| has_all(layer, &join(path, name), value)),
            (Array(array), None) => {
                array.iter().enumerate().all(|(index, value)| has_all(layer, &join(path, &index.to_string()), value))
            }
            (Null, Some(Scalar::Null)) => true,
            (Bool(a), Some(Scalar::Boolean(b))) => a == b,
            (Number(a), Some(Scalar::Number(b))) => a.to_string() == *b,
            (String(a), Some(Scalar::Text(b))) => a == b.expose_secret(),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read_back(value in object(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            let layer = parse(Path::new("a.json"), &text).unwrap();
            prop_assert!(has_all(&layer, "", &value));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]:,\"'/*a0 \n\\\\-]*") {
            let _ = parse(Path::new("a.json"), &bytes);
            let _ = parse(Path::new("a.json"), text.as_bytes());
        }
    }

    #[test]
    fn a_file_of_very_many_keys_takes_no_time() {
        let keys: Vec<String> = (0..60_000).map(|n| format!("\"k{n}\":\n{n}")).collect();
        let text = format!("{{{}}}", keys.join(","));
        let mut layer = parse(Path::new("a.json"), text.as_bytes()).unwrap();
        layer.cover(parse(Path::new("b.json"), text.as_bytes()).unwrap());
        assert_eq!(
            layer.leaf("k59999").unwrap().node.origin,
            Origin::File { path: Path::new("b.json").into(), line: 60_000 }
        );
    }
}
