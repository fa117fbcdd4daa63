//! Grant admin consent: first a plain list of what it grants, then the deed.

use askama::Template;
use http::StatusCode;

use super::app::find;
use super::form::Form;
use super::page::{Desk, Page, Section, go, html, not_found, problem};
use super::words;
use crate::directory::{Application, Snapshot, Tenant};
use crate::endpoints::Response;

#[derive(Template)]
#[template(path = "consent.html")]
struct Consent {
    page: Page,
    app: String,
    app_id: String,
    tenant: String,
    tenant_id: String,
    /// API, role, what it is, whether it is granted already.
    asked: Vec<(String, String, String, bool)>,
    new: usize,
    at: String,
}

pub(super) fn show(desk: &Desk<'_>, app: &str) -> Response {
    let directory = desk.state.directory.load();
    let Some(application) = find(&directory, app) else {
        return not_found(desk);
    };
    let Some(tenant) = tenant(desk, &directory, application) else {
        return not_found(desk);
    };
    let permissions = super::app::permissions(application, &directory, Some(tenant.id));
    let asked: Vec<_> = permissions
        .iter()
        .map(|permission| {
            let (api, role, about, granted) = permission.line();
            (api.to_owned(), role.to_owned(), about.to_owned(), granted)
        })
        .collect();
    let page = Consent {
        page: desk.page("Grant admin consent", Section::Apps, None),
        app: application.display_name.clone(),
        app_id: application.app_id.to_string(),
        tenant: tenant.default_domain.clone(),
        tenant_id: tenant.id.to_string(),
        new: asked.iter().filter(|(_, _, _, granted)| !granted).count(),
        asked,
        at: words::time(desk.state.clock.now_unix()),
    };
    html(StatusCode::OK, &page)
}

pub(super) fn change(desk: &Desk<'_>, app: &str, form: &Form) -> Response {
    let (directory, tenant) = (&desk.state.directory, form.get("tenant"));
    let outcome = match form.get("what") {
        "revoke" => directory.revoke_admin_consent(tenant, app).map(|()| "consent-revoked"),
        _ => directory.grant_admin_consent(tenant, app).map(|_| "consent"),
    };
    match outcome {
        Ok(done) => go(&format!("/portal/apps/{app}?done={done}#permissions")),
        Err(error) => problem(desk, StatusCode::UNPROCESSABLE_ENTITY, "Nothing was granted", &error.to_string()),
    }
}

/// `?tenant=`, or the application's home.
fn tenant<'a>(desk: &Desk<'_>, directory: &'a Snapshot, application: &Application) -> Option<&'a Tenant> {
    let home = application.home_tenant.map(|id| id.to_string());
    let name = desk.exchange.query("tenant").or(home)?;
    directory.tenant(&name)
}
