//! A form as a browser posts it.

use url::form_urlencoded;
use zeroize::Zeroizing;

/// Names and values, in the order they came.
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// `None` when it has more fields than any form here.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let fields: Vec<_> = form_urlencoded::parse(body)
            .take(MOST + 1)
            .map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
            .collect();
        (fields.len() <= MOST).then_some(Self(fields))
    }

    /// The value as it was typed; empty when there is none.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The value without white space around it; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A value, or nothing when it is empty.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// Whether a box is ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// What to tell the person who typed it.
    pub(super) fn number(&self, name: &str, label: &str, bounds: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
        let text = self.get(name);
        text.parse()
            .ok()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| format!("{label} must be a whole number from {} to {}", bounds.start(), bounds.end()))
    }
}

const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_bounded() {
        let form = Form::parse(b"a=+1+&b=x%20y&c=").unwrap();
        assert_eq!((form.get("a"), form.raw("a"), form.some("c"), form.ticked("b")), ("1", " 1 ", None, true));
        assert_eq!(form.number("a", "A", 1..=5), Ok(1));
        assert_eq!(form.number("b", "B", 1..=5), Err("B must be a whole number from 1 to 5".into()));
        assert!(Form::parse("x=1&".repeat(MOST + 1).as_bytes()).is_none());
    }
}
