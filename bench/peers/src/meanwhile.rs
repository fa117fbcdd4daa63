//! Callers and a request under way.

use std::future::Future;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apptoken::ConfidentialClient;
use apptoken::http::{Request, ReqwestTransport, Response, Transport, TransportError};
use peers_harness::{Args, Out, SCOPE, SECRET};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::calls::{scope, two};
use crate::peer::{builder, many, transport};
use crate::turns::median;

/// Many callers of one key that is not kept: how long after the authority's answer the last one has its token. The limit is
/// as many tasks that wait for a signal of tokio's.
pub(crate) fn herd(args: &Args, callers: usize, ours: &Out, limit: &Out) {
    let runtime = two();
    let after = |last: Instant, first: Instant| (last - first).as_secs_f64() * 1e3;
    let woken = runtime.block_on(async {
        let signal = Arc::new(Notify::new());
        let woken = spawn(callers, || signaled(signal.clone()));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let signaled = tokio::spawn(async move {
            let now = Instant::now();
            signal.notify_waiters();
            now
        });
        after(last(woken).await, signaled.await.expect("no panic"))
    });
    let answered = Arc::new(Mutex::new(None));
    let watched = Watched { transport: transport(args), answered: answered.clone() };
    let client = Arc::new(builder(args).client_secret(SECRET).transport(watched).build().expect("a client"));
    let begun = Instant::now();
    let served = runtime
        .block_on(async { last(spawn(callers, || ask(client.clone(), "https://herd.example.com/.default"))).await });
    let answered = answered.lock().expect("no panic").expect("an answer");
    ours.put(&format!("herd-{callers}.time"), callers, after(served, begun), "ms", &[]);
    ours.put(&format!("herd-{callers}.after"), callers, after(served, answered), "ms", &[]);
    // after ours: the harness takes what the authority saw for the first one's
    limit.put(&format!("herd-{callers}.after"), callers, woken, "ms", &[]);
}

fn spawn<T: Future<Output = Instant> + Send + 'static>(count: usize, make: impl Fn() -> T) -> Vec<JoinHandle<Instant>> {
    (0..count).map(|_| tokio::spawn(make())).collect()
}

/// When the last one was done.
async fn last(tasks: Vec<JoinHandle<Instant>>) -> Instant {
    let mut last = None;
    for task in tasks {
        last = last.max(Some(task.await.expect("no panic")));
    }
    last.expect("a task")
}

async fn signaled(signal: Arc<Notify>) -> Instant {
    signal.notified().await;
    Instant::now()
}

/// Hits in turns with hits while another key is being fetched, which takes the authority 200 ms.
pub(crate) fn hits_beside_a_miss(args: &Args, ours: &Out) {
    let runtime = two();
    let client = Arc::new(many(args).build().expect("a client"));
    runtime.block_on(ask(client.clone(), SCOPE));
    let (mut calm, mut during) = (Vec::new(), Vec::new());
    for number in 0..9 {
        calm.push(hits(&client));
        let fetching = runtime.spawn(ask(client.clone(), scope(number)));
        std::thread::sleep(Duration::from_millis(20));
        during.push(hits(&client));
        assert!(!fetching.is_finished(), "the authority was too fast");
        runtime.block_on(fetching).expect("a token");
    }
    ours.put("isolation-hits.calm", 9, median(calm), "ns/op", &[]);
    ours.put("isolation-hits.during", 9, median(during), "ns/op", &[]);
}

/// Nanoseconds of one, for 100 ms.
fn hits(client: &ConfidentialClient) -> f64 {
    let (begun, mut count) = (Instant::now(), 0_u64);
    crate::calls::one().block_on(async {
        while begun.elapsed() < Duration::from_millis(100) {
            for _ in 0..1000 {
                black_box(client.acquire_token_for_client(black_box(SCOPE)).await.expect("a token"));
            }
            count += 1000;
        }
    });
    begun.elapsed().as_nanos() as f64 / count as f64
}

async fn ask(client: Arc<ConfidentialClient>, scope: impl AsRef<str>) -> Instant {
    black_box(client.acquire_token_for_client(scope.as_ref()).await.expect("a token"));
    Instant::now()
}

/// Tells when the last answer came.
struct Watched {
    transport: ReqwestTransport,
    answered: Arc<Mutex<Option<Instant>>>,
}

impl Transport for Watched {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let answer = self.transport.send(request).await;
        *self.answered.lock().expect("no panic") = Some(Instant::now());
        answer
    }
}
