//! What goes wrong with a Redis, what the callers of a fleet see of it, and how many requests are sent.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apptoken_redis::RedisCache;
use testkit::CANARY;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::fleet::{Fleet, Process, Seen};
use crate::server::Server;

/// Each row: four processes ask for ten keys at once while the fault is there. Alone, they would send forty requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_caller_sees_a_fault_of_redis() {
    let fleet = Fleet::start().await;
    let mut table = Table::default();

    let (mut server, url) = started(&[]).await;
    let processes = fleet.processes(4, || cache(&url));
    table.row("none", &fleet.all_ask(&processes, 0..10).await, 10..=10);
    server.kill();
    table.row("kill -9", &fleet.all_ask(&processes, 10..20).await, 40..=40);
    table.row("tokens in hand meanwhile", &fleet.all_ask(&processes, 0..20).await, 0..=0);
    server.restart().await;
    healed(&processes).await;
    table.row("after its restart", &fleet.all_ask(&processes, 20..30).await, 10..=10);

    server.signal("-STOP");
    table.row("SIGSTOP", &fleet.all_ask(&processes, 30..40).await, 10..=40);
    server.signal("-CONT");
    healed(&processes).await;
    table.row("after SIGCONT", &fleet.all_ask(&processes, 40..50).await, 10..=10);

    assert_eq!(server.cli(&["FLUSHALL"]), "OK");
    table.row("FLUSHALL, tokens in hand", &fleet.all_ask(&processes, 0..10).await, 0..=0);
    let fresh = fleet.processes(4, || cache(&url));
    table.row("FLUSHALL, cold", &fleet.all_ask(&fresh, 0..10).await, 10..=10);

    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    let fresh = fleet.processes(4, || cache(&url));
    table.row("maxmemory", &fleet.all_ask(&fresh, 50..60).await, 10..=40);
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "0"]), "OK");

    assert_eq!(server.cli(&["CONFIG", "SET", "requirepass", "right"]), "OK");
    let wrong = || RedisCache::server(&url).credentials("default", format!("{CANARY}-wrong")).build().unwrap();
    let fresh = fleet.processes(4, wrong);
    table.row("wrong password", &fleet.all_ask(&fresh, 60..70).await, 40..=40);
    assert_eq!(server.cli(&["-a", "right", "--no-auth-warning", "CONFIG", "SET", "requirepass", ""]), "OK");

    for (fault, change) in [
        ("garbage values", "redis.call('SET', key, 'garbage, and more of it than a fence has', 'PX', 60000)"),
        ("values of another type", "redis.call('DEL', key) redis.call('RPUSH', key, 'a', 'b')"),
        ("another version's values", "redis.call('SETRANGE', key, 16, '\\255\\2')"),
    ] {
        assert_eq!(server.cli(&["FLUSHALL"]), "OK");
        fleet.all_ask(&fleet.processes(1, || cache(&url)), 70..80).await;
        let script = format!(
            "for _, key in ipairs(redis.call('KEYS', '*:v')) do {change} end return #redis.call('KEYS', '*:v')"
        );
        assert_eq!(server.cli(&["EVAL", &script, "0"]), "10");
        let fresh = fleet.processes(4, || cache(&url));
        table.row(fault, &fleet.all_ask(&fresh, 70..80).await, 10..=10);
        let later = fleet.processes(1, || cache(&url));
        table.row("  and mended by it", &fleet.all_ask(&later, 70..80).await, 0..=0);
    }

    let proxy = Proxy::start(server.port).await;
    let processes = fleet.processes(4, || cache(&proxy.url));
    table.row("through a proxy", &fleet.all_ask(&processes, 80..85).await, 5..=5);
    proxy.cut.store(true, Ordering::SeqCst);
    table.row("network cut", &fleet.all_ask(&processes, 85..95).await, 10..=40);
    proxy.cut.store(false, Ordering::SeqCst);
    healed(&processes).await;
    table.row("network back", &fleet.all_ask(&processes, 95..100).await, 5..=5);

    table.check();
}

/// Until each process's second level answers again; its circuit is open for a second, or some.
pub(crate) async fn healed(processes: &[Process]) {
    for process in processes {
        for _ in 0..600 {
            let before = process.cache.counters();
            let scope = "api://api-0/.default";
            process.client.acquire_token_for_client([scope]).force_refresh(true).await.unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
            let after = process.cache.counters();
            let failed =
                |counters: &apptoken::cache::CacheCounters| counters.errors + counters.timeouts + counters.skipped;
            if after.writes > before.writes && failed(&after) == failed(&before) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[derive(Default)]
pub(crate) struct Table {
    rows: String,
    wrong: Vec<String>,
}

impl Table {
    pub(crate) fn row(&mut self, fault: &str, seen: &Seen, allowed: std::ops::RangeInclusive<u64>) {
        let Seen { calls, errors, requests, longest, .. } = seen;
        let row = format!("{fault:28} {calls:5} {errors:6} {requests:8}   {} ms", longest.as_millis());
        if *errors > 0 || !allowed.contains(requests) || *longest > Duration::from_secs(4) {
            self.wrong.push(format!("{row} (requests: {allowed:?})"));
        }
        let _ = writeln!(self.rows, "{row}");
    }

    /// Shows the table (`--nocapture`).
    #[allow(clippy::print_stderr, reason = "a table for people")]
    pub(crate) fn check(self) {
        eprintln!("{:28} calls errors requests   longest call\n{}", "fault", self.rows);
        assert!(self.wrong.is_empty(), "{}\nnot as it should be:\n{}", self.rows, self.wrong.join("\n"));
    }
}

/// Between the processes and Redis; what is cut says nothing to either side.
struct Proxy {
    url: String,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let cut = Arc::new(AtomicBool::new(false));
        let is_cut = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let is_cut = is_cut.clone();
                tokio::spawn(async move {
                    let Ok(mut there) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else { return };
                    let until_cut = async {
                        while !is_cut.load(Ordering::SeqCst) {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut here, &mut there) => {}
                        () = until_cut => std::future::pending().await,
                    }
                });
            }
        });
        Self { url, cut }
    }
}

async fn started(more: &[&str]) -> (Server, String) {
    let server = Server::start(more).await;
    let url = server.url();
    (server, url)
}

fn cache(url: &str) -> RedisCache {
    RedisCache::server(url).build().unwrap()
}
