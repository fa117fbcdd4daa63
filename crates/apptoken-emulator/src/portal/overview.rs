//! The first page: what is here, and where to begin.

use askama::Template;
use http::StatusCode;

use super::page::{Desk, Page, Section, answer, html};
use super::sign_ins::Row;
use crate::endpoints::Response;
use crate::state::State;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    page: Page,
    base: &'a str,
    tenants: Vec<Tenant>,
    apps: usize,
    tokens: u64,
    rows: Vec<Row>,
}

struct Tenant {
    name: String,
    domain: String,
    id: String,
}

pub(super) fn show(desk: &Desk<'_>) -> Response {
    let directory = desk.state.directory.load();
    let mut tenants: Vec<Tenant> = directory
        .tenants()
        .map(|tenant| Tenant {
            name: tenant.display_name.clone(),
            domain: tenant.default_domain.clone(),
            id: tenant.id.to_string(),
        })
        .collect();
    tenants.sort_by(|a, b| a.domain.cmp(&b.domain));
    let page = Overview {
        page: desk.page("Overview", Section::Overview, None),
        base: desk.authority(),
        tenants,
        apps: directory.applications().filter(|app| !app.first_party && app.managed_identity.is_none()).count(),
        tokens: desk.state.sign_ins.last_sequence(),
        rows: newest(desk.state, 6),
    };
    html(StatusCode::OK, &page)
}

/// The directory as a file to begin another with.
pub(super) fn seed(desk: &Desk<'_>) -> Response {
    let seed = serde_json::to_string_pretty(&desk.state.export()).unwrap_or_default();
    answer(StatusCode::OK, "application/json", seed)
}

/// The newest sign-ins, newest first.
fn newest(state: &State, most: usize) -> Vec<Row> {
    let after = state.sign_ins.last_sequence().saturating_sub(most as u64);
    state.sign_ins.run_after(after).iter().rev().map(|entry| Row::of(entry)).collect()
}
