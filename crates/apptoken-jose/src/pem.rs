//! PEM texts (RFC 7468, and RFC 1421's headers that OpenSSL's old encryption needs), as they lie about on disks: with
//! notes around the blocks, in any character set, with a byte order mark, in PowerShell's UTF-16.

use std::ops::Deref;

use zeroize::Zeroizing;

use crate::{KeyError, base64url};

/// One block between `-----BEGIN` and `-----END`.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    /// `Proc-Type: 4,ENCRYPTED` and the like, between the label and the content.
    headers: &'a [u8],
    content: Zeroizing<Vec<u8>>,
}

impl Block<'_> {
    /// The bytes that the block stands for.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// The value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.split(|&byte| byte == b'\n').find_map(|line| {
            let (key, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The blocks of `pem` whose label `wanted` picks, in their order. What stands between blocks is passed over, and so is the
/// content of other blocks.
pub(crate) fn blocks<'a>(pem: &'a [u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Block<'a>>, KeyError> {
    const WRONG: KeyError = KeyError::Malformed("PEM text");
    let mut blocks = Vec::new();
    let mut rest = pem;
    while let Some(begin) = find(rest, BEGIN) {
        rest = &rest[begin + BEGIN.len()..];
        // what only looks like a label does not hide the blocks after it
        let Some((label, after)) = label(rest) else { continue };
        let end = [END, label.as_bytes(), DASHES].concat();
        if !wanted(label) {
            rest = after;
            continue;
        }
        let length = find(after, &end).ok_or(WRONG)?;
        let (headers, body) = split_headers(&after[..length]);
        let body = std::str::from_utf8(body).map_err(|_| WRONG)?;
        let content = base64url::decode_lenient(body).map(Zeroizing::new).map_err(|_| WRONG)?;
        blocks.push(Block { label, headers, content });
        rest = &after[length + end.len()..];
    }
    Ok(blocks)
}

/// UTF-16 with its byte order mark, as PowerShell's `>` writes it, to bytes; everything else as it is.
pub(crate) fn narrow(pem: &[u8]) -> Narrow<'_> {
    let unit: fn([u8; 2]) -> u16 = match pem {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return Narrow::AsItIs(pem),
    };
    // all that counts is ASCII
    let bytes = pem[2..].chunks_exact(2).map(|pair| u8::try_from(unit([pair[0], pair[1]])).unwrap_or(b'?'));
    Narrow::Converted(Zeroizing::new(bytes.collect()))
}

/// A PEM text in bytes.
pub(crate) enum Narrow<'a> {
    AsItIs(&'a [u8]),
    Converted(Zeroizing<Vec<u8>>),
}

impl Deref for Narrow<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::AsItIs(bytes) => bytes,
            Self::Converted(bytes) => bytes,
        }
    }
}

fn label(after_begin: &[u8]) -> Option<(&str, &[u8])> {
    let end = find(&after_begin[..after_begin.len().min(LONGEST_LABEL + DASHES.len())], DASHES)?;
    let label = std::str::from_utf8(&after_begin[..end]).ok()?;
    let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.'));
    plain.then_some((label, &after_begin[end + DASHES.len()..]))
}

/// RFC 1421 §4.4: headers end with an empty line; base64 has no colon.
fn split_headers(inside: &[u8]) -> (&[u8], &[u8]) {
    let has_headers = inside.contains(&b':');
    let empty_line = || {
        let mut line_start = 0;
        for (at, &byte) in inside.iter().enumerate() {
            if byte == b'\n' {
                // the first line is the rest of the BEGIN line
                if line_start > 0 && inside[line_start..at].trim_ascii().is_empty() {
                    return Some(at + 1);
                }
                line_start = at + 1;
            }
        }
        None
    };
    match has_headers.then(empty_line).flatten() {
        Some(body) => inside.split_at(body),
        None => (&[], inside),
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Far beyond any label in use.
const LONGEST_LABEL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pem: &[u8]) -> Vec<(String, Vec<u8>)> {
        let pem = narrow(pem);
        blocks(&pem, |_| true).unwrap().iter().map(|block| (block.label.to_owned(), block.content().to_vec())).collect()
    }

    #[test]
    fn blocks_are_found_whatever_stands_around_them() {
        let want = [("A B".to_owned(), b"one".to_vec()), ("C".to_owned(), b"two".to_vec())];
        let plain = "-----BEGIN A B-----\nb25l\n-----END A B-----\n-----BEGIN C-----\ndHdv\n-----END C-----\n";
        assert_eq!(all(plain.as_bytes()), want);
        assert_eq!(all(plain.replace('\n', "\r\n").as_bytes()), want);
        assert_eq!(all(plain.replace('\n', "\r").as_bytes()), want);
        assert_eq!(all(format!("\u{feff}Bag Attributes: é\n {plain}-----BEGIN nothing").as_bytes()), want);
        assert_eq!(all(&[b"\xff\x80-----BEGIN \xff-----", plain.as_bytes(), b"\xfe"].concat()), want);
        let wide =
            |order: fn(u16) -> [u8; 2]| "\u{feff}".chars().chain(plain.chars()).map(|c| order(c as u16)).collect();
        let (little, big): (Vec<_>, Vec<_>) = (wide(u16::to_le_bytes), wide(u16::to_be_bytes));
        assert_eq!((all(&little.concat()), all(&big.concat())), (want.to_vec(), want.to_vec()));
    }

    #[test]
    fn headers_are_not_content() {
        for line in ["\n", "\r\n"] {
            let pem = [
                "-----BEGIN X-----",
                "Proc-Type: 4,ENCRYPTED",
                "DEK-Info: AES-128-CBC,00FF",
                "",
                "b25l",
                "-----END X-----",
            ];
            let pem = pem.join(line);
            let block = &blocks(pem.as_bytes(), |_| true).unwrap()[0];
            assert_eq!((block.header("dek-info"), block.content()), (Some("AES-128-CBC,00FF"), &b"one"[..]));
        }
    }

    #[test]
    fn a_block_without_an_end_is_an_error_only_if_it_is_wanted() {
        let pem = b"-----BEGIN X-----\nb25l\n-----BEGIN Y-----\nb25l\n-----END Y-----\n";
        assert!(blocks(pem, |label| label == "X").is_err());
        assert_eq!(blocks(pem, |label| label == "Y").unwrap().len(), 1);
        assert!(blocks(b"-----BEGIN X-----\n*\n-----END X-----", |_| true).is_err());
    }
}
