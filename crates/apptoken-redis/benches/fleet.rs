//! Processes that start cold and want the same tokens at the same time: how many requests they send, calm and while Redis
//! is killed and started again. `cargo bench -p apptoken-redis`, with `-- --quick` for a smaller fleet.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/redis/fleet.rs"]
mod fleet;
#[path = "../tests/redis/processes.rs"]
mod processes;
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/redis/server.rs"]
mod server;

use fleet::Seen;
use processes::Run;
use serde_json::json;

#[tokio::main]
async fn main() {
    if processes::serve().await {
        return;
    }
    let quick = std::env::args().any(|argument| argument == "--quick");
    let run = if quick {
        Run { processes: 8, keys: 100, deadline: None }
    } else {
        Run { processes: 64, keys: 1000, deadline: None }
    };
    tell("fleet", run.keys, &run.calm().await);
    let [during, after] = run.with_a_restart().await;
    tell("fleet-killed", run.keys, &during);
    tell("fleet-after", run.keys, &after);
}

fn tell(case: &str, keys: usize, seen: &Seen) {
    let Seen { calls, errors, requests, longest, wall } = seen;
    let figure = |name: &str, value: f64, unit: &str| {
        let version = env!("CARGO_PKG_VERSION");
        let case = format!("{case}.{name}");
        println!(
            "{}",
            json!({ "peer": "apptoken", "version": version, "case": case, "n": calls, "value": value, "unit": unit })
        );
    };
    #[expect(clippy::cast_precision_loss, reason = "far fewer")]
    let counted = |count: u64| count as f64;
    figure("keys", counted(keys as u64), "keys");
    figure("requests", counted(*requests), "requests");
    figure("errors", counted(*errors as u64), "errors");
    figure("longest", longest.as_secs_f64() * 1000.0, "ms");
    figure("wall", wall.as_secs_f64() * 1000.0, "ms");
}
