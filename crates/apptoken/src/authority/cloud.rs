//! Microsoft's clouds: which hosts are one, which of them is asked, and under which name its tokens are kept.

use url::Url;

/// The public cloud's authority.
pub(crate) const PUBLIC_CLOUD: &str = "https://login.microsoftonline.com";

/// Hosts that are one authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cloud {
    /// The host that requests go to.
    pub(crate) preferred_network: String,
    /// The name that MSALs file tokens under in their caches (`environment`).
    pub(crate) preferred_cache: String,
    /// All its names, those two included.
    pub(crate) aliases: Vec<String>,
}

/// A cloud that needs no discovery.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KnownCloud {
    pub(super) preferred_network: &'static str,
    preferred_cache: &'static str,
    aliases: &'static [&'static str],
    /// What stands after `{region}.` in a regional endpoint's name.
    pub(super) regional: &'static str,
    /// The host of requests over mutual TLS, and what stands after `{region}.` in a regional one's.
    pub(super) mtls: Option<&'static str>,
    /// Audience of assertions that other identity providers give.
    token_exchange: &'static str,
}

impl Cloud {
    /// A host that stands for itself only; with its port, where it has one of its own.
    pub(crate) fn alone(host: &str) -> Self {
        Self { preferred_network: host.into(), preferred_cache: host.into(), aliases: vec![host.into()] }
    }
}

impl From<&KnownCloud> for Cloud {
    fn from(known: &KnownCloud) -> Self {
        Self {
            preferred_network: known.preferred_network.into(),
            preferred_cache: known.preferred_cache.into(),
            aliases: known.aliases.iter().map(|&alias| alias.into()).collect(),
        }
    }
}

/// The cloud that answers by this host name.
pub(super) fn known(host: &str) -> Option<&'static KnownCloud> {
    KNOWN.iter().find(|cloud| cloud.aliases.contains(&host))
}

/// Whether `host` is `{one label}.{a cloud's name}`: a regional endpoint.
pub(super) fn is_regional(host: &str) -> bool {
    host.split_once('.').is_some_and(|(region, rest)| super::tenant::is_label(region) && known(rest).is_some())
}

/// The audience that assertions of other identity providers have in the cloud of this token endpoint.
pub(crate) fn token_exchange(token_endpoint: &str) -> &'static str {
    let url = Url::parse(token_endpoint).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let regional = |name: &str| host.strip_suffix(name).is_some_and(|region| region.ends_with('.'));
    let of = |cloud: &&KnownCloud| {
        cloud.aliases.contains(&host)
            || regional(cloud.regional)
            || cloud.mtls.is_some_and(|mtls| host == mtls || regional(mtls))
    };
    KNOWN.iter().find(of).map_or(TOKEN_EXCHANGE, |cloud| cloud.token_exchange)
}

const TOKEN_EXCHANGE: &str = "api://AzureADTokenExchange";

const KNOWN: &[KnownCloud] = &[
    KnownCloud {
        preferred_network: "login.microsoftonline.com",
        preferred_cache: "login.windows.net",
        aliases: &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
        regional: "login.microsoft.com",
        mtls: Some("mtlsauth.microsoft.com"),
        token_exchange: TOKEN_EXCHANGE,
    },
    KnownCloud {
        preferred_network: "login.partner.microsoftonline.cn",
        preferred_cache: "login.partner.microsoftonline.cn",
        aliases: &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
        regional: "login.partner.microsoftonline.cn",
        mtls: Some("mtlsauth.partner.microsoftonline.cn"),
        token_exchange: "api://AzureADTokenExchangeChina",
    },
    KnownCloud {
        preferred_network: "login.microsoftonline.us",
        preferred_cache: "login.microsoftonline.us",
        aliases: &["login.microsoftonline.us", "login.usgovcloudapi.net"],
        regional: "login.microsoftonline.us",
        mtls: Some("mtlsauth.microsoftonline.us"),
        token_exchange: "api://AzureADTokenExchangeUSGov",
    },
    KnownCloud {
        preferred_network: "login-us.microsoftonline.com",
        preferred_cache: "login-us.microsoftonline.com",
        aliases: &["login-us.microsoftonline.com"],
        regional: "login-us.microsoftonline.com",
        mtls: None,
        token_exchange: "api://AzureADTokenExchangeUSGov",
    },
    // closed in 2021; what is left of it still has a name
    KnownCloud {
        preferred_network: "login.microsoftonline.de",
        preferred_cache: "login.microsoftonline.de",
        aliases: &["login.microsoftonline.de"],
        regional: "login.microsoftonline.de",
        mtls: Some("mtlsauth.microsoftonline.de"),
        token_exchange: TOKEN_EXCHANGE,
    },
    KnownCloud {
        preferred_network: "login.windows-ppe.net",
        preferred_cache: "login.windows-ppe.net",
        aliases: &["login.windows-ppe.net", "sts.windows-ppe.net", "login.microsoft-ppe.com"],
        regional: "login.windows-ppe.net",
        mtls: Some("mtlsauth.windows-ppe.net"),
        token_exchange: TOKEN_EXCHANGE,
    },
    sovereign("login.sovcloud-identity.fr", &["login.sovcloud-identity.fr"], "mtlsauth.sovcloud-identity.fr"),
    sovereign("login.sovcloud-identity.de", &["login.sovcloud-identity.de"], "mtlsauth.sovcloud-identity.de"),
    sovereign("login.sovcloud-identity.sg", &["login.sovcloud-identity.sg"], "mtlsauth.sovcloud-identity.sg"),
];

const fn sovereign(host: &'static str, aliases: &'static [&'static str], mtls: &'static str) -> KnownCloud {
    KnownCloud {
        preferred_network: host,
        preferred_cache: host,
        aliases,
        regional: host,
        mtls: Some(mtls),
        token_exchange: TOKEN_EXCHANGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_token_exchange() {
        for (host, audience) in [
            ("login.microsoftonline.com", "api://AzureADTokenExchange"),
            ("westeurope.login.microsoft.com", "api://AzureADTokenExchange"),
            ("login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
            ("login.usgovcloudapi.net", "api://AzureADTokenExchangeUSGov"),
            ("usgovvirginia.login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
            ("usgovvirginia.mtlsauth.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
            ("login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
            ("login.chinacloudapi.cn", "api://AzureADTokenExchangeChina"),
            ("chinaeast2.login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
            ("evil-login.partner.microsoftonline.cn", "api://AzureADTokenExchange"),
            ("login.sovcloud-identity.fr", "api://AzureADTokenExchange"),
            ("localhost:8443", "api://AzureADTokenExchange"),
        ] {
            assert_eq!(token_exchange(&format!("https://{host}/contoso.com/oauth2/v2.0/token")), audience, "{host}");
        }
    }

    #[test]
    fn a_name_belongs_to_one_cloud_and_the_preferred_ones_are_among_its_names() {
        let all: Vec<&str> = KNOWN.iter().flat_map(|cloud| cloud.aliases).copied().collect();
        for cloud in KNOWN {
            for name in cloud.aliases.iter().chain([&cloud.preferred_network, &cloud.preferred_cache]) {
                assert_eq!(all.iter().filter(|other| *other == name).count(), 1, "{name}");
                assert_eq!(known(name), Some(cloud));
            }
        }
        // interchange with every MSAL hangs on this one
        assert_eq!(Cloud::from(known("login.microsoftonline.com").unwrap()).preferred_cache, "login.windows.net");
        assert_eq!(known("login.microsoftonline.com.evil.example"), None);
        assert!(is_regional("westus2.login.microsoft.com") && !is_regional("a.b.login.microsoft.com"));
    }
}
