//! Through a proxy by CONNECT, past it, and never for plain HTTP, which goes to loopback only: a proxy would read the
//! secret.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::http::{ReqwestTransport, ReqwestTransportBuilder, RetryPolicy};
use apptoken::{ConfidentialClient, Error, SecretString};
use apptoken_emulator::Fault;
use common::{CONTOSO, DAEMON, TODO, World};
use testkit::CANARY;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};

/// A proxy that wants a name and a password, and tunnels.
struct Connect {
    address: String,
    /// The head of each request.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Connect {
    /// Lets `daemon:` and the canary's password through.
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let heads = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let heads = heads.clone();
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(client.read_u8().await.unwrap());
                    }
                    let head = String::from_utf8(head).unwrap();
                    heads.lock().unwrap().push(head.clone());
                    if !head
                        .to_ascii_lowercase()
                        .contains(&format!("proxy-authorization: basic {BASIC}").to_ascii_lowercase())
                    {
                        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\r\n";
                        client.write_all(answer.as_bytes()).await.unwrap();
                        return;
                    }
                    let target = head.split(' ').nth(1).unwrap().replace("localhost", "127.0.0.1");
                    let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
                    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                    copy_bidirectional(&mut client, &mut server).await.ok();
                });
            }
        });
        Self { address, seen }
    }

    fn tunnels(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// `daemon:c4n4ry-p@ss` in base64.
const BASIC: &str = "ZGFlbW9uOmM0bjRyeS1wQHNz";

fn trusting(world: &World) -> ReqwestTransportBuilder {
    ReqwestTransport::builder()
        .trust_machine_roots(false)
        .add_root_certificate_pem(world.entra.ca_pem().as_bytes())
        .unwrap()
}

async fn token_through(world: &World, transport: ReqwestTransportBuilder) -> Result<(), Error> {
    testkit::witness(&transport);
    let transport = transport.build();
    testkit::witness(&transport);
    let client = ConfidentialClient::builder(DAEMON)
        .tenant(CONTOSO)
        .authority(world.entra.authority())
        .client_secret(common::secret())
        .transport(transport)
        .retry(RetryPolicy::NONE)
        .build()?;
    client.acquire_token_for_client(TODO).await.map(drop).inspect_err(testkit::witness_error)
}

#[tokio::test]
async fn https_goes_through_the_proxy_that_is_set() {
    let world = World::start().await;
    let proxy = Connect::start().await;
    let right = format!("http://daemon:{CANARY}-p%40ss@{}", proxy.address);
    token_through(&world, trusting(&world).proxy(&right).unwrap()).await.unwrap();
    let head = proxy.seen.lock().unwrap()[0].clone();
    let host = world.entra.authority().replace("https://", "");
    assert!(head.starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")), "{}", &head[..40]);

    let wrong = format!("http://daemon:{CANARY}-wrong@{}", proxy.address);
    let error = token_through(&world, trusting(&world).proxy(&wrong).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), apptoken::ErrorKind::Transport, "{error}");
    assert_eq!((proxy.tunnels(), world.requests()), (2, 1));

    let dead = format!("http://daemon:{CANARY}-p%40ss@127.0.0.1:9");
    token_through(&world, trusting(&world).proxy(&dead).unwrap()).await.unwrap_err();
    let past = trusting(&world).proxy(&dead).unwrap().no_proxy("example.com,localhost");
    token_through(&world, past).await.unwrap();
    assert_eq!((proxy.tunnels(), world.requests()), (2, 2));

    // plain HTTP goes past it
    let stub = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = format!("http://{}", stub.local_addr().unwrap());
    std::thread::spawn(move || grant(&stub));
    let client = ConfidentialClient::builder(DAEMON).tenant(CONTOSO).authority(authority).allow_http_loopback(true);
    let client =
        client.client_secret(SecretString::from("secret")).transport(trusting(&world).proxy(&dead).unwrap().build());
    client.build().unwrap().acquire_token_for_client(TODO).await.unwrap();
    let log = testkit::logged();
    assert_eq!(testkit::leak(&log), None);
    assert!(!log.contains(BASIC));
}

#[test]
fn an_address_that_is_no_proxys_is_refused_without_being_shown() {
    for (address, why) in [
        ("proxy.corp:8080", "neither http:// nor https://"),
        (&format!("daemon:{CANARY}@proxy"), "neither http:// nor https://"),
        (&format!("http://daemon:{CANARY}@:8080"), "is not a URL"),
        (&format!("socks5://daemon:{CANARY}@proxy.corp"), "neither http:// nor https://"),
        ("http://proxy.corp/path", "more in it"),
        ("", "is not a URL"),
    ] {
        let error = ReqwestTransport::builder().proxy(address).unwrap_err();
        testkit::witness_error(&error);
        assert!(error.to_string().contains(why), "{address}: {error}");
        assert_eq!(testkit::leak(&format!("{error:?}")), None);
    }
}

#[test]
fn the_environments_proxy_can_be_switched_off_or_overruled() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (world, proxy) = runtime.block_on(async { (World::start().await, Connect::start().await) });
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, world.entra.ca_pem()).unwrap();
    for (settings, tunnels) in [("as the environment says", 1), ("none", 1), ("another", 2)] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "one_token_in_an_environment_with_a_proxy", "--ignored"]);
        child.env("AUTHORITY", world.entra.authority()).env("CA", &ca).env("SETTINGS", settings);
        child.env("ANOTHER", format!("http://daemon:{CANARY}-p%40ss@{}", proxy.address));
        child.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("https_proxy");
        let named = if settings == "as the environment says" { proxy.address.as_str() } else { "127.0.0.1:9" };
        child.env("HTTPS_PROXY", format!("http://daemon:{CANARY}-p%40ss@{named}"));
        let output = child.output().unwrap();
        assert!(output.status.success(), "{settings}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(proxy.tunnels(), tunnels, "{settings}");
    }
}

#[tokio::test]
#[ignore = "the other test runs it, in an environment of its own"]
async fn one_token_in_an_environment_with_a_proxy() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let builder = ReqwestTransport::builder().trust_machine_roots(false);
    let builder = builder.add_root_certificate_pem(&std::fs::read(variable("CA")).unwrap()).unwrap();
    let builder = match variable("SETTINGS").as_str() {
        "none" => builder.use_proxies(false),
        "another" => builder.proxy(&variable("ANOTHER")).unwrap(),
        _ => builder,
    };
    let client = ConfidentialClient::builder(DAEMON).tenant(CONTOSO).authority(variable("AUTHORITY"));
    let client =
        client.client_secret(common::secret()).transport(builder.build()).retry(RetryPolicy::NONE).build().unwrap();
    client.acquire_token_for_client(TODO).await.unwrap();
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let world = World::start().await;
    world.entra.faults().next_token_requests(1, Fault::Hang);
    let error = token_through(&world, trusting(&world).read_timeout(Duration::from_millis(200))).await.unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

#[test]
fn plain_http_goes_past_the_proxy() {
    let (authority, proxy) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    // a process of its own, because the environment is everybody's
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "one_token_from_the_authority", "--ignored"]);
    child.env("AUTHORITY", url(&authority)).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, url(&proxy));
    }
    proxy.set_nonblocking(true).unwrap();
    std::thread::spawn(move || grant(&authority));
    let output = child.output().unwrap();
    assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the proxy was asked");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
#[ignore = "the other test runs it, in an environment of its own"]
async fn one_token_from_the_authority() {
    let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
        .tenant("contoso.com")
        .authority(std::env::var("AUTHORITY").unwrap())
        .allow_http_loopback(true)
        .client_secret("secret")
        .retry(RetryPolicy::NONE)
        .build()
        .unwrap();
    let token = client.acquire_token_for_client("https://graph.microsoft.com/.default").await.unwrap();
    assert_eq!(token.secret(), "good");
}

fn grant(authority: &TcpListener) {
    let (mut stream, _) = authority.accept().unwrap();
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&request).contains("grant_type=client_credentials") {
        let length = stream.read(&mut chunk).unwrap();
        request.extend_from_slice(&chunk[..length]);
    }
    let body = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"good"}"#;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
}
