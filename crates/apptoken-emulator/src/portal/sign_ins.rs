//! The sign-in log: the newest entries that a search finds, and the place where new ones appear as they come.

use askama::Template;
use http::StatusCode;
use uuid::Uuid;

use super::page::{Desk, Page, Section, go, html};
use super::words;
use crate::endpoints::Response;
use crate::sign_in::{Outcome, SignIn};

#[derive(Template)]
#[template(path = "sign_ins.html")]
struct SignIns {
    page: Page,
    query: String,
    refused_only: bool,
    rows: Vec<Row>,
    total: u64,
    /// From where the live log goes on.
    last: u64,
}

/// One entry in a table.
pub(super) struct Row {
    pub(super) trace: String,
    pub(super) time: String,
    pub(super) outcome: &'static str,
    pub(super) app: String,
    pub(super) tenant: String,
    pub(super) resource: String,
    pub(super) credential: &'static str,
    pub(super) result: String,
}

/// One row of the table, for the live log.
#[derive(Template)]
#[template(path = "sign_in_row.html")]
pub(super) struct RowHtml {
    pub(super) row: Row,
}

pub(super) fn show(desk: &Desk<'_>) -> Response {
    let query = desk.exchange.query("q").unwrap_or_default().trim().chars().take(200).collect::<String>();
    let refused_only = desk.exchange.query("only").is_some_and(|only| only == "refused");
    let last = desk.state.sign_ins.last_sequence();
    let entries = desk.state.sign_ins.shared();
    let found = |entry: &&std::sync::Arc<SignIn>| {
        (!refused_only || entry.outcome != Outcome::Granted) && (query.is_empty() || entry.is_about(&query))
    };
    let matching: Vec<_> = entries.iter().rev().filter(found).take(MOST).collect();
    if let [only] = matching[..]
        && Uuid::try_parse(&query).is_ok_and(|id| id == only.trace_id || id == only.correlation_id)
    {
        return go(&format!("/portal/sign-ins/{}", only.trace_id));
    }
    let page = SignIns {
        page: desk.page("Sign-in log", Section::SignIns, None),
        rows: matching.into_iter().map(|entry| Row::of(entry)).collect(),
        query,
        refused_only,
        total: last,
        last,
    };
    html(StatusCode::OK, &page)
}

impl Row {
    pub(super) fn of(entry: &SignIn) -> Self {
        let result = match (entry.code, entry.outcome) {
            (Some(code), _) => format!("AADSTS{code}"),
            (None, Outcome::Granted) if entry.roles.is_empty() => "token without roles".into(),
            (None, Outcome::Granted) => match entry.roles.split_at_checked(MOST_ROLES) {
                Some((first, more @ [_, _, ..])) => format!("token: {} and {} more", first.join(", "), more.len()),
                _ => format!("token: {}", entry.roles.join(", ")),
            },
            _ => entry.message.clone().unwrap_or_default(),
        };
        Self {
            trace: entry.trace_id.to_string(),
            time: words::time(entry.time),
            outcome: words::outcome(entry.outcome),
            app: entry.app_display_name.clone().or_else(|| entry.app_id.clone()).unwrap_or_else(|| "—".into()),
            tenant: entry.tenant.clone(),
            resource: entry.resource.clone().unwrap_or_else(|| "—".into()),
            credential: words::credential(entry.credential),
            result,
        }
    }
}

/// Roles that a row names; the page of the sign-in names all.
const MOST_ROLES: usize = 3;

impl SignIn {
    /// Whether a search finds it: by an id, a name, a code, a resource.
    fn is_about(&self, query: &str) -> bool {
        let query = query.to_lowercase();
        let code = query.strip_prefix("aadsts").unwrap_or(&query);
        let has = |text: &Option<String>| text.as_ref().is_some_and(|text| text.to_lowercase().contains(&query));
        self.trace_id.to_string() == query
            || self.correlation_id.to_string() == query
            || self.code.is_some_and(|own| own.to_string() == code)
            || has(&self.app_id)
            || has(&self.app_display_name)
            || has(&self.resource)
            || self.tenant.to_lowercase().contains(&query)
    }
}

/// Entries on one page.
const MOST: usize = 200;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_row_names_a_few_roles() {
        let result = |roles: usize| {
            let mut entry = SignIn::begun(0, "contoso.com", (Uuid::nil(), Uuid::nil()));
            entry.outcome = Outcome::Granted;
            entry.roles = (0..roles).map(|i| format!("R{i}")).collect();
            Row::of(&entry).result
        };
        assert_eq!(result(4), "token: R0, R1, R2, R3");
        assert_eq!(result(9), "token: R0, R1, R2 and 6 more");
        assert_eq!(result(0), "token without roles");
    }
}
