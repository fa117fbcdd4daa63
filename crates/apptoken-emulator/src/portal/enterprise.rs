//! Enterprise applications: service principals, one tenant at a time.

use askama::Template;
use http::StatusCode;

use super::app::find;
use super::form::Form;
use super::page::{Desk, Page, Section, go, html, not_found, status};
use crate::directory::{Application, DEFAULT_ACCESS, ServicePrincipal, Snapshot, Tenant};
use crate::endpoints::Response;

#[derive(Template)]
#[template(path = "enterprise.html")]
struct List {
    page: Page,
    groups: Vec<Group>,
}

struct Group {
    tenant: String,
    tenant_id: String,
    rows: Vec<Row>,
}

struct Row {
    app: String,
    app_id: String,
    object_id: String,
    enabled: bool,
    required: bool,
    grants: usize,
    microsoft: bool,
}

pub(super) fn list(desk: &Desk<'_>) -> Response {
    let directory = desk.state.directory.load();
    let mut groups: Vec<Group> = directory
        .tenants()
        .map(|tenant| {
            let mut rows: Vec<Row> = tenant
                .service_principals()
                .filter_map(|principal| Some(Row::of(directory.application(principal.app_id)?, principal)))
                .collect();
            rows.sort_by(|a, b| (a.microsoft, &a.app, &a.app_id).cmp(&(b.microsoft, &b.app, &b.app_id)));
            Group { tenant: tenant.default_domain.clone(), tenant_id: tenant.id.to_string(), rows }
        })
        .collect();
    groups.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    let page = desk.page("Enterprise applications", Section::Enterprise, None);
    html(StatusCode::OK, &List { page, groups })
}

#[derive(Template)]
#[template(path = "principal.html")]
struct Principal {
    page: Page,
    row: Row,
    tenant: String,
    tenant_id: String,
    /// What it was granted: API, role, and both ids.
    grants: Vec<(String, String, String, String)>,
    /// Who was granted its roles: application, its id, role.
    granted: Vec<(String, String, String)>,
}

pub(super) fn show(desk: &Desk<'_>, tenant: &str, app: &str, problem: Option<String>) -> Response {
    let directory = desk.state.directory.load();
    let Some((tenant, application, principal)) = named(&directory, tenant, app) else {
        return not_found(desk);
    };
    let role = |api: uuid::Uuid, role: uuid::Uuid| {
        let api = directory.application(api);
        let value = api.and_then(|api| api.app_roles.iter().find(|r| r.id == role)).map(|role| role.value.clone());
        let value = value.unwrap_or_else(|| match role {
            DEFAULT_ACCESS => "default access".to_owned(),
            unknown => unknown.to_string(),
        });
        (api.map(|api| api.display_name.clone()).unwrap_or_default(), value)
    };
    let grants = principal.app_role_assignments.iter().map(|a| {
        let (api, value) = role(a.resource, a.app_role);
        (api, value, a.resource.to_string(), a.app_role.to_string())
    });
    let mut granted = Vec::new();
    for other in tenant.service_principals() {
        let name = directory.application(other.app_id).map(|app| app.display_name.clone()).unwrap_or_default();
        for a in other.app_role_assignments.iter().filter(|a| a.resource == application.app_id) {
            granted.push((name.clone(), other.app_id.to_string(), role(a.resource, a.app_role).1));
        }
    }
    granted.sort();
    let status = status(problem.as_ref());
    let page = Principal {
        page: desk.page(application.display_name.clone(), Section::Enterprise, problem),
        row: Row::of(application, principal),
        tenant: tenant.default_domain.clone(),
        tenant_id: tenant.id.to_string(),
        grants: grants.collect(),
        granted,
    };
    html(status, &page)
}

pub(super) fn change(desk: &Desk<'_>, tenant: &str, app: &str, action: &str, form: &Form) -> Response {
    let directory = &desk.state.directory;
    let outcome = match action {
        "enabled" => {
            let enabled = form.ticked("on");
            let done = if enabled { "enabled" } else { "disabled" };
            directory.set_account_enabled(tenant, app, enabled).map(|()| done)
        }
        "required" => directory.set_assignment_required(tenant, app, form.ticked("on")).map(|()| "assignment"),
        "assignment-removed" => {
            directory.remove_app_role(tenant, app, form.get("api"), form.get("role")).map(|()| "assignment-removed")
        }
        _ => return not_found(desk),
    };
    match outcome {
        Ok(done) => go(&format!("/portal/enterprise/{tenant}/{app}?done={done}")),
        Err(error) => show(desk, tenant, app, Some(error.to_string())),
    }
}

fn named<'a>(
    directory: &'a Snapshot,
    tenant: &str,
    app: &str,
) -> Option<(&'a Tenant, &'a Application, &'a ServicePrincipal)> {
    let (tenant, application) = (directory.tenant(tenant)?, find(directory, app)?);
    Some((tenant, application, tenant.service_principal(application.app_id)?))
}

impl Row {
    fn of(app: &Application, principal: &ServicePrincipal) -> Self {
        Self {
            app: app.display_name.clone(),
            app_id: app.app_id.to_string(),
            object_id: principal.id.to_string(),
            enabled: principal.account_enabled,
            required: principal.app_role_assignment_required,
            grants: principal.app_role_assignments.len(),
            microsoft: app.first_party,
        }
    }
}
