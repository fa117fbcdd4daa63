//! One operation on the directory: asked for by a request, or by one of a batch.

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::caller::Caller;
use super::error::GraphError;
use super::query::schema::Schema;
use super::query::{Item, Query};
use crate::directory::{DirectoryError, Snapshot};
use crate::state::State;

/// Which Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GraphVersion {
    V1,
    Beta,
}

/// What is asked, by whom.
pub(super) struct Call<'a> {
    pub(super) state: &'a State,
    pub(super) directory: &'a Snapshot,
    pub(super) caller: &'a Caller<'a>,
    pub(super) version: GraphVersion,
    /// `https://graph.microsoft.com/v1.0/`
    pub(super) root: &'a str,
    pub(super) method: &'a Method,
    /// After the root, as it came.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// `ConsistencyLevel: eventual`
    pub(super) eventual: bool,
    pub(super) body: &'a Input,
}

/// What came with a request.
#[derive(Debug)]
pub(super) enum Input {
    Nothing,
    Json(Value),
    /// Text that is no JSON, or is said to be something else.
    NoJson,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Content,
    pub(super) location: Option<String>,
}

#[derive(Debug)]
pub(super) enum Content {
    Nothing,
    Json(Value),
    Text(String),
}

impl Call<'_> {
    pub(super) fn is_read(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }

    /// What came, a JSON object; its annotations left out.
    pub(super) fn object(&self) -> Result<Map<String, Value>, GraphError> {
        match self.body {
            Input::Json(Value::Object(object)) => {
                let mut object = object.clone();
                object.retain(|name, _| !name.starts_with("@odata."));
                Ok(object)
            }
            Input::Nothing => Err(GraphError::malformed("Empty payload. JSON content expected.")),
            Input::Json(_) | Input::NoJson => Err(GraphError::malformed(
                "The request's payload cannot be read: a JSON object with Content-Type: application/json is expected.",
            )),
        }
    }

    /// A part of a collection, as the query asks.
    pub(super) fn list(&self, schema: &'static Schema, context: &str, items: Vec<Item>) -> Result<Answer, GraphError> {
        let query = Query::parse(self.query, schema, self.eventual)?;
        let page = query.page(items)?;
        let mut body = Map::new();
        body.insert("@odata.context".into(), format!("{}$metadata#{context}{}", self.root, query.selected()).into());
        if let Some(count) = page.count {
            body.insert("@odata.count".into(), count.into());
        }
        if let Some(next) = page.next {
            body.insert("@odata.nextLink".into(), format!("{}{}?{next}", self.root, self.path).into());
        }
        body.insert("value".into(), page.objects.into());
        Ok(Answer::json(body.into()))
    }

    /// `…/$count`
    pub(super) fn count(&self, schema: &'static Schema, items: &[Item]) -> Result<Answer, GraphError> {
        if !self.eventual {
            return Err(GraphError::bad("$count needs the header ConsistencyLevel: eventual."));
        }
        let count = Query::of_count(self.query, schema)?.count(items);
        Ok(Answer { status: StatusCode::OK, body: Content::Text(count.to_string()), location: None })
    }

    /// One object, as the query asks.
    pub(super) fn one(&self, schema: &'static Schema, context: &str, object: Value) -> Result<Answer, GraphError> {
        let query = Query::of_one(self.query, schema)?;
        let mut object = query.shape(object);
        object["@odata.context"] = format!("{}$metadata#{context}{}/$entity", self.root, query.selected()).into();
        Ok(Answer::json(object))
    }

    /// What was just made.
    pub(super) fn created(&self, context: &str, path: &str, mut object: Value) -> Answer {
        object["@odata.context"] = format!("{}$metadata#{context}/$entity", self.root).into();
        Answer {
            status: StatusCode::CREATED,
            body: Content::Json(object),
            location: Some(format!("{}{path}", self.root)),
        }
    }
}

impl Answer {
    pub(super) fn json(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Content::Json(body), location: None }
    }

    /// Done, and nothing to say.
    pub(super) fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Content::Nothing, location: None }
    }

    pub(super) fn of(outcome: Result<(), DirectoryError>) -> Result<Self, GraphError> {
        outcome?;
        Ok(Self::done())
    }
}
