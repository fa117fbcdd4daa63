//! An OpenID provider's own word on where its token endpoint is (OpenID Connect Discovery 1.0 §4).

use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::endpoints::Net;
use super::issuer_rule;
use super::parse::checked;
use crate::Error;
use crate::error::ErrorKind;
use crate::http::{Request, Response, TransportErrorKind, is_ill, retry_after, send_with_retry};

/// What a client needs of it: checked before anything of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) token_endpoint: String,
    /// For requests over mutual TLS (RFC 8705 §5).
    pub(super) mtls_token_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: String,
    #[serde(default)]
    mtls_endpoint_aliases: Aliases,
}

#[derive(Default, Deserialize)]
struct Aliases {
    token_endpoint: Option<String>,
}

/// Fetches the configuration of the provider at `authority`.
pub(super) async fn fetch(net: &Net, authority: &Url, allow_http_loopback: bool) -> Result<Configuration, Error> {
    let url = address(authority);
    let mut request = Request::default();
    *request.uri_mut() = url
        .as_str()
        .parse()
        .map_err(|_| Error::configuration(format!("the authority {authority} is not an address to ask at")))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    match send_with_retry(&*net.transport, &*net.clock, &net.retry, request).await {
        Ok(response) => read(&response, authority, &url, allow_http_loopback),
        Err(cause) => {
            let passes = !matches!(
                cause.kind(),
                TransportErrorKind::Tls | TransportErrorKind::Setup | TransportErrorKind::TooLarge
            );
            let what = format!("the request for the OpenID configuration at {url} got no answer: {cause}");
            let error = Error::new(ErrorKind::Transport, what)
                .with_advice(
                    "check the authority's address, and that this machine reaches it and trusts its certificate",
                )
                .with_source(cause);
            Err(if passes { error.transient() } else { error })
        }
    }
}

/// A query of the authority's stays one: some providers choose a policy by it.
fn address(authority: &Url) -> Url {
    let mut url = authority.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", authority.path().trim_end_matches('/')));
    url
}

fn read(response: &Response, authority: &Url, url: &Url, allow_http_loopback: bool) -> Result<Configuration, Error> {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS || is_ill(status) {
        let what = format!("the provider could not give its OpenID configuration at {url} (HTTP {})", status.as_u16());
        let error = Error::new(ErrorKind::Transport, what).transient().with_advice("try again later");
        return Err(error.with_retry_after(retry_after(response.headers())));
    }
    let wrong = |why: &str| {
        Error::new(ErrorKind::Protocol, format!("what is at {url} is not an OpenID configuration to be used: {why}"))
    };
    if status != StatusCode::OK {
        return Err(wrong(&format!("HTTP {}", status.as_u16())).with_advice(
            "check the authority's address: /.well-known/openid-configuration stands below it; Entra's own ends in /v2.0",
        ));
    }
    let document: Document = serde_json::from_slice(response.body()).map_err(|_| {
        wrong("it is no JSON object with an issuer and a token_endpoint").with_advice("check the authority's address")
    })?;
    let printable = |text: &str| text.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
    if !issuer_rule::accepts(authority, &document.issuer) {
        return Err(wrong(&format!("its issuer, {:?}, is not of the authority {authority}", printable(&document.issuer)))
            .with_advice("write the authority with the issuer's scheme, host and port; a provider whose issuer is elsewhere is not trusted"));
    }
    let endpoint = |text: &str| {
        let checked = checked(text, allow_http_loopback).ok().filter(|url| url.fragment().is_none());
        checked.map(String::from).ok_or_else(|| {
            wrong(&format!("its token endpoint, {:?}, is no https address", printable(text)))
                .with_advice("secrets travel over TLS only: have the provider put right")
        })
    };
    Ok(Configuration {
        token_endpoint: endpoint(&document.token_endpoint)?,
        mtls_token_endpoint: document.mtls_endpoint_aliases.token_endpoint.as_deref().map(endpoint).transpose()?,
    })
}

/// How long a configuration is used before it is fetched anew.
pub(super) const GOOD: Duration = Duration::from_secs(24 * 3600);
/// How much longer, when that fails.
pub(super) const FAILED_ANEW: Duration = Duration::from_secs(300);
/// How long a failure is told to those who come later, before the provider is asked again.
pub(super) const FAILED: Duration = Duration::from_secs(5);
