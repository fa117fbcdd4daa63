//! `interop/cases.json`, read.

use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Result, workspace};

/// Who plays, and what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::interop) struct Table {
    pub(super) clients: Vec<Client>,
    pub(super) cases: Vec<Case>,
}

/// A client library, and how it shows refusals.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) runtime: Runtime,
    pub(super) driver: String,
    pub(super) raises: Raises,
    /// Cases whose refusal looks otherwise.
    #[serde(default)]
    pub(super) except: Vec<Exception>,
    pub(super) throttled: Throttled,
    #[serde(default)]
    cannot: Vec<Cannot>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Runtime {
    Python,
    Node,
    Program,
}

/// What a library raises.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raises {
    /// Its type's name.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// What of Entra's answer it shows; all else it hides.
    #[serde(default)]
    pub(super) shows: Vec<Shown>,
    /// Its own words, in place of Entra's.
    pub(super) instead: Option<String>,
}

/// A part of Entra's answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) enum Shown {
    /// The OAuth word.
    Error,
    /// The AADSTS codes.
    Codes,
    Correlation,
    Trace,
    /// The HTTP status.
    Status,
    Suberror,
    /// What the next request must ask for.
    Claims,
    /// The description, with the code and both ids in it.
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    cases: Vec<String>,
    raises: Raises,
}

/// What the library does when it is told to wait a second.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Throttled {
    /// How often it asks, called twice.
    pub(super) requests: usize,
    /// Whether it waits as long as it was told.
    pub(super) waits: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cannot {
    cases: Vec<String>,
    reason: String,
}

/// One thing to ask for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) id: String,
    /// By its name in the scene.
    pub(super) app: Option<String>,
    pub(super) credential: String,
    /// `its domain`, or another than the scene's.
    pub(super) tenant: Option<String>,
    /// The scene's API without it.
    pub(super) scope: Option<String>,
    /// The variables that the client must have.
    pub(super) environment: Option<String>,
    /// Whether the token is then revoked.
    #[serde(default)]
    pub(super) challenge: bool,
    /// Whether to ask once more after a refusal.
    #[serde(default)]
    pub(super) again: bool,
    /// Claims of the token; null where there is none.
    pub(super) granted: Option<Map<String, Value>>,
    /// What the API answers to the token.
    #[serde(default = "ok")]
    pub(super) api: u16,
    pub(super) refused: Option<Refused>,
}

/// Entra's refusal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refused {
    pub(super) error: String,
    pub(super) code: u32,
    pub(super) status: u16,
    pub(super) suberror: Option<String>,
    /// Part of the challenge.
    pub(super) claims: Option<String>,
    /// How long what was presented is: of a thumbprint it tells the hash that the client chose.
    pub(super) presented: Option<usize>,
}

impl Table {
    pub(in crate::interop) fn read() -> Result<Self> {
        let file = workspace::root().join("interop/cases.json");
        let text = fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let table: Self = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        let named = table.clients.iter().flat_map(|client| {
            client.cannot.iter().flat_map(|it| &it.cases).chain(client.except.iter().flat_map(|it| &it.cases))
        });
        match named.into_iter().find(|name| !table.cases.iter().any(|case| case.id == **name)) {
            Some(name) => Err(format!("{}: there is no case {name:?}", file.display())),
            None => Ok(table),
        }
    }

    pub(in crate::interop) fn clients(&self) -> Vec<&str> {
        self.clients.iter().map(|client| client.id.as_str()).collect()
    }
}

impl Client {
    /// Why it cannot play this case.
    pub(super) fn cannot(&self, case: &Case) -> Option<&str> {
        self.cannot.iter().find(|it| it.cases.contains(&case.id)).map(|it| it.reason.as_str())
    }

    pub(super) fn raises(&self, case: &Case) -> &Raises {
        self.except.iter().find(|it| it.cases.contains(&case.id)).map_or(&self.raises, |it| &it.raises)
    }
}

fn ok() -> u16 {
    200
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let table = Table::read().unwrap();
        let refused = table.cases.iter().filter(|case| case.refused.is_some()).count();
        assert!(refused >= 12, "{refused}");
        for case in &table.cases {
            assert!(case.refused.is_some() != case.granted.is_some(), "{}", case.id);
        }
    }
}
