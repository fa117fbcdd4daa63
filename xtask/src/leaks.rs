//! Finds what no log may hold: planted canaries (plain, in base64, in hex or as a list of bytes), anything shaped like a
//! signed token, private keys.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// Part of every secret that a test makes up: `testkit::CANARY`. A test holds the two together.
pub const CANARY: &str = "c4n4ry";

/// One place where something is told that should not be. Never shows the thing itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    pub what: &'static str,
    /// What stands before it in the line.
    pub before: String,
}

/// Searches every file in `folder` and below.
pub fn search(folder: &Path) -> Result<Vec<Leak>> {
    let mut leaks = Vec::new();
    for file in files(folder)? {
        let bytes = fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        leaks.extend(text.lines().enumerate().filter_map(|(number, line)| {
            let (what, at) = find(line)?;
            let before = line.get(..at)?.chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
            Some(Leak { file: file.clone(), line: number + 1, what, before })
        }));
    }
    Ok(leaks)
}

/// Every file in `folder` and below, sorted.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let named = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(named)? {
        let path = entry.map_err(named)?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} after `{}`", self.file.display(), self.line, self.what, self.before)
    }
}

/// The first leak in `line`: its name and where it begins.
fn find(line: &str) -> Option<(&'static str, usize)> {
    let mut forms = canary_forms().into_iter();
    forms
        .find_map(|(what, form)| Some((what, line.find(&form)?)))
        .or_else(|| Some(("a private key", line.find("PRIVATE KEY")?)))
        .or_else(|| Some(("a signed token", jwt(line)?)))
}

/// The canary as it may be met: base64 has three forms of it, by where in a group of three bytes it begins. Of each
/// only the characters that no neighbour can change are compared.
fn canary_forms() -> Vec<(&'static str, String)> {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list = CANARY.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let mut forms = vec![
        ("a canary", CANARY.to_owned()),
        ("a canary in hex", hex.clone()),
        ("a canary in hex", hex.to_uppercase()),
        ("a canary as bytes", list),
    ];
    forms.extend((0..3).map(|offset| ("a canary in base64", base64_core(CANARY.as_bytes(), offset))));
    forms
}

/// The base64 characters that are made of `bytes` alone when `offset` bytes stand before them in their group.
fn base64_core(bytes: &[u8], offset: usize) -> String {
    let bits: Vec<bool> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let skipped = (6 - offset * 8 % 6) % 6;
    bits[skipped..]
        .chunks_exact(6)
        .map(|six| six.iter().fold(0, |value, &bit| value << 1 | usize::from(bit)))
        .map(|value| char::from(BASE64[value]))
        .collect()
}

/// Where a compact JWS begins: three parts, the first two JSON objects in base64url.
fn jwt(line: &str) -> Option<usize> {
    line.match_indices("eyJ").map(|(start, _)| start).find(|&start| {
        let word = line[start..].split(|c: char| !(c.is_ascii_alphanumeric() || ".-_".contains(c))).next();
        let parts: Vec<&str> = word.unwrap_or_default().split('.').collect();
        matches!(parts[..], [header, claims, _, ..] if header.len() >= 10 && claims.len() >= 10 && claims.starts_with("eyJ"))
    })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    fn what(line: &str) -> Option<&'static str> {
        find(line).map(|(what, _)| what)
    }

    #[test]
    fn leaks_are_found() {
        assert_eq!(find("client_secret=x-c4n4ry-y"), Some(("a canary", 16)));
        assert_eq!(what("-----BEGIN ENCRYPTED PRIVATE KEY-----"), Some("a private key"));
        assert_eq!(what("Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhcGkifQ.c2ln!"), Some("a signed token"));
        assert_eq!(what("body: [120, 99, 52, 110, 52, 114, 121]"), Some("a canary as bytes"));
        assert_eq!(what("63346E347279 and more"), Some("a canary in hex"));
    }

    #[test]
    fn a_canary_in_base64_is_found_wherever_it_begins() {
        // openssl base64 of "c4n4ry-secret", "xc4n4ry-secret" and "xyc4n4ry-secret"
        for line in ["YzRuNHJ5LXNlY3JldA==", "eGM0bjRyeS1zZWNyZXQ=", "eHljNG40cnktc2VjcmV0"] {
            assert_eq!(what(line), Some("a canary in base64"), "{line}");
        }
    }

    #[test]
    fn harmless_lines_are_left_alone() {
        for line in
            ["", "a canary sings", "status 200, eyJ begins a token", "eyJhbGciOiJSUzI1NiJ9.[claims].[signature]"]
        {
            assert_eq!(find(line), None, "{line}");
        }
    }

    #[test]
    fn the_canary_is_the_tests_canary() {
        let testkit = fs::read_to_string(crate::workspace::root().join("crates/testkit/src/lib.rs")).unwrap();
        assert!(testkit.contains(&format!("CANARY: &str = \"{CANARY}\"")), "testkit's canary is another one");
    }

    #[test]
    fn a_leak_is_named_by_file_and_line_and_never_shown() {
        let folder = crate::workspace::target().unwrap().join(format!("leaks-{}", std::process::id()));
        fs::create_dir_all(folder.join("deeper")).unwrap();
        fs::write(folder.join("deeper/a.log"), "fine\nkey=c4n4ry-and-more\n").unwrap();
        let leaks = search(&folder);
        fs::remove_dir_all(&folder).unwrap();
        let leaks = leaks.unwrap();
        assert_eq!(leaks.len(), 1);
        let shown = leaks[0].to_string();
        assert!(shown.ends_with("deeper/a.log:2: a canary after `key=`"), "{shown}");
    }
}
