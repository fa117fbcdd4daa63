//! Who issues: a tenant's name, and where its authority answers.

use std::fmt;

use url::{Host, Url};

/// A GUID in lower case, which is how tokens spell tenants and applications.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Guid(Box<str>);

impl Guid {
    /// Eight, four, four, four and twelve hexadecimal digits between hyphens.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let shaped = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
        shaped.then(|| Self(text.to_ascii_lowercase().into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one tenant whose tokens are accepted: by id, or by a domain name whose id the metadata tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tenant {
    Id(Guid),
    Domain(Box<str>),
}

impl Tenant {
    /// What is wrong with `text` goes into the error, ready to be read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(id) = Guid::parse(text) {
            return Ok(Self::Id(id));
        }
        let name = text.to_ascii_lowercase();
        if matches!(name.as_str(), "common" | "organizations" | "consumers") {
            return Err(format!(
                "the tenant is `{name}`, which is not one tenant: an app-only token comes from one directory, so give its \
                 id or one of its domain names"
            ));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if name.len() <= 253 && name.contains('.') && name.split('.').all(label) {
            return Ok(Self::Domain(name.into()));
        }
        Err(format!(
            "the tenant is {text:?}, which is neither a GUID nor a domain name such as contoso.onmicrosoft.com"
        ))
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::Domain(name) => name,
        }
    }
}

/// Where the tenant's metadata is: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority(Url);

impl Authority {
    /// Microsoft Entra ID, worldwide.
    pub(crate) const DEFAULT: &str = "https://login.microsoftonline.com";

    /// Takes `https://host[:port]`, with or without `/{tenant}` and `/v2.0` behind it; the tenant is handed back.
    /// Plain HTTP only when `http_loopback` allows it, and only to this machine.
    pub(crate) fn parse(text: &str, http_loopback: bool) -> Result<(Self, Option<String>), String> {
        let wrong = |why: &str| format!("the authority is {text:?}, {why}");
        let mut url = Url::parse(text).map_err(|e| wrong(&format!("which is not a URL ({e})")))?;
        secure(&url, http_loopback).map_err(|why| wrong(&why))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(
                "the authority carries user information, a query or a fragment: leave only https://host[:port]".into(),
            );
        }
        let path: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let tenant = match path.as_slice() {
            [] => None,
            [tenant] | [tenant, "v2.0"] => Some((*tenant).to_owned()),
            _ => return Err(wrong("whose path is longer than a tenant: leave only https://host[:port]")),
        };
        url.set_path("/");
        Ok((Self(url), tenant))
    }

    /// `path` (without a leading slash) under this authority.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether the authority is this machine, which no proxy needs to know about.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Whether `issuer` may be named by this authority: it is the authority itself, or it is Microsoft's, whose issuers
    /// (`sts.windows.net`) differ from the host that one asks. The rule of the MSALs.
    pub(crate) fn may_name(&self, issuer: &Url) -> bool {
        issuer.origin() == self.0.origin()
            || (issuer.scheme() == "https"
                && issuer.port().is_none()
                && issuer.host_str().is_some_and(|host| MICROSOFT_HOSTS.contains(&host)))
    }
}

/// Refuses what would be fetched in clear, unless it does not leave the machine and that was asked for.
pub(crate) fn secure(url: &Url, http_loopback: bool) -> Result<(), String> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if !is_loopback(url) => Err("which is not HTTPS".into()),
        "http" if !http_loopback => {
            Err("which is not HTTPS; for a test on this machine there is allow_http_loopback(true)".into())
        }
        "http" => Ok(()),
        other => Err(format!("whose scheme is {other:?}: it must be https")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Hosts of Microsoft's clouds that are seen in `iss` or in front of it.
const MICROSOFT_HOSTS: [&str; 13] = [
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoft.com",
    "sts.windows.net",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "sts.chinacloudapi.cn",
    "login.microsoftonline.us",
    "login.usgovcloudapi.net",
    "login-us.microsoftonline.com",
    "login.sovcloud-identity.fr",
    "login.sovcloud-identity.de",
    "login.sovcloud-identity.sg",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids() {
        let guid = Guid::parse("00001111-AAAA-2222-bbbb-3333cccc4444").unwrap();
        assert_eq!(guid.as_str(), "00001111-aaaa-2222-bbbb-3333cccc4444");
        for not in ["", "contoso", "00001111aaaa2222bbbb3333cccc4444", "00001111-aaaa-2222-bbbb-3333cccc444g"] {
            assert_eq!(Guid::parse(not), None, "{not}");
        }
    }

    #[test]
    fn tenants() {
        assert!(matches!(Tenant::parse("00001111-aaaa-2222-bbbb-3333cccc4444"), Ok(Tenant::Id(_))));
        assert_eq!(Tenant::parse("Contoso.onmicrosoft.com").unwrap().as_str(), "contoso.onmicrosoft.com");
        assert!(Tenant::parse("common").unwrap_err().contains("not one tenant"));
        for not in ["", "contoso", "a..b", "contoso.com/", "[Enter tenant]", "x.y?z"] {
            assert!(Tenant::parse(not).unwrap_err().contains("neither a GUID nor a domain name"), "{not}");
        }
    }

    #[test]
    fn authorities() {
        let parse = |text| Authority::parse(text, false);
        let (plain, none) = parse("https://login.microsoftonline.com/").unwrap();
        assert_eq!((plain.join("x"), none), ("https://login.microsoftonline.com/x".to_owned(), None));
        assert_eq!(parse("https://localhost:8443/contoso.com/v2.0").unwrap().1.as_deref(), Some("contoso.com"));
        for (text, why) in [
            ("login.microsoftonline.com", "not a URL"),
            ("http://login.microsoftonline.com", "not HTTPS"),
            ("http://localhost:1", "allow_http_loopback"),
            ("ftp://localhost", "must be https"),
            ("https://u:p@localhost", "user information"),
            ("https://localhost/a/b/c", "longer than a tenant"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
            assert!(!said.contains("u:p"), "{said}");
        }
        assert!(Authority::parse("http://127.0.0.1:9", true).is_ok());
        assert!(Authority::parse("http://10.0.0.1:9", true).is_err());
    }

    #[test]
    fn whose_issuers_an_authority_may_name() {
        let (local, _) = Authority::parse("https://localhost:8443", false).unwrap();
        for (issuer, expected) in [
            ("https://localhost:8443/t/v2.0", true),
            ("https://localhost/t/v2.0", false),
            ("https://sts.windows.net/t/", true),
            ("https://login.microsoftonline.com/t/v2.0", true),
            ("http://sts.windows.net/t/", false),
            ("https://sts.windows.net:444/t/", false),
            ("https://evil.example/t/", false),
        ] {
            assert_eq!(local.may_name(&Url::parse(issuer).unwrap()), expected, "{issuer}");
        }
    }
}
