//! The properties that a body gives, taken one by one; what is left over is nothing that Graph knows.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::GraphError;

/// The members of one JSON object, with its path for errors.
pub(super) struct Fields {
    path: String,
    left: Map<String, Value>,
}

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self { path: String::new(), left: object }
    }

    /// The members of an object inside of this one.
    pub(super) fn inner(path: &str, value: Value) -> Result<Self, GraphError> {
        match value {
            Value::Object(left) => Ok(Self { path: format!("{path}."), left }),
            _ => Err(GraphError::invalid_value(path)),
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name)
    }

    /// Whether it is said to be nothing, which is not the same as not being said.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(Value::is_null)
    }

    /// A text; nothing when it is not there or null.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, GraphError> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(name)),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, GraphError> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.invalid(name)),
        }
    }

    pub(super) fn id(&mut self, name: &str) -> Result<Option<Uuid>, GraphError> {
        let text = self.text(name)?;
        text.map(|text| crate::directory::guid(&text).ok_or_else(|| self.invalid(name))).transpose()
    }

    /// What must be there.
    pub(super) fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T, GraphError> {
        value.ok_or_else(|| {
            GraphError::bad(format!("A value is required for property '{}' of the resource.", self.path(name)))
        })
    }

    pub(super) fn date(&mut self, name: &str) -> Result<Option<i64>, GraphError> {
        let text = self.text(name)?;
        let date = |text: String| text.parse().map(Timestamp::as_second).map_err(|_| self.invalid(name));
        text.map(date).transpose()
    }

    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, GraphError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(self.invalid(name)),
        }
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, GraphError> {
        let list = self.list(name)?;
        let text = |value: Value| match value {
            Value::String(text) => Ok(text),
            _ => Err(self.invalid(name)),
        };
        list.map(|list| list.into_iter().map(text).collect()).transpose()
    }

    /// These cannot be set.
    pub(super) fn refuse_read_only(&self, names: &[&str]) -> Result<(), GraphError> {
        match names.iter().find(|name| self.left.contains_key(**name)) {
            Some(name) => {
                Err(GraphError::bad(format!("Property '{}' is read-only and cannot be set.", self.path(name))))
            }
            None => Ok(()),
        }
    }

    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.left.insert(name.to_owned(), value);
    }

    pub(super) fn rest(mut self) -> Map<String, Value> {
        self.left.retain(|name, _| !name.contains("@odata."));
        self.left
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), GraphError> {
        match self.left.keys().find(|name| !name.contains("@odata.")) {
            Some(name) => Err(GraphError::invalid_property(&self.path(name))),
            None => Ok(()),
        }
    }

    pub(super) fn invalid(&self, name: &str) -> GraphError {
        GraphError::invalid_value(&self.path(name))
    }
}
