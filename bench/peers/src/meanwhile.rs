//! Callers and a request under way.

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apptoken::ConfidentialClient;
use apptoken::http::{Request, ReqwestTransport, Response, Transport, TransportError};
use peers_harness::{Args, Out, SCOPE, SECRET};

use crate::calls::{scope, two};
use crate::peer::{builder, many, transport};
use crate::turns::median;

/// Many callers of one key that is not kept: how long after the authority's answer the last one has its token.
pub(crate) fn herd(args: &Args, callers: usize, ours: &Out) {
    let runtime = two();
    let answered = Arc::new(Mutex::new(None));
    let watched = Watched { transport: transport(args), answered: answered.clone() };
    let client = builder(args).client_secret(SECRET).transport(watched).build().expect("a client");
    let begun = Instant::now();
    let last = runtime.block_on(async {
        let tasks: Vec<_> = (0..callers)
            .map(|_| tokio::spawn(ask(client.clone(), "https://herd.example.com/.default".into())))
            .collect();
        let mut last = begun;
        for task in tasks {
            last = last.max(task.await.expect("a token"));
        }
        last
    });
    let answered = answered.lock().expect("no panic").expect("an answer");
    ours.put(&format!("herd-{callers}.time"), callers, (last - begun).as_secs_f64() * 1e3, "ms", &[]);
    ours.put(&format!("herd-{callers}.after"), callers, (last - answered).as_secs_f64() * 1e3, "ms", &[]);
}

/// Hits in turns with hits while another key is being fetched, which takes the authority 200 ms.
pub(crate) fn hits_beside_a_miss(args: &Args, ours: &Out) {
    let runtime = two();
    let client = many(args).build().expect("a client");
    runtime.block_on(ask(client.clone(), SCOPE.into()));
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

async fn ask(client: ConfidentialClient, scope: String) -> Instant {
    black_box(client.acquire_token_for_client(&scope).await.expect("a token"));
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
