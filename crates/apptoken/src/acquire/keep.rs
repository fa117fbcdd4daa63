use std::time::Duration;

use super::Inner;
use crate::http::random_below;
use crate::issuer::Granted;
use crate::request::Asked;
use crate::token::{Timetable, TokenData};

/// Makes the token's timetable. It counts from the answer's arrival; a request's way takes less than the margins.
pub(super) fn keep(client: &Inner, granted: Granted, asked: Asked<'_>) -> TokenData {
    let Granted { grant, token_endpoint, binding, .. } = granted;
    let (now, wall) = (client.clock.now(), client.clock.system_time());
    // a token goes as its certificate goes
    let certificates = binding.as_ref().map_or(Duration::MAX, |identity| identity.good_for(wall));
    let life = grant.expires_in.min(certificates);
    // a token that lives for less than ten minutes is used for half its life
    let margin = MARGIN.min(life / 2);
    let refresh_in =
        grant.refresh_in.filter(|refresh| *refresh < life).or_else(|| (life >= LONG_LIFE).then_some(life / 2));
    let refresh_at = refresh_in.map_or(life - margin, |after| after - random_below(JITTER.min(after / 10)));
    TokenData {
        header: grant.header,
        scheme: grant.scheme,
        binding,
        scopes: asked.scope.into(),
        tenant: asked.tenant.as_str().into(),
        token_endpoint,
        correlation_id: asked.correlation_id,
        expires_on: wall + life,
        refresh_on: refresh_in.map(|after| wall + after),
        timetable: Timetable {
            refresh_at: now + refresh_at.min(life - margin),
            margin_at: now + (life - margin),
            expires_at: now + life,
            extended_until: now
                + grant.ext_expires_in.filter(|_| client.extended_lifetime).unwrap_or(life).min(certificates),
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
