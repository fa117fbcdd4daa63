//! Where tokens are asked for: a cloud's host and a tenant in it.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::Error;

/// The public cloud's host.
pub(crate) const PUBLIC_CLOUD: &str = "https://login.microsoftonline.com";

/// An authority: scheme and host, and the tenant that requests go to when they name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// `https://host[:port]`, no slash at the end.
    origin: String,
    tenant: Tenant,
}

impl Authority {
    /// From what the caller gave: `https://host`, `https://host/tenant`, and a tenant apart, which wins.
    pub(crate) fn parse(authority: &str, tenant: Option<&str>, allow_http_loopback: bool) -> Result<Self, Error> {
        // before any error that quotes the authority
        if authority.contains('@') {
            return Err(Error::configuration("the authority holds a user name or password").with_advice("leave it out"));
        }
        let wrong = |why: &str| {
            Error::configuration(format!("the authority {authority:?} {why}"))
                .with_advice(format!("write it as {PUBLIC_CLOUD}/<tenant id>"))
        };
        let url = Url::parse(authority).map_err(|error| wrong("is not a URL").with_source(error))?;
        let host = url.host().ok_or_else(|| wrong("has no host"))?;
        match url.scheme() {
            "https" => {}
            "http" if allow_http_loopback && is_loopback(&host) => {}
            "http" if is_loopback(&host) => {
                return Err(wrong("is plain http").with_advice(
                    "secrets travel over TLS only; for a local test server allow it with allow_http_loopback(true)",
                ));
            }
            "http" => return Err(wrong("is plain http").with_advice("secrets travel over TLS only: write https")),
            _ => return Err(wrong("is neither https nor http")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or fragment"));
        }
        let segments =
            url.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty()).collect::<Vec<_>>();
        let in_path = match segments[..] {
            [] => None,
            [tenant] | [tenant, "v2.0"] => Some(tenant),
            _ => return Err(wrong("has more than a tenant in its path")),
        };
        let tenant = tenant.or(in_path).ok_or_else(|| {
            Error::configuration("no tenant was given")
                .with_advice("give the tenant's id or domain name, for example .tenant(\"contoso.onmicrosoft.com\")")
        })?;
        Ok(Self { origin: url.origin().ascii_serialization(), tenant: Tenant::parse(tenant)? })
    }

    /// `https://host[:port]`.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The tenant of requests that name none.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The v2.0 token endpoint of `tenant`.
    pub(crate) fn token_endpoint(&self, tenant: &Tenant) -> String {
        format!("{}/{tenant}/oauth2/v2.0/token", self.origin)
    }
}

/// One tenant: a GUID or a domain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenant(String);

impl Tenant {
    pub(crate) fn parse(tenant: &str) -> Result<Self, Error> {
        const ADVICE: &str =
            "give the tenant's id (a GUID) or one of its domain names, for example contoso.onmicrosoft.com";
        if tenant.is_empty() {
            return Err(Error::configuration("the tenant is empty").with_advice(ADVICE));
        }
        if ["common", "organizations", "consumers"].iter().any(|word| tenant.eq_ignore_ascii_case(word)) {
            return Err(Error::configuration(format!(
                "the tenant {tenant:?} stands for many tenants, and an app-only token is issued by one"
            ))
            .with_advice(ADVICE));
        }
        let guid = tenant.len() == 36 && uuid::Uuid::try_parse(tenant).is_ok();
        let labels = || tenant.split('.');
        let domain = tenant.len() <= 253
            && labels().count() >= 2
            && labels().all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            });
        if guid || domain {
            return Ok(Self(tenant.to_owned()));
        }
        Err(Error::configuration(format!("the tenant {tenant:?} is neither a GUID nor a domain name"))
            .with_advice(ADVICE))
    }

    /// Stands for the tenant of a managed identity, which only the platform knows.
    pub(crate) fn of_managed_identity() -> Self {
        Self("managed_identity".to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The audience that assertions of other identity providers have in the cloud of this token endpoint.
pub(crate) fn token_exchange(token_endpoint: &str) -> &'static str {
    let host = Url::parse(token_endpoint).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    match host.as_str() {
        "login.microsoftonline.us" => "api://AzureADTokenExchangeUSGov",
        "login.partner.microsoftonline.cn" | "login.chinacloudapi.cn" => "api://AzureADTokenExchangeChina",
        _ => "api://AzureADTokenExchange",
    }
}

pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_token_exchange() {
        for (host, audience) in [
            ("login.microsoftonline.com", "api://AzureADTokenExchange"),
            ("login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
            ("login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
            ("localhost:8443", "api://AzureADTokenExchange"),
        ] {
            assert_eq!(token_exchange(&format!("https://{host}/contoso.com/oauth2/v2.0/token")), audience);
        }
    }

    fn endpoint(authority: &str, tenant: Option<&str>) -> String {
        let authority = Authority::parse(authority, tenant, true).unwrap();
        authority.token_endpoint(authority.tenant())
    }

    #[test]
    fn the_tenant_comes_from_the_path_or_apart() {
        let want = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token";
        assert_eq!(endpoint("https://login.microsoftonline.com/contoso.com", None), want);
        assert_eq!(endpoint("https://LOGIN.microsoftonline.com:443/contoso.com/v2.0/", None), want);
        assert_eq!(endpoint("https://login.microsoftonline.com/fabrikam.com", Some("contoso.com")), want);
        assert_eq!(
            endpoint("http://[::1]:8080", Some("contoso.com")),
            "http://[::1]:8080/contoso.com/oauth2/v2.0/token"
        );
    }
}
