//! The one decision: serve, serve and refresh behind, wait for the request in flight, or ask.

mod follow;
mod keep;
mod second_level;

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tracing::Instrument as _;
use uuid::Uuid;

use self::second_level::obtain;
use crate::Error;
use crate::authority::Tenant;
use crate::cache::{Entry, Fresh, KeyRef, Level, Memory, Outcome, Stage, Standing};
use crate::clock::{self, Clock, Moment, within};
use crate::error::{ErrorKind, FailureMetadata};
use crate::flight::{Bound, Flight, Join};
use crate::issuer::Issuer;
use crate::request::{Asked, Options, TokenHash};
use crate::scope::ScopeRule;
use crate::telemetry::{self, Acquisition, InWords as _, TARGET};
use crate::token::{AccessToken, CacheLevel, How, Kept, Manner, Millis, RefreshReason, TokenData};

/// The tokens of one client, and who issues them.
pub(crate) struct Inner {
    pub(crate) issuer: Issuer,
    /// The tenant of requests that name none.
    pub(crate) home: Tenant,
    /// What [`Memory::tenant_hash`] says of it.
    pub(crate) home_hash: u64,
    pub(crate) scope_rule: ScopeRule,
    pub(crate) memory: Memory,
    pub(crate) level: Option<Level>,
    /// For one acquisition, whatever it waits for.
    pub(crate) timeout: Duration,
    /// Whether a token may serve past its end, within `ext_expires_in`, while the authority is down.
    pub(crate) extended_lifetime: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One call for a token.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) scope: &'a str,
    /// None: the client's own.
    pub(crate) tenant: Option<&'a str>,
    pub(crate) correlation_id: Option<Uuid>,
    /// None for a plain call.
    pub(crate) options: Option<&'a Arc<Options>>,
}

impl<'a> Call<'a> {
    pub(crate) fn plain(scope: &'a str) -> Self {
        Self { scope, tenant: None, correlation_id: None, options: None }
    }

    /// What the slot is found by, without an allocation.
    #[inline(always)]
    pub(crate) fn key(&self, client: &'a Inner) -> KeyRef<'a> {
        let (tenant, tenant_hash) = match self.tenant {
            None => (client.home.as_str(), client.home_hash),
            Some(tenant) => (tenant, client.memory.tenant_hash(tenant)),
        };
        let extra = self.options.map_or("", |options| options.key.text());
        KeyRef { tenant, tenant_hash, scope: self.scope, extra }
    }

    /// Whether a kept token will do, whichever it is.
    #[inline]
    pub(crate) fn may_hit(&self) -> bool {
        self.options.is_none_or(|options| options.may_hit())
    }

    fn served_by(&self, token: &TokenData) -> bool {
        self.options.is_none_or(|options| options.served_by(token.secret()))
    }

    fn insists(&self) -> bool {
        self.options.is_some_and(|options| options.insists())
    }

    fn claims(&self) -> Option<&'a str> {
        self.options.and_then(|options| options.claims.as_deref())
    }

    fn timeout(&self) -> Option<Duration> {
        self.options.and_then(|options| options.timeout)
    }

    /// The token that the caller says was turned down: by its hash, or, with a claims challenge, the one in hand. One
    /// who forces a refresh says nothing about it.
    fn rejected(&self, slot: &Entry) -> Option<TokenHash> {
        let options = self.options.filter(|options| !options.force_refresh)?;
        let held = || options.claims.as_ref().and_then(|_| slot.held()).map(|token| TokenHash::of(token.secret()));
        options.rejected.or_else(held)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Issuer::Authority(app) => {
                write!(f, "app {} in {} at {}", app.client_id, self.home, app.endpoints.authority().origin())
            }
            Issuer::ManagedIdentity(identity) => identity.fmt(f),
        }
    }
}

/// The hit path: no lock, no allocation, no system call. A key that has a token was checked when it was asked for.
#[inline(always)]
pub(crate) fn hit(client: &Inner, call: &Call<'_>) -> Option<AccessToken> {
    if !call.may_hit() {
        return None;
    }
    let now = client.clock.now();
    served(client.memory.fresh(call.key(client), now)?, now)
}

/// A token that was kept, as a hit hands it out.
#[inline(always)]
pub(crate) fn served(Fresh { token, stage }: Fresh, now: Moment) -> Option<AccessToken> {
    let data = Kept::some(token)?;
    telemetry::hit(&data, now);
    let how = match stage {
        Stage::Good => Manner::Hit,
        Stage::Stale => Manner::Stale,
        Stage::Extended => Manner::Extended,
    };
    Some(AccessToken { data, how })
}

/// Everything that is not a hit: checks the call, finds its slot and goes on there.
pub(crate) async fn miss(client: &Arc<Inner>, call: &Call<'_>) -> Result<AccessToken, Error> {
    let tenant = check(client, call)?;
    let slot = client.memory.entry(call.key(client), client.clock.now());
    from_slot(client, &slot, &tenant, call).await
}

/// Refuses a call that the authority would refuse, before anything is sent or kept.
pub(crate) fn check<'a>(client: &'a Inner, call: &Call<'_>) -> Result<Cow<'a, Tenant>, Error> {
    client.scope_rule.check(call.scope)?;
    call.options.map_or(Ok(()), |options| options.check())?;
    match (&client.issuer, call.tenant) {
        (_, None) => Ok(Cow::Borrowed(&client.home)),
        (Issuer::Authority(app), Some(tenant)) => app.tenant_named(tenant).map(Cow::Owned),
        (Issuer::ManagedIdentity(_), Some(tenant)) => Tenant::parse(tenant).map(Cow::Owned),
    }
}

/// The decision, watched.
pub(crate) async fn from_slot(
    client: &Arc<Inner>,
    slot: &Arc<Entry>,
    tenant: &Tenant,
    call: &Call<'_>,
) -> Result<AccessToken, Error> {
    let acquisition = Acquisition::begin(client.issuer.client_id(), tenant, call.scope);
    let started = client.clock.now();
    let mut reason = RefreshReason::NotApplicable;
    let deciding = decide(client, slot, tenant, call, started, &mut reason);
    let outcome = deciding.instrument(acquisition.span()).await;
    acquisition.end(&outcome, reason, started, client.clock.now());
    outcome
}

/// The decision, from top to bottom.
async fn decide(
    client: &Arc<Inner>,
    slot: &Arc<Entry>,
    tenant: &Tenant,
    call: &Call<'_>,
    started: Moment,
    why: &mut RefreshReason,
) -> Result<AccessToken, Error> {
    loop {
        let now = client.clock.now();
        let mut fallback = None;
        let reason = match slot.standing(now) {
            Standing::Fresh(fresh) if fresh.token.as_ref().is_some_and(|token| call.served_by(token)) => {
                match served(fresh, now) {
                    Some(token) => return Ok(token),
                    None => continue,
                }
            }
            Standing::Due(token) if call.served_by(&token) => {
                let refreshing = refresh_behind(client, slot, tenant, &token, call, now);
                let reason = if refreshing { RefreshReason::Proactive } else { RefreshReason::NotApplicable };
                return Ok(AccessToken { data: token.into(), how: How { reason, ..How::HIT }.into() });
            }
            Standing::Ageing(token) if call.served_by(&token) => {
                fallback = Some(token);
                RefreshReason::Expired
            }
            Standing::Expired if !call.insists() => RefreshReason::Expired,
            Standing::Empty if !call.insists() => RefreshReason::NoCachedToken,
            _ => RefreshReason::ForceRefreshOrClaims,
        };
        *why = reason;
        let mut asks = false;
        let request = |number| {
            asks = true;
            flight(client, slot, tenant, call, reason, number, Some(now))
        };
        let generation = client.issuer.generation();
        let joined = slot.join_or_ask(now, generation, call.claims(), |token| call.served_by(token), request);
        // a request of this caller's own has the client's time, another's may have more
        let (from, limit) = match call.timeout() {
            Some(limit) => (started, limit),
            None => (if asks { now } else { started }, client.timeout),
        };
        let outcome = match joined {
            Ok(Some(join)) => wait(client, slot, join, fallback.as_ref(), limit, from).await,
            Ok(None) => continue,
            Err(asked_to_wait) => {
                held_back(&asked_to_wait);
                Some(Err(asked_to_wait))
            }
        };
        let now = client.clock.now();
        match (outcome, fallback) {
            // one that another had looked for in the second level, and it has what this caller does not want
            (Some(Ok((data, how))), _) if how.level == CacheLevel::L2 && !call.served_by(&data) => {}
            // nobody polled this caller until the token was over
            (Some(Ok((data, _))), _) if now > data.timetable.expires_at() => {}
            (Some(Ok((data, how))), _) => {
                let total = Millis::from(now.since(started));
                // who joined late waited less than the request took
                let how = How { total, http: how.http.min(total), ..how };
                return Ok(AccessToken { data: data.into(), how: how.into() });
            }
            // a valid token beats an error
            (Some(Err(error)), Some(token)) if token.timetable.outlives(&error, now) => {
                tracing::debug!(
                    name: "apptoken.token.kept", target: TARGET,
                    %error, expires_on = ?SystemTime::from(token.expires_on), "the kept token serves, as it is still valid"
                );
                telemetry::hit(&token, now);
                let extended = now >= token.timetable.expires_at();
                let how = How { reason, stale: true, extended, total: now.since(started).into(), ..How::HIT };
                return Ok(AccessToken { data: token.into(), how: how.into() });
            }
            (Some(Err(error)), _) => return Err(error),
            // the request panicked in the hands of one caller, whose affair that is: ask anew
            (None, _) => {}
        }
    }
}

/// Waits for the outcome of a request until `limit` after `from`; who has a valid token to fall back on, not for long.
async fn wait(
    client: &Inner,
    slot: &Entry,
    mut join: Join<Outcome>,
    fallback: Option<&Arc<TokenData>>,
    limit: Duration,
    from: Moment,
) -> Option<Outcome> {
    if let Some(token) = fallback {
        let patience = limit.saturating_sub(client.clock.now().since(from)).min(PATIENCE);
        if let Some(outcome) = within(&*client.clock, patience, &mut join).await {
            return outcome;
        }
        let slow = too_slow(patience);
        // the authority is slow: the request goes on behind, and a valid token beats a wait. One that has expired
        // meanwhile is no reason to give up
        if token.timetable.outlives(&slow, client.clock.now()) {
            slot.refreshing(token, client.clock.now());
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(join);
            }
            return Some(Err(slow));
        }
    }
    let ends = from + limit;
    // ten thousand callers do not set ten thousand timers where the request's own will do. Race: also who asks needs one, if
    // another, on its own runtime, was the first to poll the request
    let in_time = clock::by(&*client.clock, ends, join, |join| join.ends_by(ends));
    in_time.await.unwrap_or_else(|| Some(Err(too_slow(limit))))
}

/// Refreshes on the caller's runtime, at most once at a time, and says whether a refresh is under way. Without a runtime,
/// or while the authority wants to be left alone, the token in hand serves until callers have to wait for its successor.
fn refresh_behind(
    client: &Arc<Inner>,
    slot: &Arc<Entry>,
    tenant: &Tenant,
    token: &Arc<TokenData>,
    call: &Call<'_>,
    now: Moment,
) -> bool {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
    let request = |number| flight(client, slot, tenant, call, RefreshReason::Proactive, number, None);
    let joined = slot.join_or_ask(now, client.issuer.generation(), None, |token| call.served_by(token), request);
    // another caller that came as soon has already seen to it
    let Some(join) = joined.transpose() else { return true };
    slot.refreshing(token, now);
    join.map(|join| runtime.spawn(join)).inspect_err(held_back).is_ok()
}

/// The request for a token as a flight: it owns all it needs, so that whoever waits may poll it. Its time runs from when it
/// was `asked` for, if whoever asks waits for it, or else from when it begins.
fn flight(
    client: &Arc<Inner>,
    slot: &Arc<Entry>,
    tenant: &Tenant,
    call: &Call<'_>,
    reason: RefreshReason,
    number: u16,
    asked: Option<Moment>,
) -> Arc<Flight<Outcome>> {
    let (client, slot, tenant) = (client.clone(), slot.clone(), tenant.clone());
    let (scope, options) = (call.scope.to_owned(), call.options.cloned().unwrap_or_default());
    let correlation_id = call.correlation_id.unwrap_or_else(new_correlation_id);
    let (rejected, generation) = (call.rejected(&slot), client.issuer.generation());
    // others may join who have more time than this caller
    let limit = call.timeout().map_or(client.timeout, |limit| limit.max(client.timeout));
    let span = telemetry::request_span(client.issuer.client_id(), &tenant, &scope, reason, correlation_id);
    let ends = Arc::new(asked.map_or_else(OnceLock::new, |asked| OnceLock::from(asked + limit)));
    let bound: Bound = ends.clone();
    let request = async move {
        let began = client.clock.now();
        let deadline = *ends.get_or_init(|| began + limit);
        let asked =
            Asked { tenant: &tenant, scope: &scope, correlation_id, options: &options, reason, deadline, rejected };
        // pinned here, as `within` would hold it twice: as its argument, and where it is polled
        let obtaining = pin!(obtain(&client, &slot, number, asked));
        let obtained = clock::by(&*client.clock, deadline, obtaining, |_| false)
            .await
            .unwrap_or_else(|| Err(too_slow(limit).with_correlation_id(correlation_id)))
            .map_err(|error| {
                let duration_total = client.clock.now().since(began);
                error.with_metadata(|metadata| {
                    *metadata = FailureMetadata { refresh_reason: reason, duration_total, ..std::mem::take(metadata) };
                })
            });
        if let Ok((token, _)) = &obtained {
            arrived(&client, &slot, token, number);
        }
        // also when a token that was kept serves in spite of it
        if let Ok((_, Some(error))) | Err(error) = &obtained {
            failed(&client, &slot, error, number, generation);
        }
        let outcome = obtained.map(|(token, _)| token);
        if reason == RefreshReason::Proactive {
            telemetry::background(&outcome);
        }
        outcome.map(|token| (token.data.arc().clone(), *token.how))
    };
    Flight::bounded(bound, request.instrument(span))
}

fn arrived(client: &Inner, slot: &Entry, token: &AccessToken, number: u16) {
    let now = client.clock.now();
    let http_ms = telemetry::millis(token.how.http.into());
    tracing::debug!(
        name: "apptoken.token.acquired", target: TARGET,
        correlation_id = %token.correlation_id(), tenant = token.tenant_id(), scope = token.scopes(),
        expires_on = ?token.expires_on(), refresh_on = ?token.refresh_on(), http_ms, "token acquired"
    );
    if let Some(old) = slot.held() {
        telemetry::replaced(old.timetable.expires_at().since(now));
    }
    client.memory.store(slot, token.data.arc().clone(), number, now);
}

fn failed(client: &Inner, slot: &Entry, error: &Error, number: u16, generation: u64) {
    let retry_after_ms = error.retry_after().map(telemetry::millis);
    tracing::warn!(
        name: "apptoken.token.failed", target: TARGET,
        kind = error.kind().in_words(), transient = error.is_transient(), retry_after_ms, advice = error.advice(),
        %error, "no token"
    );
    slot.failed(error, client.clock.now(), number, error.heard_by().unwrap_or(generation));
}

/// No request was made, as the authority wants to be left alone.
fn held_back(error: &Error) {
    let retry_after_ms = error.retry_after().map(telemetry::millis);
    tracing::debug!(name: "apptoken.throttled", target: TARGET, retry_after_ms, "nothing is sent: the authority asked to wait");
}

/// Forgets the client's tokens, in memory and in the second level, and says whether the level could be told all of it.
pub(crate) async fn forget(client: &Inner) -> bool {
    let known = client.memory.keys();
    client.memory.clear(None);
    let Some(level) = &client.level else { return true };
    let mut told = true;
    for (tenant, scope, extra) in known {
        if let Some(place) = level.place(&client.clock, &tenant, &scope, &extra) {
            told &= place.remove().await;
        }
    }
    told & level.clear(&client.clock).await
}

/// A random id (RFC 9562 §5.4). It is no secret: the standard library's per-instance hash keys are randomness enough, and no
/// system call is made for them.
fn new_correlation_id() -> Uuid {
    let random = RandomState::new();
    let bytes = u128::from(random.hash_one(0)) << 64 | u128::from(random.hash_one(1));
    uuid::Builder::from_random_bytes(bytes.to_ne_bytes()).into_uuid()
}

fn too_slow(limit: Duration) -> Error {
    Error::new(ErrorKind::Transport, format!("no token within {limit:?}"))
        .transient()
        .with_advice("the authority, or the assertion callback, is slow or hangs: try again later, or allow more time")
}

/// For a whole acquisition, unless the builder says otherwise: enough for a managed identity's seven tries.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);
/// A caller that has a valid token to fall back on waits this long for its successor.
const PATIENCE: Duration = Duration::from_secs(5);
