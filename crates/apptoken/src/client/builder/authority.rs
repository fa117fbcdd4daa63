use super::ConfidentialClientBuilder;
use crate::Error;
use crate::authority::{Authority, DETECT, Endpoints, Net, PUBLIC_CLOUD, Settings};
use crate::environment::Environment;

/// Where tokens come from, as the program gave it.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::client) struct Place {
    authority: String,
    oidc: bool,
    tenant: Option<String>,
    discovery: bool,
    metadata: Option<String>,
    region: Option<String>,
    pub(super) allow_http_loopback: bool,
}

impl ConfidentialClientBuilder {
    /// The tenant: its id (a GUID) or one of its domain names. Wins over one in the authority.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.place.tenant = Some(tenant.into());
        self
    }

    /// The authority. Default: `https://login.microsoftonline.com`. Its address tells what it is:
    ///
    /// | address | is |
    /// |---|---|
    /// | `https://login.microsoftonline.com`, with or without `/{tenant}` | Entra, in this or another cloud |
    /// | `https://contoso.ciamlogin.com`, with or without `/{tenant}` | a customer directory (Entra External ID) |
    /// | `https://contoso.b2clogin.com/{tenant}/{policy}`, `https://{host}/tfp/{tenant}/{policy}` | Azure AD B2C |
    /// | `https://fs.contoso.com/adfs` | ADFS |
    /// | `https://{host}/dstsv2/{tenant}` | dSTS |
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.place.authority = authority.into();
        self.place.oidc = false;
        self
    }

    /// Any OpenID provider as the authority: its token endpoint is what the document at
    /// `{url}/.well-known/openid-configuration` says, if the document's issuer has the URL's origin or is Microsoft's
    /// (OpenID Connect Discovery 1.0 §4). The document is fetched with the first token and once a day. Scopes are the
    /// provider's affair. Also for a customer directory behind a domain of its own:
    /// `https://login.contoso.com/{tenant id}/v2.0`.
    pub fn oidc_authority(mut self, url: impl Into<String>) -> Self {
        self.place.authority = url.into();
        self.place.oidc = true;
        self
    }

    /// Whether Entra is asked about an authority's host that is not known to be one of its own, before the credential
    /// goes there. Not asked about are the hosts of Microsoft's clouds, this machine, private addresses and names
    /// (`.local`, `.internal`, `.test`, no dot), and authorities that are not Entra. If there is no answer the host is
    /// taken as it is. Default: yes. Switch it off for a cloud that is closed to the outside.
    pub fn instance_discovery(mut self, ask: bool) -> Self {
        self.place.discovery = ask;
        self
    }

    /// What Entra would answer about the authority's host: JSON as from `/common/discovery/instance`. Nothing is asked
    /// then, and a host that is not in it is refused.
    pub fn instance_metadata(mut self, json: impl Into<String>) -> Self {
        self.place.metadata = Some(json.into());
        self
    }

    /// Asks Entra's endpoint in this region, `westeurope` for example, and the global one while that is ill. Tokens are
    /// the same. MSAL's words `TryAutoDetect` (see [`region_auto_detect`](Self::region_auto_detect)) and
    /// `DisableMsalForceRegion` (none, whatever the environment says) are understood. Default: the variable
    /// [`MSAL_FORCE_REGION`](crate::env_vars::MSAL_FORCE_REGION), or the global endpoint;
    /// [`MSAL_DISABLE_REGION`](crate::env_vars::MSAL_DISABLE_REGION) wins over all.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.place.region = Some(region.into());
        self
    }

    /// Asks Entra's endpoint in the region that the program runs in, as the variable
    /// [`REGION_NAME`](crate::env_vars::REGION_NAME) or the machine's instance-metadata service says. It is found out
    /// behind the callers' backs: the first token waits for it for a second at most, and the global endpoint is asked
    /// until it is known.
    pub fn region_auto_detect(self) -> Self {
        self.region(DETECT)
    }

    /// Lets an `http://` authority through when its host is loopback, for a local test server. Default: no.
    pub fn allow_http_loopback(mut self, allow: bool) -> Self {
        self.place.allow_http_loopback = allow;
        self
    }
}

impl Place {
    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    pub(super) fn endpoints(&self, environment: &Environment, net: Net) -> Result<Endpoints, Error> {
        let parse = if self.oidc { Authority::parse_oidc } else { Authority::parse };
        let authority = parse(&self.authority, self.tenant(), self.allow_http_loopback)?;
        let settings = Settings {
            no_discovery: !self.discovery,
            metadata: self.metadata.as_deref(),
            region: self.region.as_deref(),
            allow_http_loopback: self.allow_http_loopback,
        };
        Endpoints::new(authority, &settings, environment, net)
    }
}

impl Default for Place {
    fn default() -> Self {
        Self {
            authority: PUBLIC_CLOUD.to_owned(),
            oidc: false,
            tenant: None,
            discovery: true,
            metadata: None,
            region: None,
            allow_http_loopback: false,
        }
    }
}
