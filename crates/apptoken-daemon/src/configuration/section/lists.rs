//! Keys that hold more than one value.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::{Section, Text};
use crate::configuration::layer::{Leaf, Scalar, Shape};
use crate::configuration::{Key, variable};
use crate::error::ConfigurationError;
use crate::origin::Origin;

impl<'c> Section<'c> {
    /// The texts at `key`: a list, or one text with blanks between its parts. Empty if absent.
    pub(crate) fn texts(&self, key: &Key) -> Result<Vec<Text<'c>>, ConfigurationError> {
        let path = self.path(key.name);
        let layer = &self.configuration.layer;
        if layer.leaf(&path).is_some() {
            let Some(text) = self.text(key)? else { return Ok(Vec::new()) };
            let Text { key, origin, .. } = text;
            return Ok(text.value.split_whitespace().map(|value| Text { value, key, origin }).collect());
        }
        self.not_an_object(key)?;
        let mut texts = Vec::new();
        for (path, _) in self.elements(key)? {
            match layer.leaf(&path) {
                Some(leaf) => texts.extend(self.leaf_text(leaf, key)?),
                None => return Err(self.misplaced(&path, key, "text in quotes")),
            }
        }
        Ok(texts)
    }

    /// The names and values of the object at `key`; numbers and switches become text as .NET spells them.
    pub(crate) fn pairs(&self, key: &Key) -> Result<Vec<(String, String, Origin)>, ConfigurationError> {
        let path = self.path(key.name);
        let layer = &self.configuration.layer;
        if let Some(leaf) = layer.leaf(&path) {
            return no_single_value(leaf, key).map(|()| Vec::new());
        }
        if let Some((Shape::Array, node)) = layer.shape(&path) {
            return Err(ConfigurationError::at(
                &node.origin,
                &node.key,
                format!("is a list: what belongs there is {}", key.wants),
            ));
        }
        let mut pairs = Vec::new();
        for name in self.children(&path).into_keys() {
            let child = format!("{path}:{name}");
            let Some(leaf) = layer.leaf(&child) else {
                return Err(self.misplaced(&child, key, "text in quotes"));
            };
            leaf.unrivalled()?;
            let value = match &leaf.value {
                Scalar::Null => continue,
                Scalar::Boolean(true) => "True".to_owned(),
                Scalar::Boolean(false) => "False".to_owned(),
                Scalar::Number(number) => number.clone(),
                Scalar::Text(text) => text.expose_secret().to_owned(),
                Scalar::NotUnicode => return Err(leaf.error("is not Unicode text")),
            };
            let name = leaf.node.key.rsplit(':').next().unwrap_or_default().to_owned();
            pairs.push((name, value, leaf.node.origin.clone()));
        }
        Ok(pairs)
    }

    /// The objects in the list at `key`, in order. Empty if absent.
    pub(crate) fn items(&self, key: &Key) -> Result<Vec<Self>, ConfigurationError> {
        let path = self.path(key.name);
        let layer = &self.configuration.layer;
        if let Some(leaf) = layer.leaf(&path) {
            return no_single_value(leaf, key).map(|()| Vec::new());
        }
        self.not_an_object(key)?;
        let mut items = Vec::new();
        for (path, node) in self.elements(key)? {
            match (layer.shape(&path), layer.leaf(&path)) {
                (Some((Shape::Array, _)), _) | (None, Some(_)) => {
                    return Err(self.misplaced(&path, key, "an object { … }"));
                }
                (Some((Shape::Object, node)), _) => items.push(Self::new(self.configuration, node.key.clone())),
                (None, None) => items.push(Self::new(self.configuration, node)),
            }
        }
        Ok(items)
    }

    /// Refuses an object where a list belongs. Objects with numbers for names are lists to .NET, and to us.
    fn not_an_object(&self, key: &Key) -> Result<(), ConfigurationError> {
        let path = self.path(key.name);
        match self.configuration.layer.shape(&path) {
            Some((Shape::Object, node)) if self.children(&path).keys().any(|name| index(name).is_none()) => {
                let problem = format!("is an object {{ … }}, not a list [ … ]: what belongs there is {}", key.wants);
                Err(ConfigurationError::at(&node.origin, &node.key, problem))
            }
            _ => Ok(()),
        }
    }

    /// The list at `key`: path and key of each element in the order of their numbers, gaps allowed.
    fn elements(&self, key: &Key) -> Result<Vec<(String, String)>, ConfigurationError> {
        let path = self.path(key.name);
        let mut elements = BTreeMap::new();
        for (name, node) in self.children(&path) {
            let Some(index) = index(name) else {
                let problem = format!("does not number a part of a list: {}__0, __1, …", variable(&path));
                return Err(ConfigurationError::at(&node.origin, &node.key, problem));
            };
            elements.insert(index, (format!("{path}:{name}"), format!("{}:{}:{name}", self.name, key.name)));
        }
        Ok(elements.into_values().collect())
    }
}

/// The number that `name` is, in its one spelling: `+1` and `01` would silently take the place of `1`.
fn index(name: &str) -> Option<u32> {
    name.parse().ok().filter(|index: &u32| index.to_string() == name)
}

/// An absent, `null` or blank list or object has no elements; anything else single is a mistake.
fn no_single_value(leaf: &Leaf, key: &Key) -> Result<(), ConfigurationError> {
    if leaf.is_blank() {
        return Ok(());
    }
    Err(leaf.error(format!("is a single value: what belongs there is {}", key.wants)))
}
