use ::http::header::{HeaderName, HeaderValue};

use crate::token::{RefreshReason, RegionOutcome, RegionUse, Scheme};

/// What a token request says of itself.
pub(crate) struct Told<'a> {
    pub(crate) reason: RefreshReason,
    pub(crate) scheme: Scheme,
    pub(crate) region: &'a RegionUse,
    pub(crate) caller: &'a Caller,
}

/// The library that stands between the program and this one, as it names itself.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// MSAL's headers by which Entra knows the library behind a request, with values of our own, and its
/// `x-client-current-telemetry`, which tells why the request was made.
pub(crate) fn client_headers(told: &Told<'_>) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    library_headers().into_iter().chain([
        (CLIENT_OS, HeaderValue::from_static(std::env::consts::OS)),
        (CLIENT_CPU, HeaderValue::from_static(std::env::consts::ARCH)),
        (CURRENT_TELEMETRY, HeaderValue::try_from(told.current_telemetry()).unwrap_or(HeaderValue::from_static(""))),
    ])
}

/// Those that the instance-metadata service gets too.
pub(crate) fn library_headers() -> [(HeaderName, HeaderValue); 2] {
    [
        (CLIENT_SKU, HeaderValue::from_static("apptoken")),
        (CLIENT_VER, HeaderValue::from_static(env!("CARGO_PKG_VERSION"))),
    ]
}

impl Told<'_> {
    /// `schema | api id, why not from the cache, region used, its source, its outcome | serialised cache, legacy cache,
    /// token type, caller's id, its version, managed certificate`: schema 5 of MSAL .NET; 1004 is AcquireTokenForClient.
    /// A region's source is told only where it could not be found out, as it is with MSAL when the program names it.
    fn current_telemetry(&self) -> String {
        let reason = match self.reason {
            RefreshReason::NotApplicable => "0",
            RefreshReason::ForceRefreshOrClaims => "1",
            RefreshReason::NoCachedToken => "2",
            RefreshReason::Expired => "3",
            RefreshReason::Proactive => "4",
        };
        let (source, outcome) = match self.region.outcome {
            RegionOutcome::NotUsed => ("", ""),
            RegionOutcome::Detected => ("", "4"),
            RegionOutcome::NotDetected => ("1", "5"),
            RegionOutcome::Ill => ("", "5"),
            RegionOutcome::Named => ("", "6"),
        };
        let kind = match self.scheme {
            Scheme::Bearer => "1",
            Scheme::Pop => "2",
            Scheme::MtlsPop => "6",
        };
        let region = self.region.region.as_deref().unwrap_or_default();
        let (name, version) = (short(&self.caller.name, 10), short(&self.caller.version, 20));
        // no `format!`: this is part of each request
        ["5|1004,", reason, ",", region, ",", source, ",", outcome, "|0,0,", kind, ",", &name, ",", &version, ","]
            .concat()
    }
}

/// As much of it as MSAL sends, without what has a meaning in the header.
fn short(text: &str, length: usize) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, ',' | '|')).take(length).collect()
}

const CLIENT_CPU: HeaderName = HeaderName::from_static("x-client-cpu");
const CLIENT_OS: HeaderName = HeaderName::from_static("x-client-os");
const CLIENT_SKU: HeaderName = HeaderName::from_static("x-client-sku");
const CLIENT_VER: HeaderName = HeaderName::from_static("x-client-ver");
const CURRENT_TELEMETRY: HeaderName = HeaderName::from_static("x-client-current-telemetry");
