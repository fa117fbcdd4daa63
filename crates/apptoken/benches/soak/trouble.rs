//! What goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apptoken_emulator::Fault;

use crate::world::World;

/// A trouble every 250 ms, in turn; each 20 seconds an outage of two, and the second level emptied or tampered with.
pub(crate) async fn make(world: Arc<World>, stop: Arc<AtomicBool>) {
    let faults = world.entra.faults();
    let status = |status, seconds: Option<u64>| Fault::Status {
        status,
        retry_after: seconds.map(Duration::from_secs),
        body: None,
    };
    for tick in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match tick % 80 {
            // an outage ends
            0 => world.heal(),
            20 => world.store.flush(),
            60 => world.store.tamper(|value| value.truncate(20)),
            72..80 => faults.next_token_requests(50, status(503, None)),
            _ => match tick % 8 {
                0 => faults.next_token_requests(2, status(429, Some(1))),
                1 => faults.next_token_requests(1, status(500, None)),
                2 => faults.next_token_requests(2, Fault::Reset),
                3 => faults.next_token_requests(3, Fault::Latency(Duration::from_millis(300))),
                4 => faults.next_token_requests(1, Fault::Garbage),
                5 => faults.next_token_requests(1, Fault::Truncated),
                6 => faults.next_token_requests(1, Fault::Hang),
                _ => {}
            },
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
