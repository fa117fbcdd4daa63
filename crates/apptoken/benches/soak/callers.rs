//! Who asks for tokens.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Poll;
use std::time::SystemTime;

use apptoken::ConfidentialClient;

use crate::watch::Watch;
use crate::world::World;

/// One of the fleet.
pub(crate) struct Member {
    world: Arc<World>,
    watch: Arc<Watch>,
    number: usize,
    client: ConfidentialClient,
    /// How many wait, by key.
    waiting: Vec<AtomicU8>,
}

impl Member {
    pub(crate) fn new(world: &Arc<World>, watch: &Arc<Watch>, number: usize) -> Arc<Self> {
        let waiting = (0..world.keys()).map(|_| AtomicU8::new(0)).collect();
        Arc::new(Self { world: world.clone(), watch: watch.clone(), number, client: world.client(), waiting })
    }

    /// Asks once, and has the watch look at what came.
    async fn ask(&self, key: usize) {
        let (tenant, api) = self.world.key(key);
        let mine = self.number * self.world.keys() + key;
        let mut asking = pin!(async { self.client.acquire_token_for_client(api.scope()).tenant(tenant).await });
        // a token is valid when it is handed out: later than the last poll began, however late this thread goes on
        let mut polled = SystemTime::now();
        let outcome = poll_fn(|context| {
            polled = SystemTime::now();
            asking.as_mut().poll(context)
        })
        .await;
        match &outcome {
            Ok(token) => self.watch.token(mine, self.world.wrong(token, key, polled)),
            Err(error) => self.watch.error(mine, error),
        }
    }
}

/// Asks for tokens of keys at random, without a pause but for letting others run. What has to be waited for is left to
/// tasks of their own, some of which go away before it comes: so one key that is slow does not take the load off others.
pub(crate) async fn call(member: Arc<Member>, stop: Arc<AtomicBool>, seed: u64) {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while !stop.load(Ordering::Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = random as usize % member.waiting.len();
        let asking = {
            let member = member.clone();
            async move { member.ask(key).await }
        };
        let mut asking = Box::pin(asking);
        let at_once = poll_fn(|context| Poll::Ready(asking.as_mut().poll(context).is_ready())).await;
        if !at_once {
            member.watch.waits(member.number * member.world.keys() + key);
        }
        // of other bits than the key, or some keys would always be left
        let stays = !(random >> 32).is_multiple_of(GO_AWAY);
        if !at_once && stays && member.waiting[key].load(Ordering::Relaxed) < MOST_WAITING {
            member.waiting[key].fetch_add(1, Ordering::Relaxed);
            let member = member.clone();
            tokio::spawn(async move {
                asking.await;
                member.waiting[key].fetch_sub(1, Ordering::Relaxed);
            });
        }
        if random.is_multiple_of(16) {
            tokio::task::yield_now().await;
        }
    }
}

/// One in so many of those who would have to wait does not.
const GO_AWAY: u64 = 8;
/// For one key of one member: who comes then goes away too.
const MOST_WAITING: u8 = 4;
