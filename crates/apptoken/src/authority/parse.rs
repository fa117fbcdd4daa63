//! From what the caller wrote to an [`Authority`]. Everything that can be told without the network is told here.

use std::net::IpAddr;

use url::{Host, Url};

use super::{Authority, Kind, PUBLIC_CLOUD, Policy, Tenant, tenant};
use crate::Error;

impl Authority {
    /// From what the caller gave: an address, with or without the tenant in it, and a tenant apart, which wins.
    pub(crate) fn parse(authority: &str, tenant: Option<&str>, allow_http_loopback: bool) -> Result<Self, Error> {
        let wrong = |why: &str| wrong(authority, why);
        let url = checked(authority, allow_http_loopback)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or fragment"));
        }
        let host = url.host_str().unwrap_or_default();
        if let Some(why) = no_sign_in_host(host) {
            return Err(wrong(why));
        }
        let segments = segments(&url);
        let segments = segments.iter().map(String::as_str).collect::<Vec<_>>();
        let path = match &segments[..] {
            // what MSALs and appsettings.json write after the tenant
            [path @ .., "v2.0"] => path,
            path => path,
        };
        let first = path.first().map(|first| first.to_ascii_lowercase());
        let (kind, in_path) = match (first.as_deref(), path) {
            (Some("adfs"), [_]) => (Kind::Adfs, None),
            (Some("adfs"), _) => return Err(wrong("has more than /adfs in its path")),
            (Some("dstsv2"), [_, tenant]) => (Kind::Dsts, Some(*tenant)),
            (Some("dstsv2"), _) => return Err(wrong("is not of the form https://<host>/dstsv2/<tenant>")),
            (Some("tfp"), [_, tenant, policy]) => (b2c(authority, true, policy)?, Some(*tenant)),
            (Some("tfp"), _) => return Err(wrong("is not of the form https://<host>/tfp/<tenant>/<policy>")),
            (_, [tenant, policy]) if is_b2c(host) => (b2c(authority, false, policy)?, Some(*tenant)),
            (..) if is_b2c(host) => {
                return Err(wrong("names no user flow or policy: B2C asks at https://<host>/<tenant>/<policy>"));
            }
            (_, []) if is_ciam(host) => (Kind::Ciam, None),
            (_, [tenant]) if is_ciam(host) => (Kind::Ciam, Some(*tenant)),
            (_, []) => (Kind::Entra, None),
            (_, [tenant]) => (Kind::Entra, Some(*tenant)),
            (_, [.., "oauth2", "token" | "authorize"] | [.., "oauth2", "v2.0", _]) => {
                return Err(wrong("is an endpoint: leave out what stands after the tenant"));
            }
            (_, [.., ".well-known", _]) => {
                return Err(wrong("is a metadata document: leave out what stands after the tenant"));
            }
            _ => return Err(wrong("has more than a tenant in its path")),
        };
        let tenant = match (&kind, tenant, in_path) {
            (Kind::Adfs | Kind::Oidc, None, _) => Tenant::none(),
            (Kind::Adfs | Kind::Oidc, Some(tenant), _) => {
                return Err(Error::configuration(format!(
                    "the tenant {tenant:?} was given, and {} has none",
                    kind.name()
                ))
                .with_advice("leave the tenant out"));
            }
            (Kind::B2c(_), Some(apart), Some(own)) if !apart.eq_ignore_ascii_case(own) => {
                return Err(wrong(&format!("is for the tenant {own:?}, and the tenant {apart:?} was given apart"))
                    .with_advice("give one of the two: a policy belongs to its tenant"));
            }
            (_, Some(apart), _) => Tenant::parse(apart)?,
            (Kind::Ciam, None, Some(tenant)) => Tenant::of_ciam(tenant)?,
            (_, None, Some(tenant)) => Tenant::parse(tenant)?,
            // a customer directory's host says whose it is
            (Kind::Ciam, None, None) => {
                let subdomain = host.split('.').next().unwrap_or_default();
                Tenant::parse(&format!("{subdomain}.onmicrosoft.com"))?
            }
            (_, None, None) => {
                return Err(Error::configuration("no tenant was given").with_advice(
                    "give the tenant's id or domain name, for example .tenant(\"contoso.onmicrosoft.com\")",
                ));
            }
        };
        let mut url = url;
        url.set_path("");
        Ok(Self { kind, url, tenant })
    }

    /// The address below which an OpenID provider publishes its configuration.
    pub(crate) fn parse_oidc(authority: &str, tenant: Option<&str>, allow_http_loopback: bool) -> Result<Self, Error> {
        let wrong = |why: &str| {
            wrong(authority, why)
                .with_advice("write it as the provider does, for example https://idp.example.com/realm")
        };
        if let Some(tenant) = tenant {
            return Err(Error::configuration(format!(
                "the tenant {tenant:?} was given, and {} has none",
                Kind::Oidc.name()
            ))
            .with_advice("leave the tenant out; one that the provider knows stands in its address"));
        }
        let mut url = checked(authority, allow_http_loopback)?;
        if url.fragment().is_some() {
            return Err(wrong("has a fragment"));
        }
        if url.path().contains("/.well-known/") {
            return Err(wrong("is a metadata document: leave out /.well-known and what stands after it"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { kind: Kind::Oidc, url, tenant: Tenant::none() })
    }
}

/// An address that secrets may be sent to.
pub(super) fn checked(authority: &str, allow_http_loopback: bool) -> Result<Url, Error> {
    // before any error that quotes the authority
    if authority.contains('@') {
        return Err(Error::configuration("the authority holds a user name or password").with_advice("leave it out"));
    }
    let wrong = |why: &str| wrong(authority, why);
    let url = Url::parse(authority).map_err(|error| wrong("is not a URL").with_source(error))?;
    let host = url.host().ok_or_else(|| wrong("has no host"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_http_loopback && is_loopback(&host) => Ok(url),
        "http" if is_loopback(&host) => Err(wrong("is plain http").with_advice(
            "secrets travel over TLS only; for a local test server allow it with allow_http_loopback(true)",
        )),
        "http" => Err(wrong("is plain http").with_advice("secrets travel over TLS only: write https")),
        _ => Err(wrong("is neither https nor http")),
    }
}

pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

fn wrong(authority: &str, why: &str) -> Error {
    Error::configuration(format!("the authority {authority:?} {why}"))
        .with_advice(format!("write it as {PUBLIC_CLOUD}/<tenant id>"))
}

fn segments(url: &Url) -> Vec<String> {
    url.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

fn b2c(authority: &str, tfp: bool, policy: &str) -> Result<Kind, Error> {
    if tenant::is_label(policy) {
        return Ok(Kind::B2c(Policy { tfp, name: policy.to_owned() }));
    }
    Err(wrong(authority, &format!("names a policy that cannot be one: {policy:?}"))
        .with_advice("a policy is named like B2C_1_signin or B2C_1A_daemon"))
}

fn is_b2c(host: &str) -> bool {
    host.ends_with(".b2clogin.com")
}

fn is_ciam(host: &str) -> bool {
    host.ends_with(".ciamlogin.com")
}

/// Addresses that people copy from the browser or from a scope, where no token is issued.
fn no_sign_in_host(host: &str) -> Option<&'static str> {
    const PORTALS: [&str; 5] =
        ["portal.azure.com", "entra.microsoft.com", "aad.portal.azure.com", "portal.azure.us", "portal.azure.cn"];
    const APIS: [&str; 4] = ["graph.microsoft.com", "graph.windows.net", "management.azure.com", "vault.azure.net"];
    if PORTALS.contains(&host) {
        Some("is a portal for people, where no token is issued")
    } else if APIS.contains(&host) {
        Some("is an API, where no token is issued: it belongs into the scope")
    } else if host.ends_with(".onmicrosoft.com") {
        Some("is a tenant's name, not the address where its tokens are issued")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeRule;

    const GUID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    /// What the caller writes; where tokens are asked for; the tenant; the rules that follow from its kind.
    #[test]
    fn each_kind_by_its_address() {
        let kinds: &[(&str, &str, &str, &str, ScopeRule)] = &[
            // Entra, in every cloud: the alias that was written counts for nothing, the port does
            (
                "https://login.microsoftonline.com/contoso.com",
                "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
                "contoso.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://LOGIN.microsoftonline.com:443/contoso.com/v2.0/",
                "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
                "contoso.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://sts.windows.net/contoso.com/",
                "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
                "contoso.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://login.usgovcloudapi.net/contoso.us",
                "https://login.microsoftonline.us/contoso.us/oauth2/v2.0/token",
                "contoso.us",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://login.chinacloudapi.cn/contoso.cn",
                "https://login.partner.microsoftonline.cn/contoso.cn/oauth2/v2.0/token",
                "contoso.cn",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://login.sovcloud-identity.fr/contoso.fr",
                "https://login.sovcloud-identity.fr/contoso.fr/oauth2/v2.0/token",
                "contoso.fr",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://login.microsoft-ppe.com/contoso.com",
                "https://login.windows-ppe.net/contoso.com/oauth2/v2.0/token",
                "contoso.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://localhost:8443/contoso.com",
                "https://localhost:8443/contoso.com/oauth2/v2.0/token",
                "contoso.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "http://[::1]:8080/contoso.com",
                "http://[::1]:8080/contoso.com/oauth2/v2.0/token",
                "contoso.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            // a customer directory: the tenant is inferred, or kept whatever it is
            (
                "https://contoso.ciamlogin.com/",
                "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
                "contoso.onmicrosoft.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://contoso.ciamlogin.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
                "https://contoso.ciamlogin.com/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/token",
                GUID,
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://contoso.ciamlogin.com/aDomain",
                "https://contoso.ciamlogin.com/aDomain/oauth2/v2.0/token",
                "aDomain",
                "PS256",
                ScopeRule::OneDefault,
            ),
            // B2C, by its path or its host
            (
                "https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com/B2C_1_signin",
                "https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com/B2C_1_signin/oauth2/v2.0/token",
                "contoso.onmicrosoft.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin/v2.0/",
                "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin/oauth2/v2.0/token",
                "contoso.onmicrosoft.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            (
                "https://login.contoso.com:8443/TFP/contoso.onmicrosoft.com/b2c_1a_daemon",
                "https://login.contoso.com:8443/tfp/contoso.onmicrosoft.com/b2c_1a_daemon/oauth2/v2.0/token",
                "contoso.onmicrosoft.com",
                "PS256",
                ScopeRule::OneDefault,
            ),
            // dSTS
            (
                "https://some.dsts.core.example/dstsv2/72f988bf-86f1-41af-91ab-2d7cd011db47",
                "https://some.dsts.core.example/dstsv2/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/token",
                GUID,
                "RS256",
                ScopeRule::OneDefault,
            ),
            // ADFS
            ("https://fs.contoso.com/adfs", "https://fs.contoso.com/adfs/oauth2/token", "", "RS256", ScopeRule::Any),
            (
                "https://fs.contoso.com:8443/ADFS/",
                "https://fs.contoso.com:8443/adfs/oauth2/token",
                "",
                "RS256",
                ScopeRule::Any,
            ),
        ];
        for (written, endpoint, tenant, form, scope) in kinds {
            let authority = Authority::parse(written, None, true).unwrap();
            let host = authority.cloud().preferred_network;
            assert_eq!(authority.token_endpoint_at(&host, authority.tenant()).as_deref(), Some(*endpoint), "{written}");
            assert_eq!(authority.tenant().as_str(), *tenant, "{written}");
            assert_eq!(format!("{:?}", authority.kind().assertion_form()).to_uppercase(), *form, "{written}");
            assert_eq!(authority.kind().scope_rule(), *scope, "{written}");
        }
    }

    #[test]
    fn each_mistake_has_its_words() {
        for (written, apart, says) in [
            ("https://login.microsoftonline.com", None, "no tenant was given"),
            ("https://login.microsoftonline.com/a/b/c", None, "more than a tenant"),
            ("https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token", None, "is an endpoint"),
            ("https://login.microsoftonline.com/contoso.com/oauth2/token", None, "is an endpoint"),
            (
                "https://login.microsoftonline.com/contoso.com/v2.0/.well-known/openid-configuration",
                None,
                "metadata document",
            ),
            ("https://login.microsoftonline.com/con toso", None, "neither a GUID nor a domain"),
            ("https://login.microsoft online.com/contoso.com", None, "is not a URL"),
            ("https://portal.azure.com/contoso.com", None, "portal for people"),
            ("https://graph.microsoft.com/contoso.com", None, "belongs into the scope"),
            ("https://contoso.onmicrosoft.com/", None, "a tenant's name"),
            ("https://contoso.b2clogin.com/contoso.onmicrosoft.com", None, "names no user flow or policy"),
            ("https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com", None, "/tfp/<tenant>/<policy>"),
            ("https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com/a b", None, "cannot be one"),
            (
                "https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com/B2C_1_a",
                Some("fabrikam.com"),
                "policy belongs to its tenant",
            ),
            ("https://some.dsts.core.example/dstsv2", None, "/dstsv2/<tenant>"),
            ("https://some.dsts.core.example/dstsv2/common", None, "stands for many tenants"),
            ("https://fs.contoso.com/adfs/oauth2/token", None, "more than /adfs"),
            ("https://fs.contoso.com/adfs", Some("contoso.com"), "has none"),
            ("https://contoso.ciamlogin.com/common", None, "stands for many tenants"),
        ] {
            let error = Authority::parse(written, apart, false).unwrap_err();
            let text = format!("{error}; {}", error.advice().unwrap());
            assert!(text.contains(says), "{written}: {text}");
        }
        for (written, apart, says) in [
            ("https://idp.example/.well-known/openid-configuration", None, "metadata document"),
            ("https://idp.example/realm#a", None, "fragment"),
            ("http://idp.example/realm", None, "plain http"),
            ("https://idp.example", Some("contoso.com"), "has none"),
        ] {
            let error = Authority::parse_oidc(written, apart, false).unwrap_err();
            let text = format!("{error}; {}", error.advice().unwrap());
            assert!(text.contains(says), "{written}: {text}");
        }
    }

    #[test]
    fn a_request_names_another_tenant_where_there_are_some() {
        let of = |written| Authority::parse(written, None, false).unwrap();
        assert_eq!(of("https://login.microsoftonline.com/a.com").tenant_named("b.com").unwrap().as_str(), "b.com");
        assert_eq!(of("https://a.ciamlogin.com").tenant_named(GUID).unwrap().as_str(), GUID);
        assert_eq!(of("https://a.example/dstsv2/a.com").tenant_named("b.com").unwrap().as_str(), "b.com");
        let b2c = of("https://a.b2clogin.com/tfp/a.com/B2C_1_a");
        assert_eq!(b2c.tenant_named("A.com").unwrap(), *b2c.tenant());
        assert!(b2c.tenant_named("b.com").unwrap_err().to_string().contains("its own tenant, a.com"));
        assert!(of("https://a.example/adfs").tenant_named("b.com").unwrap_err().to_string().contains("no tenants"));
    }

    #[test]
    fn its_address_is_what_a_person_would_write() {
        for (written, address) in [
            ("https://login.windows.net/a.com", "https://login.microsoftonline.com/b.com"),
            ("https://localhost:8443/a.com/v2.0", "https://localhost:8443/b.com"),
            ("https://a.ciamlogin.com", "https://a.ciamlogin.com/b.com"),
            ("https://a.b2clogin.com/tfp/a.com/B2C_1_a", "https://a.b2clogin.com/tfp/b.com/B2C_1_a"),
            ("https://a.b2clogin.com/a.com/B2C_1_a", "https://a.b2clogin.com/b.com/B2C_1_a"),
            ("https://a.example/dstsv2/a.com", "https://a.example/dstsv2/b.com"),
            ("https://a.example/adfs/", "https://a.example/adfs"),
        ] {
            assert_eq!(Authority::parse(written, None, false).unwrap().address("b.com"), address, "{written}");
        }
        for (written, address) in [
            ("https://idp.example", "https://idp.example"),
            ("https://idp.example/realm/", "https://idp.example/realm"),
        ] {
            assert_eq!(Authority::parse_oidc(written, None, false).unwrap().address("b.com"), address);
        }
    }

    #[test]
    fn the_tenant_that_is_given_apart_wins() {
        let authority = Authority::parse("https://login.microsoftonline.com/a.com", Some("b.com"), false).unwrap();
        assert_eq!(authority.tenant().as_str(), "b.com");
        let authority = Authority::parse("https://a.ciamlogin.com/a", Some(GUID), false).unwrap();
        assert_eq!(authority.tenant().as_str(), GUID);
    }
}
