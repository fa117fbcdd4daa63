//! OData's query options (OData 4.01 part 2, §5; *Use query parameters to customize responses* of Graph's docs), applied
//! to objects that are at hand.

mod filter;
mod lexer;
pub(super) mod schema;

use std::cmp::Ordering;

use apptoken_jose::base64url;
use http::StatusCode;
use serde_json::{Map, Value};
use url::form_urlencoded::{self, Serializer};

use self::filter::{Filter, value_at};
use self::schema::Schema;
use super::error::{GraphError, shown};

/// One object of a collection, and its place in the usual order.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) place: Vec<Value>,
    pub(super) object: Value,
}

/// The options of one request.
#[derive(Debug)]
pub(super) struct Query<'a> {
    schema: &'static Schema,
    select: Option<Vec<String>>,
    filter: Option<Filter>,
    order: Vec<(String, bool)>,
    top: usize,
    after: Option<Vec<Value>>,
    count: bool,
    raw: &'a str,
}

/// A part of a collection.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) objects: Vec<Value>,
    /// Of all pages, when it was asked for.
    pub(super) count: Option<usize>,
    /// The query that gets the next page.
    pub(super) next: Option<String>,
}

impl<'a> Query<'a> {
    /// `eventual`: the client takes results that may lag behind (`ConsistencyLevel: eventual`).
    pub(super) fn parse(raw: &'a str, schema: &'static Schema, eventual: bool) -> Result<Self, GraphError> {
        Self::read(raw, schema, eventual, false)
    }

    /// The options of a request for a number: it is advanced by itself.
    pub(super) fn of_count(raw: &'a str, schema: &'static Schema) -> Result<Self, GraphError> {
        Self::read(raw, schema, true, true)
    }

    fn read(raw: &'a str, schema: &'static Schema, eventual: bool, counting: bool) -> Result<Self, GraphError> {
        let options = options(raw)?;
        let option = |name: &str| options.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        for (name, _) in &options {
            match name.as_str() {
                "select" | "filter" | "orderby" | "top" | "skiptoken" | "count" | "format" => (),
                "search" | "expand" | "skip" | "apply" | "compute" | "deltatoken" => {
                    return Err(GraphError::unsupported(format!("'${name}' is not supported by the service.")));
                }
                other => {
                    return Err(GraphError::malformed(format!("The query option '${}' is not known.", shown(other))));
                }
            }
        }
        if option("format").is_some_and(|format| !format.starts_with("json") && !format.starts_with("application/json"))
        {
            return Err(GraphError::unsupported("The only format is json."));
        }
        let count = match option("count") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(GraphError::malformed("The value of $count must be true or false.")),
        };
        let advanced = eventual && (count || counting);
        let filter = option("filter").map(|text| Filter::parse(text, schema, advanced)).transpose()?;
        let order = option("orderby").map(|text| order(text, schema)).transpose()?.unwrap_or_default();
        if filter.is_some() && !order.is_empty() && schema.directory && !advanced {
            return Err(GraphError::unsupported(
                "$filter and $orderby together need the header ConsistencyLevel: eventual and $count=true.",
            ));
        }
        Ok(Self {
            schema,
            select: option("select").map(|text| select(text, schema)).transpose()?,
            filter,
            order,
            top: option("top").map_or(Ok(USUAL_PAGE), top)?,
            after: option("skiptoken").map(place_of).transpose()?,
            // without the header the directory passes over it
            count: count && (eventual || !schema.directory),
            raw,
        })
    }

    /// The options of a request for one object: `$select` only.
    pub(super) fn of_one(raw: &'a str, schema: &'static Schema) -> Result<Self, GraphError> {
        for (name, _) in options(raw)? {
            if !matches!(name.as_str(), "select" | "format") {
                let message = format!("The query option '${}' does not apply to a single resource.", shown(&name));
                return Err(GraphError::unsupported(message));
            }
        }
        Self::parse(raw, schema, false)
    }

    pub(super) fn page(&self, mut items: Vec<Item>) -> Result<Page, GraphError> {
        items.retain(|item| self.filter.as_ref().is_none_or(|filter| filter.takes(&item.object)));
        let count = self.count.then_some(items.len());
        let keyed = items.into_iter().map(|item| (self.key(&item), item.object));
        let mut keyed: Vec<(Vec<Value>, Value)> = keyed.collect();
        keyed.sort_by(|(a, _), (b, _)| self.compare(a, b));
        if let Some(after) = &self.after {
            if keyed.first().is_some_and(|(key, _)| key.len() != after.len()) {
                return Err(expired_token());
            }
            keyed.retain(|(key, _)| self.compare(key, after) == Ordering::Greater);
        }
        let more = keyed.len() > self.top;
        keyed.truncate(self.top);
        let next = keyed.last().filter(|_| more).map(|(key, _)| self.next(key));
        Ok(Page { objects: keyed.into_iter().map(|(_, object)| self.shape(object)).collect(), count, next })
    }

    /// How many there are, whatever the page.
    pub(super) fn count(&self, items: &[Item]) -> usize {
        items.iter().filter(|item| self.filter.as_ref().is_none_or(|filter| filter.takes(&item.object))).count()
    }

    /// The properties that are to be shown, in the object's order.
    pub(super) fn shape(&self, object: Value) -> Value {
        let Value::Object(all) = object else { return object };
        let wanted = |name: &str| match (&self.select, self.schema.default) {
            (Some(select), _) => select.iter().any(|other| other == name),
            (None, Some(usual)) => usual.contains(&name),
            (None, None) => true,
        };
        let kept = all.into_iter().filter(|(name, _)| name.starts_with('@') || wanted(name));
        Value::Object(kept.collect::<Map<_, _>>())
    }

    /// `(id,displayName)` of the context URL.
    pub(super) fn selected(&self) -> String {
        self.select.as_ref().map_or_else(String::new, |names| format!("({})", names.join(",")))
    }

    fn key(&self, item: &Item) -> Vec<Value> {
        let ordered = self.order.iter().map(|(path, _)| match value_at(&item.object, path) {
            Value::String(text) => text.to_lowercase().chars().take(LONGEST_KEY).collect::<String>().into(),
            other => other.clone(),
        });
        ordered.chain(item.place.iter().cloned()).collect()
    }

    fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        a.iter().zip(b).enumerate().fold(Ordering::Equal, |order, (i, (a, b))| {
            let falling = self.order.get(i).is_some_and(|(_, falling)| *falling);
            order.then_with(|| if falling { compare(b, a) } else { compare(a, b) })
        })
    }

    /// This request's options with the place of the last object seen.
    fn next(&self, key: &[Value]) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(self.raw.as_bytes()) {
            if name.trim_start_matches('$') != "skiptoken" {
                query.append_pair(&name, &value);
            }
        }
        let token = base64url::encode(Value::from(key).to_string().as_bytes());
        query.append_pair("$skiptoken", &token);
        // as Graph writes them: the dollar is a dollar
        query.finish().replace("%24", "$")
    }
}

/// System query options, with or without their dollar; what else is in a query means nothing.
fn options(raw: &str) -> Result<Vec<(String, String)>, GraphError> {
    const NAMES: &[&str] = &["select", "filter", "orderby", "top", "skiptoken", "count", "search", "expand", "skip"];
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
        let bare = name.strip_prefix('$');
        let bare = bare.or_else(|| Some(&*name).filter(|name| NAMES.contains(name)));
        let Some(bare) = bare else { continue };
        if found.iter().any(|(other, _)| other == bare) {
            return Err(GraphError::malformed(format!("The query option '${}' is given twice.", shown(bare))));
        }
        found.push((bare.to_owned(), value.into_owned()));
    }
    Ok(found)
}

fn select(text: &str, schema: &Schema) -> Result<Vec<String>, GraphError> {
    let mut names = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name == "*" {
            continue;
        }
        if !schema.has(name) {
            return Err(GraphError::malformed(format!(
                "Parsing OData Select and Expand failed: Could not find a property named '{}' on type \
                 'microsoft.graph.{}'.",
                shown(name),
                schema.name
            )));
        }
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn order(text: &str, schema: &Schema) -> Result<Vec<(String, bool)>, GraphError> {
    let mut order = Vec::new();
    for part in text.split(',') {
        let mut words = part.split_whitespace();
        let (Some(path), direction, None) = (words.next(), words.next(), words.next()) else {
            return Err(GraphError::malformed("Invalid $orderby clause."));
        };
        let falling = match direction {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(GraphError::malformed("Invalid $orderby clause.")),
        };
        if !schema.filterable(path).is_some_and(|kind| kind != schema::Type::Texts) {
            return Err(GraphError::unsupported(format!("Sorting by '{}' is not supported.", shown(path))));
        }
        order.push((path.to_owned(), falling));
        if order.len() > MOST_ORDERS {
            return Err(GraphError::unsupported("Too many properties to sort by."));
        }
    }
    Ok(order)
}

fn top(text: &str) -> Result<usize, GraphError> {
    let number = text.parse().ok().filter(|number| (1..=LONGEST_PAGE).contains(number));
    number.ok_or_else(|| {
        GraphError::bad(format!(
            "Invalid page size specified: '{}'. Must be between 1 and {LONGEST_PAGE} inclusive.",
            shown(text)
        ))
    })
}

fn place_of(token: &str) -> Result<Vec<Value>, GraphError> {
    let read = |token: &str| serde_json::from_slice(&base64url::decode(token).ok()?).ok();
    (token.len() <= LONGEST_TOKEN).then(|| read(token)).flatten().ok_or_else(expired_token)
}

fn expired_token() -> GraphError {
    let message = "The specified page token value has expired and can no longer be included in your request.";
    GraphError::new(StatusCode::BAD_REQUEST, "Directory_ExpiredPageToken", message)
}

/// Nothing comes first, then no, yes, numbers, texts.
fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        _ => 3,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.as_i64().cmp(&b.as_i64()),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

const USUAL_PAGE: usize = 100;
const LONGEST_PAGE: usize = 999;
const MOST_ORDERS: usize = 4;
/// Characters of a text that are sorted by.
const LONGEST_KEY: usize = 256;
/// Characters of a `$skiptoken`.
const LONGEST_TOKEN: usize = 16 * 1024;
