//! What clients and APIs read before they trust: the OpenID configuration (v1 and v2.0), the signing keys, and the list
//! of clouds. Shapes as recorded from Entra.

use apptoken_jose::jwk::{Jwk, JwkSet};
use http::StatusCode;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json as value};
use url::Url;

use super::{Exchange, Response, json, refuse, set, set_id, text};
use crate::aadsts::{Code, Refusal};
use crate::directory::{CONSUMERS, TokenVersion};
use crate::hosts::{LOGIN_HOSTS, host_of, is_login_host, mtls_host_of};
use crate::sts::Named;

/// `/{tenant}/v2.0/.well-known/openid-configuration` and, for v1 tokens, `/{tenant}/.well-known/openid-configuration`.
pub(super) fn configuration(exchange: &Exchange, tenant: &str, version: TokenVersion) -> Response {
    document(exchange, |exchange| {
        let (name, issuer) = names(exchange, tenant, version)?;
        let base = format!("{}/{name}", exchange.base);
        let path = |v1: &str, v2: &str| match version {
            TokenVersion::V1 => format!("{base}/{v1}"),
            TokenVersion::V2 => format!("{base}/{v2}"),
        };
        let mut document = Ordered(vec![
            ("token_endpoint", path("oauth2/token", "oauth2/v2.0/token").into()),
            (
                "token_endpoint_auth_methods_supported",
                value!(["client_secret_post", "private_key_jwt", "client_secret_basic", "self_signed_tls_client_auth"]),
            ),
            ("jwks_uri", path("discovery/keys", "discovery/v2.0/keys").into()),
            ("response_modes_supported", value!(["query", "fragment", "form_post"])),
            ("subject_types_supported", value!(["pairwise"])),
            ("id_token_signing_alg_values_supported", value!(["RS256"])),
            ("response_types_supported", value!(["code", "id_token", "code id_token", "id_token token"])),
            ("scopes_supported", value!(["openid", "profile", "email", "offline_access"])),
            ("issuer", issuer.into()),
            ("request_uri_parameter_supported", false.into()),
            ("userinfo_endpoint", "https://graph.microsoft.com/oidc/userinfo".into()),
            ("authorization_endpoint", path("oauth2/authorize", "oauth2/v2.0/authorize").into()),
            ("device_authorization_endpoint", path("oauth2/devicecode", "oauth2/v2.0/devicecode").into()),
            ("http_logout_supported", true.into()),
            ("frontchannel_logout_supported", true.into()),
            ("end_session_endpoint", path("oauth2/logout", "oauth2/v2.0/logout").into()),
            ("claims_supported", value!(CLAIMS)),
            ("kerberos_endpoint", format!("{base}/kerberos").into()),
            ("tenant_region_scope", crate::sts::REGION.into()),
            ("cloud_instance_name", CLOUD.into()),
            ("cloud_graph_host_name", "graph.windows.net".into()),
            ("msgraph_host", "graph.microsoft.com".into()),
            ("rbac_url", "https://pas.windows.net".into()),
        ]);
        if version == TokenVersion::V1 {
            document.0.push(("check_session_iframe", format!("{base}/oauth2/checksession").into()));
        }
        document.0.extend(mutual_tls(exchange, &name, version));
        Ok(document)
    })
}

/// Where and that tokens are bound to client certificates (RFC 8705 §3.3 and §5).
fn mutual_tls(exchange: &Exchange, tenant: &str, version: TokenVersion) -> Vec<(&'static str, Value)> {
    let base = match mtls_host_of(host_of(exchange.host())) {
        Some(host) => format!("https://{}", exchange.host().replacen(host_of(exchange.host()), &host, 1)),
        None if exchange.state.asks_for_certificates => exchange.base.clone(),
        None => return Vec::new(),
    };
    let path = match version {
        TokenVersion::V1 => "oauth2/token",
        TokenVersion::V2 => "oauth2/v2.0/token",
    };
    vec![
        ("tls_client_certificate_bound_access_tokens", true.into()),
        ("mtls_endpoint_aliases", value!({ "token_endpoint": format!("{base}/{tenant}/{path}") })),
    ]
}

/// `/{tenant}/discovery/v2.0/keys` and `/{tenant}/discovery/keys`. No `alg`, as with Entra.
pub(super) fn keys(exchange: &Exchange, tenant: &str, version: TokenVersion) -> Response {
    document(exchange, |exchange| {
        names(exchange, tenant, version)?;
        let published = exchange.state.keys.published();
        let key = |jwk: &Jwk| {
            let mut jwk = jwk.clone();
            if version == TokenVersion::V2 {
                jwk.issuer = Some(exchange.state.issuers.template(version));
                jwk.cloud_instance_name = Some(CLOUD.into());
            }
            jwk
        };
        Ok(JwkSet { keys: published.iter().map(|token_key| key(&token_key.jwk)).collect() })
    })
}

/// `/common/discovery/instance`: which hosts are one cloud, and where a tenant's configuration is.
pub(super) fn instance_discovery(exchange: &Exchange) -> Response {
    document(exchange, |exchange| {
        let asked = exchange.query("authorization_endpoint");
        let asked = asked.ok_or_else(|| Refusal::new(Code::ParameterMissing, &["authorization_endpoint"]))?;
        let unknown = || Refusal::new(Code::InstanceUnknown, &[&asked]);
        let url = Url::parse(&asked).map_err(|_| unknown())?;
        let host = url.host_str().unwrap_or_default();
        let listed = CLOUDS.iter().any(|(_, _, aliases)| aliases.contains(&host));
        if !listed && !exchange.state.hosts.accept(host) {
            return Err(unknown());
        }
        // MSAL Python drops the port of a custom authority here: ours is where the request came in.
        let called = exchange.host();
        let base = if listed && is_login_host(called) { format!("https://{host}") } else { exchange.base.clone() };
        let tenant = url.path_segments().and_then(|mut path| path.next()).filter(|name| !name.is_empty());
        let tenant = tenant.unwrap_or("common");
        let version = if url.path().contains("/v2.0/") { "/v2.0" } else { "" };
        let clouds: Vec<Value> = CLOUDS
            .iter()
            .map(|(network, cache, aliases)| {
                value!({ "preferred_network": network, "preferred_cache": cache, "aliases": aliases })
            })
            .collect();
        Ok(Ordered(vec![
            ("tenant_discovery_endpoint", format!("{base}/{tenant}{version}/.well-known/openid-configuration").into()),
            ("api-version", exchange.query("api-version").unwrap_or_else(|| "1.1".into()).into()),
            ("metadata", clouds.into()),
        ]))
    })
}

/// The tenant segment that goes into URLs (its GUID, whatever name was asked with), and the issuer.
fn names(exchange: &Exchange, tenant: &str, version: TokenVersion) -> Result<(String, String), Refusal> {
    let directory = exchange.state.directory.load();
    let issuers = &exchange.state.issuers;
    let named = Named::parse(tenant, &directory).map_err(|mut refusal| {
        if refusal.code == Code::TenantUnknown {
            refusal.code = Code::TenantUnknownInMetadata;
        }
        refusal
    })?;
    Ok(match named {
        Named::One(tenant) => (tenant.id.to_string(), issuers.of(version, tenant.id)),
        Named::Any(name) => (name.into(), issuers.template(version)),
        Named::Consumers(name) => {
            (name.into(), issuers.template(version).replace("{tenantid}", &CONSUMERS.to_string()))
        }
    })
}

fn document<T: Serialize>(exchange: &Exchange, make: impl FnOnce(&Exchange) -> Result<T, Refusal>) -> Response {
    if !exchange.is_read() {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "This document is read with GET.\n");
        set(response.headers_mut(), &[("allow", "GET, HEAD")]);
        return response;
    }
    let ids = exchange.ids(None);
    let mut response = match make(exchange) {
        Ok(document) => json(StatusCode::OK, &document),
        Err(refusal) => refuse(exchange, &refusal, ids),
    };
    set(response.headers_mut(), METADATA_HEADERS);
    set_id(response.headers_mut(), "x-ms-request-id", ids.trace);
    response
}

/// A JSON object that keeps its order.
struct Ordered(Vec<(&'static str, Value)>);

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

const METADATA_HEADERS: &[(&str, &str)] = &[
    ("cache-control", "max-age=86400, private"),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, OPTIONS"),
];

const CLOUD: &str = "microsoftonline.com";

const CLAIMS: &[&str] = &[
    "sub",
    "iss",
    "cloud_instance_name",
    "cloud_instance_host_name",
    "cloud_graph_host_name",
    "msgraph_host",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "acr",
    "nonce",
    "preferred_username",
    "name",
    "tid",
    "ver",
    "at_hash",
    "c_hash",
    "email",
];

/// Preferred network name, preferred cache name, aliases.
const CLOUDS: &[(&str, &str, &[&str])] = &[
    ("login.microsoftonline.com", "login.windows.net", LOGIN_HOSTS),
    (
        "login.partner.microsoftonline.cn",
        "login.partner.microsoftonline.cn",
        &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    ),
    ("login.microsoftonline.de", "login.microsoftonline.de", &["login.microsoftonline.de"]),
    ("login.microsoftonline.us", "login.microsoftonline.us", &["login.microsoftonline.us", "login.usgovcloudapi.net"]),
    ("login-us.microsoftonline.com", "login-us.microsoftonline.com", &["login-us.microsoftonline.com"]),
    ("login.sovcloud-identity.fr", "login.sovcloud-identity.fr", &["login.sovcloud-identity.fr"]),
    ("login.sovcloud-identity.de", "login.sovcloud-identity.de", &["login.sovcloud-identity.de"]),
    ("login.sovcloud-identity.sg", "login.sovcloud-identity.sg", &["login.sovcloud-identity.sg"]),
];
