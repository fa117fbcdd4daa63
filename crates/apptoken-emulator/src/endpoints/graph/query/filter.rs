//! `$filter`, as far as Graph's directory takes it: comparisons, `in`, `startswith`, `any`, `and`, `or`, `not`.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::lexer::{Lexer, Token};
use super::schema::{Schema, Type};
use crate::endpoints::graph::error::{GraphError, shown};

/// A filter that fits the objects that it is for.
#[derive(Debug)]
pub(super) struct Filter(Test);

#[derive(Debug)]
enum Test {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Compare(String, Comparison, Literal),
    In(String, Vec<Literal>),
    StartsWith(String, String),
    EndsWith(String, String),
    /// One of the elements of a collection.
    Element(String, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Null,
    Flag(bool),
    Text(String),
    Id(Uuid),
    Date(Timestamp),
    Number(i64),
}

impl Filter {
    /// Reads a filter for objects of this schema. `advanced`: the client takes results that may lag behind, which Graph
    /// demands for some of the operators.
    pub(super) fn parse(text: &str, schema: &Schema, advanced: bool) -> Result<Self, GraphError> {
        let advanced = advanced || !schema.directory;
        let mut parser = Parser { lexer: Lexer::new(text), schema, variable: None, depth: 0, advanced };
        let test = parser.either()?;
        match parser.lexer.next()? {
            Token::End => Ok(Self(test)),
            _ => Err(parser.lexer.syntax_error()),
        }
    }

    pub(super) fn takes(&self, object: &Value) -> bool {
        self.0.holds(object)
    }
}

impl Test {
    fn holds(&self, object: &Value) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(object)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(object)),
            Self::Not(test) => !test.holds(object),
            Self::Compare(path, comparison, literal) => comparison.holds(literal.compare(value_at(object, path))),
            Self::In(path, literals) => {
                let value = value_at(object, path);
                literals.iter().any(|literal| literal.compare(value) == Some(Ordering::Equal))
            }
            Self::StartsWith(path, start) => {
                value_at(object, path).as_str().is_some_and(|text| text.to_lowercase().starts_with(start))
            }
            Self::EndsWith(path, end) => {
                value_at(object, path).as_str().is_some_and(|text| text.to_lowercase().ends_with(end))
            }
            Self::Element(path, test) => {
                value_at(object, path).as_array().is_some_and(|all| all.iter().any(|element| test.holds(element)))
            }
        }
    }
}

impl Comparison {
    /// Nothing to compare with is unequal to everything, and neither less nor greater.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

impl Literal {
    /// How `value` stands to this; letter case does not count.
    fn compare(&self, value: &Value) -> Option<Ordering> {
        match self {
            Self::Null => value.is_null().then_some(Ordering::Equal),
            Self::Flag(flag) => value.as_bool().map(|value| value.cmp(flag)),
            Self::Text(text) => value.as_str().map(|value| value.to_lowercase().cmp(text)),
            Self::Id(id) => value.as_str().and_then(|value| Uuid::try_parse(value).ok()).map(|value| value.cmp(id)),
            Self::Date(date) => value.as_str().and_then(|v| v.parse().ok()).map(|value: Timestamp| value.cmp(date)),
            Self::Number(number) => value.as_i64().map(|value| value.cmp(number)),
        }
    }

    fn is_of(&self, kind: Type) -> bool {
        match self {
            Self::Null => true,
            Self::Flag(_) => kind == Type::Flag,
            Self::Text(_) => kind == Type::Text,
            Self::Id(_) => kind == Type::Id,
            Self::Date(_) => kind == Type::Date,
            Self::Number(_) => kind == Type::Number,
        }
    }
}

/// `a/b` of an object; the object itself for the empty path.
pub(super) fn value_at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('/').filter(|name| !name.is_empty()).fold(object, |value, name| &value[name])
}

/// By recursive descent (OData 4.01 ABNF, `boolCommonExpr`).
struct Parser<'a> {
    lexer: Lexer<'a>,
    schema: &'a Schema,
    /// The name of an element inside `any`.
    variable: Option<String>,
    depth: usize,
    advanced: bool,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Test, GraphError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(GraphError::unsupported("The filter clause is nested too deeply."));
        }
        let mut tests = vec![self.both()?];
        while self.lexer.take_word("or")? {
            tests.push(self.both()?);
        }
        if tests.len() > MOST_CHOICES {
            return Err(too_many(tests.len()));
        }
        self.depth -= 1;
        Ok(one_or(tests, Test::Any))
    }

    fn both(&mut self) -> Result<Test, GraphError> {
        let mut tests = vec![self.one()?];
        while self.lexer.take_word("and")? {
            tests.push(self.one()?);
        }
        if tests.len() > MOST_CHOICES {
            return Err(too_many(tests.len()));
        }
        Ok(one_or(tests, Test::All))
    }

    fn one(&mut self) -> Result<Test, GraphError> {
        if self.lexer.take(&Token::Open)? {
            let test = self.either()?;
            self.expect(&Token::Close)?;
            return Ok(test);
        }
        let Token::Word(word) = self.lexer.next()? else { return Err(self.lexer.syntax_error()) };
        match word.to_ascii_lowercase().as_str() {
            "not" => {
                self.needs_advanced("not")?;
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(GraphError::unsupported("The filter clause is nested too deeply."));
                }
                let test = self.one()?;
                self.depth -= 1;
                return Ok(Test::Not(Box::new(test)));
            }
            function @ ("startswith" | "endswith") if self.lexer.take(&Token::Open)? => {
                let Token::Word(path) = self.lexer.next()? else { return Err(self.lexer.syntax_error()) };
                let (path, kind) = self.property(&path)?;
                self.expect(&Token::Comma)?;
                let Literal::Text(text) = self.literal(kind)? else { return Err(self.lexer.syntax_error()) };
                self.expect(&Token::Close)?;
                if function == "startswith" {
                    return Ok(Test::StartsWith(path, text));
                }
                self.needs_advanced("endsWith")?;
                return Ok(Test::EndsWith(path, text));
            }
            "contains" | "tolower" | "toupper" | "length" | "substring" if self.lexer.take(&Token::Open)? => {
                return Err(GraphError::unsupported(format!(
                    "The function '{}' is not supported in a filter.",
                    shown(&word)
                )));
            }
            _ => (),
        }
        if let Some(collection) = word.strip_suffix("/any")
            && self.lexer.take(&Token::Open)?
        {
            return self.element(collection);
        }
        let (path, kind) = self.property(&word)?;
        let Token::Word(operator) = self.lexer.next()? else { return Err(self.lexer.syntax_error()) };
        let comparison = match operator.to_ascii_lowercase().as_str() {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            "in" => return self.choices(path, kind),
            _ => return Err(self.lexer.syntax_error()),
        };
        if comparison == Comparison::NotEqual {
            self.needs_advanced("ne")?;
        }
        let literal = self.literal(kind)?;
        Ok(Test::Compare(path, comparison, literal))
    }

    /// `identifierUris/any(uri:uri eq 'api://x')`, after the parenthesis.
    fn element(&mut self, collection: &str) -> Result<Test, GraphError> {
        if self.variable.is_some() || self.schema.filterable(collection) != Some(Type::Texts) {
            return Err(unsupported_property(collection, self.schema));
        }
        let Token::Word(variable) = self.lexer.next()? else { return Err(self.lexer.syntax_error()) };
        self.expect(&Token::Colon)?;
        self.variable = Some(variable);
        let test = self.either()?;
        self.variable = None;
        self.expect(&Token::Close)?;
        Ok(Test::Element(collection.to_owned(), Box::new(test)))
    }

    fn choices(&mut self, path: String, kind: Type) -> Result<Test, GraphError> {
        self.expect(&Token::Open)?;
        let mut literals = vec![self.literal(kind)?];
        while self.lexer.take(&Token::Comma)? {
            literals.push(self.literal(kind)?);
        }
        self.expect(&Token::Close)?;
        if literals.len() > MOST_CHOICES {
            return Err(too_many(literals.len()));
        }
        Ok(Test::In(path, literals))
    }

    fn property(&self, path: &str) -> Result<(String, Type), GraphError> {
        if let Some(variable) = &self.variable {
            return if path == variable { Ok((String::new(), Type::Text)) } else { Err(self.lexer.syntax_error()) };
        }
        match self.schema.filterable(path) {
            Some(Type::Texts) => Err(GraphError::malformed(format!(
                "The property '{}' is a collection: a filter looks into it with any().",
                shown(path)
            ))),
            Some(kind) => Ok((path.to_owned(), kind)),
            None => Err(unsupported_property(path, self.schema)),
        }
    }

    fn literal(&mut self, kind: Type) -> Result<Literal, GraphError> {
        let literal = match self.lexer.next()? {
            Token::Text(text) => Literal::Text(text.to_lowercase()),
            Token::Word(word) => bare(&word).ok_or_else(|| self.lexer.syntax_error())?,
            _ => return Err(self.lexer.syntax_error()),
        };
        if literal.is_of(kind) {
            return Ok(literal);
        }
        Err(GraphError::malformed("A binary operator with incompatible types was detected in the filter clause."))
    }

    fn expect(&mut self, token: &Token) -> Result<(), GraphError> {
        if self.lexer.take(token)? { Ok(()) } else { Err(self.lexer.syntax_error()) }
    }

    fn needs_advanced(&self, operator: &str) -> Result<(), GraphError> {
        if self.advanced {
            return Ok(());
        }
        Err(GraphError::unsupported(format!(
            "The operator '{operator}' needs the header ConsistencyLevel: eventual and $count=true."
        )))
    }
}

/// What stands without quotes.
fn bare(word: &str) -> Option<Literal> {
    match word {
        "null" => return Some(Literal::Null),
        "true" => return Some(Literal::Flag(true)),
        "false" => return Some(Literal::Flag(false)),
        _ => (),
    }
    let id = crate::directory::guid(word).map(Literal::Id);
    let number = || word.parse().ok().map(Literal::Number);
    id.or_else(number).or_else(|| word.parse().ok().map(Literal::Date))
}

fn one_or(mut tests: Vec<Test>, many: fn(Vec<Test>) -> Test) -> Test {
    if tests.len() == 1 { tests.swap_remove(0) } else { many(tests) }
}

fn unsupported_property(path: &str, schema: &Schema) -> GraphError {
    let first = path.split('/').next().unwrap_or_default();
    if !schema.has(first) {
        let name = schema.name;
        return GraphError::malformed(format!(
            "Could not find a property named '{}' on type 'microsoft.graph.{name}'.",
            shown(path)
        ));
    }
    let name = schema.name;
    GraphError::unsupported(format!(
        "A filter on the property '{}' of a resource of type '{name}' is not supported.",
        shown(path)
    ))
}

fn too_many(found: usize) -> GraphError {
    GraphError::unsupported(format!(
        "Too many expressions in one place of the filter clause: {found}. At most {MOST_CHOICES} are allowed."
    ))
}

/// Parentheses within parentheses.
const DEEPEST: usize = 16;
/// Alternatives, or conditions, in one place.
const MOST_CHOICES: usize = 15;
