//! The claims of app-only access tokens, version 1 and version 2. A claim that has nothing to say is left out, `roles`
//! above all: its absence is what an API's 403 comes from.

use std::borrow::Cow;

use apptoken_jose::base64url;
use aws_lc_rs::rand;
use serde::Serialize;
use uuid::Uuid;

use crate::directory::{Application, ServicePrincipal, Tenant, TokenVersion};
use crate::issuer::Issuers;
use crate::sign_in::CredentialKind;

/// All that a token says.
pub(crate) struct Grant<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) client: &'a Application,
    pub(crate) principal: &'a ServicePrincipal,
    pub(crate) api: &'a Application,
    /// As it was asked for, which a v1 `aud` repeats.
    pub(crate) resource: &'a str,
    pub(crate) roles: &'a [&'a str],
    pub(crate) credential: CredentialKind,
    /// `cnf`: the key that the token is bound to.
    pub(crate) confirmation: Option<serde_json::Value>,
    /// The part of the client that the token is for.
    pub(crate) fmi_path: Option<&'a str>,
    /// `iat` and `nbf`.
    pub(crate) issued: i64,
    /// The client handles claims challenges, and the API is to know (`xms_cc`).
    pub(crate) handles_challenges: bool,
    pub(crate) expires: i64,
    pub(crate) trace_id: Uuid,
}

/// The claims of one token, in Entra's order.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Claims<'a> {
    V1(Box<V1<'a>>),
    V2(Box<V2<'a>>),
}

impl<'a> Claims<'a> {
    pub(crate) fn new(grant: &Grant<'a>, issuers: &Issuers) -> Self {
        let Grant { tenant, client, principal, api, roles, issued, expires, .. } = *grant;
        let opaque = Opaque::new(grant);
        let sub = match grant.fmi_path {
            Some(path) => format!("{}{path}", fmi_prefix(tenant.id, client.app_id)),
            None => principal.id.to_string(),
        };
        let credential = match grant.credential {
            CredentialKind::Secret => "1",
            CredentialKind::Certificate | CredentialKind::Federated | CredentialKind::ManagedIdentity => "2",
        };
        // what the API's registration asks for, and Microsoft's own have anyway
        let idtyp = (api.first_party || api.asks_for_claim("idtyp")).then_some("app");
        let xms_cc = grant.handles_challenges.then_some(["cp1"]);
        let country = tenant.country_letter_code.as_deref().filter(|_| api.asks_for_claim("tenant_ctry"));
        let language = tenant.preferred_language.as_deref().filter(|_| api.asks_for_claim("xms_tpl"));
        let asks_for_region = api.asks_for_claim("tenant_region_scope");
        match api.token_version {
            TokenVersion::V1 => {
                let issuer = issuers.of(TokenVersion::V1, tenant.id);
                let first = |claim: &'static str| api.first_party.then_some(claim);
                Self::V1(Box::new(V1 {
                    aud: match api.audience_is_guid() {
                        true => Cow::Owned(api.app_id.to_string()),
                        false => Cow::Borrowed(grant.resource),
                    },
                    iss: issuer.clone(),
                    iat: issued,
                    nbf: issued,
                    exp: expires,
                    aio: opaque.aio,
                    app_displayname: api.first_party.then_some(&client.display_name),
                    appid: client.app_id,
                    appidacr: credential,
                    cnf: grant.confirmation.clone(),
                    idp: issuer,
                    idtyp,
                    oid: principal.id,
                    rh: opaque.rh,
                    roles,
                    sub,
                    tenant_ctry: country,
                    tenant_region_scope: (api.first_party || asks_for_region).then_some(REGION),
                    tid: tenant.id,
                    uti: opaque.uti,
                    ver: "1.0",
                    wids: api.first_party.then_some([APP_ONLY_MARKER]),
                    xms_cc,
                    xms_ftd: opaque.xms_ftd,
                    xms_idrel: first("7 28"),
                    xms_mirid: client.managed_identity.as_ref().map(|identity| identity.resource_id.as_str()),
                    xms_par_app_azp: client.agent_blueprint,
                    xms_tcdt: api.first_party.then_some(tenant.created),
                    xms_tdbr: first("EU"),
                    xms_tpl: language,
                }))
            }
            TokenVersion::V2 => Self::V2(Box::new(V2 {
                aud: api.app_id,
                iss: issuers.of(TokenVersion::V2, tenant.id),
                iat: issued,
                nbf: issued,
                exp: expires,
                aio: opaque.aio,
                azp: client.app_id,
                azpacr: credential,
                cnf: grant.confirmation.clone(),
                idtyp,
                oid: principal.id,
                rh: opaque.rh,
                roles,
                sub,
                tenant_ctry: country,
                tenant_region_scope: asks_for_region.then_some(REGION),
                tid: tenant.id,
                uti: opaque.uti,
                ver: "2.0",
                xms_cc,
                xms_ftd: opaque.xms_ftd,
                xms_par_app_azp: client.agent_blueprint,
                xms_tpl: language,
            })),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct V1<'a> {
    aud: Cow<'a, str>,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    aio: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_displayname: Option<&'a str>,
    appid: Uuid,
    appidacr: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<serde_json::Value>,
    idp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    idtyp: Option<&'static str>,
    oid: Uuid,
    rh: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [&'a str],
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_ctry: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_region_scope: Option<&'static str>,
    tid: Uuid,
    uti: String,
    ver: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wids: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_cc: Option<[&'static str; 1]>,
    xms_ftd: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_idrel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_mirid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_par_app_azp: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_tcdt: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_tdbr: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_tpl: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct V2<'a> {
    aud: Uuid,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    aio: String,
    azp: Uuid,
    azpacr: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idtyp: Option<&'static str>,
    oid: Uuid,
    rh: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [&'a str],
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_ctry: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_region_scope: Option<&'static str>,
    tid: Uuid,
    uti: String,
    ver: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_cc: Option<[&'static str; 1]>,
    xms_ftd: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_par_app_azp: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_tpl: Option<&'a str>,
}

/// `sub` of a token for a part of an application, up to the part's name.
pub(super) fn fmi_prefix(tenant: Uuid, application: Uuid) -> String {
    let id = |id: Uuid| base64url::encode(id.as_bytes());
    format!("/eid1/c/pub/t/{}/a/{}/", id(tenant), id(application))
}

/// Claims that only Entra itself can read. APIs must not try; they are here so that tokens have their real size.
struct Opaque {
    aio: String,
    rh: String,
    uti: String,
    xms_ftd: String,
}

impl Opaque {
    fn new(grant: &Grant<'_>) -> Self {
        let mut random = [0_u8; 32 + 90];
        // Nothing rests on these bytes: should the generator ever fail, zeroes do.
        let _ = rand::fill(&mut random);
        let (aio, ftd) = random.split_at(32);
        // Entra's begins with `1.A`: a small number stands before the tenant.
        let hint = [&[1], grant.tenant.id.as_bytes().as_slice(), grant.api.app_id.as_bytes()].concat();
        Self {
            aio: base64url::encode(aio),
            rh: format!("1.{}.", base64url::encode(&hint)),
            // Entra's own rule: the bytes of the trace id.
            uti: base64url::encode(grant.trace_id.as_bytes()),
            xms_ftd: base64url::encode(ftd),
        }
    }
}

/// Seconds that Entra dates tokens back, for APIs whose clocks are behind.
pub(crate) const BACKDATED: i64 = 300;

/// Where all tenants here are.
pub(crate) const REGION: &str = "EU";

/// In `wids` of every app-only token for Microsoft's own APIs.
const APP_ONLY_MARKER: &str = "0997a1d0-0d1d-4acb-b408-d5ca73121e90";
