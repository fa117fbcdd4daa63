//! What goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apptoken_emulator::{Fault, FaultRule};

use crate::watch::Watch;
use crate::world::World;

/// A trouble every 250 ms, in turn; each 20 seconds an outage of two, after which circuits have a while to close; and the
/// second level emptied or tampered with. A trouble that nobody met by the next ends: a host that is hardly asked, as its
/// circuit is open, saves none up.
pub(crate) async fn make(world: Arc<World>, watch: Arc<Watch>, stop: Arc<AtomicBool>) {
    let faults = world.entra.faults();
    let mut before = Vec::new();
    for tick in 0_u32.. {
        let going_on = !stop.load(Ordering::Relaxed);
        // one by one, so that it is known how many were met; and no gap in an outage
        let (times, fault) = if going_on { fault(tick) } else { (0, Fault::Reset) };
        let now: Vec<_> = (0..times).map(|_| faults.add(FaultRule::new(fault.clone()).times(1))).collect();
        let met = before.iter().filter(|id| !faults.remove(**id)).count();
        watch.faults.fetch_add(met as u64, Ordering::Relaxed);
        before = now;
        if !going_on {
            return;
        }
        match tick % CYCLE {
            20 => world.store.flush(),
            60 => world.store.tamper(|value| value.truncate(20)),
            _ => {}
        }
        tokio::time::sleep(TICK).await;
    }
}

/// How many token requests meet which fault.
fn fault(tick: u32) -> (u32, Fault) {
    let status = |status, retry_after| Fault::Status { status, retry_after, body: None };
    let slow = Fault::Latency(Duration::from_millis(300));
    match (tick % CYCLE, tick % 8) {
        // of three members, whose circuits open after five
        (OUTAGE_BEGINS.., _) => (50, status(503, None)),
        (0..OUTAGE_IS_OVER, _) => (3, slow),
        (_, 0) => (2, status(429, Some(RETRY_AFTER))),
        (_, 1) => (1, status(500, None)),
        (_, 2) => (2, Fault::Reset),
        (_, 3) => (3, slow),
        (_, 4) => (1, Fault::Garbage),
        (_, 5) => (1, Fault::Truncated),
        (_, 6) => (1, Fault::Hang),
        _ => (0, slow),
    }
}

/// Ticks.
const CYCLE: u32 = 80;
const OUTAGE_BEGINS: u32 = 72;
const OUTAGE_IS_OVER: u32 = 16;
const TICK: Duration = Duration::from_millis(250);
pub(crate) const OUTAGE: Duration = TICK.saturating_mul(CYCLE - OUTAGE_BEGINS);
/// What those who are throttled are asked to wait.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);
