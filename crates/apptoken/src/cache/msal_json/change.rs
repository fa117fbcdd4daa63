use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use zeroize::Zeroizing;

use super::key::Wanted;
use super::outline::{Frame, Outline};
use super::write::{self, MsalProfile};
use crate::cache::KeptToken;

/// What is to become of a file: rows that go, and rows that come behind the others.
#[derive(Default)]
pub(crate) struct Change {
    gone: BTreeSet<usize>,
    new: Vec<(String, Zeroizing<Vec<u8>>)>,
}

/// A changed file: parts of the old one, which are not looked at, and new text between them.
#[derive(Default)]
pub(crate) struct Changed {
    parts: Vec<Part>,
    length: u64,
}

enum Part {
    Old(Range<u64>),
    New(Zeroizing<Vec<u8>>),
}

impl Change {
    /// Puts a token in the place of those that it follows.
    pub(crate) fn put(
        outline: &Outline,
        file: &mut (impl Read + Seek + ?Sized),
        wanted: &Wanted<'_>,
        token: &KeptToken,
        profile: MsalProfile,
    ) -> io::Result<Self> {
        Ok(Self { new: write::rows(wanted, token, profile), ..Self::remove(outline, file, wanted)? })
    }

    /// Removes a token in all its forms.
    pub(crate) fn remove(
        outline: &Outline,
        file: &mut (impl Read + Seek + ?Sized),
        wanted: &Wanted<'_>,
    ) -> io::Result<Self> {
        let gone = outline.matches(wanted, file)?.into_iter().map(|(place, _)| place).collect();
        Ok(Self { gone, new: Vec::new() })
    }

    /// Removes also the app-only tokens that `doomed` says, by client id and expiry (seconds since 1970).
    pub(crate) fn and_app_tokens(
        mut self,
        outline: &Outline,
        file: &mut (impl Read + Seek + ?Sized),
        doomed: impl Fn(&str, Option<u64>) -> bool,
    ) -> io::Result<Self> {
        self.gone.extend(outline.app_tokens(doomed, file)?);
        Ok(self)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty()
    }

    /// How it comes out.
    pub(crate) fn of(&self, outline: &Outline) -> Changed {
        let mut changed = Changed::default();
        let Frame { head, open, close, tail } = outline.frame.clone();
        changed.old(head);
        changed.text(open);
        let (mut first, mut together) = (true, false);
        for (place, row) in outline.rows.iter().enumerate() {
            if self.gone.contains(&place) {
                together = false;
                continue;
            }
            match changed.parts.last_mut() {
                // what is between two rows that stay, stays
                Some(Part::Old(range)) if together => {
                    changed.length += row.value.end - range.end;
                    range.end = row.value.end;
                }
                _ => {
                    changed.comma(&mut first);
                    changed.old(row.key.start..row.value.end);
                }
            }
            together = true;
        }
        for (key, value) in &self.new {
            changed.comma(&mut first);
            changed.text(&serde_json::Value::from(&**key).to_string());
            changed.text(":");
            changed.new_part(value.clone());
        }
        changed.text(close);
        changed.old(tail);
        changed
    }
}

impl Changed {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Writes it from the `old` file.
    pub(crate) fn write(&self, old: &mut (impl Read + Seek), new: &mut impl Write) -> io::Result<()> {
        for part in &self.parts {
            match part {
                Part::New(text) => new.write_all(text)?,
                Part::Old(range) => {
                    old.seek(SeekFrom::Start(range.start))?;
                    let length = range.end - range.start;
                    // between files this is the operating system's work
                    if io::copy(&mut old.by_ref().take(length), new)? != length {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter meanwhile"));
                    }
                }
            }
        }
        Ok(())
    }

    fn comma(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.text(",");
        }
    }

    fn text(&mut self, text: &str) {
        self.new_part(Zeroizing::new(text.into()));
    }

    fn new_part(&mut self, text: Zeroizing<Vec<u8>>) {
        self.length += text.len() as u64;
        self.parts.push(Part::New(text));
    }

    fn old(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        self.length += range.end - range.start;
        self.parts.push(Part::Old(range));
    }
}
