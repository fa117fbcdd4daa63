//! The portal: what the Azure portal does for a daemon, in plain HTML that a browser needs no network for. One file per
//! page; each page is a template with its values, each form posts to the page that shows it.

mod app;
mod apps;
mod assets;
mod code;
mod consent;
mod enterprise;
mod explain;
mod faults;
mod form;
mod guard;
mod live;
mod overview;
mod page;
mod sign_ins;
mod tenants;
mod tokens;
mod try_it;
mod words;

use http::{Method, StatusCode};

use crate::endpoints::{Exchange, RequestBody, Response};
use form::Form;
use guard::Visitor;
use page::{Desk, not_found};

/// Answers what comes after `/portal`.
pub(crate) async fn answer(exchange: &Exchange, segments: &[&str], body: impl RequestBody) -> Response {
    let visitor = Visitor::of(exchange);
    let desk = Desk::new(exchange, &visitor);
    let mut response = match exchange.head.method {
        Method::GET | Method::HEAD => show(&desk, segments),
        Method::POST => match guard::form(exchange, &visitor, body).await {
            Ok(form) => take(&desk, segments, &form).await,
            Err(refused) => page::problem(&desk, refused.status, "This form was not taken", &refused.why),
        },
        _ => page::problem(&desk, StatusCode::METHOD_NOT_ALLOWED, "Not like this", "The portal takes GET and POST."),
    };
    guard::protect(exchange, &visitor, &mut response);
    response
}

/// Pages.
fn show(desk: &Desk<'_>, segments: &[&str]) -> Response {
    match segments {
        [] => overview::show(desk),
        ["tenants"] => tenants::show(desk, None),
        ["apps"] => apps::show(desk, None),
        ["apps", app] => app::show(desk, app),
        ["apps", app, "consent"] => consent::show(desk, app),
        ["apps", app, "code"] => code::show(desk, app),
        ["enterprise"] => enterprise::list(desk),
        ["enterprise", tenant, app] => enterprise::show(desk, tenant, app, None),
        ["sign-ins"] => sign_ins::show(desk),
        ["sign-ins", "live"] => live::follow(desk),
        ["sign-ins", trace] => explain::show(desk, trace),
        ["tokens"] => tokens::show(desk),
        ["try"] => try_it::show(desk),
        ["faults"] => faults::show(desk, None),
        ["seed.json"] => overview::seed(desk),
        [name] => assets::get(desk, name).unwrap_or_else(|| not_found(desk)),
        _ => not_found(desk),
    }
}

/// Forms.
async fn take(desk: &Desk<'_>, segments: &[&str], form: &Form) -> Response {
    match segments {
        ["tenants"] => tenants::create(desk, form),
        ["apps"] => apps::create(desk, form),
        ["apps", app, "consent"] => consent::change(desk, app, form),
        ["apps", app, action] => app::change(desk, app, action, form).await,
        ["enterprise", tenant, app, action] => enterprise::change(desk, tenant, app, action, form),
        ["try"] => try_it::run(desk, form).await,
        ["faults", action] => faults::change(desk, action, form).await,
        _ => not_found(desk),
    }
}
