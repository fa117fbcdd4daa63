use std::io::{self, Read};
use std::ops::Range;

use zeroize::Zeroizing;

/// A JSON text that is read once, a window at a time. What is passed over is checked in full and kept nowhere.
pub(super) struct Scanner<R> {
    source: R,
    window: Zeroizing<Vec<u8>>,
    /// Where the window begins in the text.
    before: u64,
    /// In the window: what comes next, and where what was read ends.
    at: usize,
    end: usize,
    /// In the window: what must stay in it.
    mark: Option<usize>,
    /// The text has ended with this.
    failed: Option<io::Error>,
}

/// What comes next is not JSON, or not what was expected; or it [could not be read](Scanner::stopped).
#[derive(Debug)]
pub(super) struct Broken;

/// Why a text was not read to its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    Failed(io::Error),
    /// Not JSON, or not of the expected shape, from this byte on.
    Broken(u64),
}

impl<R: Read> Scanner<R> {
    /// `length`: about that of the text.
    pub(super) fn new(source: R, length: u64) -> Self {
        let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1).clamp(SHORTEST, LONGEST);
        Self { source, window: Zeroizing::new(vec![0; length]), before: 0, at: 0, end: 0, mark: None, failed: None }
    }

    /// Passes over a byte-order mark.
    pub(super) fn byte_order_mark(&mut self) -> Result<(), Broken> {
        if self.peek() == BOM[0] {
            self.word(BOM)?;
        }
        Ok(())
    }

    /// Where it stands.
    pub(super) fn place(&self) -> u64 {
        self.before + self.at as u64
    }

    /// Why it was broken.
    pub(super) fn stopped(self) -> Stopped {
        let place = self.place();
        self.failed.map_or(Stopped::Broken(place), Stopped::Failed)
    }

    /// What comes after white space; [`END`] at the end.
    pub(super) fn next(&mut self) -> u8 {
        loop {
            let rest = &self.window[self.at..self.end];
            let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
            self.at += blank;
            if let Some(&byte) = rest.get(blank) {
                return byte;
            }
            self.fill();
            if self.at == self.end {
                return END;
            }
        }
    }

    /// Whether nothing comes but white space.
    pub(super) fn is_over(&mut self) -> bool {
        self.next() == END && self.at == self.end && self.failed.is_none()
    }

    /// Passes over white space and `byte`.
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.next() != byte {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }

    /// Passes over an object that begins here, and its members as `member` does, which gets each name's place and its
    /// text with the quotes. Returns the place of what is between the braces.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Range<u64>, &[u8]) -> Result<(), Broken>,
    ) -> Result<Range<u64>, Broken> {
        self.expect(b'{')?;
        let start = self.place();
        let mut name = Vec::new();
        if self.next() != b'}' {
            loop {
                self.next();
                let began = self.place();
                self.mark = Some(self.at);
                self.string()?;
                name.clear();
                name.extend_from_slice(&self.window[self.mark.take().unwrap_or(self.at)..self.at]);
                let place = began..self.place();
                self.expect(b':')?;
                member(self, place, &name)?;
                if self.next() != b',' {
                    break;
                }
                self.at += 1;
            }
        }
        let end = self.place();
        self.expect(b'}')?;
        Ok(start..end)
    }

    /// Passes over a value and returns its place.
    pub(super) fn value(&mut self) -> Result<Range<u64>, Broken> {
        let mut open = Vec::new(); // the brackets to be closed
        self.next();
        let start = self.place();
        loop {
            match self.next() {
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    let close = bracket + 2;
                    if self.next() == close {
                        self.at += 1;
                    } else {
                        open.push(close);
                        self.name(close)?;
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            // the value is over, and maybe what it is in
            loop {
                let Some(&close) = open.last() else { return Ok(start..self.place()) };
                match self.next() {
                    b',' => {
                        self.at += 1;
                        self.name(close)?;
                        break;
                    }
                    byte if byte == close => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return Err(Broken),
                }
            }
        }
    }

    /// A member's name, if it is an object that `close` will close.
    fn name(&mut self, close: u8) -> Result<(), Broken> {
        if close == b'}' {
            self.next();
            self.string()?;
            self.expect(b':')?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), Broken> {
        self.take(b'"')?;
        // most are short and say nothing but themselves
        let rest = &self.window[self.at..self.end];
        let (words, _) = rest.as_chunks::<8>();
        if let Some(length) = plain_words(&words[..words.len().min(5)]) {
            self.at += length;
            if rest[length] == b'"' {
                self.at += 1;
                return Ok(());
            }
        }
        self.rest_of_string()
    }

    #[inline(never)]
    fn rest_of_string(&mut self) -> Result<(), Broken> {
        loop {
            self.at += plain(&self.window[self.at..self.end]);
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        b'u' => {
                            self.at += 1;
                            for _ in 0..4 {
                                self.digits(1, u8::is_ascii_hexdigit)?;
                            }
                        }
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        _ => return Err(Broken),
                    }
                }
                0x80.. => self.character()?,
                0x20.. => {}
                _ => return Err(Broken),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// A character of two bytes to four.
    fn character(&mut self) -> Result<(), Broken> {
        let mut bytes = [0; 4];
        let length = match self.peek() {
            0xf0.. => 4,
            0xe0.. => 3,
            _ => 2,
        };
        for byte in &mut bytes[..length] {
            *byte = self.peek();
            self.at += 1;
        }
        if str::from_utf8(&bytes[..length]).is_err() {
            return Err(Broken);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Broken> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        let whole = if self.peek() == b'0' { 1 } else { usize::MAX };
        self.digits(whole, u8::is_ascii_digit)?;
        if self.peek() == b'.' {
            self.at += 1;
            self.digits(usize::MAX, u8::is_ascii_digit)?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits(usize::MAX, u8::is_ascii_digit)?;
        }
        Ok(())
    }

    /// At least one digit, at most so many.
    fn digits(&mut self, most: usize, is_digit: fn(&u8) -> bool) -> Result<(), Broken> {
        let mut count = 0;
        while count < most && is_digit(&self.peek()) {
            self.at += 1;
            count += 1;
        }
        if count > 0 { Ok(()) } else { Err(Broken) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Broken> {
        word.iter().try_for_each(|&byte| self.take(byte))
    }

    fn take(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek() != byte {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&mut self) -> u8 {
        if self.at == self.end {
            self.fill();
        }
        if self.at < self.end { self.window[self.at] } else { END }
    }

    /// Reads on, when all that was read has been passed over.
    #[cold]
    fn fill(&mut self) {
        let kept = self.mark.unwrap_or(self.at);
        if kept == 0 && self.end == self.window.len() {
            let mut longer = Zeroizing::new(vec![0; self.window.len() * 2]);
            longer[..self.end].copy_from_slice(&self.window);
            self.window = longer;
        }
        self.window.copy_within(kept..self.end, 0);
        self.before += kept as u64;
        (self.at, self.end) = (self.at - kept, self.end - kept);
        self.mark = self.mark.map(|_| 0);
        while self.failed.is_none() {
            match self.source.read(&mut self.window[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.failed = Some(error),
            }
        }
    }
}

/// How many bytes from the start say nothing but themselves: no quote, no backslash, no control character, ASCII.
fn plain(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<64>();
    // all of a block at once, in wide registers
    let is_plain = |block: &&[u8; 64]| !block.iter().fold(false, |any, &byte| any | is_special(byte));
    let done = blocks.iter().take_while(is_plain).count() * 64;
    let (words, _) = bytes[done..].as_chunks::<8>();
    if let Some(length) = plain_words(words) {
        return done + length;
    }
    let done = done + words.len() * 8;
    done + bytes[done..].iter().take_while(|byte| !is_special(**byte)).count()
}

fn is_special(byte: u8) -> bool {
    (byte.cast_signed() < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn plain_words(words: &[[u8; 8]]) -> Option<usize> {
    words.iter().enumerate().find_map(|(index, word)| {
        let found = specials(u64::from_le_bytes(*word));
        (found != 0).then(|| index * 8 + found.trailing_zeros() as usize / 8)
    })
}

/// The high bit of the lowest byte that is special; those above it may be wrong.
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    (control | quote | backslash | word) & (ONES * 0x80)
}

/// No text has it outside of strings.
const END: u8 = 0;
const BOM: &[u8; 3] = b"\xef\xbb\xbf";
/// Fits the processor's second-level cache.
const LONGEST: usize = 256 << 10;
const SHORTEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_ends_at_the_first_byte_that_is_not() {
        for length in [0, 1, 7, 8, 9, 63, 64, 65, 130, 200] {
            let text = vec![b'a'; length];
            assert_eq!(plain(&text), length);
            for place in 0..length {
                for byte in 0..=255 {
                    let mut text = text.clone();
                    text[place] = byte;
                    let special = byte < 0x20 || byte == b'"' || byte == b'\\' || byte >= 0x80;
                    assert_eq!(plain(&text), if special { place } else { length }, "{byte} at {place} of {length}");
                }
            }
        }
    }
}
