//! What several cases do.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use apptoken::http::{Request, ReqwestTransport, Transport};
use peers_harness::Args;
use tokio::runtime::{Builder, Runtime};

/// A runtime of one thread.
pub(crate) fn one() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A runtime of two threads besides the caller's.
pub(crate) fn two() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// How many times a second `threads` threads do their work together; each makes its own.
pub(crate) fn rate<W: FnMut()>(threads: usize, for_long: Duration, make: impl Fn(usize) -> W + Sync) -> f64 {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let begun = Instant::now();
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (stop, make) = (&stop, &make);
                scope.spawn(move || {
                    let (mut work, mut times) = (make(number), 0_u64);
                    while !stop.load(Relaxed) {
                        (0..256).for_each(|_| work());
                        times += 256;
                    }
                    times
                })
            })
            .collect();
        thread::sleep(for_long);
        stop.store(true, Relaxed);
        let times: u64 = running.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        times as f64 / begun.elapsed().as_secs_f64()
    })
}

/// So many tenants out of `tenants`, at random, the same each time.
pub(crate) fn picks(tenants: &[String], many: usize) -> Vec<&str> {
    let mut seed = 7_u64;
    let mut pick = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tenants[(seed >> 33) as usize % tenants.len()].as_str()
    };
    (0..many).map(|_| pick()).collect()
}

/// The harness's authority: told what to do, asked what it saw.
pub(crate) struct Control<'a> {
    args: &'a Args,
    transport: ReqwestTransport,
}

impl<'a> Control<'a> {
    pub(crate) fn new(args: &'a Args) -> Self {
        Self { args, transport: crate::peer::transport(args) }
    }

    pub(crate) async fn set(&self, what: &str) {
        self.ask("POST", &format!("/config?{what}")).await;
    }

    pub(crate) async fn token_requests(&self) -> u64 {
        self.ask("GET", "/stats").await["token"].as_u64().expect("a count")
    }

    async fn ask(&self, method: &str, path: &str) -> serde_json::Value {
        let mut request = Request::new(bytes::Bytes::new());
        *request.method_mut() = method.parse().expect("a method");
        *request.uri_mut() = format!("{}{path}", self.args.authority).parse().expect("an address");
        let answer = self.transport.send(request).await.expect("an answer");
        serde_json::from_slice(answer.body()).expect("JSON")
    }
}

/// A scope that nobody has asked for.
pub(crate) fn scope(number: usize) -> String {
    format!("https://r{number}.example.com/.default")
}
