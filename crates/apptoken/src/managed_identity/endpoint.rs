use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::Error;
use crate::environment::Environment;
use crate::http::Request;

/// The address of a platform's identity service: on this machine or next to it, or over TLS.
pub(crate) struct Endpoint {
    url: Url,
    shown: String,
}

impl Endpoint {
    /// An address that is fixed.
    pub(super) fn fixed(url: &str) -> Result<Self, Error> {
        Self::parse("the fixed endpoint", url)
    }

    /// The address in the environment variable `name`.
    pub(super) fn of(environment: &Environment, name: &'static str) -> Result<Option<Self>, Error> {
        environment.get(name).map(|url| Self::parse(name, &url)).transpose()
    }

    fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            Error::configuration(format!("{name} {why}"))
                .with_advice("leave it as the platform set it; for a local server give http://127.0.0.1:<port>/<path>")
        };
        let url = Url::parse(text.trim()).map_err(|error| wrong("is not a URL").with_source(error))?;
        let host = url.host().ok_or_else(|| wrong("has no host"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_nearby(&host) => {}
            "http" => return Err(wrong("is plain http to a host elsewhere: tokens do not travel in the clear")),
            _ => return Err(wrong("is neither http nor https")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds a user name or password"));
        }
        let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
        Ok(Self { url, shown })
    }

    /// The address without its query.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The same host, another path.
    pub(super) fn at(mut self, path: &str) -> Self {
        self.url.set_path(path);
        self.shown = format!("{}{}", self.url.origin().ascii_serialization(), self.url.path());
        self
    }

    pub(super) fn get(
        &self,
        query: &[(&str, &str)],
        headers: impl IntoIterator<Item = (&'static str, HeaderValue)>,
    ) -> Result<Request, Error> {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(query);
        self.request(Method::GET, &url, headers, Bytes::new())
    }

    pub(super) fn post_form(
        &self,
        form: &[(&str, &str)],
        headers: impl IntoIterator<Item = (&'static str, HeaderValue)>,
    ) -> Result<Request, Error> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let kind = ("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.request(Method::POST, &self.url, headers.into_iter().chain([kind]), body.into())
    }

    fn request(
        &self,
        method: Method,
        url: &Url,
        headers: impl IntoIterator<Item = (&'static str, HeaderValue)>,
        body: Bytes,
    ) -> Result<Request, Error> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| Error::configuration(format!("the identity endpoint {} is not an address", self.shown)))?;
        let named = headers.into_iter().map(|(name, value)| (HeaderName::from_static(name), value));
        *request.headers_mut() = named.collect::<HeaderMap>();
        Ok(request)
    }
}

/// A secret of the platform as a header's value.
pub(super) fn secret_header(name: &str, secret: &SecretString) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(secret.expose_secret())
        .map_err(|_| Error::configuration(format!("{name} holds characters that a header cannot have")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Loopback, link-local or private: where platforms put these endpoints (App Service on Linux: 172.16/12).
fn is_nearby(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback() || ip.is_link_local() || ip.is_private(),
        Host::Ipv6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_near() {
        for near in [
            "http://127.0.0.1:41741/msi/token",
            "http://169.254.129.2:8081/msi",
            "http://172.16.1.2/",
            "http://[fe80::1]/",
        ] {
            assert!(Endpoint::parse("X", near).is_ok(), "{near}");
        }
        assert!(Endpoint::parse("X", "https://identity.example/").is_ok());
        for far in
            ["http://8.8.8.8/", "http://identity.example/", "http://[2001:db8::1]/", "ftp://127.0.0.1/", "127.0.0.1"]
        {
            assert!(Endpoint::parse("X", far).is_err(), "{far}");
        }
    }
}
