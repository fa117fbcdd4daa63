//! Where tokens are asked for: which kind of identity provider, at which host, in which tenant.

mod cloud;
mod detection;
mod endpoints;
mod health;
mod host;
mod instance;
mod issuer_rule;
mod kept;
mod kind;
mod oidc;
mod parse;
mod region;
mod tenant;

use std::fmt;

use url::{Host, Position, Url};

pub(crate) use cloud::{Cloud, PUBLIC_CLOUD, token_exchange};
pub(crate) use endpoints::{Endpoints, Net, Settings, TokenEndpoint, Wanted};
pub(crate) use host::Channel;
pub use kind::AssertionForm;
pub(crate) use kind::Kind;
use kind::Policy;
pub(crate) use parse::is_loopback;
pub(crate) use region::{DETECT, Region};
pub(crate) use tenant::Tenant;

use crate::Error;

/// An authority: parsed once, with the tenant that requests go to when they name none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    kind: Kind,
    /// Scheme, host and port; for an OIDC authority its whole address.
    url: Url,
    tenant: Tenant,
}

impl Authority {
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// `https://host[:port]`.
    pub(crate) fn origin(&self) -> &str {
        // no user name is ever in it
        &self.url[..Position::AfterPort]
    }

    pub(super) fn host(&self) -> Option<Host<&str>> {
        self.url.host()
    }

    /// The host and, where it is not the scheme's own, the port.
    pub(crate) fn host_and_port(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The tenant of requests that name none; empty where there are no tenants.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The tenant of a request that names one.
    pub(crate) fn tenant_named(&self, tenant: &str) -> Result<Tenant, Error> {
        match &self.kind {
            Kind::Ciam => Tenant::of_ciam(tenant),
            Kind::Entra | Kind::Dsts => Tenant::parse(tenant),
            Kind::B2c(_) if tenant.eq_ignore_ascii_case(self.tenant.as_str()) => Ok(self.tenant.clone()),
            Kind::B2c(_) => Err(Error::configuration(format!(
                "the tenant {tenant:?} was asked for, and {} is for its own tenant, {}",
                self.kind.name(),
                self.tenant
            ))
            .with_advice("make a client for each tenant and policy")),
            Kind::Adfs | Kind::Oidc => Err(Error::configuration(format!(
                "the tenant {tenant:?} was asked for, and {} has no tenants",
                self.kind.name()
            ))
            .with_advice("leave the tenant out")),
        }
    }

    /// The cloud of this host, if it is one that needs no discovery.
    fn known_cloud(&self) -> Option<&'static cloud::KnownCloud> {
        match (&self.kind, self.url.port(), self.url.host_str()) {
            (Kind::Entra, None, Some(host)) => cloud::known(host),
            _ => None,
        }
    }

    /// What is known of the hosts without asking.
    pub(crate) fn cloud(&self) -> Cloud {
        self.known_cloud().map_or_else(|| Cloud::alone(&self.host_and_port()), Cloud::from)
    }

    /// What tells this authority from others whose tokens are kept in the same place; aliases of a cloud are one.
    pub(crate) fn identity(&self) -> String {
        let below = &self.url[url::Position::BeforePath..];
        format!("{:?} {}://{}{below}", self.kind, self.url.scheme(), self.cloud().preferred_network)
    }

    /// The host, and all names of it, that MSALs file its tokens under; `None` where a tenant does not say whose they are.
    pub(crate) fn cache_hosts(&self) -> Option<(String, Vec<String>)> {
        let cloud = self.cloud();
        self.kind.has_tenants().then_some((cloud.preferred_network, cloud.aliases))
    }

    /// The address of its `tenant`, as a person writes it: what stands before `/oauth2/…`; aliases of a cloud have one.
    pub(crate) fn address(&self, tenant: &str) -> String {
        match self.path(tenant) {
            Some([a, b, c, d]) => [self.url.scheme(), "://", &self.cloud().preferred_network, a, b, c, d].concat(),
            None => self.url.as_str().trim_end_matches('/').to_owned(),
        }
    }

    /// The token endpoint of `tenant` at `host`; `None` for an OIDC authority, whose configuration has it.
    pub(super) fn token_endpoint_at(&self, host: &str, tenant: &Tenant) -> Option<String> {
        let [a, b, c, d] = self.path(tenant.as_str())?;
        let end = if self.kind == Kind::Adfs { "/oauth2/token" } else { "/oauth2/v2.0/token" };
        Some([self.url.scheme(), "://", host, a, b, c, d, end].concat())
    }

    /// What stands between the host and `/oauth2/…`, in parts.
    fn path<'a>(&'a self, tenant: &'a str) -> Option<[&'a str; 4]> {
        Some(match &self.kind {
            Kind::Oidc => return None,
            Kind::Adfs => ["/adfs", "", "", ""],
            Kind::Dsts => ["/dstsv2/", tenant, "", ""],
            Kind::B2c(Policy { tfp: true, name }) => ["/tfp/", tenant, "/", name],
            Kind::B2c(Policy { tfp: false, name }) => ["/", tenant, "/", name],
            Kind::Entra | Kind::Ciam => ["/", tenant, "", ""],
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {}", self.kind, self.origin(), self.tenant)
    }
}
