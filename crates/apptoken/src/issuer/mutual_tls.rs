//! Where an authority asks for the app's certificate (RFC 8705 §5).

use url::Url;

use crate::Error;
use crate::authority::is_loopback;

/// The endpoint for mutual TLS beside `token_endpoint`: at `mtlsauth.microsoft.com`, or in another cloud at `mtlsauth.` and
/// the rest of the host's name. On this machine it is the same.
pub(super) fn endpoint(token_endpoint: &str) -> Result<String, Error> {
    let none = || {
        Error::configuration(format!("the authority of {token_endpoint} has no endpoint for mutual TLS"))
            .with_advice("ask a cloud whose host begins with \"login.\", for example https://login.microsoftonline.com")
    };
    let mut url = Url::parse(token_endpoint).map_err(|_| none())?;
    if url.host().as_ref().is_some_and(is_loopback) {
        return Ok(token_endpoint.to_owned());
    }
    let host = match url.host_str() {
        Some("login.microsoftonline.com") => "mtlsauth.microsoft.com".to_owned(),
        host => format!("mtlsauth.{}", host.and_then(|host| host.strip_prefix("login.")).ok_or_else(none)?),
    };
    url.set_host(Some(&host)).map_err(|_| none())?;
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_each_clouds_endpoint() {
        for (token_endpoint, expected) in [
            (
                "https://login.microsoftonline.com/t/oauth2/v2.0/token",
                Some("https://mtlsauth.microsoft.com/t/oauth2/v2.0/token"),
            ),
            ("https://login.microsoftonline.us/t/x", Some("https://mtlsauth.microsoftonline.us/t/x")),
            ("https://login.partner.microsoftonline.cn/t/x", Some("https://mtlsauth.partner.microsoftonline.cn/t/x")),
            ("https://localhost:8443/t/x", Some("https://localhost:8443/t/x")),
            ("https://contoso.ciamlogin.com/t/x", None),
            ("https://fs.contoso.com/adfs/oauth2/token", None),
            ("https://sts.private.example/t/x", None),
        ] {
            assert_eq!(endpoint(token_endpoint).ok().as_deref(), expected, "{token_endpoint}");
        }
    }
}
