//! A small Microsoft Graph v1.0: enough for a daemon to prove that its token works, and to meet a 403 when it does not.

mod objects;

use apptoken_jose::jws::Unverified;
use apptoken_jose::{Algorithm, base64url};
use http::StatusCode;
use http::header::{self, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json as value};
use uuid::Uuid;

use super::{Exchange, Response, json, set_id};
use crate::aadsts::Ids;
use crate::directory::{GRAPH, Snapshot, Tenant, TokenVersion};

/// Answers what comes after `/v1.0`.
pub(crate) fn answer(exchange: &Exchange, segments: &[&str]) -> Response {
    let ids = exchange.ids(None);
    let directory = exchange.state.directory.load();
    let outcome = authenticate(exchange, &directory)
        .and_then(|(tenant, roles)| serve(exchange, segments, &directory, tenant, &roles));
    let mut response = match outcome {
        Ok(body) => json(StatusCode::OK, &body),
        Err(error) => error.response(exchange, ids),
    };
    let headers = response.headers_mut();
    set_id(headers, "request-id", ids.trace);
    set_id(headers, "client-request-id", ids.correlation);
    headers.insert(
        "x-ms-ags-diagnostic",
        HeaderValue::from_static(concat!(
            r#"{"ServerInfo":{"DataCenter":"Local","Slice":"E","Ring":"0","RoleInstance":"apptoken-emulator "#,
            env!("CARGO_PKG_VERSION"),
            r#""}}"#
        )),
    );
    response
}

/// An error in Graph's envelope.
struct GraphError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// What the next token must have, for the challenge.
    claims: Option<String>,
}

impl GraphError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), claims: None }
    }

    fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
    }

    /// Continuous access evaluation: the token began before `at`, when its kind was revoked.
    fn revoked(at: i64) -> Self {
        let message = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: \
                       TokenIssuedBeforeRevocationTimestamp";
        let claims = value!({ "access_token": {
            "nbf": { "essential": true, "value": at.to_string() },
            "xms_caeerror": { "value": "10012" },
        } });
        Self { claims: Some(claims.to_string()), ..Self::unauthenticated(message) }
    }

    fn response(&self, exchange: &Exchange, ids: Ids) -> Response {
        let now = Timestamp::from_second(exchange.state.clock.now_unix()).unwrap_or_default();
        let mut response = json(
            self.status,
            &value!({ "error": {
                "code": self.code,
                "message": self.message,
                "innerError": {
                    "date": now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                    "request-id": ids.trace,
                    "client-request-id": ids.correlation,
                },
            } }),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            let mut challenge = format!(
                "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/authorize\", client_id=\"{GRAPH}\"",
                login_base(exchange)
            );
            if let Some(claims) = &self.claims {
                let claims = standard_base64(claims.as_bytes());
                challenge.push_str(&format!(", error=\"insufficient_claims\", claims=\"{claims}\""));
            }
            if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
        }
        response
    }
}

/// With its own two characters and padding, as APIs write challenges.
fn standard_base64(bytes: &[u8]) -> String {
    let mut text = base64url::encode(bytes).replace('-', "+").replace('_', "/");
    text.extend(std::iter::repeat_n('=', (4 - text.len() % 4) % 4));
    text
}

/// Who calls: the tenant and the app roles of a token that was issued here, for Graph, and is good now.
fn authenticate<'a>(exchange: &Exchange, directory: &'a Snapshot) -> Result<(&'a Tenant, Vec<String>), GraphError> {
    let state = &exchange.state;
    let header = exchange.header(header::AUTHORIZATION.as_str()).unwrap_or_default();
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    if token.is_empty() {
        return Err(GraphError::unauthenticated("The access token is empty."));
    }
    let jwt = Unverified::parse(token)
        .map_err(|_| GraphError::unauthenticated("The compact token could not be parsed, reason code: 80049217."))?;
    let key = jwt.header().kid.as_deref().and_then(|kid| state.keys.find(kid));
    let signed = key.is_some_and(|key| jwt.verify(&key, &[Algorithm::Rs256]).is_ok());
    if !signed {
        return Err(GraphError::unauthenticated(
            "The compact token's signature was not accepted, reason code: 80049228.",
        ));
    }
    // From here on the claims are our own words.
    let claims = jwt.claims();
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let graph = directory.application(GRAPH);
    if !graph.is_some_and(|graph| graph.accepts_audience(text("aud"))) {
        return Err(GraphError::unauthenticated("The access token is for another audience than Microsoft Graph."));
    }
    let time = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
    let now = state.clock.now_unix();
    if now >= time("exp") || now < time("nbf") {
        return Err(GraphError::unauthenticated("Lifetime validation failed, the token is expired or not valid yet."));
    }
    let tenant = directory.tenant(text("tid"));
    let tenant = tenant.filter(|tenant| text("iss") == state.issuers.of(TokenVersion::V1, tenant.id));
    let tenant = tenant.ok_or_else(|| GraphError::unauthenticated("The access token's issuer is not known here."))?;
    let present = text("appid").parse().ok().and_then(|app: Uuid| tenant.service_principal(app));
    if !present.is_some_and(|principal| principal.account_enabled) {
        let message = "The application of the access token is not, or no longer, in this tenant.";
        return Err(GraphError::new(StatusCode::UNAUTHORIZED, "Authorization_IdentityNotFound", message));
    }
    // Only who said that it handles challenges gets one; other tokens are good until they expire.
    let app = text("appid").parse().unwrap_or_default();
    let revoked = state.faults.revoked_at(app).filter(|&at| claims.contains_key("xms_cc") && time("nbf") < at);
    if let Some(at) = revoked {
        return Err(GraphError::revoked(at));
    }
    let roles = claims.get("roles").and_then(Value::as_array).into_iter().flatten();
    Ok((tenant, roles.filter_map(|role| role.as_str().map(str::to_owned)).collect()))
}

fn serve(
    exchange: &Exchange,
    segments: &[&str],
    directory: &Snapshot,
    tenant: &Tenant,
    roles: &[String],
) -> Result<Value, GraphError> {
    let not_found = |id: &str| {
        let message = format!("Resource '{}' does not exist.", id.chars().take(64).collect::<String>());
        GraphError::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
    };
    let (collection, id) = match *segments {
        [collection] => (collection, None),
        [collection, id] => (collection, Some(id)),
        _ => return Err(unknown_segment(segments)),
    };
    let (needed, objects): (&[&str], Vec<Value>) = match collection {
        "organization" => (READ_ORGANIZATION, vec![objects::organization(tenant)]),
        "users" => (READ_USERS, tenant.users.iter().map(objects::user).collect()),
        "applications" => (READ_APPLICATIONS, objects::applications(directory, tenant)),
        _ => return Err(unknown_segment(segments)),
    };
    if !roles.iter().any(|role| needed.contains(&role.as_str())) {
        let message = "Insufficient privileges to complete the operation.";
        return Err(GraphError::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", message));
    }
    if !exchange.is_read() {
        let message = "The local Graph can be read only.";
        return Err(GraphError::new(StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest", message));
    }
    if let Some(option) = system_query_option(exchange) {
        let message = format!("The local Graph does not support the query option '{option}'.");
        return Err(GraphError::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message));
    }
    let context = format!("{}$metadata#{collection}", service_root(exchange));
    match id {
        None => Ok(value!({ "@odata.context": context, "value": objects })),
        Some(id) => {
            let named = |object: &Value| object["id"] == id || object["userPrincipalName"] == id;
            let mut object = objects.into_iter().find(named).ok_or_else(|| not_found(id))?;
            object["@odata.context"] = format!("{context}/$entity").into();
            Ok(object)
        }
    }
}

fn unknown_segment(segments: &[&str]) -> GraphError {
    let segment: String = segments.first().unwrap_or(&"").chars().take(64).collect();
    let message = format!("Resource not found for the segment '{segment}'.");
    GraphError::new(StatusCode::BAD_REQUEST, "BadRequest", message)
}

/// `$filter` and its like would change the answer: better refused than passed over.
fn system_query_option(exchange: &Exchange) -> Option<String> {
    let query = exchange.head.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, _)| name.chars().take(32).collect::<String>())
        .find(|name| name.starts_with('$'))
}

/// Where tokens for this Graph come from.
fn login_base(exchange: &Exchange) -> &str {
    let by_its_name = crate::hosts::is_graph_host(exchange.base.split("//").nth(1).unwrap_or_default());
    if by_its_name { "https://login.microsoftonline.com" } else { &exchange.base }
}

fn service_root(exchange: &Exchange) -> String {
    let path = exchange.head.uri.path();
    let graph = if path.trim_start_matches('/').starts_with("graph/") { "/graph" } else { "" };
    format!("{}{graph}/v1.0/", exchange.base)
}

/// Any of these application permissions will do (Microsoft Graph reference, "Permissions" of each operation).
const READ_ORGANIZATION: &[&str] =
    &["Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const READ_USERS: &[&str] = &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const READ_APPLICATIONS: &[&str] = &[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
