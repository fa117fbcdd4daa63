//! The region that the program runs in: from `REGION_NAME`, which App Service and the like set, or from the machine's
//! instance-metadata service.

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use url::{Host, Url};

use super::endpoints::Net;
use super::is_loopback;
use super::kept::{Found, Hand, Kept};
use super::region::Region;
use crate::Error;
use crate::clock::within;
use crate::env_vars::{AZURE_POD_IDENTITY_AUTHORITY_HOST, REGION_NAME};
use crate::environment::Environment;
use crate::http::{Request, Response};

/// Finds the region out behind the callers' backs, once for a client.
pub(super) struct Detection {
    /// What the platform says.
    told: Option<Region>,
    service: Url,
    found: Arc<Kept<Result<Region, Box<str>>>>,
}

impl Detection {
    pub(super) fn new(environment: &Environment) -> Result<Self, Error> {
        let told = environment.get(REGION_NAME);
        let region = told.as_deref().and_then(Region::from_platform);
        if let (Some(told), None) = (&told, &region) {
            tracing::warn!(told, "{REGION_NAME} is not a region's name; the instance-metadata service is asked");
        }
        let service = match environment.get(AZURE_POD_IDENTITY_AUTHORITY_HOST) {
            Some(elsewhere) => Url::parse(elsewhere.trim()).ok().filter(is_nearby).ok_or_else(|| {
                Error::configuration(format!(
                    "{AZURE_POD_IDENTITY_AUTHORITY_HOST} is not the address of an instance-metadata service"
                ))
                .with_advice("leave it as the platform set it; for a local server give http://127.0.0.1:<port>")
            })?,
            None => Url::parse(SERVICE).map_err(|error| Error::configuration("no address").with_source(error))?,
        };
        Ok(Self { told: region, service, found: Kept::new() })
    }

    /// The region, as soon as it is known. The first token waits for it for a moment; after that, it is found out behind
    /// the callers' backs, again and again until that succeeds.
    pub(super) async fn region(&self, net: &Net) -> Option<Region> {
        if self.told.is_some() {
            return self.told.clone();
        }
        let first = self.found.last().is_none();
        let mut join = match self.found.at_hand(&net.clock, |_| ask(net.clone(), self.service.clone())) {
            Hand::Good(found) => return found.ok(),
            Hand::Coming(join) => join,
        };
        let patience = if first { PATIENCE } else { Duration::ZERO };
        match within(&*net.clock, patience, &mut join).await {
            Some(found) => found?.ok(),
            None => {
                let now = net.clock.now();
                // whoever comes meanwhile does not wait again, and without a runtime nobody would go on with it
                if first {
                    self.found.put(Err("the instance-metadata service is slow".into()), now);
                }
                match tokio::runtime::Handle::try_current() {
                    Ok(runtime) => drop(runtime.spawn(join)),
                    Err(_) => self.found.put(Err("the instance-metadata service is slow".into()), now + FAILED),
                }
                None
            }
        }
    }
}

#[derive(Deserialize)]
struct Compute {
    location: String,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(rename = "newest-versions")]
    newest: Vec<String>,
}

/// One look-up. A failure is kept for a while, so that not every token request asks.
async fn ask(net: Net, service: Url) -> Found<Result<Region, Box<str>>> {
    let found = within(&*net.clock, LIMIT, look_up(&net, &service)).await;
    match found.unwrap_or_else(|| Err(format!("no answer within {LIMIT:?}").into())) {
        Ok(region) => {
            tracing::debug!(%region, "the region is known");
            Found { value: Ok(region), good_for: FOREVER }
        }
        Err(why) => {
            tracing::warn!(%why, "the region could not be found out; the global endpoint is used");
            Found { value: Err(why), good_for: FAILED }
        }
    }
}

async fn look_up(net: &Net, service: &Url) -> Result<Region, Box<str>> {
    let mut version = Some(VERSION.to_owned());
    let mut delay = Duration::from_secs(1);
    loop {
        let answer = within(&*net.clock, TRY, net.transport.send(request(service, version.as_deref()))).await;
        let response = match answer {
            None => return Err("no answer in time".into()),
            Some(Err(error)) => return Err(error.to_string().into()),
            Some(Ok(response)) => response,
        };
        match response.status() {
            StatusCode::OK => return read(&response),
            // it does not know our version: it names its own
            StatusCode::BAD_REQUEST if version.as_deref() == Some(VERSION) => version = None,
            StatusCode::BAD_REQUEST if version.is_none() => {
                let versions: Option<Versions> = serde_json::from_slice(response.body()).ok();
                version = versions.and_then(|versions| versions.newest.into_iter().next());
                if version.as_deref().is_none_or(|version| version == VERSION) {
                    return Err("it names no version of its interface".into());
                }
            }
            status if delay <= LAST_DELAY && passes(status) => {
                net.clock.sleep(delay).await;
                delay *= 2;
            }
            status => return Err(format!("HTTP {}", status.as_u16()).into()),
        }
    }
}

fn passes(status: StatusCode) -> bool {
    status == StatusCode::GONE || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

fn read(response: &Response) -> Result<Region, Box<str>> {
    let compute: Compute =
        serde_json::from_slice(response.body()).map_err(|_| Box::<str>::from("its answer holds no location"))?;
    Region::from_platform(&compute.location).ok_or_else(|| "its location is not a region's name".into())
}

fn request(service: &Url, version: Option<&str>) -> Request {
    let mut url = service.clone();
    url.set_path(PATH);
    if let Some(version) = version {
        url.query_pairs_mut().append_pair("api-version", version);
    }
    let mut request = Request::default();
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    request.headers_mut().insert(METADATA, HeaderValue::from_static("true"));
    request
}

/// On this machine or its link, or over TLS.
fn is_nearby(url: &Url) -> bool {
    let link_local = |host: &Host<&str>| matches!(host, Host::Ipv4(address) if address.is_link_local());
    let nearby = url.host().is_some_and(|host| is_loopback(&host) || link_local(&host));
    url.username().is_empty() && url.password().is_none() && (url.scheme() == "https" || nearby)
}

const SERVICE: &str = "http://169.254.169.254";
const PATH: &str = "/metadata/instance/compute";
const VERSION: &str = "2021-02-01";
const METADATA: HeaderName = HeaderName::from_static("metadata");

/// The first token of a client waits this long for the region.
const PATIENCE: Duration = Duration::from_secs(1);
/// One try.
const TRY: Duration = Duration::from_secs(2);
/// One look-up, tries and pauses.
const LIMIT: Duration = Duration::from_secs(10);
const LAST_DELAY: Duration = Duration::from_secs(4);
/// After a failure.
const FAILED: Duration = Duration::from_secs(300);
/// A machine does not move.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
