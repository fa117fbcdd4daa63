//! Try it: a token request and, for Microsoft Graph, a call with the token, sent through the very endpoints that serve
//! everyone else; the whole exchange is shown, but for secrets and assertions.

use std::sync::Arc;

use apptoken_jose::jws::{self, Unverified};
use apptoken_jose::{Algorithm, KeyError};
use askama::Template;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value, json};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::form::Form;
use super::page::{Desk, Page, Section, html, status};
use super::tokens;
use super::words;
use crate::directory::{Snapshot, TokenVersion, guid};
use crate::endpoints::{Body, Exchange, Reply, Response, graph, token};
use crate::keyring::{Kept, Proof};
use crate::state::State;

#[derive(Template)]
#[template(path = "try.html")]
struct Try {
    page: Page,
    apps: Vec<Choice>,
    tenants: Vec<Choice>,
    credentials: Vec<Choice>,
    resources: Vec<(String, String)>,
    scope: String,
    v1: bool,
    call: String,
    shown: Option<Shown>,
}

struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

/// What went to and fro.
struct Shown {
    token: Exchanged,
    access_token: String,
    claims: Vec<(String, String, &'static str)>,
    trace: String,
    no_roles: bool,
    call: Option<Exchanged>,
}

struct Exchanged {
    request: String,
    status: u16,
    reason: &'static str,
    headers: String,
    body: String,
}

/// What was chosen; also what the empty form begins with.
#[derive(Default)]
struct Chosen {
    app: String,
    tenant: String,
    credential: String,
    scope: String,
    v1: bool,
    call: String,
}

pub(super) fn show(desk: &Desk<'_>) -> Response {
    let directory = desk.state.directory.load();
    let app = desk.exchange.query("app").unwrap_or_default();
    let application = super::app::find(&directory, &app);
    let wished = application
        .and_then(|app| app.required_resource_access.first())
        .and_then(|wish| directory.application(wish.resource))
        .and_then(|api| api.identifier_uris.last())
        .map_or("https://graph.microsoft.com", String::as_str);
    let kept = desk.state.keyring.kept();
    let chosen = Chosen {
        credential: kept.iter().find(|kept| kept.app.to_string() == app).map(|k| k.id.to_string()).unwrap_or_default(),
        tenant: application.and_then(|app| app.home_tenant).map(|id| id.to_string()).unwrap_or_default(),
        scope: format!("{wished}/.default"),
        app,
        ..Chosen::default()
    };
    render(desk, &directory, &chosen, None, None)
}

pub(super) async fn run(desk: &Desk<'_>, form: &Form) -> Response {
    let chosen = Chosen {
        app: form.get("app").into(),
        tenant: form.get("tenant").into(),
        credential: form.get("credential").into(),
        scope: form.get("scope").into(),
        v1: form.get("endpoint") == "v1",
        call: form.get("call").into(),
    };
    let outcome = exchange(desk, &chosen, form.raw("secret")).await;
    let directory = desk.state.directory.load();
    match outcome {
        Ok(shown) => render(desk, &directory, &chosen, Some(shown), None),
        Err(why) => render(desk, &directory, &chosen, None, Some(why)),
    }
}

fn render(
    desk: &Desk<'_>,
    directory: &Snapshot,
    chosen: &Chosen,
    shown: Option<Shown>,
    why: Option<String>,
) -> Response {
    let choice = |value: String, label: String, chosen: &str| Choice { chosen: value == chosen, value, label };
    let mut apps: Vec<Choice> = directory
        .applications()
        .filter(|app| !app.first_party && app.managed_identity.is_none())
        .map(|app| choice(app.app_id.to_string(), format!("{} ({})", app.display_name, app.app_id), &chosen.app))
        .collect();
    apps.sort_by(|a, b| a.label.cmp(&b.label));
    let name_of = |kept: &Kept| directory.application(kept.app).map(|app| app.display_name.clone()).unwrap_or_default();
    let kept = desk.state.keyring.kept();
    let credentials = kept.iter().map(|kept| {
        let kind = match kept.proof {
            Proof::Secret(_) => "secret",
            Proof::Certificate(_) => "certificate",
        };
        choice(kept.id.to_string(), format!("{kind} “{}” of {}", kept.name, name_of(kept)), &chosen.credential)
    });
    let mut resources: Vec<(String, String)> = directory
        .applications()
        .filter_map(|api| Some((format!("{}/.default", api.identifier_uris.last()?), api.display_name.clone())))
        .collect();
    resources.sort_by(|a, b| a.1.cmp(&b.1));
    let tenants = super::apps::tenants(directory);
    let status = status(why.as_ref());
    let page = Try {
        page: desk.page("Try it", Section::Try, why),
        apps,
        tenants: tenants.into_iter().map(|(id, domain)| choice(id, domain, &chosen.tenant)).collect(),
        credentials: credentials.collect(),
        resources,
        scope: chosen.scope.clone(),
        v1: chosen.v1,
        call: chosen.call.clone(),
        shown,
    };
    html(status, &page)
}

async fn exchange(desk: &Desk<'_>, chosen: &Chosen, typed: &str) -> Result<Shown, String> {
    let base = &desk.exchange.base;
    let tenant = if chosen.tenant.is_empty() { "common" } else { &chosen.tenant };
    if !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')) {
        return Err("Choose a tenant.".into());
    }
    let (version, path) = match chosen.v1 {
        true => (TokenVersion::V1, format!("/{tenant}/oauth2/token")),
        false => (TokenVersion::V2, format!("/{tenant}/oauth2/v2.0/token")),
    };
    let client = guid(&chosen.app).ok_or("Choose an application.")?.to_string();
    let mut fields = vec![("grant_type", "client_credentials".to_owned()), ("client_id", client.clone())];
    fields.extend(proof(desk.state, &chosen.credential, typed, &client, &format!("{base}{path}"))?);
    match chosen.v1 {
        true => fields.push(("resource", chosen.scope.strip_suffix("/.default").unwrap_or(&chosen.scope).to_owned())),
        false => fields.push(("scope", chosen.scope.clone())),
    }
    let form = |shown: bool| {
        let value = |(name, value): &(&str, String)| match shown && HIDDEN.contains(name) {
            true => "…".to_owned(),
            false => value.clone(),
        };
        Serializer::new(String::new()).extend_pairs(fields.iter().map(|field| (field.0, value(field)))).finish()
    };
    let correlation = Uuid::new_v4();
    let kind = "application/x-www-form-urlencoded";
    let shown_form = form(true).replace('&', "\n&").replace("%E2%80%A6", "…");
    let host = desk.exchange.host();
    let request = format!(
        "POST {path} HTTP/1.1\nHost: {host}\nContent-Type: {kind}\nclient-request-id: {correlation}\n\n{shown_form}"
    );
    let inner = inner(desk, Method::POST, &path, |headers| {
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        if let Ok(id) = correlation.to_string().parse() {
            headers.insert("client-request-id", id);
        }
    })?;
    let reply = token::answer(&inner, tenant, version, Full::new(Bytes::from(form(false)))).await;
    let (exchanged, body) = match reply {
        Reply::Answer(response) => Exchanged::of(request, *response).await,
        Reply::Reset => return Err("The connection was reset: a fault that was asked for.".into()),
        Reply::Hang => return Err("There was no answer, ever: a fault that was asked for.".into()),
    };
    let access_token = body["access_token"].as_str().unwrap_or_default().to_owned();
    let claims = claims(&access_token);
    let no_roles = !access_token.is_empty() && !claims.iter().any(|(name, _, _)| name == "roles");
    let call = match (access_token.is_empty(), GRAPH_CALLS.contains(&chosen.call.as_str())) {
        (false, true) => Some(call_graph(desk, &chosen.call, &access_token).await?),
        _ => None,
    };
    let trace = exchanged.headers.lines().find_map(|line| line.strip_prefix("x-ms-request-id: ")).unwrap_or_default();
    Ok(Shown { trace: trace.to_owned(), token: exchanged, access_token, claims, no_roles, call })
}

/// The fields by which the application proves who it is.
fn proof(
    state: &State,
    credential: &str,
    typed: &str,
    client: &str,
    audience: &str,
) -> Result<Vec<(&'static str, String)>, String> {
    let Some(id) = guid(credential) else {
        return Ok(if typed.is_empty() { Vec::new() } else { vec![("client_secret", typed.to_owned())] });
    };
    let kept = state.keyring.kept().into_iter().find(|kept| kept.id == id);
    let kept = kept.ok_or("The portal does not have this credential any more.")?;
    match &kept.proof {
        Proof::Secret(text) => Ok(vec![("client_secret", text.to_string())]),
        Proof::Certificate(pair) => {
            let (certificate, key) = &**pair;
            let now = state.clock.now_unix();
            let header = Map::from_iter([("x5t#S256".to_owned(), Value::from(certificate.x5t_s256()))]);
            let claims = json!({
                "aud": audience, "iss": client, "sub": client, "jti": Uuid::new_v4(),
                "nbf": now, "iat": now, "exp": now + 600,
            });
            let assertion =
                jws::sign(&header, &claims, key, Algorithm::Ps256).map_err(|error: KeyError| error.to_string())?;
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned();
            Ok(vec![("client_assertion_type", kind), ("client_assertion", assertion)])
        }
    }
}

async fn call_graph(desk: &Desk<'_>, what: &str, token: &str) -> Result<Exchanged, String> {
    let path = format!("/graph/v1.0/{what}");
    let inner = inner(desk, Method::GET, &path, |headers| {
        if let Ok(bearer) = format!("Bearer {token}").parse() {
            headers.insert(header::AUTHORIZATION, bearer);
        }
    })?;
    let request = format!(
        "GET {path} HTTP/1.1\nHost: {}\nAuthorization: Bearer {}…",
        inner.host(),
        &token[..token.len().min(12)]
    );
    Ok(Exchanged::of(request, graph::answer(&inner, Body::whole("")).await).await.0)
}

/// A request of our own to this server, by the name that the browser uses.
fn inner(desk: &Desk<'_>, method: Method, path: &str, set: impl FnOnce(&mut HeaderMap)) -> Result<Exchange, String> {
    let mut request = Request::builder().method(method).uri(path).body(()).map_err(|error| error.to_string())?;
    set(request.headers_mut());
    let (head, ()) = request.into_parts();
    Ok(Exchange { state: Arc::clone(&desk.exchange.state), head, base: desk.exchange.base.clone() })
}

impl Exchanged {
    async fn of(request: String, response: Response) -> (Self, Value) {
        let (head, body) = response.into_parts();
        let broken = "(the body broke off)".to_owned();
        let text = match body.collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            Err(_) => broken,
        };
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let mut shown = value.clone();
        if let Some(token) = shown.get_mut("access_token")
            && let Some(text) = token.as_str()
        {
            *token = Value::from(format!("{}…", text.chars().take(24).collect::<String>()));
        }
        let body = if shown.is_null() { text } else { serde_json::to_string_pretty(&shown).unwrap_or(text) };
        let headers = head.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or("…")));
        let exchanged = Self {
            request,
            status: head.status.as_u16(),
            reason: head.status.canonical_reason().unwrap_or_default(),
            headers: headers.collect(),
            body,
        };
        (exchanged, value)
    }

    fn ok(&self) -> bool {
        self.status == StatusCode::OK.as_u16()
    }
}

/// Claims, their values as people read them, and what they say.
fn claims(token: &str) -> Vec<(String, String, &'static str)> {
    let Ok(token) = Unverified::parse(token) else { return Vec::new() };
    let in_words = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                let items = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
                items.collect::<Vec<_>>().join(", ")
            }
            other => match (TIMES.contains(&name.as_str()), other.as_i64()) {
                (true, Some(unix)) => words::time(unix),
                _ => other.to_string(),
            },
        };
        (name.clone(), text, tokens::explain(name))
    };
    token.claims().iter().map(in_words).collect()
}

/// Fields whose values are not shown.
const HIDDEN: &[&str] = &["client_secret", "client_assertion"];
const TIMES: &[&str] = &["iat", "nbf", "exp"];
/// What can be called with a token for Microsoft Graph.
const GRAPH_CALLS: &[&str] = &["users", "applications", "organization"];
