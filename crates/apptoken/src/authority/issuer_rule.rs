//! Which issuer an OpenID configuration may name: MSAL's rule.

use url::Url;

use super::cloud;

/// Whether the configuration of `authority` may say that `issuer` issues its tokens. One of:
/// * the same origin; what stands after it does not count;
/// * one of Entra's clouds, or a region of one;
/// * the customer directory of the authority's tenant: `https://{tenant}.ciamlogin.com`, alone or with `/{tenant}` or
///   `/{tenant}/v2.0` after it.
///
/// As with MSAL for Go and Node, a port counts.
pub(super) fn accepts(authority: &Url, issuer: &str) -> bool {
    let Ok(issuer) = Url::parse(issuer) else { return false };
    if !issuer.username().is_empty() || issuer.password().is_some() {
        return false;
    }
    if issuer.origin().is_tuple() && issuer.origin() == authority.origin() {
        return true;
    }
    let Some(host) = issuer.host_str().filter(|_| issuer.scheme() == "https" && issuer.port().is_none()) else {
        return false;
    };
    if cloud::known(host).is_some() || cloud::is_regional(host) {
        return true;
    }
    let tenant = authority.path_segments().into_iter().flatten().find(|segment| !segment.is_empty());
    tenant.is_some_and(|tenant| {
        host == format!("{}.ciamlogin.com", tenant.to_ascii_lowercase())
            && match issuer.path().trim_matches('/').split('/').collect::<Vec<_>>()[..] {
                [""] => true,
                [own] | [own, "v2.0"] => own.eq_ignore_ascii_case(tenant),
                _ => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_that_are_accepted() {
        const CUSTOM: &str = "https://login.contoso.example/";
        const GUID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
        let custom = |tenant: &str| format!("{CUSTOM}{tenant}/v2.0");
        let rows = [
            // the same origin, whatever the path
            ("https://idp.example", "https://idp.example".to_owned()),
            ("https://idp.example/", "https://idp.example".into()),
            ("https://idp.example", "https://idp.example/".into()),
            ("https://idp.example/realm", "https://idp.example/realm".into()),
            ("https://idp.example/realm", "https://idp.example/other/realm".into()),
            ("https://idp.example/realm", "https://idp.example".into()),
            ("https://IDP.example/realm", "https://idp.EXAMPLE/realm".into()),
            ("https://idp.example:443/realm", "https://idp.example/realm".into()),
            ("https://idp.example:8443/realm", "https://idp.example:8443/".into()),
            ("http://localhost:8080/realm", "http://localhost:8080/realm".into()),
            ("https://idp.example/realm?policy=a", "https://idp.example/realm".into()),
            // Entra's clouds, by each kind of name
            ("https://idp.example/t", "https://login.microsoftonline.com/t/v2.0".into()),
            ("https://idp.example/t", "https://login.windows.net/t".into()),
            ("https://idp.example/t", "https://login.microsoft.com/t".into()),
            ("https://idp.example/t", format!("https://sts.windows.net/{GUID}/")),
            ("https://idp.example/t", "https://login.partner.microsoftonline.cn/t".into()),
            ("https://idp.example/t", "https://login.chinacloudapi.cn/t".into()),
            ("https://idp.example/t", "https://login.microsoftonline.de/t".into()),
            ("https://idp.example/t", "https://login.microsoftonline.us/t".into()),
            ("https://idp.example/t", "https://login.usgovcloudapi.net/t".into()),
            ("https://idp.example/t", "https://login-us.microsoftonline.com/t".into()),
            ("https://idp.example/t", "https://LOGIN.microsoftonline.COM/t".into()),
            ("https://idp.example/t", "https://login.sovcloud-identity.fr/t".into()),
            ("https://idp.example/t", "https://login.sovcloud-identity.de/t".into()),
            ("https://idp.example/t", "https://login.sovcloud-identity.sg/t".into()),
            // a region of one
            ("https://idp.example/t", "https://westus2.login.microsoft.com/t".into()),
            ("https://idp.example/t", "https://westeurope.login.microsoftonline.com/t".into()),
            ("https://idp.example/t", "https://usgovvirginia.login.microsoftonline.us/t".into()),
            ("https://idp.example/t", "https://chinaeast.login.partner.microsoftonline.cn/t".into()),
            // customer directories behind a domain of their own
            (&custom("contoso"), "https://contoso.ciamlogin.com".into()),
            (&custom("contoso"), "https://contoso.ciamlogin.com/".into()),
            (&custom("contoso"), "https://contoso.ciamlogin.com/contoso".into()),
            (&custom("contoso"), "https://contoso.ciamlogin.com/contoso/v2.0".into()),
            (&custom("contoso"), "https://contoso.ciamlogin.com/contoso/v2.0/".into()),
            (&custom("Contoso"), "https://contoso.ciamlogin.com/Contoso/v2.0".into()),
            (&custom(GUID), format!("https://{GUID}.ciamlogin.com/{GUID}/v2.0")),
        ];
        assert!(rows.len() >= 33);
        for (authority, issuer) in rows {
            assert!(accepts(&Url::parse(authority).unwrap(), &issuer), "{authority} {issuer}");
        }
    }

    #[test]
    fn issuers_that_are_refused() {
        for (authority, issuer) in [
            ("https://idp.example/realm", ""),
            ("https://idp.example/realm", "idp.example/realm"),
            ("https://idp.example/realm", "http://idp.example/realm"),
            ("https://idp.example/realm", "https://idp.example:8443/realm"),
            ("https://idp.example/realm", "https://other.example/realm"),
            ("https://idp.example/realm", "https://idp.example.evil.example/realm"),
            ("https://idp.example/realm", "https://sub.idp.example/realm"),
            ("https://idp.example/realm", "https://idp.example@evil.example/realm"),
            ("https://idp.example/realm", "https://user@idp.example/realm"),
            ("https://idp.example/t", "http://login.microsoftonline.com/t"),
            ("https://idp.example/t", "https://login.microsoftonline.com:8443/t"),
            ("https://idp.example/t", "https://login.microsoftonline.com.evil.example/t"),
            ("https://idp.example/t", "https://evil-login.microsoftonline.com/t"),
            ("https://idp.example/t", "https://a.b.login.microsoft.com/t"),
            ("https://idp.example/t", "https://west_us!.login.microsoft.com/t"),
            ("https://login.contoso.example/contoso", "https://fabrikam.ciamlogin.com/contoso/v2.0"),
            ("https://login.contoso.example/contoso", "https://contoso.ciamlogin.com/fabrikam/v2.0"),
            ("https://login.contoso.example/contoso", "https://contoso.ciamlogin.com/contoso/v2.0/more"),
            ("https://login.contoso.example/contoso", "https://contoso.ciamlogin.com.evil.example/contoso"),
            ("https://login.contoso.example/contoso", "http://contoso.ciamlogin.com/contoso/v2.0"),
            ("https://login.contoso.example/", "https://contoso.ciamlogin.com/contoso/v2.0"),
        ] {
            assert!(!accepts(&Url::parse(authority).unwrap(), issuer), "{authority} {issuer}");
        }
    }
}
