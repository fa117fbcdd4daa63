//! `POST /{tenant}/oauth2/v2.0/token` and `POST /{tenant}/oauth2/token`: the request read, the answer written, the
//! sign-in logged, faults applied.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::{Body, BodyError, Exchange, Reply, RequestBody, Response, json, read, refuse, set, set_id};
use crate::aadsts::{Code, Ids, Refusal};
use crate::directory::TokenVersion;
use crate::faults::{Fault, Target};
use crate::federation::Published;
use crate::hosts::is_mtls_host;
use crate::sign_in::{Outcome, SignIn};
use crate::sts::{self, Basic, Form, Granted, TokenRequest};

/// Answers a token request: one from outside, or one that the portal tries.
pub(crate) async fn answer(exchange: &Exchange, tenant: &str, version: TokenVersion, body: impl RequestBody) -> Reply {
    let state = &exchange.state;
    state.token_requests.fetch_add(1, Ordering::Relaxed);
    if let Some(latency) = state.faults.latency_of_all() {
        tokio::time::sleep(latency).await;
    }
    let body = read(body, state.limits.body_bytes, state.limits.body).await;
    let (form, too_much) = match parse(exchange, body) {
        Ok(form) => (Ok(form), None),
        Err((refusal, status)) => (Err(refusal), status),
    };
    let basic = exchange.header(header::AUTHORIZATION.as_str()).map_or(Ok(None), Basic::parse);
    let client_id = client_id(form.as_ref().ok(), basic.as_ref().ok());
    let fault = due(exchange, tenant, form.as_ref().ok(), client_id.unwrap_or_default());
    if let Some(Fault::Latency(latency)) = &fault {
        tokio::time::sleep(*latency).await;
    }
    let sent = form.as_ref().ok();
    let ids = exchange.ids(sent.and_then(|form| form.get("client-request-id")));
    let mut log = entry(exchange, tenant, ids);
    log.app_id = client_id.map(sts::shown_client_id);
    let issuer_keys = match &form {
        Ok(form) => foreign_keys(exchange, form).await,
        Err(_) => None,
    };
    let asked = Asked { tenant, version, basic: &basic, issuer_keys: issuer_keys.as_ref(), refused_with: None, ids };
    let reply = match fault {
        None | Some(Fault::Latency(_) | Fault::ConditionalAccess | Fault::Refusal(_)) => judge(
            exchange,
            &Asked { refused_with: fault.as_ref().and_then(Fault::code), ..asked },
            form,
            too_much,
            &mut log,
        )
        .into(),
        Some(fault) => {
            log.outcome = Outcome::Faulted;
            log.message = Some(format!("fault: {fault:?}"));
            break_down(exchange, &asked, form, fault)
        }
    };
    tracing::info!(
        trace_id = %log.trace_id, correlation_id = %log.correlation_id, tenant = log.tenant, app_id = log.app_id,
        resource = log.resource, outcome = ?log.outcome, code = log.code, "token request"
    );
    state.sign_ins.push(log);
    reply
}

/// Who asks, wherever it says so.
fn client_id<'a>(form: Option<&'a Form>, basic: Option<&'a Option<Basic>>) -> Option<&'a str> {
    form?.get("client_id").or_else(|| Some(basic?.as_ref()?.client_id.as_str()))
}

/// The fault that this request asks for by a header, or that waits for it.
fn due(exchange: &Exchange, tenant: &str, form: Option<&Form>, app: &str) -> Option<Fault> {
    if let Some(asked) = exchange.header(FAULT_HEADER) {
        return Some(Fault::from_header(asked));
    }
    let state = &exchange.state;
    if !state.faults.any() {
        return None;
    }
    let mut names = vec![tenant.to_owned()];
    if let Some(tenant) = state.directory.load().tenant(tenant) {
        names.push(tenant.id.to_string());
        names.extend(tenant.domains.iter().cloned());
    }
    let field = |name: &str| form.and_then(|form| form.get(name));
    let resource = field("scope").and_then(|scope| scope.split(' ').find_map(|one| one.strip_suffix("/.default")));
    let resource = resource.or_else(|| field("resource")).unwrap_or_default();
    state.faults.take(&Target { tenant: &names, app, resource, identities: false })
}

/// What is known of a request beside its form.
#[derive(Clone, Copy)]
struct Asked<'a> {
    tenant: &'a str,
    version: TokenVersion,
    basic: &'a Result<Option<Basic>, Refusal>,
    issuer_keys: Option<&'a Published>,
    /// What would be granted is refused, on demand.
    refused_with: Option<Code>,
    ids: Ids,
}

/// What the issuer of a federated assertion publishes, if the request has one that the application trusts.
async fn foreign_keys(exchange: &Exchange, form: &Form) -> Option<Published> {
    let state = &exchange.state;
    let (client_id, assertion) = (form.get("client_id")?, form.get("client_assertion")?);
    let (issuer, kid) = sts::foreign_issuer(&state.directory.load(), &state.issuers, client_id, assertion)?;
    Some(state.federation.keys(&issuer, kid.as_deref()).await)
}

/// The proper answer.
fn judge(
    exchange: &Exchange,
    asked: &Asked<'_>,
    form: Result<Form, Refusal>,
    status: Option<StatusCode>,
    log: &mut SignIn,
) -> Response {
    let Asked { tenant, version, basic, issuer_keys, refused_with, ids } = *asked;
    let state = &exchange.state;
    let telemetry = exchange.header("x-client-current-telemetry").is_some()
        || form.as_ref().is_ok_and(|form| form.get("x-client-current-telemetry").is_some());
    let outcome = form.and_then(|form| {
        let basic = basic.as_ref().map_err(Refusal::clone)?.as_ref();
        let request = TokenRequest {
            tenant,
            endpoint: version,
            form: &form,
            basic,
            certificate: exchange.head.extensions.get(),
            mtls_host: is_mtls_host(exchange.host()),
            issuer_keys,
            ids,
        };
        let granted = sts::answer(state, &request, log)?;
        match refused_with {
            None => Ok(granted),
            Some(Code::ConditionalAccess) => Err(Refusal::conditional_access(Uuid::new_v4())),
            Some(code) => {
                Err(Refusal::new(code, &[]).evidence("fault", "none", format!("AADSTS{} on demand", code.number())))
            }
        }
    });
    let code = outcome.as_ref().err().map(|refusal| refusal.code.number());
    let mut response = match outcome {
        Ok(granted) => success(&granted, version),
        Err(refusal) => {
            let mut response = refuse(exchange, &refusal, ids);
            if let Some(status) = status {
                *response.status_mut() = status;
            }
            log.refuse(refusal.code.number(), refusal.message, refusal.evidence);
            response
        }
    };
    if telemetry && let Ok(value) = HeaderValue::from_str(&format!("1,{},0,,", code.unwrap_or(0))) {
        response.headers_mut().insert("x-ms-clitelem", value);
    }
    finish(exchange, &mut response, ids);
    response
}

/// A request that meets a fault.
fn break_down(exchange: &Exchange, asked: &Asked<'_>, form: Result<Form, Refusal>, fault: Fault) -> Reply {
    let Asked { tenant, ids, .. } = *asked;
    let mut response = match fault {
        Fault::Reset => return Reply::Reset,
        Fault::Hang => return Reply::Hang,
        Fault::Garbage => {
            let mut response = json(StatusCode::OK, &());
            *response.body_mut() = Body::whole("<html><body>It works!</body></html>");
            response
        }
        Fault::Truncated => {
            let mut scratch = entry(exchange, tenant, ids);
            judge(exchange, asked, form, None, &mut scratch).map(Body::truncate)
        }
        Fault::Status { status, retry_after, body } => {
            let code = if status == 429 { Code::Throttled } else { Code::Transient };
            let mut response = refuse(exchange, &Refusal::new(code, &[]), ids);
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            if let Some(body) = body {
                *response.body_mut() = Body::whole(body);
            }
            if let Some(wait) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            }
            response
        }
        Fault::Latency(_) | Fault::ConditionalAccess | Fault::Refusal(_) => {
            judge(exchange, asked, form, None, &mut entry(exchange, tenant, ids))
        }
    };
    finish(exchange, &mut response, ids);
    response.into()
}

/// What the request says, before anything is judged. A body that is no form counts as an empty one, which is how
/// Entra sees it. With the refusal goes the HTTP status of a body that was not read.
fn parse(exchange: &Exchange, body: Result<Bytes, BodyError>) -> Result<Form, (Refusal, Option<StatusCode>)> {
    if exchange.head.method != Method::POST {
        let method = exchange.head.method.as_str();
        let refusal = Refusal::new(Code::MethodWrong, &[&format!("a {method} request")]);
        return Err((refusal.evidence("method", "POST", method), None));
    }
    let body = body.map_err(|error| {
        let most = format!("the body is longer than {} bytes", exchange.state.limits.body_bytes);
        let (what, status) = match error {
            BodyError::TooLong => (most.as_str(), Some(StatusCode::PAYLOAD_TOO_LARGE)),
            BodyError::TooSlow => ("the body did not come in time", Some(StatusCode::REQUEST_TIMEOUT)),
            BodyError::Broken => ("the body could not be read", None),
        };
        (Refusal::new(Code::RequestMalformed, &[what]), status)
    })?;
    let kind = exchange.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Form::parse(&body).map_err(|refusal| (refusal, None));
    }
    Form::default()
        .require("grant_type")
        .map(|_| Form::default())
        .map_err(|refusal| (refusal.evidence("content type", "application/x-www-form-urlencoded", kind), None))
}

fn entry(exchange: &Exchange, tenant: &str, ids: Ids) -> SignIn {
    SignIn::begun(exchange.state.clock.now_unix(), tenant, (ids.trace, ids.correlation))
}

/// v2.0 writes numbers, v1 writes every number as a string.
fn success(granted: &Granted, version: TokenVersion) -> Response {
    #[derive(Serialize)]
    struct V2<'a> {
        token_type: &'static str,
        expires_in: i64,
        ext_expires_in: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_in: Option<i64>,
        access_token: &'a str,
    }

    #[derive(Serialize)]
    struct V1<'a> {
        token_type: &'static str,
        expires_in: String,
        ext_expires_in: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_in: Option<String>,
        expires_on: String,
        not_before: String,
        resource: &'a str,
        access_token: &'a str,
    }

    let &Granted { ref token, token_type, expires_in, expires_on, not_before, refresh_in, ref resource } = granted;
    match version {
        TokenVersion::V2 => json(
            StatusCode::OK,
            &V2 { token_type, expires_in, ext_expires_in: expires_in, refresh_in, access_token: token },
        ),
        TokenVersion::V1 => json(
            StatusCode::OK,
            &V1 {
                token_type,
                expires_in: expires_in.to_string(),
                ext_expires_in: expires_in.to_string(),
                refresh_in: refresh_in.map(|seconds| seconds.to_string()),
                expires_on: expires_on.to_string(),
                not_before: not_before.to_string(),
                resource,
                access_token: token,
            },
        ),
    }
}

/// The headers of every answer of the token endpoint.
fn finish(exchange: &Exchange, response: &mut Response, ids: Ids) {
    let headers = response.headers_mut();
    set(headers, TOKEN_HEADERS);
    set_id(headers, "x-ms-request-id", ids.trace);
    if exchange.header("return-client-request-id").is_some_and(|wanted| wanted.eq_ignore_ascii_case("true")) {
        set_id(headers, "client-request-id", ids.correlation);
    }
}

pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

/// By which a test asks for trouble with its own request.
const FAULT_HEADER: &str = "x-apptoken-fault";

/// As recorded from Entra; the server names itself.
const TOKEN_HEADERS: &[(&str, &str)] = &[
    ("cache-control", "no-store, no-cache"),
    ("pragma", "no-cache"),
    ("expires", "-1"),
    ("x-ms-ests-server", concat!("apptoken-emulator ", env!("CARGO_PKG_VERSION"))),
    ("set-cookie", "x-ms-gateway-slice=estsfd; path=/; secure; samesite=none; httponly"),
    ("set-cookie", "stsservicecookie=estsfd; path=/; secure; samesite=none; httponly"),
];
