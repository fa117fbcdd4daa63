//! A fleet of real processes, as many as are asked for, that start cold and want the same tokens at the same time: for
//! the tests and for the bench.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use apptoken::ConfidentialClient;
use apptoken::cache::TokenCache;
use apptoken::clock::{Clock as _, SystemClock};
use apptoken_redis::RedisCache;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Semaphore;

use crate::fleet::{Fleet, Seen};
use crate::server::Server;

/// How many start, and how many keys each of them asks for.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) processes: usize,
    pub(crate) keys: usize,
    /// For Redis's answers; that of the client if none is given.
    pub(crate) deadline: Option<Duration>,
}

impl Run {
    /// What is seen when nothing goes wrong.
    pub(crate) async fn calm(self) -> Seen {
        let (fleet, server) = (Fleet::with_keys(self.keys).await, Server::start(&[]).await);
        let mut children = self.start(&fleet, &server).await;
        self.go(&mut children, 0).await;
        self.results(&fleet, &mut children).await
    }

    /// What is seen while Redis is killed and restarted, and then with as many keys more.
    pub(crate) async fn with_a_restart(self) -> [Seen; 2] {
        let (fleet, mut server) = (Fleet::with_keys(2 * self.keys).await, Server::start(&[]).await);
        let mut children = self.start(&fleet, &server).await;
        self.go(&mut children, 0).await;
        let third = self.keys as u64 / 3;
        while fleet.entra.token_requests() < third {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart().await;
        let during = self.results(&fleet, &mut children).await;
        // each has its own pause before it tries again, and somebody has to ask
        tokio::time::sleep(Duration::from_millis(500)).await;
        for child in &mut children {
            child.told("heal").await;
            child.says().await;
        }
        let before = fleet.entra.token_requests();
        self.go(&mut children, self.keys).await;
        let after = self.results(&fleet, &mut children).await;
        [during, Seen { requests: after.requests - before, ..after }]
    }

    /// Starts all of them, and waits until the last one is ready.
    async fn start(self, fleet: &Fleet, server: &Server) -> Vec<Process> {
        let told = json!({ "authority": fleet.entra.authority(), "ca": fleet.entra.ca_pem(), "redis": server.url(),
            "deadline_ms": self.deadline.map(|deadline| deadline.as_millis()) });
        let mut children = (0..self.processes).map(|_| Process::spawn(&told)).collect::<Vec<_>>();
        for child in &mut children {
            assert_eq!(child.says().await, json!("ready"));
        }
        children
    }

    /// Lets them ask.
    async fn go(self, children: &mut [Process], first: usize) {
        for child in children {
            child.told(&format!("{first} {}", first + self.keys)).await;
        }
    }

    #[allow(clippy::print_stderr, reason = "what one looks at when it fails")]
    async fn results(self, fleet: &Fleet, children: &mut [Process]) -> Seen {
        let started = SystemClock.now();
        let mut seen = Seen::default();
        let mut counters = std::collections::BTreeMap::<String, u64>::new();
        for child in children {
            let said = child.says().await;
            seen.calls += self.keys;
            seen.errors += usize::try_from(said["errors"].as_u64().unwrap()).unwrap();
            seen.longest = seen.longest.max(Duration::from_millis(said["longest_ms"].as_u64().unwrap()));
            if let Some(error) = said["error"].as_str() {
                eprintln!("{error}");
            }
            for (name, count) in said["counters"].as_object().unwrap() {
                *counters.entry(name.clone()).or_default() += count.as_u64().unwrap();
            }
        }
        seen.requests = fleet.entra.token_requests();
        seen.wall = SystemClock.now().since(started);
        eprintln!("{seen:?} {counters:?}");
        seen
    }
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn spawn(told: &Value) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "one_of_a_fleet", "--nocapture"])
            .env("APPTOKEN_TEST_FLEET", told.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn told(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// What it says next, among the harness's own lines.
    async fn says(&mut self) -> Value {
        loop {
            let line = self.lines.next_line().await.unwrap().expect("the process has ended");
            // the first one comes behind the harness's `test … `
            if let Some((_, said)) = line.split_once("SAYS ") {
                return serde_json::from_str(said).unwrap();
            }
        }
    }
}

/// One process of a fleet, if that is what this one was started for: does what it is told, line by line.
#[allow(clippy::print_stdout, reason = "it talks to its parent")]
pub(crate) async fn serve() -> bool {
    let Ok(told) = std::env::var("APPTOKEN_TEST_FLEET") else { return false };
    let told: Value = serde_json::from_str(&told).unwrap();
    let redis = RedisCache::server(told["redis"].as_str().unwrap()).build().unwrap();
    let mut cache = TokenCache::distributed(redis);
    if let Some(deadline) = told["deadline_ms"].as_u64() {
        cache = cache.deadline(Duration::from_millis(deadline));
    }
    let cache = cache.build();
    let client = Fleet::client(told["authority"].as_str().unwrap(), told["ca"].as_str().unwrap(), &cache);
    println!("SAYS \"ready\"");
    let mut lines = std::io::stdin().lines();
    while let Some(Ok(line)) = lines.next() {
        match line.split_once(' ') {
            Some((first, end)) => {
                let said = ask(&client, &cache, first.parse().unwrap()..end.parse().unwrap()).await;
                println!("SAYS {said}");
            }
            // until its circuit has let through what it is asked
            None => {
                let before = cache.counters().writes;
                while cache.counters().writes == before {
                    client.acquire_token_for_client(["api://api-0/.default"]).force_refresh(true).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                println!("SAYS \"healed\"");
            }
        }
    }
    true
}

async fn ask(client: &ConfidentialClient, cache: &TokenCache, keys: std::ops::Range<usize>) -> Value {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut calls = tokio::task::JoinSet::new();
    for key in keys {
        let (client, one) = (client.clone(), at_once.clone().acquire_owned().await.unwrap());
        calls.spawn(async move {
            let started = SystemClock.now();
            let outcome = client.acquire_token_for_client([format!("api://api-{key}/.default")]).await;
            drop(one);
            (outcome.err().map(|error| error.to_string()), SystemClock.now().since(started))
        });
    }
    let calls = calls.join_all().await;
    let counted = cache.counters();
    let counters = json!({ "hits": counted.hits, "misses": counted.misses, "writes": counted.writes,
        "outdated": counted.outdated, "errors": counted.errors, "timeouts": counted.timeouts,
        "skipped": counted.skipped, "waits": counted.waits });
    let errors = calls.iter().filter_map(|(error, _)| error.as_ref());
    json!({ "errors": errors.clone().count(), "error": errors.clone().next(), "counters": counters,
        "longest_ms": calls.iter().map(|(_, took)| took.as_millis()).max() })
}

/// How many calls of one process are under way.
const AT_ONCE: usize = 50;
