//! The words of a filter.

use crate::endpoints::graph::error::GraphError;

/// One word, mark or text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A path, an operator, a literal without quotes.
    Word(String),
    /// A literal in quotes, without them.
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
    End,
}

/// Reads a filter word by word, with one word to look ahead.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    ahead: Option<(usize, Token)>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, ahead: None }
    }

    pub(super) fn next(&mut self) -> Result<Token, GraphError> {
        match self.ahead.take() {
            Some((_, token)) => Ok(token),
            None => self.read(),
        }
    }

    /// Takes the next token if it is this one.
    pub(super) fn take(&mut self, token: &Token) -> Result<bool, GraphError> {
        let same = self.peek()? == token;
        if same {
            self.ahead = None;
        }
        Ok(same)
    }

    /// Takes the next token if it is this word, in whatever letter case.
    pub(super) fn take_word(&mut self, word: &str) -> Result<bool, GraphError> {
        let same = matches!(self.peek()?, Token::Word(other) if other.eq_ignore_ascii_case(word));
        if same {
            self.ahead = None;
        }
        Ok(same)
    }

    pub(super) fn syntax_error(&self) -> GraphError {
        let at = self.ahead.as_ref().map_or(self.at, |(start, _)| *start);
        GraphError::malformed(format!("Invalid filter clause: syntax error at position {at}."))
    }

    fn peek(&mut self) -> Result<&Token, GraphError> {
        if self.ahead.is_none() {
            let start = self.at;
            let token = self.read()?;
            self.ahead = Some((start, token));
        }
        Ok(self.ahead.as_ref().map_or(&Token::End, |(_, token)| token))
    }

    fn read(&mut self) -> Result<Token, GraphError> {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let mark = match first {
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            ',' => Some(Token::Comma),
            _ => None,
        };
        if let Some(mark) = mark {
            self.at += 1;
            return Ok(mark);
        }
        if first == '\'' {
            return self.quoted(&rest[1..]);
        }
        // a colon belongs to a date, and stands alone after the variable of any()
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '\'')).unwrap_or(rest.len());
        let word = &rest[..end];
        let lambda = word.find(':').filter(|_| !word.starts_with(|c: char| c.is_ascii_digit()));
        let word = match lambda {
            Some(0) => {
                self.at += 1;
                return Ok(Token::Colon);
            }
            Some(colon) => &word[..colon],
            None => word,
        };
        if word.is_empty() {
            return Err(self.syntax_error());
        }
        self.at += word.len();
        Ok(Token::Word(word.to_owned()))
    }

    /// Two quotes are one.
    fn quoted(&mut self, rest: &str) -> Result<Token, GraphError> {
        let mut text = String::new();
        let mut left = rest;
        loop {
            let Some(end) = left.find('\'') else { return Err(self.syntax_error()) };
            text.push_str(&left[..end]);
            left = &left[end + 1..];
            let Some(more) = left.strip_prefix('\'') else {
                self.at = self.text.len() - left.len();
                return Ok(Token::Text(text));
            };
            text.push('\'');
            left = more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Token> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            match lexer.next().unwrap() {
                Token::End => return tokens,
                token => tokens.push(token),
            }
        }
    }

    #[test]
    fn words_marks_and_texts() {
        let word = |text: &str| Token::Word(text.into());
        let text = |text: &str| Token::Text(text.into());
        assert_eq!(all("displayName eq 'O''Neil'"), [word("displayName"), word("eq"), text("O'Neil")]);
        assert_eq!(all("a eq ''''"), [word("a"), word("eq"), text("'")]);
        assert_eq!(all("a eq '' or b"), [word("a"), word("eq"), text(""), word("or"), word("b")]);
        assert_eq!(
            all("uris/any(u:u eq 'x')"),
            [word("uris/any"), Token::Open, word("u"), Token::Colon, word("u"), word("eq"), text("x"), Token::Close]
        );
        assert_eq!(all("t ge 2026-01-02T03:04:05Z"), [word("t"), word("ge"), word("2026-01-02T03:04:05Z")]);
        assert_eq!(all(" any( u : u"), [word("any"), Token::Open, word("u"), Token::Colon, word("u")]);
    }

    #[test]
    fn a_text_without_end_is_refused() {
        for bad in ["'", "a eq 'x", "a eq 'x''", "'ü"] {
            let mut lexer = Lexer::new(bad);
            let error = loop {
                match lexer.next() {
                    Ok(Token::End) => panic!("{bad}"),
                    Ok(_) => (),
                    Err(error) => break error,
                }
            };
            assert!(error.message.contains("position"), "{error:?}");
        }
    }
}
