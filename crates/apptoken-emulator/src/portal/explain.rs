//! One sign-in explained: what was expected beside what came, and what to do about it. A refusal's `trace_id` leads here.

use askama::Template;
use http::StatusCode;
use uuid::Uuid;

use super::page::{Desk, Page, Section, html, problem};
use super::words;
use crate::endpoints::Response;
use crate::sign_in::{Evidence, Outcome, SignIn};

#[derive(Template)]
#[template(path = "explain.html")]
struct Explain {
    page: Page,
    refused: bool,
    faulted: bool,
    code: u32,
    advice: String,
    message: String,
    roles: Vec<String>,
    evidence: Vec<Evidence>,
    facts: Vec<(&'static str, String)>,
    /// Where to put it right: address and words.
    fixes: Vec<(String, &'static str)>,
}

pub(super) fn show(desk: &Desk<'_>, trace: &str) -> Response {
    let id = Uuid::try_parse(trace).ok();
    let entries = desk.state.sign_ins.shared();
    let entry = id.and_then(|id| entries.iter().rev().find(|e| e.trace_id == id || e.correlation_id == id));
    let Some(entry) = entry else {
        let why = "No sign-in with this trace or correlation ID is in the log. It holds the newest only, and begins anew \
                   when the local Entra ID starts.";
        return problem(desk, StatusCode::NOT_FOUND, "Not in the log", why);
    };
    let refused = entry.outcome == Outcome::Refused;
    let headline = match (entry.outcome, entry.code) {
        (Outcome::Granted, _) if entry.roles.is_empty() => "A token without roles".to_owned(),
        (Outcome::Granted, _) => "A token was issued".to_owned(),
        (Outcome::Refused, code) => format!("Refused: AADSTS{}", code.unwrap_or_default()),
        (Outcome::Faulted, _) => "A fault that was asked for".to_owned(),
    };
    let advice = match entry.outcome {
        Outcome::Refused => entry.code.and_then(advice).unwrap_or_default().to_owned(),
        Outcome::Granted if entry.roles.is_empty() => NO_ROLES.to_owned(),
        _ => String::new(),
    };
    let page = Explain {
        page: desk.page(headline, Section::SignIns, None),
        refused,
        faulted: entry.outcome == Outcome::Faulted,
        code: entry.code.unwrap_or_default(),
        advice: sentence(&advice),
        message: entry.message.clone().unwrap_or_default(),
        roles: entry.roles.clone(),
        evidence: entry.evidence.clone(),
        facts: facts(entry),
        fixes: fixes(desk, entry),
    };
    html(StatusCode::OK, &page)
}

fn facts(entry: &SignIn) -> Vec<(&'static str, String)> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "—".into());
    vec![
        ("Time", words::time(entry.time)),
        ("Application", or_none(&entry.app_display_name)),
        ("Client ID", or_none(&entry.app_id)),
        ("Tenant", entry.tenant.clone()),
        ("Resource", or_none(&entry.resource)),
        ("Credential", words::credential(entry.credential).into()),
        ("Trace ID", entry.trace_id.to_string()),
        ("Correlation ID", entry.correlation_id.to_string()),
    ]
}

/// Links to where the application can be put right, as far as it is known.
fn fixes(desk: &Desk<'_>, entry: &SignIn) -> Vec<(String, &'static str)> {
    let directory = desk.state.directory.load();
    let app = entry.app_id.as_deref().and_then(|id| super::app::find(&directory, id));
    let Some(app) = app.filter(|app| !app.first_party) else {
        return match entry.code {
            Some(90002 | 900023 | 900021 | 50059) => vec![("/portal/tenants".into(), "See the tenants that exist")],
            Some(_) => vec![("/portal/apps".into(), "See the applications that exist")],
            None => Vec::new(),
        };
    };
    let app = app.app_id;
    let mut fixes = match (entry.outcome, entry.code) {
        (Outcome::Granted, _) if entry.roles.is_empty() => {
            vec![(format!("/portal/apps/{app}/consent"), "Grant admin consent")]
        }
        (_, Some(7_000_112 | 7_000_229)) => match entry.tenant_id {
            Some(tenant) => vec![(format!("/portal/enterprise/{tenant}/{app}"), "Open its enterprise application")],
            None => Vec::new(),
        },
        (_, Some(501_051)) => vec![(format!("/portal/apps/{app}/consent"), "Grant admin consent")],
        (_, Some(500_011 | 1_002_012 | 70_011 | 700_022)) => {
            vec![("/portal/apps".into(), "See the APIs and their URIs")]
        }
        (Outcome::Refused, _) => vec![(format!("/portal/apps/{app}#credentials"), "Open its credentials")],
        _ => Vec::new(),
    };
    fixes.push((format!("/portal/try?app={app}"), "Try again from here"));
    fixes.push((format!("/portal/apps/{app}"), "Open the application"));
    fixes
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str().trim_end_matches('.')),
        None => String::new(),
    }
}

/// What to do about an AADSTS code: the client library's table, read as data.
fn advice(code: u32) -> Option<&'static str> {
    TABLE.lines().find_map(|line| {
        let (codes, advice) = line.split_once('\t')?;
        codes.split(' ').any(|listed| listed.parse() == Ok(code)).then_some(advice)
    })
}

const TABLE: &str = include_str!("../../../apptoken/src/advice.tsv");

const NO_ROLES: &str = "Entra issues a token for any API of the tenant, granted or not; without roles the API answers 403. \
                        Add the permission to the application, let an administrator consent, then ask for a new token";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aadsts::Code;

    #[test]
    fn there_is_advice_for_every_refusal() {
        for code in Code::ALL.iter().filter(|code| !matches!(code, Code::Internal)) {
            assert!(advice(code.number()).is_some_and(|advice| advice.len() > 20), "{code:?}");
        }
        assert_eq!((advice(1), sentence("do this."), sentence("")), (None, "Do this.".into(), String::new()));
    }
}
