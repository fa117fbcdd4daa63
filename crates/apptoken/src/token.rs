use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::HeaderValue;
use uuid::Uuid;

use crate::clock::Moment;
use crate::error::ErrorKind;
use crate::name::Name;
pub use crate::refresh_reason::RefreshReason;
use crate::sync::Loaded;
use crate::wiped::Wiped;
use crate::{ClientIdentity, Error};

/// An app-only access token with what is known about it. Cloning it counts a reference.
///
/// The token is a secret: [`Debug`] does not show it, and its header is marked sensitive.
#[derive(Clone)]
pub struct AccessToken {
    pub(crate) data: Kept,
    pub(crate) how: Manner,
}

/// A token as it came out of a slot.
///
/// A hit borrows it on its thread's account (arc-swap's debts) rather than to count one more reference: so threads that
/// hit the same token do not take turns at its count.
pub(crate) struct Kept(Loaded<TokenData>);

/// What a slot holds: the token as it arrived. There may be a million: what many have in common is in their [`Origin`].
pub(crate) struct TokenData {
    /// `Bearer <token>`, sensitive, made once by [`header`]: using the token copies no secret.
    pub(crate) header: HeaderValue,
    pub(crate) origin: Arc<Origin>,
    pub(crate) tenant: Name,
    pub(crate) correlation_id: Uuid,
    pub(crate) expires_on: WallTime,
    /// When this token stops being handed out without a thought; the slot's timetable, on the client's own clock.
    pub(crate) timetable: Timetable,
}

/// How tokens were got: those of a client for one scope differ in little else than their tenants.
#[derive(Default)]
pub(crate) struct Origin {
    /// What the header starts with.
    pub(crate) scheme: Scheme,
    /// What an `mtls_pop` token is bound to.
    pub(crate) binding: Option<ClientIdentity>,
    pub(crate) scopes: Box<str>,
    pub(crate) token_endpoint: Template,
    pub(crate) region: RegionUse,
    /// What the authority said besides, names in order; values may be secrets.
    pub(crate) additional: Additional,
}

impl Origin {
    /// Whether tokens of others may have the same.
    pub(crate) fn is_common(&self) -> bool {
        self.binding.is_none() && self.additional.is_empty()
    }

    /// Of two that are common.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.scopes == other.scopes
            && self.token_endpoint == other.token_endpoint
            && self.region == other.region
            && self.scheme == other.scheme
    }
}

/// A URL with a mark for each part of its path that is the tenant.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Template(Box<str>);

impl Template {
    pub(crate) fn new(url: &str, tenant: &str) -> Self {
        let mut text = String::with_capacity(url.len());
        for (number, part) in url.split('/').enumerate() {
            text.push_str(if number > 0 { "/" } else { "" });
            text.push_str(if !part.is_empty() && part == tenant { MARK } else { part });
        }
        Self(text.into())
    }

    fn of(&self, tenant: &str) -> String {
        self.0.replace(MARK, tenant)
    }
}

/// Which no URL holds.
const MARK: &str = "\0";

/// A time of day in eight bytes, to the nanosecond, until the year 2554.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WallTime(u64);

impl From<SystemTime> for WallTime {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<WallTime> for SystemTime {
    fn from(time: WallTime) -> Self {
        Self::UNIX_EPOCH.checked_add(Duration::from_nanos(time.0)).unwrap_or(Self::UNIX_EPOCH)
    }
}

/// Members of a token response besides the standard ones.
pub(crate) type Additional = Box<[(Box<str>, Box<str>)]>;

/// The life of a token on the client's monotonic clock, in order, in 24 bytes: nothing is more than seven weeks after
/// `refresh_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timetable {
    refresh_at: Moment,
    /// After it.
    margin: Millis,
    expires: Millis,
    extended: Millis,
    /// When the authority wants a refresh, before the token's end.
    refresh_wanted: Millis,
}

impl Timetable {
    /// `refresh_wanted` is how long before the token's end the authority wants a refresh.
    pub(crate) fn new(
        refresh_at: Moment,
        margin_at: Moment,
        expires_at: Moment,
        extended_until: Moment,
        refresh_wanted: Option<Duration>,
    ) -> Self {
        let after = |moment: Moment| moment.since(refresh_at).into();
        Self {
            refresh_at,
            margin: after(margin_at),
            expires: after(expires_at),
            extended: after(extended_until),
            refresh_wanted: refresh_wanted.map_or(Millis::ZERO, Millis::from),
        }
    }

    /// From here on a refresh behind the caller's back is due: jittered once, when the token arrived. The same as the
    /// next for a token that is not refreshed ahead.
    pub(crate) fn refresh_at(&self) -> Moment {
        self.refresh_at
    }

    /// From here on callers wait for a new token, and get this one only when there is none.
    pub(crate) fn margin_at(&self) -> Moment {
        self.refresh_at + self.margin.into()
    }

    /// From here on it is worthless, except in an outage.
    pub(crate) fn expires_at(&self) -> Moment {
        self.refresh_at + self.expires.into()
    }

    /// Until here it serves while the authority is down; the same as before for a client that does not allow it.
    pub(crate) fn extended_until(&self) -> Moment {
        self.refresh_at + self.extended.into()
    }

    /// Whether the token may serve although a request for a new one ended in `error`: while it is valid, always; after
    /// that only in an outage.
    pub(crate) fn outlives(&self, error: &Error, now: Moment) -> bool {
        now < self.expires_at() || (now < self.extended_until() && error.is_outage())
    }
}

/// How one caller came by the token.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) source: AcquiredFrom,
    pub(crate) level: CacheLevel,
    pub(crate) reason: RefreshReason,
    pub(crate) stale: bool,
    pub(crate) extended: bool,
    pub(crate) total: Millis,
    pub(crate) http: Millis,
    /// What the second cache level took of it.
    pub(crate) cache: Millis,
}

/// A duration in four bytes, up to seven weeks: what a hit moves is kept small, and what a token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(u32);

impl Millis {
    pub(crate) const ZERO: Self = Self(0);
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX))
    }
}

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0.into())
    }
}

impl How {
    /// A hit: nothing took measurable time.
    pub(crate) const HIT: Self = Self {
        source: AcquiredFrom::Cache,
        level: CacheLevel::L1,
        reason: RefreshReason::NotApplicable,
        stale: false,
        extended: false,
        total: Millis::ZERO,
        http: Millis::ZERO,
        cache: Millis::ZERO,
    };
}

/// [`How`] in few words: a hit has little to tell, and is moved from hand to hand.
#[derive(Clone)]
pub(crate) enum Manner {
    /// A hit.
    Hit,
    /// One in its last minutes.
    Stale,
    /// One past its end.
    Extended,
    Told(Arc<How>),
}

impl From<How> for Manner {
    fn from(how: How) -> Self {
        Self::Told(Arc::new(how))
    }
}

impl Deref for Manner {
    type Target = How;

    fn deref(&self) -> &How {
        static HIT: How = How::HIT;
        static STALE: How = How { stale: true, ..How::HIT };
        static EXTENDED: How = How { stale: true, extended: true, ..How::HIT };
        match self {
            Self::Hit => &HIT,
            Self::Stale => &STALE,
            Self::Extended => &EXTENDED,
            Self::Told(how) => how,
        }
    }
}

/// A region, and how it came to be used or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RegionUse {
    pub(crate) region: Option<Box<str>>,
    pub(crate) outcome: RegionOutcome,
}

/// How the region whose endpoint issued a token came to be used or not (MSAL's `RegionOutcome`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionOutcome {
    /// Nobody asked for one.
    #[default]
    NotUsed,
    /// The program or the environment named it.
    Named,
    /// It was found out.
    Detected,
    /// It could not be found out, or not yet: the global endpoint was asked.
    NotDetected,
    /// Its endpoint did not answer lately: the global one was asked.
    Ill,
}

/// Where a token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquiredFrom {
    /// It was kept.
    Cache,
    /// The authority issued it for this call, or for another that this one joined.
    Authority,
}

/// Which level of the cache gave the token (MSAL's `CacheLevel`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheLevel {
    /// None did: it came from the authority.
    None,
    /// The memory of this process.
    L1,
    /// What lies behind it: a file, or a cache that processes share ([`TokenCache`](crate::cache::TokenCache)). Another
    /// process, or an earlier run of this one, had asked for it.
    L2,
}

/// How a call came by its token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// Cache or authority.
    pub source: AcquiredFrom,
    /// Which level of the cache.
    pub cache_level: CacheLevel,
    /// Why the authority was asked.
    pub refresh_reason: RefreshReason,
    /// The authority could not give a new token, and this one is within its last five minutes, or past them.
    pub stale: bool,
    /// It has expired, and serves within the authority's `ext_expires_in` because the authority is down: only with
    /// [`allow_extended_lifetime`](crate::ConfidentialClientBuilder::allow_extended_lifetime).
    pub extended: bool,
    /// The call's whole duration; zero for a hit, which takes nanoseconds.
    pub duration_total: Duration,
    /// The part of it that was spent on HTTP, retries included; zero unless the authority was asked.
    pub duration_http: Duration,
    /// The part of it that was spent on what lies behind the process's memory; zero when nothing does.
    pub duration_cache: Duration,
    /// The endpoint that issued the token; empty for one of the second level.
    pub token_endpoint: String,
    /// The region that the endpoint is in; `None` for the global one.
    pub region: Option<String>,
    /// Why that region, or none.
    pub region_outcome: RegionOutcome,
}

impl TokenData {
    pub(crate) fn secret(&self) -> &str {
        // checked to be visible ASCII when the header was made
        self.header.to_str().ok().and_then(|header| header.get(self.origin.scheme.prefix().len()..)).unwrap_or_default()
    }

    /// What it takes in memory, but for what it has in common with others.
    pub(crate) fn bytes(&self) -> usize {
        let own = |(name, value): &(Box<str>, Box<str>)| name.len() + value.len();
        // counts, and what lies between the header and its bytes
        size_of::<Self>()
            + 6 * size_of::<usize>()
            + self.header.len()
            + self.origin.additional.iter().map(own).sum::<usize>()
    }
}

impl Kept {
    /// What `loaded` holds, if anything.
    #[inline]
    pub(crate) fn some(loaded: Loaded<TokenData>) -> Option<Self> {
        loaded.is_some().then_some(Self(loaded))
    }

    pub(crate) fn arc(&self) -> &Arc<TokenData> {
        match &*self.0 {
            Some(token) => token,
            None => unreachable!("it is made of some token"),
        }
    }
}

impl Deref for Kept {
    type Target = TokenData;

    #[inline]
    fn deref(&self) -> &TokenData {
        self.arc()
    }
}

impl Clone for Kept {
    /// For whoever keeps it: it counts a reference.
    fn clone(&self) -> Self {
        self.arc().clone().into()
    }
}

impl From<Arc<TokenData>> for Kept {
    fn from(token: Arc<TokenData>) -> Self {
        Self(Loaded::from_inner(Some(token)))
    }
}

impl AccessToken {
    /// The token itself. A secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.data.secret()
    }

    /// The value of an `Authorization` header (RFC 6750 §2.1), marked sensitive; no secret is copied. Of a token that is
    /// bound to a key it alone is no proof: see [`Self::token_type`].
    #[must_use]
    pub fn authorization_header(&self) -> HeaderValue {
        self.data.header.clone()
    }

    /// `Bearer`; `mtls_pop` for a token that is bound to a certificate, see [`Self::binding_certificate`]; `pop` for one
    /// that is bound to a key that signs requests.
    #[must_use]
    pub fn token_type(&self) -> &str {
        self.data.origin.scheme.token_type()
    }

    /// The certificate that the token is bound to: connections to the API must show it. None for other tokens.
    #[must_use]
    pub fn binding_certificate(&self) -> Option<&ClientIdentity> {
        self.data.origin.binding.as_ref()
    }

    /// The scopes asked for, joined by a space; a managed identity's token names the resource.
    #[must_use]
    pub fn scopes(&self) -> &str {
        &self.data.origin.scopes
    }

    /// The tenant that it was asked from, as it was named; `managed_identity` for a managed identity's token, whose
    /// tenant only the platform knows.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        self.data.tenant.as_str()
    }

    /// When it expires, by the wall clock at the time that it arrived.
    #[must_use]
    pub fn expires_on(&self) -> SystemTime {
        self.data.expires_on.into()
    }

    /// When the authority suggests to fetch a new one; without its suggestion, half its life for tokens of two hours
    /// and more. The client does so by itself.
    #[must_use]
    pub fn refresh_on(&self) -> Option<SystemTime> {
        let wanted = self.data.timetable.refresh_wanted;
        if wanted == Millis::ZERO { None } else { self.expires_on().checked_sub(wanted.into()) }
    }

    /// The correlation id of the request that fetched it; nil if another program did.
    #[must_use]
    pub fn correlation_id(&self) -> Uuid {
        self.data.correlation_id
    }

    /// What the authority's answer held besides the members that every token response has: names and values, a value that
    /// is not a text as its JSON. Kept with the token, so that a hit has them too, up to 16 KiB; a token that another process
    /// got comes without.
    pub fn additional_response_parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.data.origin.additional.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How this call came by it.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata {
            source: self.how.source,
            cache_level: self.how.level,
            refresh_reason: self.how.reason,
            stale: self.how.stale,
            extended: self.how.extended,
            duration_total: self.how.total.into(),
            duration_http: self.how.http.into(),
            duration_cache: self.how.cache.into(),
            token_endpoint: self.data.origin.token_endpoint.of(self.tenant_id()),
            region: self.data.origin.region.region.as_deref().map(str::to_owned),
            region_outcome: self.data.origin.region.outcome,
        }
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("secret", &"[redacted]")
            .field("token_type", &self.token_type())
            .field("scopes", &self.scopes())
            .field("tenant_id", &self.tenant_id())
            .field("expires_on", &self.expires_on())
            .field("refresh_on", &self.refresh_on())
            .field("correlation_id", &self.correlation_id())
            .field("metadata", &self.metadata())
            .finish()
    }
}

/// How a token is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Whoever has it may use it (RFC 6750).
    #[default]
    Bearer,
    /// Whoever shows the certificate that it is bound to on TLS (RFC 8705 §3).
    MtlsPop,
    /// Whoever signs requests with the key that it is bound to.
    Pop,
}

impl Scheme {
    /// In token requests and answers.
    pub(crate) fn token_type(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::MtlsPop => "mtls_pop",
            Self::Pop => "pop",
        }
    }

    /// What the header starts with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer ",
            Self::MtlsPop => "mtls_pop ",
            Self::Pop => "PoP ",
        }
    }
}

/// The `Authorization` header with a credential given in pieces.
pub(crate) fn header(scheme: Scheme, credential: &[&str]) -> Result<HeaderValue, Error> {
    let length = scheme.prefix().len() + credential.iter().map(|piece| piece.len()).sum::<usize>();
    // one copy, in the header, wiped when the last token that shares it is dropped
    let mut text = Wiped(Vec::with_capacity(length));
    text.0.extend_from_slice(scheme.prefix().as_bytes());
    credential.iter().for_each(|piece| text.0.extend_from_slice(piece.as_bytes()));
    let bytes = text.into_bytes();
    let mut header = HeaderValue::from_maybe_shared(bytes)
        .ok()
        .filter(|value| {
            let credential = value.as_bytes().get(scheme.prefix().len()..).unwrap_or_default();
            // to the end in any case, so that many bytes are looked at in one step
            !credential.is_empty() && credential.iter().fold(true, |fits, byte| fits & byte.is_ascii_graphic())
        })
        .ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "the access token is empty or holds characters that no token has")
                .with_advice(
                    "check the authority's address, and whether a proxy or sign-in page on the way answers for it",
                )
        })?;
    header.set_sensitive(true);
    Ok(header)
}
