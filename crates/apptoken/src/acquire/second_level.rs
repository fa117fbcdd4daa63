//! What comes between memory and the authority, if the client has it: a level that others fill too.

use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::follow::follow;
use super::keep::{keep, kept, to_keep};
use crate::Error;
use crate::cache::{Entry, Held, KeptToken, Place, Turn};
use crate::error::ErrorKind;
use crate::request::Asked;
use crate::token::{AccessToken, AcquiredFrom, CacheLevel, How, RefreshReason, Scheme, TokenData};

/// A token, and the error that it stands in for, if it was kept and the issuer gave no new one.
pub(super) type Obtained = (AccessToken, Option<Error>);

/// A token from the second level, or else from the issuer: asked by one process at a time, where the level can see to
/// that. The level's failures cost time within its deadlines, and nothing else. `entry` is whose the token will be, if
/// it still wants what this `request` brings.
pub(super) async fn obtain(
    client: &Arc<Inner>,
    entry: &Arc<Entry>,
    request: u16,
    asked: Asked<'_>,
) -> Result<Obtained, Error> {
    // a token that is bound to a key of this process is of no use to another
    let level = client.level.as_ref().filter(|_| asked.options.scheme == Scheme::Bearer);
    let place = level
        .and_then(|level| level.place(&client.clock, asked.tenant.as_str(), asked.scope, asked.options.key.text()));
    let Some(place) = place else { return Ok((ask(client, asked).await?, None)) };
    follow(client, entry, asked, &place);
    let began = client.clock.now();
    let looked = look(client, asked, &place).await;
    let looking = client.clock.now().since(began);
    let (fallback, held) = match looked {
        Look::Found(data) => return Ok((found(client, data, looking), None)),
        Look::Ask { fallback, held } => (fallback, held),
    };
    match ask(client, asked).await {
        Ok(token) => {
            let (began, wall) = (client.clock.now(), client.clock.system_time());
            let life = token.expires_on().duration_since(wall).unwrap_or_default();
            let wanted = {
                let entry = entry.clone();
                move || entry.wants(request)
            };
            place.write(to_keep(&token, wall), life, held, wanted).await;
            let cache = looking + client.clock.now().since(began);
            let how = How { cache: cache.into(), ..*token.how }.into();
            Ok((AccessToken { how, ..token }, None))
        }
        // a valid token beats an error, unless memory has one that is as good
        Err(error) => {
            let held = entry.held().map(|held| held.timetable.expires_at());
            let serves = |data: &Arc<TokenData>| {
                let end = data.timetable.expires_at();
                client.clock.now() < end && held.is_none_or(|held| held < end)
            };
            match fallback.filter(serves) {
                Some(data) => Ok((found(client, data, looking), Some(error))),
                None => Err(error),
            }
        }
    }
}

enum Look {
    Found(Arc<TokenData>),
    Ask {
        /// In its last minutes.
        fallback: Option<Arc<TokenData>>,
        held: Option<Held>,
    },
}

/// Looks, and while another process is fetching the token looks again.
async fn look(client: &Inner, asked: Asked<'_>, place: &Place<'_>) -> Look {
    let mut fallback = None;
    let mut held = None;
    let mut waiting = None;
    let mut pauses = 0;
    let mut look = true;
    let mut answered = client.clock.now();
    // whatever is kept, it is not wanted; if one token alone was turned down, another process may have replaced it
    if asked.options.insists() && asked.options.rejected.is_none() {
        return Look::Ask { fallback, held };
    }
    loop {
        let usable = |token: KeptToken| {
            kept(client, &token, asked.tenant.as_str(), asked.scope)
                .filter(|data| asked.options.served_by(data.secret()))
        };
        if look && let Some(data) = place.read(held.as_ref()).await.and_then(usable) {
            // to replace one that is due for a refresh, another must not be
            let until = match asked.reason {
                RefreshReason::Proactive => data.timetable.refresh_at(),
                _ => data.timetable.margin_at(),
            };
            let data = Arc::new(data);
            if client.clock.now() < until {
                place.count(true);
                return Look::Found(data);
            }
            fallback = Some(data);
        }
        if held.is_some() {
            break;
        }
        match place.turn().await {
            // Race: its last holder may have put the token since we looked
            Turn::Ours(Some(lease)) => (held, look) = (Some(lease), true),
            Turn::Ours(None) => break,
            Turn::Anothers => {
                let (since, patience) = *waiting.get_or_insert_with(|| (client.clock.now(), place.patience()));
                let now = client.clock.now();
                if now.since(since) >= patience || tokio::runtime::Handle::try_current().is_err() {
                    break;
                }
                answered = now;
                // who is not told of a new token looks only when nobody fetches it any more
                look = place.pause(pauses).await;
                pauses += 1;
            }
            // one is fetching it, and will put it there when the level is over its hiccup
            Turn::Unknown if waiting.is_some() && client.clock.now().since(answered) < HICCUP => {
                look = place.pause(0).await;
            }
            Turn::Unknown => break,
        }
    }
    place.count(false);
    Look::Ask { fallback, held }
}

fn found(client: &Inner, data: Arc<TokenData>, looking: Duration) -> AccessToken {
    let stale = client.clock.now() >= data.timetable.margin_at();
    let how = How { level: CacheLevel::L2, stale, cache: looking.into(), ..How::HIT };
    AccessToken { data: data.into(), how: how.into() }
}

/// Asks the issuer.
async fn ask(client: &Inner, asked: Asked<'_>) -> Result<AccessToken, Error> {
    let granted = client.issuer.ask(asked, &*client.clock).await?;
    let http = granted.http.into();
    let data = Arc::new(keep(client, granted, asked));
    if client.clock.now() > data.timetable.expires_at() {
        let why = "the answer took longer than the token in it lives";
        return Err(Error::new(ErrorKind::Transport, why)
            .transient()
            .with_correlation_id(asked.correlation_id)
            .with_advice("the authority or a proxy on the way is slow: try again later"));
    }
    Ok(AccessToken {
        data: data.into(),
        how: How {
            source: AcquiredFrom::Authority,
            level: CacheLevel::None,
            reason: asked.reason,
            total: http,
            http,
            ..How::HIT
        }
        .into(),
    })
}

/// Who waits for another process's token waits through this long a silence of the level.
const HICCUP: Duration = Duration::from_millis(500);
