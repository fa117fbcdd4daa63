//! The last steps of every token: the resource resolved, the roles read, the token signed.

use std::cmp::Reverse;

use super::claims::{BACKDATED, Claims, Grant};
use super::pop::Binding;
use super::requested::Requested;
use crate::aadsts::{Code, Ids, Refusal};
use crate::directory::{
    Application, DEFAULT_ACCESS, GRAPH, ServicePrincipal, Snapshot, TOKEN_EXCHANGE, Tenant, TokenVersion, resource_key,
};
use crate::sign_in::{CredentialKind, Evidence, SignIn, cut};
use crate::state::State;

/// A token and what goes with it.
pub(crate) struct Granted {
    pub(crate) token: String,
    pub(crate) token_type: &'static str,
    pub(crate) expires_in: i64,
    pub(crate) expires_on: i64,
    pub(crate) not_before: i64,
    pub(crate) refresh_in: Option<i64>,
    /// As asked for.
    pub(crate) resource: String,
}

/// Who has proved what it is, and how.
pub(super) struct Client<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) application: &'a Application,
    pub(super) principal: &'a ServicePrincipal,
    pub(super) credential: CredentialKind,
    pub(super) binding: Binding,
    /// A part of the application that the token is for: the token exchange's tokens name it.
    pub(super) fmi_path: Option<&'a str>,
    pub(super) requested: Requested,
}

/// A token of `client` for `resource`, as it was spelt, or why there is none.
pub(super) fn issue(
    state: &State,
    directory: &Snapshot,
    client: Client<'_>,
    resource: &str,
    ids: Ids,
    log: &mut SignIn,
) -> Result<Granted, Refusal> {
    let Client { tenant, application, principal, credential, binding, fmi_path, requested } = client;
    let now = state.clock.now_unix();
    log.resource = Some(cut(resource, 512));
    let (api, api_principal) =
        directory.resource(tenant, resource).ok_or_else(|| unknown_resource(resource, tenant, directory))?;
    if !api_principal.account_enabled {
        return Err(Refusal::new(Code::ResourceDisabled, &[resource]));
    }
    let roles = Snapshot::roles(principal, api);
    let by_default = || principal.app_role_assignments.iter().any(|a| a.grants(api.app_id, DEFAULT_ACCESS));
    if api_principal.app_role_assignment_required && roles.is_empty() && !by_default() {
        return Err(unassigned(application, api));
    }
    log.roles = roles.iter().map(|&role| role.to_owned()).collect();
    if api.token_version == TokenVersion::V1 && !api.accepts_audience(resource) && api.slash_strict {
        let wanted = api.identifier_uris.iter().find(|uri| resource_key(uri) == resource_key(resource));
        let wanted = wanted.map_or("", String::as_str);
        log.message = Some(format!("the token's aud is {resource}, and {} takes only {wanted}", api.display_name));
        log.evidence.push(Evidence::new("audience", wanted, resource));
    }

    // Continuous access evaluation of daemons: Microsoft Graph's, for clients that handle its challenges.
    let evaluated = requested.handles_challenges && api.app_id == GRAPH;
    let usual = match credential {
        CredentialKind::ManagedIdentity => DAY,
        _ if evaluated => DAY - 4 * HOUR + i64::from(ids.trace.as_fields().0) % (8 * HOUR),
        _ => HOUR,
    };
    let lifetime = Lifetime::new(state, usual);
    let issued = (now - BACKDATED).max(requested.not_before.unwrap_or(i64::MIN).min(now));
    let token_type = binding.token_type();
    let grant = Grant {
        tenant,
        client: application,
        principal,
        api,
        resource,
        roles: &roles,
        credential,
        confirmation: binding.confirmation(),
        fmi_path: fmi_path.filter(|_| api.app_id == TOKEN_EXCHANGE),
        issued,
        handles_challenges: evaluated || (requested.handles_challenges && api.asks_for_claim("xms_cc")),
        expires: now.saturating_add(lifetime.seconds),
        trace_id: ids.trace,
    };
    let claims = Claims::new(&grant, &state.issuers);
    let key = state.keys.current().ok_or_else(|| Refusal::new(Code::Internal, &[]))?;
    let token = key.sign(api.token_version, &claims).map_err(|_| Refusal::new(Code::Internal, &[]))?;
    Ok(Granted {
        token,
        token_type,
        expires_in: lifetime.expires_in,
        expires_on: grant.expires,
        not_before: issued,
        refresh_in: lifetime.refresh_in,
        resource: resource.to_owned(),
    })
}

/// What would have been known: the tenant's own APIs, and of Microsoft's those that begin alike.
fn unknown_resource(resource: &str, tenant: &Tenant, directory: &Snapshot) -> Refusal {
    let asked = resource_key(resource);
    let alike = |uri: &str| uri.bytes().zip(asked.bytes()).take_while(|(a, b)| a == b).count();
    let is_microsofts = |app_id| directory.application(app_id).is_some_and(|api| api.first_party);
    let known = tenant.resources.iter().map(|(uri, &app_id)| (uri.as_str(), is_microsofts(app_id)));
    let (microsofts, own): (Vec<_>, Vec<_>) = known.partition(|&(_, microsofts)| microsofts);
    let mut own: Vec<_> = own.into_iter().map(|(uri, _)| uri).collect();
    own.sort_unstable();
    let mut microsofts: Vec<_> = microsofts.into_iter().map(|(uri, _)| uri).filter(|uri| alike(uri) >= ALIKE).collect();
    microsofts.sort_unstable_by_key(|uri| (Reverse(alike(uri)), *uri));
    microsofts.truncate(3);
    own.extend(microsofts);
    own.push("one of Microsoft's own");
    Refusal::new(Code::ResourceUnknown, &[resource, &tenant.display_name, &tenant.id.to_string()]).evidence(
        "resource",
        own.join(", "),
        resource,
    )
}

fn unassigned(client: &Application, api: &Application) -> Refusal {
    let id = |application: &Application| application.app_id.to_string();
    Refusal::new(Code::AssignmentRequired, &[&id(client), &client.display_name, &id(api), &api.display_name]).evidence(
        "roles",
        api.app_roles.iter().map(|role| role.value.as_str()).collect::<Vec<_>>().join(", "),
        "none",
    )
}

/// How long a token lives, and what the answer says about it.
struct Lifetime {
    /// From now to `exp`.
    seconds: i64,
    expires_in: i64,
    refresh_in: Option<i64>,
}

impl Lifetime {
    /// Entra's hour says `expires_in` 3599, a managed identity's day 86399; a lifetime that was set is kept to the second.
    fn new(state: &State, usual: i64) -> Self {
        let (seconds, expires_in) = match state.faults.lifetime_seconds() {
            Some(set) => (set, set),
            None => (usual, usual - 1),
        };
        let half_life = (expires_in >= 2 * HOUR).then_some(expires_in / 2);
        Self { seconds, expires_in, refresh_in: state.faults.refresh_in_seconds().or(half_life) }
    }
}

/// From how many equal characters on two URIs are alike: a scheme and the beginning of a name.
const ALIKE: usize = "https://".len() + 4;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
