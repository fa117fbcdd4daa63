//! The security token service: one token request in, a token or a refusal out. No I/O; no lock, but for a moment to
//! note a client assertion's use.

mod assertion;
mod chain;
mod claims;
mod federated;
mod form;
mod issue;
mod managed_identity;
mod pop;
mod requested;
mod scope;
mod secret;
#[cfg(test)]
mod tests;

use apptoken_jose::Certificate;
use serde_json::Value;
use uuid::Uuid;

pub(crate) use claims::REGION;
pub(crate) use federated::foreign_issuer;
pub(crate) use form::{Basic, Form};
pub(crate) use issue::Granted;
pub(crate) use managed_identity::{IdentityRequest, for_managed_identity};
use pop::Binding;

use crate::aadsts::{Code, Ids, Refusal};
use crate::directory::{
    Application, CONSUMERS, ServicePrincipal, Snapshot, Tenant, TokenVersion, guid, is_domain, resource_key,
};
use crate::federation::Published;
use crate::sign_in::{CredentialKind, SignIn};
use crate::state::State;

/// One token request, read but not judged.
pub(crate) struct TokenRequest<'a> {
    /// As in the path.
    pub(crate) tenant: &'a str,
    /// Of the endpoint, which decides how the resource is named and how the answer is written.
    pub(crate) endpoint: TokenVersion,
    pub(crate) form: &'a Form,
    pub(crate) basic: Option<&'a Basic>,
    /// Shown on TLS, its key proven.
    pub(crate) certificate: Option<&'a Certificate>,
    /// Whether it came by a name that is for mutual TLS.
    pub(crate) mtls_host: bool,
    /// What the issuer of a federated assertion publishes, if one came.
    pub(crate) issuer_keys: Option<&'a Published>,
    pub(crate) ids: Ids,
}

/// Judges a token request in Entra's order of checks, writing into `log` what becomes known on the way.
pub(crate) fn answer(state: &State, request: &TokenRequest<'_>, log: &mut SignIn) -> Result<Granted, Refusal> {
    let directory = state.directory.load();
    let now = state.clock.now_unix();

    let tenant = Named::parse(request.tenant, &directory)?;
    grant_type(request)?;
    let tenant = tenant.one(request, &directory)?;
    log.tenant_id = Some(tenant.id);

    let (application, principal) = client(request, &directory, tenant, log)?;
    let (credential, binding) = authenticate(state, request, &directory, tenant, application, now, log)?;

    let client = issue::Client {
        tenant,
        application,
        principal,
        credential,
        binding,
        fmi_path: request.form.get("fmi_path"),
        requested: requested::Requested::parse(request.form.get("claims"))?,
    };
    issue::issue(state, &directory, client, resource_name(request)?, request.ids, log)
}

/// What the tenant segment of a path names.
pub(crate) enum Named<'a> {
    One(&'a Tenant),
    /// `common`, `organizations`: any tenant.
    Any(&'a str),
    /// `consumers`, or the id of that tenant: personal accounts.
    Consumers(&'a str),
}

impl<'a> Named<'a> {
    pub(crate) fn parse(name: &'a str, directory: &'a Snapshot) -> Result<Self, Refusal> {
        let is = |many: &str| name.eq_ignore_ascii_case(many);
        if is("common") || is("organizations") {
            return Ok(Self::Any(name));
        }
        if is("consumers") || guid(name) == Some(CONSUMERS) {
            return Ok(Self::Consumers(name));
        }
        match guid(name) {
            Some(id) if id.is_nil() => return Err(Refusal::new(Code::TenantEmpty, &[name])),
            None if !is_domain(name) => {
                let expected = "a GUID or a domain name";
                return Err(Refusal::new(Code::TenantMalformed, &[name]).evidence("tenant", expected, name));
            }
            _ => (),
        }
        directory.tenant(name).map(Self::One).ok_or_else(|| {
            let mut known: Vec<_> = directory.tenants().map(|tenant| tenant.default_domain.as_str()).collect();
            known.sort_unstable();
            Refusal::new(Code::TenantUnknown, &[name]).evidence("tenant", known.join(", "), name)
        })
    }

    /// `request` may imply more than the path says: which application it is.
    fn one(self, request: &TokenRequest<'_>, directory: &Snapshot) -> Result<&'a Tenant, Refusal> {
        match self {
            Self::One(tenant) => Ok(tenant),
            Self::Any(name) => {
                let client_id = request.form.get("client_id").or_else(|| Some(request.basic?.client_id.as_str()));
                let application = client_id.and_then(guid).and_then(|id| directory.application(id));
                let single = application.filter(|app| app.sign_in_audience.is_one_tenant());
                if let Some(app) = single {
                    let arguments = [&*app.app_id.to_string(), &app.display_name, name];
                    let tenant = app.home_tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
                    return Err(Refusal::new(Code::TenantNotNamed, &arguments).evidence("tenant", tenant, name));
                }
                Err(Refusal::new(Code::TenantMissing, &[name]).evidence("tenant", "one tenant's id or domain", name))
            }
            Self::Consumers(_) => Err(Refusal::new(Code::GrantNotOnConsumers, &["client_credentials"])),
        }
    }
}

fn grant_type(request: &TokenRequest<'_>) -> Result<(), Refusal> {
    match request.form.require("grant_type")? {
        "client_credentials" => Ok(()),
        other => {
            Err(Refusal::new(Code::GrantUnsupported, &[other]).evidence("grant_type", "client_credentials", other))
        }
    }
}

/// The application and its service principal in this tenant.
fn client<'a>(
    request: &TokenRequest<'_>,
    directory: &'a Snapshot,
    tenant: &'a Tenant,
    log: &mut SignIn,
) -> Result<(&'a Application, &'a ServicePrincipal), Refusal> {
    let client_id = match (request.form.get("client_id"), request.basic) {
        (Some(id), Some(basic)) if id != basic.client_id => {
            let what = "'client_id' in the body and in the Basic authorization header differ";
            return Err(Refusal::new(Code::RequestMalformed, &[what]));
        }
        (Some(id), _) => id,
        (None, Some(basic)) => &basic.client_id,
        (None, None) => request.form.require("client_id")?,
    };
    let shown = shown_client_id(client_id);
    log.app_id = Some(shown.clone());
    let id = guid(client_id);
    if id.is_some_and(|id| id.is_nil()) {
        return Err(Refusal::new(Code::ApplicationIdInvalid, &[client_id]));
    }
    let unknown = || {
        Refusal::new(Code::ApplicationUnknown, &[&shown, &tenant.display_name]).evidence(
            "client_id",
            "an application of this tenant, or of another that allows it here",
            shown.as_str(),
        )
    };
    let application = id.and_then(|id| directory.application(id)).ok_or_else(unknown)?;
    log.app_display_name = Some(application.display_name.clone());
    let Some(principal) = tenant.service_principal(application.app_id) else {
        return Err(if application.may_be_used_in(tenant.id) {
            let app = application.app_id.to_string();
            Refusal::new(Code::PrincipalMissing, &[&app, &tenant.id.to_string()]).evidence(
                "service principal",
                format!("one in {}", tenant.default_domain),
                "none",
            )
        } else {
            unknown()
        });
    };
    if !principal.account_enabled {
        let app = application.app_id.to_string();
        return Err(Refusal::new(Code::PrincipalDisabled, &[&app, &application.display_name]));
    }
    Ok((application, principal))
}

/// `client_id` as answers and logs may show it: what is no GUID may be the secret, taken for the id.
pub(crate) fn shown_client_id(client_id: &str) -> String {
    match guid(client_id) {
        Some(_) => client_id.to_owned(),
        None => format!("{} characters, not a GUID", client_id.chars().count()),
    }
}

fn authenticate(
    state: &State,
    request: &TokenRequest<'_>,
    directory: &Snapshot,
    tenant: &Tenant,
    application: &Application,
    now: i64,
    log: &mut SignIn,
) -> Result<(CredentialKind, Binding), Refusal> {
    let binding = Binding::of(request)?;
    let known_until = || state.faults.delays.known_until(tenant, application, now);
    if let Some(assertion) = request.form.get("client_assertion") {
        let kind = request.form.require("client_assertion_type")?;
        if kind != JWT_BEARER && kind != JWT_POP {
            let what = "'client_assertion_type' is not the one of RFC 7523";
            return Err(Refusal::new(Code::RequestMalformed, &[what]).evidence(
                "client_assertion_type",
                JWT_BEARER,
                kind,
            ));
        }
        let kind_of_proof = assert(state, request, directory, tenant, application, assertion, log)?;
        let bound = kind == JWT_POP || matches!(binding, Binding::Certificate { .. });
        pop::same_certificate(request, application, assertion, bound)?;
        return Ok((kind_of_proof, binding));
    }
    if request.form.get("client_assertion_type").is_some() {
        request.form.require("client_assertion")?;
    }
    let basic = request.basic.map(|basic| basic.secret.as_str()).filter(|secret| !secret.is_empty());
    let Some(secret) = request.form.get("client_secret").or(basic) else {
        if let Some(certificate) = request.certificate {
            log.credential = Some(CredentialKind::Certificate);
            pop::registered(application, certificate, now, known_until())?;
            return Ok((CredentialKind::Certificate, binding));
        }
        return Err(Refusal::new(Code::CredentialMissing, &[]).evidence(
            "credential",
            "client_secret or client_assertion",
            "neither, or an empty one",
        ));
    };
    log.credential = Some(CredentialKind::Secret);
    binding.allows_secret()?;
    if application.managed_identity.is_some() {
        return Err(Refusal::new(Code::ManagedIdentitySecret, &[&application.app_id.to_string()]));
    }
    secret::verify(application, secret, now, known_until())?;
    Ok((CredentialKind::Secret, binding))
}

/// An assertion by the application itself, signed with its certificate, or by an issuer that it trusts.
fn assert(
    state: &State,
    request: &TokenRequest<'_>,
    directory: &Snapshot,
    tenant: &Tenant,
    application: &Application,
    assertion: &str,
    log: &mut SignIn,
) -> Result<CredentialKind, Refusal> {
    let now = state.clock.now_unix();
    let known_until = state.faults.delays.known_until(tenant, application, now);
    let jwt = assertion::parse(assertion)?;
    let issuer = jwt.claims().get("iss").and_then(Value::as_str).unwrap_or_default();
    let trusted = application.federated.iter().any(|credential| credential.issuer == issuer);
    let kind = match trusted || issuer.contains("://") {
        true => CredentialKind::Federated,
        false => CredentialKind::Certificate,
    };
    log.credential = Some(kind);
    if kind == CredentialKind::Federated {
        let published = request.issuer_keys;
        let (issuers, own_keys) = (&state.issuers, &state.keys);
        federated::Federated { directory, application, issuers, own_keys, published, now, known_until }.verify(&jwt)?;
    } else if application.managed_identity.is_some() {
        return Err(Refusal::new(Code::ManagedIdentitySecret, &[&application.app_id.to_string()]));
    } else {
        assertion::Verifier { directory, tenant, application, hosts: &state.hosts, now, known_until }.verify(&jwt)?;
        assertion::use_once(application, jwt.claims(), &state.used_assertions, now, log)?;
    }
    Ok(kind)
}

/// `resource` at the v1 endpoint, `scope` at v2.0.
fn resource_name<'a>(request: &TokenRequest<'a>) -> Result<&'a str, Refusal> {
    match request.endpoint {
        TokenVersion::V1 => request.form.require("resource"),
        TokenVersion::V2 => {
            let asked = scope::resource(request.form.require("scope")?)?;
            match request.form.get("resource") {
                None => Ok(asked),
                Some(resource) if resource_key(resource) == resource_key(asked) => {
                    Err(Refusal::new(Code::ResourceParameterOnV2, &[]))
                }
                Some(resource) => {
                    Err(Refusal::new(Code::ResourceParameterMismatch, &[]).evidence("resource", asked, resource))
                }
            }
        }
    }
}

impl Application {
    fn may_be_used_in(&self, tenant: Uuid) -> bool {
        self.home_tenant == Some(tenant) || !self.sign_in_audience.is_one_tenant()
    }
}

/// An assertion that goes with a certificate on TLS.
const JWT_POP: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-pop";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
