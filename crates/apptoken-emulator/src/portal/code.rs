//! Ready snippets with an application's values, for this local Entra ID; each says what to leave out in the cloud.

use askama::Template;
use http::StatusCode;

use super::app::find;
use super::page::{Desk, Page, Section, html, not_found};
use crate::endpoints::Response;

#[derive(Template)]
#[template(path = "code.html")]
struct Code<'a> {
    page: Page,
    app: String,
    client_id: String,
    tenant: String,
    base: &'a str,
    /// With the port.
    host: &'a str,
    scope: String,
}

pub(super) fn show(desk: &Desk<'_>, app: &str) -> Response {
    let directory = desk.state.directory.load();
    let Some(application) = find(&directory, app).filter(|application| !application.first_party) else {
        return not_found(desk);
    };
    let wished = application.required_resource_access.first().and_then(|wish| directory.application(wish.resource));
    let uri = wished.map(|api| api.identifier_uris.first().cloned().unwrap_or_else(|| api.app_id.to_string()));
    let uri = uri.unwrap_or_else(|| "https://graph.microsoft.com".into());
    let uri = if wished.is_some_and(|api| api.slash_strict) { uri } else { uri.trim_end_matches('/').to_owned() };
    let page = Code {
        page: desk.page(format!("Code for {}", application.display_name), Section::Apps, None),
        app: application.display_name.clone(),
        client_id: application.app_id.to_string(),
        tenant: application.home_tenant.map(|id| id.to_string()).unwrap_or_default(),
        base: desk.authority(),
        host: desk.authority().trim_start_matches("https://"),
        scope: format!("{uri}/.default"),
    };
    html(StatusCode::OK, &page)
}
