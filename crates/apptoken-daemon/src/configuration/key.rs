//! A key that we read, and what belongs there.

/// A key of a settings section, with the words an error uses for what belongs there.
pub(crate) struct Key {
    /// As .NET's documentation spells it.
    pub(crate) name: &'static str,
    /// What belongs there, to follow "what belongs there is".
    pub(crate) wants: &'static str,
    /// Whether its value must never be shown.
    pub(crate) secret: bool,
    /// Of a list of objects, which no one variable can hold: where a variable can set its first entry.
    pub(crate) first: Option<&'static str>,
}

impl Key {
    pub(crate) const fn new(name: &'static str, wants: &'static str) -> Self {
        Self { name, wants, secret: false, first: None }
    }

    pub(crate) const fn secret(name: &'static str, wants: &'static str) -> Self {
        Self { name, wants, secret: true, first: None }
    }

    pub(crate) const fn list(name: &'static str, wants: &'static str, first: &'static str) -> Self {
        Self { name, wants, secret: false, first: Some(first) }
    }
}
