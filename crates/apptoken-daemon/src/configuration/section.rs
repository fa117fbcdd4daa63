//! One section of the settings, read key by key into checked values.

mod lists;

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::layer::{Leaf, Node, Scalar, Shape};
use super::{Configuration, Key, closest, placeholder, variable};
use crate::error::ConfigurationError;
use crate::origin::Origin;

/// A section that exists, such as `AzureAd` or `AzureAd:ClientCredentials:0`.
pub(crate) struct Section<'c> {
    configuration: &'c Configuration,
    /// As written, or as asked for when only variables set it.
    name: String,
}

/// A text that is set, not blank and no placeholder; with its key as written and its origin.
#[derive(Clone, Copy)]
pub(crate) struct Text<'c> {
    pub(crate) value: &'c str,
    pub(crate) key: &'c str,
    pub(crate) origin: &'c Origin,
}

impl<'c> Section<'c> {
    pub(super) fn new(configuration: &'c Configuration, name: String) -> Self {
        Self { configuration, name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text at `key`; `None` if it is absent, `null` or blank.
    pub(crate) fn text(&self, key: &Key) -> Result<Option<Text<'c>>, ConfigurationError> {
        match self.leaf(key)? {
            Some(leaf) => self.leaf_text(leaf, key),
            None => Ok(None),
        }
    }

    /// The text at `key`, or the number as text: .NET reads the values of an enumeration either way.
    pub(crate) fn text_or_number(&self, key: &Key) -> Result<Option<Text<'c>>, ConfigurationError> {
        match self.leaf(key)? {
            Some(Leaf { node: Node { key, origin }, value: Scalar::Number(value), .. }) => {
                Ok(Some(Text { value, key, origin }))
            }
            Some(leaf) => self.leaf_text(leaf, key),
            None => Ok(None),
        }
    }

    /// The text at `key`, or the error that says what belongs there.
    pub(crate) fn required(&self, key: &Key) -> Result<Text<'c>, ConfigurationError> {
        match self.text(key)? {
            Some(text) => Ok(text),
            None => Err(self.missing(key)),
        }
    }

    /// The switch at `key`: `true`, `false`, or the same as text in any case, as .NET reads it.
    pub(crate) fn boolean(&self, key: &Key) -> Result<Option<bool>, ConfigurationError> {
        let Some(leaf) = self.leaf(key)? else { return Ok(None) };
        let wrong = || Err(leaf.error(format!("is neither true nor false: what belongs there is {}", key.wants)));
        match &leaf.value {
            Scalar::Null => Ok(None),
            Scalar::Boolean(value) => Ok(Some(*value)),
            Scalar::Text(text) => match text.expose_secret().trim() {
                "" => Ok(None),
                text if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
                text if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
                _ => wrong(),
            },
            Scalar::Number(_) | Scalar::NotUnicode => wrong(),
        }
    }

    /// The section at `key` inside this one, if anything is set there.
    pub(crate) fn section(&self, name: &str) -> Result<Option<Self>, ConfigurationError> {
        let path = self.path(name);
        let set = self.configuration.layer.leaf(&path).is_some_and(|leaf| !leaf.is_blank());
        if !set && self.section_if_object(name).is_none() {
            return Ok(None);
        }
        self.configuration.section(&format!("{}:{name}", self.name)).map(Some)
    }

    /// The section at `name` inside this one, if an object or variables set it.
    pub(crate) fn section_if_object(&self, name: &str) -> Option<Self> {
        let full = format!("{}:{name}", self.name);
        self.configuration.has_section(&full).then(|| Self::new(self.configuration, full))
    }

    /// Whether `name` is set to anything but `null`, blank text, `false` or an empty list or object.
    pub(crate) fn is_set(&self, name: &str) -> Option<&'c Origin> {
        let path = self.path(name);
        let layer = &self.configuration.layer;
        match layer.leaf(&path) {
            Some(leaf) if leaf.is_blank() || leaf.is_false() => None,
            Some(leaf) => Some(&leaf.node.origin),
            None => layer.below(&path).next().map(|(_, node)| &node.origin),
        }
    }

    /// The names set directly in this section, as written, with their origins.
    pub(crate) fn names(&self) -> Vec<(String, &'c Origin)> {
        let depth = self.name.matches(':').count() + 1;
        let written = |node: &Node| node.key.split(':').nth(depth).unwrap_or_default().to_owned();
        self.children(&self.name.to_lowercase()).into_values().map(|node| (written(node), &node.origin)).collect()
    }

    /// Says in the log which names in this section are none of the `known` ones, and which were probably meant.
    pub(crate) fn warn_of_unknown<K: IntoIterator<Item = &'static str>>(&self, known: impl Fn() -> K) {
        for (name, origin) in self.names() {
            if known().into_iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                continue;
            }
            let hint = closest(&name, known()).map_or_else(String::new, |near| format!(": did you mean {near}?"));
            tracing::warn!("{origin}: {}:{name} is not a known key and is ignored{hint}", self.name);
        }
    }

    /// The error for a key that must be there and is not.
    pub(crate) fn missing(&self, key: &Key) -> ConfigurationError {
        let full = format!("{}:{}", self.name, key.name);
        let belongs = format!("what belongs there is {}", key.wants);
        let or_variable = match key.first {
            Some(first) => {
                format!("{belongs}; or set the environment variable {}", variable(&format!("{full}:{first}")))
            }
            None => format!("what belongs there, or in the environment variable {}, is {}", variable(&full), key.wants),
        };
        if let Some(leaf) = self.configuration.layer.leaf(&full.to_lowercase()) {
            return leaf.error(format!("is empty: {or_variable}"));
        }
        if let Some((_, node)) = self.configuration.layer.shape(&full.to_lowercase()) {
            return ConfigurationError::at(&node.origin, &node.key, format!("is empty: {belongs}"));
        }
        let mut problem = format!("is missing: {or_variable}");
        let near = self.names().into_iter().find(|(name, _)| closest(name, [key.name]).is_some());
        if let Some((name, origin)) = near {
            problem.push_str(&format!("; {name} ({origin}) is not the name of a key"));
        }
        self.error(key.name, problem)
    }

    /// An error about `name` in this section, placed where the section begins.
    pub(crate) fn error(&self, name: &str, problem: impl Into<String>) -> ConfigurationError {
        let full = if name.is_empty() { self.name.clone() } else { format!("{}:{name}", self.name) };
        match (self.configuration.layer.shape(&self.name.to_lowercase()), self.configuration.main_file()) {
            (Some((_, node)), _) => ConfigurationError::at(&node.origin, &full, problem),
            (None, Some(file)) => ConfigurationError::in_file(file, None, problem).with_key(&full),
            (None, None) => ConfigurationError::new(problem).with_key(&full),
        }
    }

    /// The first place where this section is set.
    pub(crate) fn origin(&self) -> Option<&'c Origin> {
        let path = self.name.to_lowercase();
        let layer = &self.configuration.layer;
        let shape = layer.shape(&path).map(|(_, node)| &node.origin);
        shape.or_else(|| layer.below(&path).next().map(|(_, node)| &node.origin))
    }

    fn path(&self, name: &str) -> String {
        format!("{}:{name}", self.name).to_lowercase()
    }

    fn leaf(&self, key: &Key) -> Result<Option<&'c Leaf>, ConfigurationError> {
        let path = self.path(key.name);
        let layer = &self.configuration.layer;
        if let Some(leaf) = layer.leaf(&path) {
            leaf.unrivalled()?;
            return Ok(Some(leaf));
        }
        match layer.shape(&path) {
            Some(_) => Err(self.misplaced(&path, key, "a single value")),
            None if layer.below(&path).next().is_some() => Err(self.misplaced(&path, key, "a single value")),
            None => Ok(None),
        }
    }

    fn leaf_text(&self, leaf: &'c Leaf, key: &Key) -> Result<Option<Text<'c>>, ConfigurationError> {
        leaf.unrivalled()?;
        let belongs = format!("what belongs there is {}", key.wants);
        let value = match &leaf.value {
            Scalar::Null => return Ok(None),
            Scalar::Boolean(_) => return Err(leaf.error(format!("is true or false: {belongs}, as text in quotes"))),
            Scalar::Number(_) => return Err(leaf.error(format!("is a number: {belongs}, as text in quotes"))),
            Scalar::NotUnicode => return Err(leaf.error(format!("is not Unicode text: {belongs}"))),
            Scalar::Text(text) => text.expose_secret(),
        };
        if value.trim().is_empty() {
            return Ok(None);
        }
        if key.secret {
            if placeholder::in_secret(value) {
                return Err(leaf.error(format!("still holds a placeholder: {belongs}")));
            }
        } else if placeholder::in_value(value) {
            return Err(leaf.error(format!("still holds the placeholder {:?}: {belongs}", shorten(value))));
        }
        let value = if key.secret { value } else { value.trim() };
        Ok(Some(Text { value, key: &leaf.node.key, origin: &leaf.node.origin }))
    }

    /// The lower-cased names one step below `path`, each with something that is set there.
    fn children(&self, path: &str) -> BTreeMap<&'c str, &'c Node> {
        let layer = &self.configuration.layer;
        let mut children = BTreeMap::new();
        for (below, node) in layer.below(path) {
            let name = below.get(path.len() + 1..).unwrap_or_default();
            children.entry(name.split(':').next().unwrap_or_default()).or_insert(node);
        }
        children
    }

    fn misplaced(&self, path: &str, key: &Key, wanted: &str) -> ConfigurationError {
        let layer = &self.configuration.layer;
        let (what, node) = match (layer.shape(path), layer.leaf(path)) {
            (Some((Shape::Array, node)), _) => ("a list", node),
            (Some((Shape::Object, node)), _) => ("an object", node),
            (None, Some(leaf)) => ("a single value", &leaf.node),
            (None, None) => match layer.below(path).next() {
                Some((_, node)) => ("an object", node),
                None => return self.missing(key),
            },
        };
        ConfigurationError::at(
            &node.origin,
            &node.key,
            format!("is {what}, not {wanted}: what belongs there is {}", key.wants),
        )
    }
}

impl Text<'_> {
    /// An error about this value.
    pub(crate) fn error(&self, problem: impl Into<String>) -> ConfigurationError {
        ConfigurationError::at(self.origin, self.key, problem)
    }
}

/// Enough of a placeholder to find it again.
fn shorten(value: &str) -> String {
    let mut short: String = value.trim().chars().take(60).collect();
    if short.len() < value.trim().len() {
        short.push('…');
    }
    short
}
