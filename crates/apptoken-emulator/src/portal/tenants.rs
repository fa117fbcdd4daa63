//! Tenants: the list, and a new one.

use askama::Template;

use super::form::Form;
use super::page::{Desk, Page, Section, go, html, status};
use crate::endpoints::Response;
use crate::seed::SeedTenant;

#[derive(Template)]
#[template(path = "tenants.html")]
struct Tenants<'a> {
    page: Page,
    base: &'a str,
    tenants: Vec<Row>,
}

struct Row {
    name: String,
    domains: Vec<String>,
    id: String,
    users: usize,
    principals: usize,
}

pub(super) fn show(desk: &Desk<'_>, problem: Option<String>) -> Response {
    let directory = desk.state.directory.load();
    let mut tenants: Vec<Row> = directory
        .tenants()
        .map(|tenant| Row {
            name: tenant.display_name.clone(),
            domains: tenant.domains.clone(),
            id: tenant.id.to_string(),
            users: tenant.users.len(),
            principals: tenant.service_principals().count(),
        })
        .collect();
    tenants.sort_by(|a, b| a.domains.cmp(&b.domains));
    let status = status(problem.as_ref());
    let page = desk.page("Tenants", Section::Tenants, problem);
    html(status, &Tenants { page, base: &desk.exchange.base, tenants })
}

pub(super) fn create(desk: &Desk<'_>, form: &Form) -> Response {
    let domain = form.get("domain");
    let tenant = SeedTenant {
        display_name: form.some("name").map(str::to_owned),
        default_domain: if domain.contains('.') { domain.into() } else { format!("{domain}.onmicrosoft.com") },
        ..SeedTenant::default()
    };
    match desk.state.directory.add_tenant(&tenant) {
        Ok(_) => go("/portal/tenants?done=tenant"),
        Err(error) => show(desk, Some(error.to_string())),
    }
}
