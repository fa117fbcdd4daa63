//! The one decision: serve, serve and refresh behind, wait for the request in flight, or ask.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::Error;
use crate::authority::Tenant;
use crate::cache::{Flight, KeyRef, Slot, Standing};
use crate::client::Inner;
use crate::clock::Moment;
use crate::credential::Occasion;
use crate::http::{random_below, send_with_retry};
use crate::token::{AccessToken, AcquiredFrom, How, RefreshReason, Timetable, TokenData};
use crate::token_endpoint::{Grant, TokenRequest};

/// One call for a token.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) scope: &'a str,
    /// None: the client's own.
    pub(crate) tenant: Option<&'a str>,
    pub(crate) claims: Option<&'a str>,
    pub(crate) force_refresh: bool,
    pub(crate) correlation_id: Option<Uuid>,
}

impl<'a> Call<'a> {
    /// What the slot is found by, without an allocation.
    pub(crate) fn key(&self, client: &'a Inner) -> KeyRef<'a> {
        KeyRef { tenant: self.tenant.unwrap_or_else(|| client.authority.tenant().as_str()), scope: self.scope }
    }

    pub(crate) fn may_hit(&self) -> bool {
        !self.force_refresh && self.claims.is_none()
    }
}

/// The hit path: no lock, no allocation, no system call. A key that has a token was checked when it was asked for.
#[inline]
pub(crate) fn hit(client: &Inner, call: &Call<'_>) -> Option<AccessToken> {
    if !call.may_hit() {
        return None;
    }
    let now = client.clock.now();
    let data = client.memory.with(call.key(client), |slot| slot.fresh(now))?;
    Some(served(data, now))
}

/// A token that was kept, as a hit hands it out.
#[inline]
pub(crate) fn served(data: Arc<TokenData>, now: Moment) -> AccessToken {
    let stale = now >= data.timetable.margin_at;
    AccessToken { data, how: How { stale, ..How::HIT } }
}

/// Everything that is not a hit: checks the call, finds its slot and goes on there.
pub(crate) async fn miss(client: &Arc<Inner>, call: Call<'_>) -> Result<AccessToken, Error> {
    let tenant = check(client, &call)?;
    let slot = client.memory.slot(call.key(client), client.clock.now());
    from_slot(client, &slot, &tenant, call).await
}

/// Refuses a call that the authority would refuse, before anything is sent or kept.
pub(crate) fn check(client: &Inner, call: &Call<'_>) -> Result<Tenant, Error> {
    client.scope_rule.check(call.scope)?;
    if let Some(claims) = call.claims {
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(claims);
        object.map_err(|_| {
            Error::configuration("the claims are not a JSON object")
                .with_advice("pass the claims challenge as the authority or API gave it, decoded if it came in base64")
        })?;
    }
    call.tenant.map_or_else(|| Ok(client.authority.tenant().clone()), Tenant::parse)
}

/// The decision, from top to bottom.
pub(crate) async fn from_slot(
    client: &Arc<Inner>,
    slot: &Arc<Slot>,
    tenant: &Tenant,
    call: Call<'_>,
) -> Result<AccessToken, Error> {
    let started = client.clock.now();
    loop {
        let now = client.clock.now();
        let mut fallback = None;
        let reason = if call.may_hit() {
            match slot.standing(now) {
                Standing::Fresh(token) => return Ok(served(token, now)),
                Standing::Due(token) => {
                    refresh_behind(client, slot, tenant, &token, call.scope, now);
                    let how = How { reason: RefreshReason::Proactive, ..How::HIT };
                    return Ok(AccessToken { data: token, how });
                }
                Standing::Ageing(token) => {
                    fallback = Some(token);
                    RefreshReason::Expired
                }
                Standing::Empty { expired: true } => RefreshReason::Expired,
                Standing::Empty { expired: false } => RefreshReason::NoCachedToken,
            }
        } else {
            RefreshReason::ForceRefreshOrClaims
        };
        let outcome = match slot.join_or_ask(now, call.claims, || flight(client, slot, tenant, call, reason)) {
            Ok(join) => join.await,
            Err(asked_to_wait) => Some(Err(asked_to_wait)),
        };
        match (outcome, fallback) {
            (Some(Ok(token)), _) => {
                let total = client.clock.now().since(started).into();
                return Ok(AccessToken { how: How { total, ..token.how }, ..token });
            }
            // a valid token beats an error
            (Some(Err(_)), Some(token)) if client.clock.now() < token.timetable.expires_at => {
                let total = client.clock.now().since(started).into();
                return Ok(AccessToken { data: token, how: How { reason, stale: true, total, ..How::HIT } });
            }
            (Some(Err(error)), _) => return Err(error),
            // the request's leader panicked, which is its own caller's affair: ask anew
            (None, _) => {}
        }
    }
}

/// Refreshes on the caller's runtime, at most once at a time. Without a runtime the token in hand serves until callers
/// have to wait for its successor.
fn refresh_behind(client: &Arc<Inner>, slot: &Arc<Slot>, tenant: &Tenant, token: &TokenData, scope: &str, now: Moment) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let call = Call { scope, tenant: None, claims: None, force_refresh: false, correlation_id: None };
    slot.refreshing(token, now);
    if let Ok(join) = slot.join_or_ask(now, None, || flight(client, slot, tenant, call, RefreshReason::Proactive)) {
        runtime.spawn(join);
    }
}

/// The request for a token as a flight: it owns all it needs, so that whoever waits may lead it.
fn flight(
    client: &Arc<Inner>,
    slot: &Arc<Slot>,
    tenant: &Tenant,
    call: Call<'_>,
    reason: RefreshReason,
) -> Arc<Flight<Result<AccessToken, Error>>> {
    let (client, slot, tenant) = (client.clone(), slot.clone(), tenant.clone());
    let (scope, claims) = (call.scope.to_owned(), call.claims.map(str::to_owned));
    let correlation_id = call.correlation_id.unwrap_or_else(Uuid::new_v4);
    Flight::new(async move {
        let outcome = ask(&client, &tenant, &scope, claims.as_deref(), correlation_id, reason).await;
        match &outcome {
            Ok(token) => {
                tracing::debug!(%correlation_id, %tenant, scope, ?reason, expires_on = ?token.expires_on(), "token acquired");
                slot.store(token.data.clone(), client.clock.now());
            }
            Err(error) => {
                tracing::warn!(%correlation_id, %tenant, scope, ?reason, %error, "no token");
                slot.failed(error, client.clock.now());
            }
        }
        outcome
    })
}

/// Assertion, request, answer.
async fn ask(
    client: &Inner,
    tenant: &Tenant,
    scope: &str,
    claims: Option<&str>,
    correlation_id: Uuid,
    reason: RefreshReason,
) -> Result<AccessToken, Error> {
    let endpoint = client.authority.token_endpoint(tenant);
    let occasion = Occasion {
        client_id: &client.client_id,
        tenant: tenant.as_str(),
        token_endpoint: &endpoint,
        claims,
        correlation_id,
    };
    let proof = client.credential.prove(&occasion, &*client.clock).await?;
    let request = TokenRequest {
        endpoint: &endpoint,
        client_id: &client.client_id,
        scope,
        claims,
        correlation_id,
        proof: &proof,
    };
    let sent = client.clock.now();
    let answer = send_with_retry(&*client.transport, &*client.clock, &client.retry, request.to_http()?).await;
    let http = client.clock.now().since(sent).into();
    let grant = request.read(answer).inspect_err(|error| {
        if error.denied().is_some() {
            client.credential.refused();
        }
    })?;
    let data = keep(client, grant, scope, tenant, endpoint.clone().into(), correlation_id);
    let how = How { source: AcquiredFrom::Authority, reason, stale: false, total: http, http };
    Ok(AccessToken { data: Arc::new(data), how })
}

/// Makes the token's timetable. It counts from the answer's arrival; a request's way takes less than the margins.
fn keep(
    client: &Inner,
    grant: Grant,
    scope: &str,
    tenant: &Tenant,
    token_endpoint: Box<str>,
    correlation_id: Uuid,
) -> TokenData {
    let (now, wall) = (client.clock.now(), client.clock.system_time());
    let life = grant.expires_in;
    // a token that lives for less than ten minutes is used for half its life
    let margin = MARGIN.min(life / 2);
    let refresh_in = grant.refresh_in.or_else(|| (life >= LONG_LIFE).then_some(life / 2));
    let refresh_at = refresh_in.map_or(life - margin, |after| after - random_below(JITTER.min(after / 10)));
    TokenData {
        header: grant.header,
        scopes: scope.into(),
        tenant: tenant.as_str().into(),
        token_endpoint,
        correlation_id,
        expires_on: wall + life,
        refresh_on: refresh_in.map(|after| wall + after),
        timetable: Timetable {
            refresh_at: now + refresh_at.min(life - margin),
            margin_at: now + (life - margin),
            expires_at: now + life,
        },
    }
}

/// A token with less than this to live is not handed out while a new one can be had. MSAL's figure.
const MARGIN: Duration = Duration::from_secs(300);
/// From this lifetime on, half of it is when to refresh if the authority does not say. MSAL's figure.
const LONG_LIFE: Duration = Duration::from_secs(7200);
/// A refresh begins up to this much (or a tenth of the time) early, so that tokens fetched together do not come due
/// together.
const JITTER: Duration = Duration::from_secs(300);
