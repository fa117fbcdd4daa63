//! App registrations: the list, and a new one.

use askama::Template;

use super::form::Form;
use super::page::{Desk, Page, Section, go, html, status};
use super::words;
use crate::directory::{Application, SignInAudience, Snapshot};
use crate::endpoints::Response;
use crate::seed::SeedApplication;

#[derive(Template)]
#[template(path = "apps.html")]
struct Apps {
    page: Page,
    apps: Vec<Row>,
    microsoft: Vec<Row>,
    tenants: Vec<(String, String)>,
}

struct Row {
    name: String,
    id: String,
    home: String,
    uri: String,
    credentials: String,
    created: String,
}

pub(super) fn show(desk: &Desk<'_>, problem: Option<String>) -> Response {
    let directory = desk.state.directory.load();
    let mut apps: Vec<&Application> = directory.applications().collect();
    apps.sort_by(|a, b| (&a.display_name, a.app_id).cmp(&(&b.display_name, b.app_id)));
    let (microsoft, apps): (Vec<_>, Vec<_>) = apps.into_iter().partition(|app| app.first_party);
    let rows = |apps: Vec<&Application>| apps.into_iter().map(|app| Row::of(app, &directory)).collect();
    let status = status(problem.as_ref());
    let page = Apps {
        page: desk.page("App registrations", Section::Apps, problem),
        apps: rows(apps),
        microsoft: rows(microsoft),
        tenants: tenants(&directory),
    };
    html(status, &page)
}

pub(super) fn create(desk: &Desk<'_>, form: &Form) -> Response {
    let Some(name) = form.some("name").filter(|name| name.chars().count() <= 120) else {
        return show(desk, Some("Give the application a name of 1 to 120 characters.".into()));
    };
    let application = SeedApplication {
        display_name: name.into(),
        home_tenant: form.some("tenant").map(str::to_owned),
        sign_in_audience: match form.get("audience") {
            "multiple" => SignInAudience::AzureADMultipleOrgs,
            _ => SignInAudience::AzureADMyOrg,
        },
        ..SeedApplication::default()
    };
    match desk.state.directory.add_application(&application) {
        Ok(app) => go(&format!("/portal/apps/{app}?done=app")),
        Err(error) => show(desk, Some(error.to_string())),
    }
}

impl Row {
    fn of(app: &Application, directory: &Snapshot) -> Self {
        let home = app.home_tenant.and_then(|id| directory.tenant(&id.to_string()));
        let kinds = [
            ("secret", app.secrets.len()),
            ("certificate", app.certificates.len()),
            ("federated", app.federated.len()),
        ];
        let credentials: Vec<String> =
            kinds.iter().filter(|(_, n)| *n > 0).map(|(kind, n)| format!("{n} {kind}")).collect();
        Self {
            name: app.display_name.clone(),
            id: app.app_id.to_string(),
            home: home.map_or_else(|| "Microsoft".into(), |tenant| tenant.default_domain.clone()),
            uri: app.identifier_uris.first().cloned().unwrap_or_default(),
            credentials: match (&app.managed_identity, credentials.is_empty()) {
                (Some(_), _) => "managed identity".into(),
                (None, true) => "none".into(),
                (None, false) => credentials.join(", "),
            },
            created: words::date(app.created),
        }
    }
}

/// Ids and domains, for a list to choose from.
pub(super) fn tenants(directory: &Snapshot) -> Vec<(String, String)> {
    let mut tenants: Vec<_> =
        directory.tenants().map(|tenant| (tenant.id.to_string(), tenant.default_domain.clone())).collect();
    tenants.sort_by(|a, b| a.1.cmp(&b.1));
    tenants
}
