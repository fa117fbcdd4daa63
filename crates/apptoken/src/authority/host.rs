//! The names of Entra's hosts: global and regional, for bearer tokens and for mutual TLS.

use url::{Host, Url};

use super::region::Region;
use super::{Authority, Cloud, cloud, is_loopback};
use crate::Error;

/// How a token request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The server alone shows a certificate.
    Tls,
    /// The app shows its own, too (RFC 8705).
    MutualTls,
}

/// `host[:port]` of the endpoint in `region`, or of the global one.
pub(super) fn host(cloud: &Cloud, region: Option<&Region>, channel: Channel) -> Result<String, Error> {
    let global = &cloud.preferred_network;
    let known = cloud::known(global);
    let regional = |name: &str| region.map_or_else(|| name.to_owned(), |region| format!("{region}.{name}"));
    match (channel, known) {
        (Channel::Tls, _) if region.is_none() || is_address(global) => Ok(global.clone()),
        (Channel::Tls, Some(known)) => Ok(regional(known.regional)),
        (Channel::Tls, None) => Ok(regional(global)),
        (Channel::MutualTls, Some(known)) => known.mtls.map(regional).ok_or_else(|| no_mutual_tls(global)),
        (Channel::MutualTls, None) if is_on_this_machine(global) => Ok(global.clone()),
        (Channel::MutualTls, None) => match global.strip_prefix("login.") {
            Some(rest) => Ok(regional(&format!("mtlsauth.{rest}"))),
            None => Err(no_mutual_tls(global)),
        },
    }
}

/// Refused for the kinds of identity provider that Entra's names say nothing about.
pub(super) fn no_mutual_tls_for(authority: &Authority) -> Error {
    Error::configuration(format!("{} has no endpoint for mutual TLS that is known", authority.kind().name()))
        .with_advice("use a bearer token, or an Entra authority")
}

fn no_mutual_tls(host: &str) -> Error {
    Error::configuration(format!("the authority at {host} has no endpoint for mutual TLS"))
        .with_advice("ask a cloud whose host begins with \"login.\", for example https://login.microsoftonline.com")
}

fn is_address(host: &str) -> bool {
    of(host, |host| !matches!(host, Host::Domain(_)))
}

fn is_on_this_machine(host: &str) -> bool {
    of(host, |host| is_loopback(&host))
}

fn of(host: &str, is: impl FnOnce(Host<&str>) -> bool) -> bool {
    let url = Url::parse(&format!("https://{host}")).ok();
    url.as_ref().and_then(Url::host).is_some_and(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Channel::{MutualTls, Tls};

    /// The authority's host; what is asked in `centralus`, and over mutual TLS there and globally.
    #[test]
    fn each_clouds_names() {
        const PUBLIC: [Option<&str>; 3] = [
            Some("centralus.login.microsoft.com"),
            Some("centralus.mtlsauth.microsoft.com"),
            Some("mtlsauth.microsoft.com"),
        ];
        const CHINA: [Option<&str>; 3] = [
            Some("centralus.login.partner.microsoftonline.cn"),
            Some("centralus.mtlsauth.partner.microsoftonline.cn"),
            Some("mtlsauth.partner.microsoftonline.cn"),
        ];
        const US: [Option<&str>; 3] = [
            Some("centralus.login.microsoftonline.us"),
            Some("centralus.mtlsauth.microsoftonline.us"),
            Some("mtlsauth.microsoftonline.us"),
        ];
        let region = Region::parse("centralus").unwrap();
        for (written, hosts) in [
            ("login.microsoftonline.com", PUBLIC),
            ("login.windows.net", PUBLIC),
            ("login.microsoft.com", PUBLIC),
            ("sts.windows.net", PUBLIC),
            ("login.partner.microsoftonline.cn", CHINA),
            ("login.chinacloudapi.cn", CHINA),
            ("login.microsoftonline.us", US),
            ("login.usgovcloudapi.net", US),
            ("login-us.microsoftonline.com", [Some("centralus.login-us.microsoftonline.com"), None, None]),
            (
                "login.microsoftonline.de",
                [
                    Some("centralus.login.microsoftonline.de"),
                    Some("centralus.mtlsauth.microsoftonline.de"),
                    Some("mtlsauth.microsoftonline.de"),
                ],
            ),
            (
                "login.windows-ppe.net",
                [
                    Some("centralus.login.windows-ppe.net"),
                    Some("centralus.mtlsauth.windows-ppe.net"),
                    Some("mtlsauth.windows-ppe.net"),
                ],
            ),
            (
                "login.sovcloud-identity.fr",
                [
                    Some("centralus.login.sovcloud-identity.fr"),
                    Some("centralus.mtlsauth.sovcloud-identity.fr"),
                    Some("mtlsauth.sovcloud-identity.fr"),
                ],
            ),
            (
                "login.private.example",
                [
                    Some("centralus.login.private.example"),
                    Some("centralus.mtlsauth.private.example"),
                    Some("mtlsauth.private.example"),
                ],
            ),
            ("sts.private.example", [Some("centralus.sts.private.example"), None, None]),
            ("localhost:8443", [Some("centralus.localhost:8443"), Some("localhost:8443"), Some("localhost:8443")]),
            ("127.0.0.1:8443", [Some("127.0.0.1:8443"), Some("127.0.0.1:8443"), Some("127.0.0.1:8443")]),
        ] {
            let cloud = Authority::parse(&format!("https://{written}/contoso.com"), None, false).unwrap().cloud();
            let got = [(Some(&region), Tls), (Some(&region), MutualTls), (None, MutualTls)]
                .map(|(region, channel)| host(&cloud, region, channel).ok());
            assert_eq!(got.each_ref().map(Option::as_deref), hosts, "{written}");
        }
    }
}
