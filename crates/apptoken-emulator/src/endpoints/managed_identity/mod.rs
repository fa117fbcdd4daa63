//! The identity endpoints of a machine in Azure, one file per dialect: what a request must look like, whose token it
//! asks for, how answers are written. Where Microsoft does not say how a mistake is answered, the shape is the
//! platform's and the words are ours.

mod app_service;
mod arc;
mod cloud_shell;
mod imds;
mod machine_learning;
mod service_fabric;

use http::StatusCode;
use http::header::HeaderValue;
use serde_json::Value;

use super::token::whole_seconds;
use super::{Body, Exchange, Reply, RequestBody, Response, json, set_id, text};
use crate::aadsts::{Ids, Refusal};
use crate::directory::{Application, ServicePrincipal, Snapshot, Tenant, guid};
use crate::faults::{Fault, Target};
use crate::managed_identity::ManagedIdentitySource as Source;
use crate::sign_in::SignIn;
use crate::sts::{self, Granted, IdentityRequest};

/// Answers a request for a token at the endpoint of `source`.
pub(super) async fn answer(exchange: &Exchange, source: Source, body: impl RequestBody) -> Reply {
    let faults = &exchange.state.faults;
    let resource = exchange.query("resource").unwrap_or_default();
    let target = Target { tenant: &[], app: "", resource: &resource, identities: true };
    let fault = if faults.any() { faults.take(&target) } else { None };
    match fault {
        None | Some(Fault::ConditionalAccess | Fault::Refusal(_)) => proper(exchange, source, body).await.into(),
        Some(Fault::Latency(latency)) => {
            tokio::time::sleep(latency).await;
            proper(exchange, source, body).await.into()
        }
        Some(Fault::Truncated) => proper(exchange, source, body).await.map(Body::truncate).into(),
        Some(Fault::Garbage) => text(StatusCode::OK, "<html><body>It works!</body></html>").into(),
        Some(Fault::Reset) => Reply::Reset,
        Some(Fault::Hang) => Reply::Hang,
        Some(Fault::Status { status, retry_after, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let dialect = Dialect { source, ids: exchange.ids(None) };
            let mut response =
                dialect.refuse(&Problem::new(status, "fault", "The service is unwell, as was asked for"));
            if let Some(body) = body {
                *response.body_mut() = Body::whole(body);
            }
            if let Some(wait) = retry_after {
                response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            }
            response.into()
        }
    }
}

async fn proper(exchange: &Exchange, source: Source, body: impl RequestBody) -> Response {
    let ids = exchange.ids(None);
    let ask = match source {
        Source::AppService => app_service::read(exchange),
        Source::AzureArc => arc::read(exchange).await,
        Source::CloudShell => cloud_shell::read(exchange, body).await,
        Source::Imds => imds::read(exchange),
        Source::MachineLearning => machine_learning::read(exchange),
        Source::ServiceFabric => service_fabric::read(exchange),
    };
    let dialect = Dialect { source, ids };
    let mut response = match ask {
        Ok(ask) => dialect.grant(exchange, &ask),
        Err(problem) => dialect.refuse(&problem),
    };
    set_id(response.headers_mut(), "x-ms-request-id", ids.trace);
    response
}

/// Anything else under the instance-metadata service's path: not simulated, but its rule on headers holds, by which
/// programs find out that the service is there.
pub(super) fn metadata(exchange: &Exchange) -> Response {
    let dialect = Dialect { source: Source::Imds, ids: exchange.ids(None) };
    match imds::guard(exchange) {
        Err(problem) => dialect.refuse(&problem),
        Ok(()) => text(StatusCode::NOT_FOUND, "The local instance-metadata service gives tokens only.\n"),
    }
}

/// What a request asks for.
struct Ask {
    resource: String,
    identity: Identity,
}

/// Whose token, as requests name it.
enum Identity {
    /// The machine's own, or whatever the platform takes for it.
    Unnamed,
    Client(String),
    Object(String),
    Resource(String),
}

/// What a parameter names an identity by.
type IdKind = fn(String) -> Identity;

/// Why there is no token.
struct Problem {
    status: StatusCode,
    /// The platform's word for it.
    code: &'static str,
    message: String,
    challenge: Option<HeaderValue>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), challenge: None }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }
}

impl Identity {
    /// The one that the request names, by each parameter's name; more than one is a contradiction.
    fn of(exchange: &Exchange, names: &[(&str, IdKind)]) -> Result<Self, Problem> {
        let mut found =
            names.iter().filter_map(|(name, kind)| exchange.query(name).filter(|value| !value.is_empty()).map(kind));
        match (found.next(), found.next()) {
            (None, _) => Ok(Self::Unnamed),
            (Some(one), None) => Ok(one),
            _ => Err(Problem::bad_request("More than one identity is named in the request")),
        }
    }

    fn is(&self, application: &Application, principal: &ServicePrincipal) -> bool {
        let identity = application.managed_identity.as_ref();
        match self {
            Self::Unnamed => identity.is_some_and(|identity| identity.system_assigned),
            Self::Client(id) => guid(id) == Some(application.app_id),
            Self::Object(id) => guid(id) == Some(principal.id),
            Self::Resource(id) => identity
                .is_some_and(|identity| !identity.system_assigned && identity.resource_id.eq_ignore_ascii_case(id)),
        }
    }
}

/// How a platform writes.
struct Dialect {
    source: Source,
    ids: Ids,
}

impl Dialect {
    fn grant(&self, exchange: &Exchange, ask: &Ask) -> Response {
        let state = &exchange.state;
        let directory = state.directory.load();
        let (tenant, application, principal) = match self.choose(&directory, &ask.identity) {
            Ok(found) => found,
            Err(problem) => return self.refuse(&problem),
        };
        let mut log =
            SignIn::begun(state.clock.now_unix(), &tenant.default_domain, (self.ids.trace, self.ids.correlation));
        let request = IdentityRequest { tenant, application, principal, resource: &ask.resource, ids: self.ids };
        let outcome = sts::for_managed_identity(state, &directory, &request, &mut log);
        let response = match outcome {
            Ok(granted) => json(StatusCode::OK, &self.granted(&granted, application)),
            Err(refusal) => {
                let response = self.refused(exchange, &refusal);
                log.refuse(refusal.code.number(), refusal.message, refusal.evidence);
                response
            }
        };
        tracing::info!(
            trace_id = %log.trace_id, tenant = log.tenant, app_id = log.app_id, resource = log.resource,
            source = ?self.source, outcome = ?log.outcome, code = log.code, "managed identity token request"
        );
        state.sign_ins.push(log);
        response
    }

    fn choose<'a>(
        &self,
        directory: &'a Snapshot,
        identity: &Identity,
    ) -> Result<(&'a Tenant, &'a Application, &'a ServicePrincipal), Problem> {
        let all = directory.managed_identities();
        if let Some(&found) = all.iter().find(|(_, application, principal)| identity.is(application, principal)) {
            return Ok(found);
        }
        match (identity, &all[..]) {
            // On a virtual machine the only user-assigned identity is the one meant.
            (Identity::Unnamed, [only]) if self.source == Source::Imds => Ok(*only),
            (Identity::Unnamed, [_, _, ..]) if self.source == Source::Imds => Err(Problem::bad_request(
                "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
            )),
            _ => Err(Problem::bad_request("Identity not found")),
        }
    }

    fn granted(&self, granted: &Granted, application: &Application) -> Value {
        match self.source {
            Source::AppService => app_service::granted(granted, application),
            Source::AzureArc => arc::granted(granted),
            Source::CloudShell => cloud_shell::granted(granted),
            Source::Imds => imds::granted(granted, application),
            Source::MachineLearning => machine_learning::granted(granted, application),
            Source::ServiceFabric => service_fabric::granted(granted),
        }
    }

    /// A refusal of Entra's, passed on.
    fn refused(&self, exchange: &Exchange, refusal: &Refusal) -> Response {
        let envelope = refusal.envelope(self.ids, exchange.state.clock.now_millis(), exchange.host());
        match self.source {
            Source::Imds | Source::AzureArc => json(StatusCode::BAD_REQUEST, &envelope),
            _ => self.refuse(&Problem::new(StatusCode::BAD_REQUEST, "invalid_request", refusal.message.as_str())),
        }
    }

    fn refuse(&self, problem: &Problem) -> Response {
        let Problem { status, code, message, challenge } = problem;
        let correlation = self.ids.correlation;
        let body = match self.source {
            Source::Imds | Source::AzureArc => {
                serde_json::json!({ "error": code, "error_description": message })
            }
            Source::AppService | Source::MachineLearning => serde_json::json!({
                "statusCode": status.as_u16(), "message": message, "correlationId": correlation,
            }),
            Source::ServiceFabric => serde_json::json!({
                "error": { "correlationId": correlation, "code": code, "message": message },
            }),
            Source::CloudShell => serde_json::json!({ "error": { "code": code, "message": message } }),
        };
        let mut response = json(*status, &body);
        if let Some(challenge) = challenge {
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, challenge.clone());
        }
        response
    }
}

/// The query parameter of this name, which must be there.
fn required(exchange: &Exchange, name: &str) -> Result<String, Problem> {
    let found = exchange.query(name).filter(|value| !value.is_empty());
    found.ok_or_else(|| Problem::bad_request(format!("Required query variable '{name}' is missing")))
}

/// The dialect's version.
fn version(exchange: &Exchange, known: &[&str]) -> Result<(), Problem> {
    let asked = required(exchange, "api-version")?;
    if known.contains(&asked.as_str()) {
        return Ok(());
    }
    Err(Problem::bad_request(format!("The api-version is not supported; it can be {}", known.join(", "))))
}

/// `Metadata: true`, by which a request that somebody was tricked into sending is told from a program's own.
fn metadata_header(exchange: &Exchange) -> Result<(), Problem> {
    match exchange.header("metadata") {
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(()),
        _ => Err(Problem::bad_request("Required metadata header not specified")),
    }
}

fn method(exchange: &Exchange, wanted: &http::Method) -> Result<(), Problem> {
    if exchange.head.method == *wanted {
        return Ok(());
    }
    let message = format!("The method must be {wanted}");
    Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message))
}
