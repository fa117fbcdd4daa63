//! The names by which this server may be called. A web page that rebinds its own DNS name to 127.0.0.1 comes with that
//! name in `Host`, and is turned away.

use std::net::IpAddr;

use crate::directory::is_domain;

/// Accepted host names beyond IP addresses, `localhost` and Microsoft's own.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    pub(crate) fn new(more: &[String]) -> Self {
        Self(more.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether the value of a `Host` header, or the authority of a URL, is one of this server's names. The port does
    /// not matter: a proxy may stand in front. An IP address is no name that can be rebound.
    pub(crate) fn accept(&self, authority: &str) -> bool {
        let name = host_of(authority).to_ascii_lowercase();
        name == "localhost"
            || (name.ends_with(".localhost") && is_domain(&name))
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || is_login_host(&name)
            || is_graph_host(&name)
            || self.0.contains(&name)
    }
}

/// Whether this host name, without a port, is one of Microsoft's by which a local Entra ID answers when a proxy or
/// `/etc/hosts` leads to it: Entra's, its aliases and regional names, those of the sovereign clouds, Microsoft Graph's.
/// It has a certificate under its CA for each of them.
#[must_use]
pub fn is_microsoft_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.contains(':') && (is_login_host(&name) || is_graph_host(&name))
}

/// The names of [`is_microsoft_host`], without the regional ones.
pub fn microsoft_hosts() -> impl Iterator<Item = &'static str> {
    [LOGIN_HOSTS, SOVEREIGN_HOSTS, MTLS_HOSTS, GRAPH_HOSTS].into_iter().flatten().copied()
}

/// Whether Entra itself answers by this name: what `apptoken run` and entries in `/etc/hosts` make us be called.
pub(crate) fn is_login_host(authority: &str) -> bool {
    let name = host_of(authority);
    LOGIN_HOSTS.contains(&name) || SOVEREIGN_HOSTS.contains(&name) || is_regional_host(name) || is_mtls_host(name)
}

/// Whether this is `{region}.{login host}`; the public cloud's have the form `westus2.login.microsoft.com` only.
fn is_regional_host(name: &str) -> bool {
    is_domain(name)
        && name.split_once('.').is_some_and(|(_, host)| {
            host == "login.microsoft.com" || (host.starts_with("login") && SOVEREIGN_HOSTS.contains(&host))
        })
}

/// Whether this is a name by which Entra asks for a client certificate: `mtlsauth.microsoft.com`, those of the national
/// clouds, and `westus2.mtlsauth.microsoft.com`.
pub(crate) fn is_mtls_host(authority: &str) -> bool {
    let name = host_of(authority).to_ascii_lowercase();
    MTLS_HOSTS.iter().any(|&host| name.strip_suffix(host).is_some_and(|r| r.is_empty() || r.ends_with('.')))
        && is_domain(&name)
}

/// The host for mutual TLS beside one of Entra's; a regional host has a regional one.
pub(crate) fn mtls_host_of(host: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    if is_mtls_host(&host) {
        return Some(host);
    }
    if LOGIN_HOSTS.contains(&host.as_str()) {
        return Some(MTLS_HOSTS[0].to_owned());
    }
    if let Some(region) = host.strip_suffix(".login.microsoft.com") {
        return Some(format!("{region}.{}", MTLS_HOSTS[0]));
    }
    let sovereign = format!("mtlsauth.{}", host.strip_prefix("login.")?);
    MTLS_HOSTS.contains(&sovereign.as_str()).then_some(sovereign)
}

/// Whether this is Microsoft Graph's name.
pub(crate) fn is_graph_host(authority: &str) -> bool {
    GRAPH_HOSTS.iter().any(|name| host_of(authority).eq_ignore_ascii_case(name))
}

/// Without the port.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.is_empty() => host,
        _ => authority,
    }
}

/// Entra's public cloud: the preferred names first.
pub(crate) const LOGIN_HOSTS: &[&str] =
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"];

/// Where Entra asks for client certificates: the public cloud's first.
const MTLS_HOSTS: &[&str] = &[
    "mtlsauth.microsoft.com",
    "mtlsauth.microsoftonline.us",
    "mtlsauth.partner.microsoftonline.cn",
    "mtlsauth.sovcloud-identity.fr",
    "mtlsauth.sovcloud-identity.de",
    "mtlsauth.sovcloud-identity.sg",
];

/// Entra's national clouds.
const SOVEREIGN_HOSTS: &[&str] = &[
    "login.microsoftonline.us",
    "login.usgovcloudapi.net",
    "login-us.microsoftonline.com",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "login.microsoftonline.de",
    "login.sovcloud-identity.fr",
    "login.sovcloud-identity.de",
    "login.sovcloud-identity.sg",
    "login.windows-ppe.net",
    "sts.windows-ppe.net",
    "login.microsoft-ppe.com",
];

/// Microsoft Graph's, and those of its national clouds.
const GRAPH_HOSTS: &[&str] =
    &["graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_names_only() {
        let hosts = Hosts::new(&["Entra.Test".into()]);
        for own in [
            "localhost",
            "localhost:8443",
            "127.0.0.1:1",
            "[::1]:8443",
            "[::1]",
            "api.localhost",
            "LOCALHOST:1",
            "login.microsoftonline.com",
            "westus2.login.microsoft.com",
            "graph.microsoft.com",
            "entra.test:8443",
        ] {
            assert!(hosts.accept(own), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            ".login.microsoft.com",
            "a\"b.localhost",
            "u@localhost",
        ] {
            assert!(!hosts.accept(other), "{other}");
        }
    }

    #[test]
    fn names_for_mutual_tls() {
        for (host, expected) in [
            ("login.microsoftonline.com", Some("mtlsauth.microsoft.com")),
            ("sts.windows.net", Some("mtlsauth.microsoft.com")),
            ("westus2.login.microsoft.com", Some("westus2.mtlsauth.microsoft.com")),
            ("westus2.mtlsauth.microsoft.com", Some("westus2.mtlsauth.microsoft.com")),
            ("login.microsoftonline.us", Some("mtlsauth.microsoftonline.us")),
            ("login.partner.microsoftonline.cn", Some("mtlsauth.partner.microsoftonline.cn")),
            ("login.usgovcloudapi.net", None),
            ("localhost", None),
        ] {
            assert_eq!(mtls_host_of(host).as_deref(), expected, "{host}");
        }
        assert!(is_mtls_host("MTLSAUTH.microsoft.com:443"));
        assert!(!is_mtls_host("evilmtlsauth.microsoft.com") && !is_mtls_host(".mtlsauth.microsoft.com"));
    }

    #[test]
    fn microsofts_names_only() {
        for theirs in [
            "login.microsoftonline.com",
            "LOGIN.windows.net",
            "sts.windows.net",
            "westus2.login.microsoft.com",
            "login.microsoftonline.us",
            "usgovvirginia.login.microsoftonline.us",
            "login.sovcloud-identity.fr",
            "franceregion.login.sovcloud-identity.fr",
            "graph.microsoft.com",
            "dod-graph.microsoft.us",
            "mtlsauth.microsoft.com",
            "westus2.mtlsauth.microsoft.com",
        ] {
            assert!(is_microsoft_host(theirs), "{theirs}");
        }
        assert!(microsoft_hosts().count() > 10 && microsoft_hosts().all(is_microsoft_host));
        for other in [
            "",
            "localhost",
            "microsoft.com",
            "graph.microsoft.com:443",
            "evil-login.microsoft.com",
            "a.b.login.microsoft.com",
            "westus2.login.microsoftonline.com",
            "127.0.0.1",
        ] {
            assert!(!is_microsoft_host(other), "{other}");
        }
    }
}
