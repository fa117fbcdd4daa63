//! What all pages share: the frame around them, notices, answers.

use askama::Template;
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderValue};

use super::guard::Visitor;
use super::words;
use crate::endpoints::{Body, Exchange, Response};
use crate::state::State;

/// One visit: the request, and what its forms must bring back.
pub(super) struct Desk<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) state: &'a State,
    form_token: String,
}

/// Which part of the navigation a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Tenants,
    Apps,
    Enterprise,
    SignIns,
    Tokens,
    Try,
    Faults,
    None,
}

/// The frame: every template has it as `page`.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) section: Section,
    pub(super) form_token: String,
    /// Something was done.
    pub(super) notice: Option<&'static str>,
    /// Something was not done, and why.
    pub(super) problem: Option<String>,
    /// The clock, when it is not the system's.
    pub(super) clock: Option<String>,
    /// How many faults wait.
    pub(super) faults: usize,
    pub(super) version: &'static str,
}

impl<'a> Desk<'a> {
    pub(super) fn new(exchange: &'a Exchange, visitor: &Visitor) -> Self {
        let form_token = exchange.state.keyring.form_token(&visitor.cookie);
        Self { exchange, state: &exchange.state, form_token }
    }

    /// Where clients ask: by the visitor's own name for this server, over HTTPS.
    pub(super) fn authority(&self) -> &str {
        if self.exchange.base.starts_with("https://") { &self.exchange.base } else { &self.state.authority }
    }

    /// The frame of a page; `?done=` names what has just been done.
    pub(super) fn page(&self, title: impl Into<String>, section: Section, problem: Option<String>) -> Page {
        let clock = &self.state.clock;
        let moved = clock.is_frozen() || clock.ahead_seconds() != 0;
        let done = self.exchange.query("done");
        Page {
            title: title.into(),
            section,
            form_token: self.form_token.clone(),
            notice: done.and_then(|done| NOTICES.iter().find(|(key, _)| *key == done)).map(|(_, words)| *words),
            problem,
            clock: moved.then(|| words::time(clock.now_unix())),
            faults: self.state.faults.rules().len() + self.state.faults.revoked().len(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Page {
    /// For the navigation: `aria-current` of the part that this page belongs to.
    pub(super) fn is(&self, section: &str) -> bool {
        section
            == match self.section {
                Section::Overview => "overview",
                Section::Tenants => "tenants",
                Section::Apps => "apps",
                Section::Enterprise => "enterprise",
                Section::SignIns => "sign-ins",
                Section::Tokens => "tokens",
                Section::Try => "try",
                Section::Faults => "faults",
                Section::None => "",
            }
    }
}

pub(super) fn html(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => answer(status, "text/html; charset=utf-8", html),
        Err(error) => {
            tracing::error!(%error, "a page of the portal could not be made");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", "the page could not be made\n")
        }
    }
}

/// 422 when the page tells of a problem, else 200.
pub(super) fn status(problem: Option<&String>) -> StatusCode {
    if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
}

pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Goes on to a page of the portal, which may say what was done.
pub(super) fn go(path: &str) -> Response {
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    if let Ok(location) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem<'a> {
    page: Page,
    why: &'a str,
}

/// A page that says what is wrong.
pub(super) fn problem(desk: &Desk<'_>, status: StatusCode, title: &str, why: &str) -> Response {
    html(status, &Problem { page: desk.page(title, Section::None, None), why })
}

pub(super) fn not_found(desk: &Desk<'_>) -> Response {
    problem(desk, StatusCode::NOT_FOUND, "Not here", "The portal has nothing at this address.")
}

/// What `?done=` may say: fixed words, so that no link can put others there.
const NOTICES: &[(&str, &str)] = &[
    ("tenant", "The tenant was created."),
    ("app", "The application was registered."),
    ("app-removed", "The application was deleted."),
    ("secret-removed", "The secret was deleted: it is refused from now on."),
    ("certificate", "The certificate was registered."),
    ("certificate-removed", "The certificate was deleted: it is refused from now on."),
    ("subject-name", "The application trusts certificates of this name."),
    ("subject-name-removed", "The application trusts certificates of this name no more."),
    ("federated", "The federated credential was added."),
    ("federated-removed", "The federated credential was deleted."),
    ("uri", "The App ID URI was added."),
    ("uri-removed", "The App ID URI was removed."),
    ("version", "The token version was changed. New tokens have it; old ones stay what they are."),
    ("claims", "What its tokens carry besides was changed. New tokens have it; old ones stay what they are."),
    ("fault-removed", "The fault was taken away."),
    ("delay", "The time after which new credentials are known was set."),
    ("audience", "Who may use the application was changed."),
    ("role", "The app role was added."),
    ("role-removed", "The app role was removed, and every grant of it."),
    ("permission", "The permission was added. It means nothing until an administrator consents."),
    ("permission-removed", "The permission was removed. What was granted stays granted until it is revoked."),
    ("consent", "Consent was granted. New tokens carry the roles; old ones stay what they are."),
    ("consent-revoked", "Everything that was granted in this tenant was taken back."),
    ("present", "The application is present in the tenant now."),
    ("enabled", "The application may get tokens again."),
    ("disabled", "The application is disabled: it gets no tokens, and none are issued for it."),
    ("assignment", "Assignment required was changed."),
    ("assignment-removed", "The grant was taken back."),
    ("fault", "The fault waits for its requests."),
    ("cleared", "All faults, revocations and changed lifetimes are gone."),
    ("clock", "The clock was moved."),
    ("lifetime", "The lifetime of new tokens was changed."),
    ("revoked", "The tokens of this application are revoked."),
    ("key", "Tokens are signed with a new key; the old one stays published."),
];
