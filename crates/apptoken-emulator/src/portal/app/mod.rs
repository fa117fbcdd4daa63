//! One app registration: credentials, what it exposes, what it asks for.

mod changes;
mod credentials;
mod view;

use askama::Template;
use uuid::Uuid;

pub(super) use changes::change;
pub(super) use view::permissions;
use view::{Api, AppView};

use super::page::{Desk, Page, Section, html, not_found, status};
use crate::directory::{Application, Snapshot, guid};
use crate::endpoints::Response;

#[derive(Template)]
#[template(path = "app.html")]
struct App<'a> {
    page: Page,
    app: AppView,
    apis: Vec<Api>,
    tenants: Vec<(String, String)>,
    /// Where the emulator's own identity provider is.
    issuers: Issuers,
    new: Option<New<'a>>,
}

/// Issuers of federated credentials, as the local provider names them.
struct Issuers {
    github: String,
    kubernetes: String,
    pipelines: String,
}

/// A credential just made: the only time that it is shown.
enum New<'a> {
    Secret { name: &'a str, text: &'a str },
    Certificate { name: &'a str, pem: &'a str, thumbprint: &'a str },
}

pub(super) fn show(desk: &Desk<'_>, app: &str) -> Response {
    render(desk, app, None, None)
}

fn render(desk: &Desk<'_>, app: &str, problem: Option<String>, new: Option<New<'_>>) -> Response {
    let directory = desk.state.directory.load();
    let Some(application) = find(&directory, app) else {
        return not_found(desk);
    };
    let status = status(problem.as_ref());
    let page = App {
        page: desk.page(application.display_name.clone(), Section::Apps, problem),
        app: AppView::of(application, &directory, desk.state.clock.now_unix()),
        apis: Api::all(&directory),
        tenants: super::apps::tenants(&directory),
        issuers: credentials::issuers(desk.state),
        new,
    };
    html(status, &page)
}

/// An application by the id in an address.
pub(super) fn find<'a>(directory: &'a Snapshot, app: &str) -> Option<&'a Application> {
    guid(app).and_then(|id: Uuid| directory.application(id))
}
