use ::http::header::{HeaderName, HeaderValue};

use crate::token::RefreshReason;

/// MSAL's headers by which Entra knows the library behind a request, with values of our own, and its
/// `x-client-current-telemetry`, which tells why the request was made.
pub(crate) fn client_headers(reason: RefreshReason) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    library_headers().into_iter().chain([
        (CLIENT_OS, HeaderValue::from_static(std::env::consts::OS)),
        (CLIENT_CPU, HeaderValue::from_static(std::env::consts::ARCH)),
        (CURRENT_TELEMETRY, HeaderValue::from_static(current_telemetry(reason))),
    ])
}

/// Those that the instance-metadata service gets too.
pub(crate) fn library_headers() -> [(HeaderName, HeaderValue); 2] {
    [
        (CLIENT_SKU, HeaderValue::from_static("apptoken")),
        (CLIENT_VER, HeaderValue::from_static(env!("CARGO_PKG_VERSION"))),
    ]
}

/// `schema | api id, why not from the cache, region used, its source, its outcome | serialised cache, legacy cache, token
/// type, caller's id, its version, managed certificate`: schema 5 of MSAL .NET; 1004 is AcquireTokenForClient, token
/// type 1 is bearer.
fn current_telemetry(reason: RefreshReason) -> &'static str {
    match reason {
        RefreshReason::NotApplicable => "5|1004,0,,,|0,0,1,,,",
        RefreshReason::ForceRefreshOrClaims => "5|1004,1,,,|0,0,1,,,",
        RefreshReason::NoCachedToken => "5|1004,2,,,|0,0,1,,,",
        RefreshReason::Expired => "5|1004,3,,,|0,0,1,,,",
        RefreshReason::Proactive => "5|1004,4,,,|0,0,1,,,",
    }
}

const CLIENT_CPU: HeaderName = HeaderName::from_static("x-client-cpu");
const CLIENT_OS: HeaderName = HeaderName::from_static("x-client-os");
const CLIENT_SKU: HeaderName = HeaderName::from_static("x-client-sku");
const CLIENT_VER: HeaderName = HeaderName::from_static("x-client-ver");
const CURRENT_TELEMETRY: HeaderName = HeaderName::from_static("x-client-current-telemetry");
