//! The flat map of settings: lower-cased path → value and origin; and how a later layer covers an earlier one.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use crate::error::ConfigurationError;
use crate::origin::Origin;

/// Settings by lower-cased path (`azuread:clientcredentials:0:clientsecret`), from one source or several merged.
#[derive(Default)]
pub(super) struct Layer {
    leaves: BTreeMap<String, Leaf>,
    shapes: BTreeMap<String, (Shape, Node)>,
}

/// A value and where it was written.
pub(super) struct Leaf {
    pub(super) node: Node,
    pub(super) value: Scalar,
    /// Another variable whose name differs only in case and whose value differs.
    pub(super) rival: Option<String>,
}

/// A path as it was written, and where.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) key: String,
    pub(super) origin: Origin,
}

/// A JSON scalar. Text may be a secret, and which text is one only the reader of a key knows.
pub(super) enum Scalar {
    Null,
    Boolean(bool),
    Number(String),
    Text(SecretString),
    /// An environment variable that is not Unicode.
    NotUnicode,
}

/// What stands at a path that is no leaf.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Array,
}

impl Layer {
    /// Sets a leaf; if the path is taken, `Err` with where.
    pub(super) fn set(&mut self, key: &str, value: Scalar, origin: Origin) -> Result<(), Origin> {
        let path = key.to_lowercase();
        self.vacant(&path)?;
        self.leaves.insert(path, Leaf { node: Node { key: key.to_owned(), origin }, value, rival: None });
        Ok(())
    }

    /// Notes that an object or an array stands at `key`; if the path is taken, `Err` with where.
    pub(super) fn set_shape(&mut self, key: &str, shape: Shape, origin: Origin) -> Result<(), Origin> {
        let path = key.to_lowercase();
        self.vacant(&path)?;
        self.shapes.insert(path, (shape, Node { key: key.to_owned(), origin }));
        Ok(())
    }

    /// Notes that the variable `name` would also set `key`, if it disagrees.
    pub(super) fn set_rival(&mut self, key: &str, name: &str, value: Option<&str>) {
        let Some(leaf) = self.leaves.get_mut(&key.to_lowercase()) else { return };
        let agrees = match (&leaf.value, value) {
            (Scalar::Text(text), Some(value)) => text.expose_secret() == value,
            _ => false,
        };
        if !agrees {
            leaf.rival = Some(name.to_owned());
        }
    }

    pub(super) fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.get(path)
    }

    pub(super) fn shape(&self, path: &str) -> Option<&(Shape, Node)> {
        self.shapes.get(path)
    }

    /// All leaves below `path`, in order.
    pub(super) fn below<'l>(&'l self, path: &str) -> impl Iterator<Item = (&'l str, &'l Node)> + use<'l> {
        let prefix = prefix(path);
        self.leaves
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, leaf)| (path.as_str(), &leaf.node))
    }

    /// The objects and arrays, in order of their paths.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (&str, &(Shape, Node))> {
        self.shapes.iter().map(|(path, shape)| (path.as_str(), shape))
    }

    /// Lays `later` over this one: a later source wins leaf by leaf, as in .NET. Unlike there, a value also covers an
    /// earlier list or object at its path, and the other way round, so that `MyWebApi__Scopes=…` replaces a list.
    pub(super) fn cover(&mut self, later: Self) {
        for (path, leaf) in later.leaves {
            remove_below(&mut self.leaves, &path);
            remove_below(&mut self.shapes, &path);
            self.shapes.remove(&path);
            for ancestor in ancestors(&path) {
                self.leaves.remove(ancestor);
            }
            self.leaves.insert(path, leaf);
        }
        for (path, shape) in later.shapes {
            self.leaves.remove(&path);
            self.shapes.entry(path).or_insert(shape);
        }
    }

    fn vacant(&self, path: &str) -> Result<(), Origin> {
        let taken = self.leaves.get(path).map(|leaf| &leaf.node);
        match taken.or_else(|| self.shapes.get(path).map(|(_, node)| node)) {
            Some(node) => Err(node.origin.clone()),
            None => Ok(()),
        }
    }
}

impl Leaf {
    /// An error about this leaf.
    pub(super) fn error(&self, problem: impl Into<String>) -> ConfigurationError {
        ConfigurationError::at(&self.node.origin, &self.node.key, problem)
    }

    pub(super) fn unrivalled(&self) -> Result<(), ConfigurationError> {
        match &self.rival {
            Some(rival) => {
                let problem = format!("is also set by the variable {rival} (case does not count): keep one");
                Err(ConfigurationError::at(&self.node.origin, &self.node.key, problem))
            }
            None => Ok(()),
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        match &self.value {
            Scalar::Null => true,
            Scalar::Text(text) => text.expose_secret().trim().is_empty(),
            Scalar::Boolean(_) | Scalar::Number(_) | Scalar::NotUnicode => false,
        }
    }

    pub(super) fn is_false(&self) -> bool {
        match &self.value {
            Scalar::Boolean(value) => !value,
            Scalar::Text(text) => text.expose_secret().trim().eq_ignore_ascii_case("false"),
            Scalar::Null | Scalar::Number(_) | Scalar::NotUnicode => false,
        }
    }
}

/// Removes what stands below `path`.
fn remove_below<T>(map: &mut BTreeMap<String, T>, path: &str) {
    let prefix = prefix(path);
    let below: Vec<String> = map
        .range(prefix.clone()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(&prefix))
        .cloned()
        .collect();
    for path in below {
        map.remove(&path);
    }
}

/// `a:b:c` → `a:b`, `a`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once(':').map(|(parent, _)| parent), |path| {
        path.rsplit_once(':').map(|(parent, _)| parent)
    })
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}:") }
}
