use std::hash::BuildHasher as _;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use foldhash::fast::RandomState;
use zeroize::Zeroizing;

use super::key::Wanted;
use super::row;
use super::scan::{Broken, Scanner, Stopped};
use crate::cache::KeptToken;

/// Where a file's access tokens are; the tokens stay in the file.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// In the order of the file.
    pub(super) rows: Vec<Row>,
    pub(super) frame: Frame,
    hasher: RandomState,
}

/// An entity of the section of access tokens.
#[derive(Debug)]
pub(super) struct Row {
    /// Of its key in lower case.
    hash: u64,
    /// The key with its quotes.
    pub(super) key: Range<u64>,
    pub(super) value: Range<u64>,
}

/// What is around the rows: the parts of the file before and after them, and what has to be written between the two and
/// them, because the file has no such section yet.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) head: Range<u64>,
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    pub(super) tail: Range<u64>,
}

impl Outline {
    /// Reads a file's content. Nothing at all, or nothing but white space, is an empty cache, as for all MSALs; a
    /// byte-order mark, which they take for an error, is passed over.
    pub(crate) fn read(source: impl Read, length: u64) -> Result<Self, Stopped> {
        let mut scanner = Scanner::new(source, length);
        Self::scanned(&mut scanner).map_err(|Broken| scanner.stopped())
    }

    fn scanned(scanner: &mut Scanner<impl Read>) -> Result<Self, Broken> {
        scanner.byte_order_mark()?;
        let start = scanner.place();
        if scanner.is_over() {
            return Ok(Self::default());
        }
        let hasher = RandomState::default();
        let (mut rows, mut section, mut last) = (Vec::<Row>::new(), None, None);
        let mut lower = String::new();
        let between = scanner.object(|scanner, _, name| {
            if is(name, ACCESS_TOKEN) {
                // of two with the same name the later one counts, as for who reads it into a map
                rows.clear();
                section = Some(if scanner.next() == b'n' {
                    (scanner.value()?, "{", "}")
                } else {
                    let place = scanner.object(|scanner, key, text| {
                        let hash = hasher.hash_one(lower_case(text, &mut lower));
                        rows.push(Row { hash, key, value: scanner.value()? });
                        Ok(())
                    })?;
                    (place, "", "")
                });
            } else {
                scanner.value()?;
            }
            last = Some(scanner.place());
            Ok(())
        })?;
        if !scanner.is_over() {
            return Err(Broken);
        }
        let end = scanner.place();
        let (head, open, close, tail) = match (section, last) {
            (Some((place, open, close)), _) => {
                let first = rows.first().map_or(place.start, |row| row.key.start);
                let after = rows.last().map_or(place.end, |row| row.value.end);
                (first, open, close, after)
            }
            (None, Some(last)) => (last, SECTION, "}", last),
            (None, None) => (between.start, FIRST_SECTION, OTHER_SECTIONS, between.end),
        };
        Ok(Self { rows, frame: Frame { head: start..head, open, close, tail: tail..end }, hasher })
    }

    /// The token that is wanted, of several the one that lives longest.
    pub(crate) fn find(
        &self,
        wanted: &Wanted<'_>,
        file: &mut (impl Read + Seek + ?Sized),
    ) -> io::Result<Option<KeptToken>> {
        let mut found = Vec::<(String, Option<KeptToken>)>::new();
        for (place, key) in self.matches(wanted, file)? {
            let text = text_at(&self.rows[place].value, file)?;
            let token = str::from_utf8(&text).ok().and_then(|text| row::read(text, wanted));
            // of two with the same key the later one counts
            found.retain(|(earlier, _)| *earlier != key);
            found.push((key, token));
        }
        Ok(found.into_iter().filter_map(|(_, token)| token).max_by_key(|token| token.expires_on))
    }

    /// Whether there may be such a token at all.
    pub(crate) fn may_have(&self, wanted: &Wanted<'_>) -> bool {
        let hashes = self.hashes(&wanted.keys());
        self.rows.iter().any(|row| hashes.contains(&row.hash))
    }

    /// The rows under the keys of the wanted token, with their keys as they stand.
    pub(super) fn matches(
        &self,
        wanted: &Wanted<'_>,
        file: &mut (impl Read + Seek + ?Sized),
    ) -> io::Result<Vec<(usize, String)>> {
        let keys = wanted.keys();
        let hashes = self.hashes(&keys);
        let mut found = Vec::new();
        for (place, row) in self.rows.iter().enumerate().filter(|(_, row)| hashes.contains(&row.hash)) {
            let key = serde_json::from_slice::<String>(&text_at(&row.key, file)?).unwrap_or_default();
            if keys.contains(&key.to_lowercase()) {
                found.push((place, key));
            }
        }
        Ok(found)
    }

    /// The rows of app-only tokens that `doomed` says, by client id and expiry (seconds since 1970).
    pub(super) fn app_tokens(
        &self,
        doomed: impl Fn(&str, Option<u64>) -> bool,
        file: &mut (impl Read + Seek + ?Sized),
    ) -> io::Result<Vec<usize>> {
        let mut found = Vec::new();
        for (place, row) in self.rows.iter().enumerate() {
            let text = text_at(&row.value, file)?;
            let token = str::from_utf8(&text).ok().and_then(row::app_only);
            if token.is_some_and(|(client_id, expires_on)| doomed(&client_id, expires_on)) {
                found.push(place);
            }
        }
        Ok(found)
    }

    fn hashes(&self, keys: &[String]) -> Vec<u64> {
        keys.iter().map(|key| self.hasher.hash_one(&**key)).collect()
    }
}

/// Around a file that is not there.
impl Default for Frame {
    fn default() -> Self {
        Self { head: 0..0, open: NEW_FILE, close: NEW_FILE_END, tail: 0..0 }
    }
}

fn text_at(place: &Range<u64>, file: &mut (impl Read + Seek + ?Sized)) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = usize::try_from(place.end - place.start).map_err(io::Error::other)?;
    let mut text = Zeroizing::new(vec![0; length]);
    file.seek(SeekFrom::Start(place.start))?;
    file.read_exact(&mut text)?;
    Ok(text)
}

/// Whether `text`, which has its quotes, is `name`.
fn is(text: &[u8], name: &str) -> bool {
    if text.contains(&b'\\') {
        return serde_json::from_slice::<String>(text).is_ok_and(|text| text == name);
    }
    inside(text) == name.as_bytes()
}

/// A key, which has its quotes, in lower case. One that is not Unicode is nobody's.
fn lower_case<'a>(text: &[u8], lower: &'a mut String) -> &'a str {
    lower.clear();
    match str::from_utf8(inside(text)) {
        Ok(key) if key.is_ascii() && !key.contains('\\') => {
            lower.push_str(key);
            lower.make_ascii_lowercase();
        }
        _ => lower.push_str(&serde_json::from_slice::<String>(text).unwrap_or_default().to_lowercase()),
    }
    lower
}

fn inside(text: &[u8]) -> &[u8] {
    text.get(1..text.len() - 1).unwrap_or_default()
}

const ACCESS_TOKEN: &str = "AccessToken";
const SECTION: &str = r#","AccessToken":{"#;
/// What MSAL Go, .NET and Java begin a file with.
const FIRST_SECTION: &str = r#""AccessToken":{"#;
const OTHER_SECTIONS: &str = r#"},"RefreshToken":{},"IdToken":{},"Account":{},"AppMetadata":{}"#;
const NEW_FILE: &str = r#"{"AccessToken":{"#;
const NEW_FILE_END: &str = r#"},"RefreshToken":{},"IdToken":{},"Account":{},"AppMetadata":{}}"#;
