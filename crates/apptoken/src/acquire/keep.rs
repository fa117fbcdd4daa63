use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::Inner;
use crate::cache::KeptToken;
use crate::http::random_below;
use crate::issuer::Granted;
use crate::request::Asked;
use crate::token::{AccessToken, Origin, Scheme, Template, Timetable, TokenData, header};

/// Makes the token's timetable. It counts from the sending of the request, so that an answer that is slow gives no token
/// a longer life than it has.
pub(super) fn keep(client: &Inner, granted: Granted, asked: Asked<'_>) -> TokenData {
    let Granted { grant, token_endpoint, region, binding, sent: now, .. } = granted;
    let arrived = client.clock.system_time();
    let wall = arrived.checked_sub(client.clock.now().since(now)).unwrap_or(arrived);
    // a token goes as its certificate goes
    let certificates = binding.as_ref().map_or(Duration::MAX, |identity| identity.good_for(wall));
    let life = grant.expires_in.min(certificates);
    // a token that lives for less than ten minutes is used for half its life
    let margin = MARGIN.min(life / 2);
    let refresh_in =
        grant.refresh_in.filter(|refresh| *refresh < life).or_else(|| (life >= LONG_LIFE).then_some(life / 2));
    let refresh_at = refresh_in.map_or(life - margin, |after| after - random_below(JITTER.min(after / 10)));
    let origin = Origin {
        scheme: grant.scheme,
        binding,
        additional: grant.additional,
        scopes: asked.scope.into(),
        token_endpoint: Template::new(&token_endpoint, asked.tenant.as_str()),
        region,
    };
    let extended = grant.ext_expires_in.filter(|_| client.extended_lifetime).unwrap_or(life).min(certificates);
    TokenData {
        header: grant.header,
        origin: client.memory.common(origin),
        tenant: asked.tenant.as_str().into(),
        correlation_id: asked.correlation_id,
        expires_on: (wall + life).into(),
        timetable: Timetable::new(
            now + refresh_at.min(life - margin),
            now + (life - margin),
            now + life,
            now + extended,
            refresh_in.map(|after| life - after),
        ),
    }
}

/// A token that another process got, or this one's predecessor; `None` if it has expired, or cannot be one.
pub(super) fn kept(client: &Inner, token: &KeptToken, tenant: &str, scope: &str) -> Option<TokenData> {
    let (now, wall) = (client.clock.now(), client.clock.system_time());
    let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let from_now = |time: SystemTime| time.duration_since(wall).unwrap_or_default();
    let expires_on = at(token.expires_on)?;
    let left = from_now(expires_on);
    if left.is_zero() || left > LONGEST_LIFE {
        return None;
    }
    // none that ends before it begins
    let life = token.cached_at.and_then(|cached_at| token.expires_on.checked_sub(cached_at)).filter(|life| *life > 0);
    let life = life.map(Duration::from_secs);
    let margin = life.map_or(MARGIN, |life| MARGIN.min(life / 2)).min(left);
    let refresh_on = token.refresh_on.and_then(at).or_else(|| {
        let half = life.filter(|&life| life >= LONG_LIFE)? / 2;
        expires_on.checked_sub(half)
    });
    let refresh_at = refresh_on.map_or(left - margin, |on| {
        let after = from_now(on);
        after - random_below(JITTER.min(after / 10))
    });
    let origin = Origin { scopes: scope.into(), ..Origin::default() };
    Some(TokenData {
        header: header(Scheme::Bearer, &[&*token.secret]).ok()?,
        origin: client.memory.common(origin),
        tenant: tenant.into(),
        correlation_id: token.correlation_id.unwrap_or_default(),
        expires_on: expires_on.into(),
        timetable: Timetable::new(
            now + refresh_at.min(left - margin),
            now + (left - margin),
            now + left,
            now + left,
            refresh_on.and_then(|on| expires_on.duration_since(on).ok()),
        ),
    })
}

/// A token as others will find it, which arrived at `wall`.
pub(super) fn to_keep(token: &AccessToken, wall: SystemTime) -> KeptToken {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    KeptToken {
        secret: Zeroizing::new(token.secret().to_owned()),
        expires_on: seconds(token.expires_on()),
        refresh_on: token.refresh_on().map(seconds),
        cached_at: Some(seconds(wall)),
        correlation_id: Some(token.correlation_id()),
    }
}

/// A token with less than this to live is not handed out while a new one can be had. MSAL's figure.
const MARGIN: Duration = Duration::from_secs(300);
/// From this lifetime on, half of it is when to refresh if the authority does not say. MSAL's figure.
const LONG_LIFE: Duration = Duration::from_secs(7200);
/// A refresh begins up to this much (or a tenth of the time) early, so that tokens fetched together do not come due
/// together.
const JITTER: Duration = Duration::from_secs(300);
/// What says that it lives longer is broken. MSAL's figure: ten years.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
