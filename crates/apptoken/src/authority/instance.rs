//! Instance discovery: before an app sends its secret to a host that is not known to be Entra's, Entra is asked whether it
//! is. One request for a client; none for known hosts, for this machine and for private names.

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use url::{Host, Url};

use super::endpoints::Net;
use super::kept::Found;
use super::{Authority, Cloud, Kind, PUBLIC_CLOUD, Tenant};
use crate::Error;
use crate::clock::within;
use crate::error::{Denied, ErrorKind};
use crate::http::{Request, Response};

/// What Entra says of a host.
#[derive(Clone)]
pub(super) enum Verdict {
    /// One of these names, or nothing more than that it exists.
    Cloud(Arc<Cloud>),
    /// `invalid_instance`.
    Unknown(Error),
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    metadata: Vec<Entry>,
    #[serde(default)]
    tenant_discovery_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    preferred_network: String,
    preferred_cache: String,
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_codes: Vec<u32>,
    trace_id: Option<String>,
    correlation_id: Option<String>,
    timestamp: Option<String>,
}

/// Whether the host of this authority is to be asked about.
pub(super) fn is_needed(authority: &Authority) -> bool {
    *authority.kind() == Kind::Entra
        && authority.known_cloud().is_none()
        && !authority.host().is_some_and(|host| is_private(&host))
}

/// The clouds of a document that the program gave: what [`PUBLIC_CLOUD`] would answer.
pub(super) fn given(authority: &Authority, json: &str) -> Result<Cloud, Error> {
    const ADVICE: &str = "it is what <cloud>/common/discovery/instance answers: { \"metadata\": [ { \"preferred_network\", \
         \"preferred_cache\", \"aliases\" } ] }";
    let document: Document = serde_json::from_str(json).map_err(|cause| {
        Error::configuration("the instance metadata cannot be read").with_advice(ADVICE).with_source(cause)
    })?;
    document.find(authority).ok_or_else(|| {
        let host = authority.host_and_port();
        Error::configuration(format!("the instance metadata does not list the authority's host, {host}"))
            .with_advice(ADVICE)
    })
}

/// Asks. A failure is no verdict: the host stands for itself, and is asked about again later.
pub(super) async fn ask(net: Net, authority: Authority, tenant: Tenant) -> Found<Verdict> {
    let answer = within(&*net.clock, PATIENCE, net.transport.send(request(&authority, &tenant))).await;
    let host = authority.host_and_port();
    let why = match answer {
        Some(Ok(response)) => match read(&response, &authority) {
            Ok(cloud) => return Found { value: Verdict::Cloud(Arc::new(cloud)), good_for: GOOD },
            Err(Some(error)) => return Found { value: Verdict::Unknown(error), good_for: Duration::ZERO },
            Err(None) => format!("HTTP {}", response.status().as_u16()),
        },
        Some(Err(error)) => error.to_string(),
        None => format!("no answer within {PATIENCE:?}"),
    };
    tracing::warn!(host, why, "instance discovery failed; the authority is taken as it is");
    Found { value: Verdict::Cloud(Arc::new(Cloud::alone(&host))), good_for: FAILED }
}

fn request(authority: &Authority, tenant: &Tenant) -> Request {
    let endpoint = format!("{}/{tenant}/oauth2/v2.0/authorize", authority.origin());
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("api-version", "1.1")
        .append_pair("authorization_endpoint", &endpoint)
        .finish();
    let mut request = Request::default();
    *request.uri_mut() = format!("{PUBLIC_CLOUD}/common/discovery/instance?{query}").parse().unwrap_or_default();
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// The cloud; or why there is none, if that was said.
fn read(response: &Response, authority: &Authority) -> Result<Cloud, Option<Error>> {
    if response.status() == StatusCode::OK {
        let document: Document = serde_json::from_slice(response.body()).map_err(|_| None)?;
        let exists = document.tenant_discovery_endpoint.is_some();
        return document
            .find(authority)
            .or_else(|| exists.then(|| Cloud::alone(&authority.host_and_port())))
            .ok_or(None);
    }
    let refusal: Refusal = serde_json::from_slice(response.body()).map_err(|_| None)?;
    if refusal.error != "invalid_instance" {
        return Err(None);
    }
    let what = format!("Entra knows no authority at {} (invalid_instance); nothing was sent there", authority.origin());
    let denied = Denied {
        http_status: response.status().as_u16(),
        error: refusal.error,
        codes: refusal.error_codes,
        trace_id: refusal.trace_id,
        correlation_id: refusal.correlation_id,
        timestamp: refusal.timestamp,
        ..Denied::default()
    };
    Err(Some(Error::new(ErrorKind::Denied, what).with_denied(denied).with_advice(
        "check the host's spelling; for a cloud that is closed to the outside switch the question off with \
         instance_discovery(false), for another identity provider use oidc_authority",
    )))
}

impl Document {
    fn find(&self, authority: &Authority) -> Option<Cloud> {
        let host = authority.url.host_str()?;
        let named = |alias: &String| alias.eq_ignore_ascii_case(host) || *alias == authority.host_and_port();
        let entry = self.metadata.iter().find(|entry| entry.aliases.iter().any(named))?;
        let names = [&entry.preferred_network, &entry.preferred_cache].into_iter().chain(&entry.aliases);
        names.clone().all(|name| is_host(name)).then(|| Cloud {
            preferred_network: entry.preferred_network.clone(),
            preferred_cache: entry.preferred_cache.clone(),
            aliases: entry.aliases.clone(),
        })
    }
}

/// `host[:port]`, and nothing that would lead elsewhere.
fn is_host(name: &str) -> bool {
    let url = Url::parse(&format!("https://{name}"));
    url.is_ok_and(|url| url.as_str() == format!("https://{}/", name.to_ascii_lowercase()))
}

/// Names and addresses that mean something else, or nothing, outside this machine or network: Entra cannot know them, and
/// nobody outside can own one that looks alike.
fn is_private(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            const PRIVATE: [&str; 6] = [".localhost", ".local", ".test", ".internal", ".home.arpa", ".lan"];
            !name.contains('.') || PRIVATE.iter().any(|suffix| name.ends_with(suffix))
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Host::Ipv6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// A token does not wait longer for a verdict.
const PATIENCE: Duration = Duration::from_secs(5);
/// A cloud's names change by the year.
const GOOD: Duration = Duration::from_secs(24 * 3600);
const FAILED: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(authority: &str) -> Authority {
        Authority::parse(authority, Some("contoso.com"), true).unwrap()
    }

    #[test]
    fn who_is_asked_about() {
        for host in ["https://login.example.com", "https://login.microsoftonline.com:8443", "https://203.0.113.7"] {
            assert!(is_needed(&of(host)), "{host}");
        }
        for host in [
            "https://login.microsoftonline.com",
            "https://login.sovcloud-identity.sg",
            "https://localhost:8443",
            "http://127.0.0.1:8443",
            "https://[::1]:8443",
            "https://entra:8443",
            "https://entra.test",
            "https://10.1.2.3",
            "https://contoso.ciamlogin.com",
            "https://login.example.com/dstsv2/contoso.com",
        ] {
            assert!(!is_needed(&of(host)), "{host}");
        }
    }

    #[test]
    fn metadata_that_the_program_gives() {
        let json = r#"{ "api-version": "1.1", "metadata": [
            { "preferred_network": "login.private.example", "preferred_cache": "sts.private.example",
              "aliases": ["login.private.example", "sts.private.example"] },
            { "preferred_network": "a.example/evil?", "preferred_cache": "a.example", "aliases": ["a.example"] } ] }"#;
        let cloud = given(&of("https://sts.private.example"), json).unwrap();
        assert_eq!(cloud.preferred_network, "login.private.example");
        assert_eq!(cloud.preferred_cache, "sts.private.example");
        for (host, json) in [
            ("https://other.example", json),
            ("https://a.example", json),
            ("https://a.example", "[]"),
            ("https://a.example", "{"),
        ] {
            assert_eq!(given(&of(host), json).unwrap_err().kind(), ErrorKind::Configuration);
        }
    }
}
