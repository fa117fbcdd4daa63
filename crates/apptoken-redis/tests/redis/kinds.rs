//! TLS with a user of few rights, a Cluster of three, and Sentinels whose master dies.

use std::time::Duration;

use apptoken::cache::distributed::{DistributedCache as _, conformance};
use apptoken::clock::{Clock as _, SystemClock};
use apptoken_jose::issue::Ca;
use apptoken_redis::RedisCache;
use base64::Engine as _;
use testkit::CANARY;

use crate::faults::{Table, healed};
use crate::fleet::Fleet;
use crate::server::{Server, free_port};

#[tokio::test]
async fn a_user_with_the_rights_that_are_documented_over_tls() {
    testkit::init();
    let now = SystemClock.system_time();
    let ca = Ca::generate("Redis of a test", now).unwrap();
    let leaf = ca.server_leaf(&["localhost", "127.0.0.1"], now).unwrap();
    let place = tempfile::tempdir().unwrap();
    let pem = |label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        // OpenSSL reads no longer lines
        let lines = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
        let text = lines.join("\n");
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let write = |name: &str, content: String| {
        let path = place.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let chain = write("leaf.crt", leaf.chain.iter().map(|der| pem("CERTIFICATE", der)).collect());
    let key = write("leaf.key", pem("PRIVATE KEY", &leaf.key_pkcs8_der));
    let root = write("ca.crt", ca.certificate().to_pem());
    let password = format!("{CANARY}-password");
    let (port, hidden) = (free_port(), format!(">{password}"));
    let tls_port = port.to_string();
    let mut arguments = vec!["--port", "0", "--tls-port", &tls_port, "--tls-auth-clients", "no"];
    arguments.extend(["--tls-cert-file", &chain, "--tls-key-file", &key, "--tls-ca-cert-file", &root]);
    arguments.extend(["--user", "default", "off", "--user", "daemon", "on", &hidden]);
    arguments.extend("~apptoken:* &apptoken:* +eval +get +set +del +pttl +time +getrange +publish".split(' '));
    arguments.extend("+subscribe +ping".split(' '));
    let _server = Server::start_at(port, &arguments).await;

    let url = format!("rediss://localhost:{port}");
    let trusting = || RedisCache::server(&url).add_root_certificate_pem(ca.certificate().to_pem().as_bytes());
    conformance::check(&trusting().credentials("daemon", password.clone()).prefix("apptoken").build().unwrap()).await;
    let refused = [
        trusting().credentials("daemon", format!("{CANARY}-wrong")),
        trusting(),
        RedisCache::server(&url).credentials("daemon", password.clone()),
    ];
    for refused in refused {
        let error = refused.build().unwrap().get("k").await.unwrap_err();
        testkit::witness_text(&error);
        testkit::witness(&error);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_of_three_is_a_distributed_cache() {
    let fleet = Fleet::start().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Server::start(&["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]).await);
    }
    let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect::<Vec<_>>();
    let mut create = vec!["--cluster", "create"];
    create.extend(addresses.iter().map(String::as_str));
    create.push("--cluster-yes");
    nodes[0].cli(&create);
    let mut ready = false;
    for _ in 0..200 {
        ready = nodes.iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        if ready {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(ready, "{}", nodes[0].cli(&["CLUSTER", "INFO"]));
    let (first, second) = (nodes[0].url(), nodes[1].url());
    let cache = || RedisCache::cluster([&*first, &*second]).build().unwrap();
    conformance::check(&cache()).await;
    // the two know the Cluster by different nodes
    let by_second = RedisCache::cluster([&*second]).build().unwrap();
    conformance::check_changes(&cache(), &by_second).await;
    let seen = fleet.all_ask(&fleet.patient(4, cache), 0..20).await;
    assert_eq!((seen.errors, seen.requests), (0, 20), "{seen:?}");
    assert!(nodes.iter().all(|node| node.cli(&["DBSIZE"]) != "0"), "spread over all nodes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_name_another_master_and_the_fleet_follows() {
    let fleet = Fleet::start().await;
    let mut master = Server::start(&[]).await;
    let of = master.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &of, "--repl-diskless-sync-delay", "0"]).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("sentinel.conf");
    let settings = format!(
        "sentinel monitor tokens 127.0.0.1 {of} 1\nsentinel down-after-milliseconds tokens 500\n\
         sentinel failover-timeout tokens 2000\n"
    );
    std::fs::write(&file, settings).unwrap();
    let sentinel = Server::start(&[file.to_str().unwrap(), "--sentinel"]).await;
    let url = sentinel.url();
    let cache = || RedisCache::sentinel([&*url], "tokens").build().unwrap();
    conformance::check(&cache()).await;
    for _ in 0..200 {
        if sentinel.cli(&["SENTINEL", "REPLICAS", "tokens"]).contains(&replica.port.to_string())
            && replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let mut table = Table::default();
    let processes = fleet.processes(4, cache);
    table.row("behind a Sentinel", &fleet.all_ask(&processes, 0..10).await, 10..=10);
    master.kill();
    table.row("the master is killed", &fleet.all_ask(&processes, 10..20).await, 10..=40);
    for _ in 0..300 {
        if sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tokens"]).contains(&replica.port.to_string()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    healed(&processes).await;
    table.row("after the fail-over", &fleet.all_ask(&processes, 20..30).await, 10..=10);
    table.check();
}
