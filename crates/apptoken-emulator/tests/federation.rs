//! Federated credentials: whose assertions stand for a credential of an application, and why others do not.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;
mod expressions;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apptoken_emulator::seed::SeedFederatedCredential;
use apptoken_emulator::{CredentialKind, GithubJob, Outcome, PipelinesJob, Workload, WorkloadIssuers};
use apptoken_jose::{Algorithm, SigningKey, base64url, jws};
use common::{Answer, DAEMON, Entra, describe, start, start_with};
use serde_json::{Map, Value, json};
use testkit::keys;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::{Uuid, uuid};

const EXCHANGE: &str = "api://AzureADTokenExchange";
const CONNECTION: Uuid = uuid!("77777777-aaaa-4aaa-8aaa-000000000007");

fn job() -> GithubJob {
    GithubJob::new("contoso/daemon")
}

fn trust(entra: &Entra, credential: &SeedFederatedCredential) {
    entra.emulator.directory().add_federated_credential(&DAEMON.to_string(), credential).unwrap();
}

/// A GitHub job that the daemon trusts.
fn trusted(entra: &Entra) -> Workload {
    let workload = entra.emulator.issuer().github(&job());
    trust(entra, &workload.credential("main"));
    workload
}

async fn exchange(entra: &Entra, assertion: &str) -> Answer {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    entra.token(&[("client_secret", ""), ("client_assertion", assertion), ("client_assertion_type", kind)]).await
}

/// The code, and what was expected beside what was presented.
async fn refused(entra: &Entra, assertion: &str) -> (u32, String, String, String) {
    let answer = exchange(entra, assertion).await;
    let logged = entra.last_sign_in();
    assert_eq!((logged.outcome, answer.json["access_token"].as_str()), (Outcome::Refused, None));
    let code = logged.code.unwrap();
    let unreachable = code == 501_661 || code == 90_014;
    assert_eq!(answer.status, if unreachable { 400 } else { 401 }, "{}", answer.json);
    assert_eq!(answer.json["error"], if unreachable { "invalid_request" } else { "invalid_client" });
    assert_eq!(answer.json["error_codes"], json!([code]));
    let first = logged.evidence.into_iter().next();
    let (subject, expected, presented) = first.map(|e| (e.subject, e.expected, e.presented)).unwrap_or_default();
    (code, subject, expected, presented)
}

#[tokio::test]
async fn jobs_and_pods_get_tokens() {
    let entra = start().await;
    let issuer = entra.emulator.issuer();
    for (workload, name) in [
        (issuer.github(&job().branch("main")), "branch"),
        (issuer.github(&job().environment("Production").immutable(7, 8)), "environment"),
        (issuer.kubernetes("default", "daemon"), "pod"),
        (issuer.azure_pipelines(&PipelinesJob::new("contoso", "daemon", "azure", CONNECTION)), "pipeline"),
    ] {
        trust(&entra, &workload.credential(name));
        let answer = exchange(&entra, &workload.token(EXCHANGE).unwrap()).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.json);
        let claims = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
        assert_eq!((&claims["azp"], &claims["azpacr"]), (&json!(DAEMON), &json!("2")));
        assert_eq!(entra.last_sign_in().credential, Some(CredentialKind::Federated));
    }
}

#[tokio::test]
async fn issuer_subject_and_audience_are_compared_to_the_letter() {
    let entra = start().await;
    let assertion = |workload: &Workload, audience: &str| workload.token(audience).unwrap();
    let good = entra.emulator.issuer().github(&job());
    let (code, _, expected, presented) = refused(&entra, &assertion(&good, EXCHANGE)).await;
    assert_eq!((code, expected.as_str()), (700_211, "the application has no federated credential"));
    assert_eq!(presented, good.issuer());

    let mut slash = good.credential("slash");
    slash.issuer.push('/');
    trust(&entra, &slash);
    let (code, what, expected, presented) = refused(&entra, &assertion(&good, EXCHANGE)).await;
    assert_eq!((code, what.as_str()), (700_211, "issuer"));
    assert_eq!((expected, presented), (format!("{}/", good.issuer()), good.issuer()));

    trust(&entra, &good.credential("main"));
    assert_eq!(exchange(&entra, &assertion(&good, EXCHANGE)).await.status, 200);
    let other = entra.emulator.issuer().github(&job().branch("feature"));
    let (code, what, expected, presented) = refused(&entra, &assertion(&other, EXCHANGE)).await;
    assert_eq!((code, what.as_str()), (700_213, "subject"));
    assert_eq!((expected.as_str(), presented.as_str()), (good.subject(), other.subject()));
    assert!(entra.last_sign_in().message.unwrap().contains(other.subject()), "the text prints it");

    let loud = entra.emulator.issuer().github(&GithubJob::new("Contoso/daemon"));
    let (code, _, expected, _) = refused(&entra, &assertion(&loud, EXCHANGE)).await;
    assert_eq!((code, expected.as_str()), (7_002_138, good.subject()));

    for audience in ["api://azureadtokenexchange", "https://github.com/contoso", "api://AzureADTokenExchange/"] {
        let (code, what, expected, presented) = refused(&entra, &assertion(&good, audience)).await;
        assert_eq!((code, what.as_str()), (700_212, "audience"));
        assert_eq!((expected.as_str(), presented.as_str()), (EXCHANGE, audience));
    }
    for claim in ["iss", "sub", "aud", "exp"] {
        let without = good.clone().claim(claim, Value::Null).token(EXCHANGE).unwrap();
        let answer = exchange(&entra, &without).await;
        // Without an issuer it counts as the application's own.
        assert_eq!(answer.json["error_codes"], json!([90_014]), "{claim}");
    }
}

#[tokio::test]
async fn githubs_immutable_subject_is_told_from_the_older_form() {
    let entra = start().await;
    let old = trusted(&entra);
    let new = entra.emulator.issuer().github(&job().immutable(7, 8));
    assert_eq!(new.subject(), "repo:contoso@7/daemon@8:ref:refs/heads/main");
    let (code, ..) = refused(&entra, &new.token(EXCHANGE).unwrap()).await;
    let hint = entra.last_sign_in().evidence.pop().unwrap();
    assert_eq!((code, hint.subject.as_str()), (700_213, "form of GitHub's subject"));
    trust(&entra, &new.credential("immutable"));
    assert_eq!(exchange(&entra, &new.token(EXCHANGE).unwrap()).await.status, 200);
    assert_eq!(exchange(&entra, &old.token(EXCHANGE).unwrap()).await.status, 200);
}

#[tokio::test]
async fn the_time_counts() {
    let entra = start().await;
    let job = trusted(&entra);
    let token = job.token(EXCHANGE).unwrap();
    entra.emulator.clock().advance(Duration::from_secs(590));
    assert_eq!(exchange(&entra, &token).await.status, 200, "five minutes of skew are forgiven");
    entra.emulator.clock().advance(Duration::from_secs(20));
    assert_eq!(refused(&entra, &token).await.0, 700_024);
    let soon = entra.emulator.clock().now_unix() + 900;
    let early = job.clone().claim("nbf", soon).claim("exp", soon + 60);
    assert_eq!(refused(&entra, &early.token(EXCHANGE).unwrap()).await.0, 700_024);
    assert_eq!(exchange(&entra, &job.token(EXCHANGE).unwrap()).await.status, 200);
}

/// The claims of a good token under another signature.
fn forged(good: &str, kid: Option<&str>, algorithm: Algorithm) -> String {
    let key = SigningKey::from_pem(keys::PKCS8, None).unwrap();
    let parsed = jws::Unverified::parse(good).unwrap();
    let mut header = Map::new();
    if let Some(kid) = kid {
        header.insert("kid".into(), kid.into());
    }
    jws::sign(&header, parsed.claims(), &key, algorithm).unwrap()
}

#[tokio::test]
async fn only_the_issuers_published_keys_count() {
    let entra = start().await;
    let job = trusted(&entra);
    let good = job.token(EXCHANGE).unwrap();
    let kid = jws::Unverified::parse(&good).unwrap().header().kid.clone().unwrap();
    let (code, what, ..) = refused(&entra, &forged(&good, Some(&kid), Algorithm::Rs256)).await;
    assert_eq!((code, what.as_str()), (700_027, "signature"));
    let (code, what, expected, presented) = refused(&entra, &forged(&good, Some("other"), Algorithm::Rs256)).await;
    assert_eq!((code, what.as_str()), (700_027, "key"));
    assert_eq!((expected, presented.as_str()), (kid.clone(), "other"));
    // a federated assertion may be RS256 only
    assert_eq!(refused(&entra, &forged(&good, Some(&kid), Algorithm::Ps256)).await.0, 5_002_738);
    let header = base64url::encode(br#"{"alg":"none"}"#);
    let (_, rest) = good.split_once('.').unwrap();
    assert_eq!(refused(&entra, &format!("{header}.{rest}")).await.0, 5_002_738);
    assert_eq!(exchange(&entra, &good).await.status, 200);

    // a key that was rotated is found at once, and the old one is still good
    entra.emulator.issuer().rotate_key().unwrap();
    let newer = job.token(EXCHANGE).unwrap();
    assert_ne!(jws::Unverified::parse(&newer).unwrap().header().kid, Some(kid));
    assert_eq!(exchange(&entra, &newer).await.status, 200);
    assert_eq!(exchange(&entra, &good).await.status, 200);
}

/// An issuer of a test's own; counts what it is asked.
struct Elsewhere {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Elsewhere {
    /// `answer` gets its own address and the path asked for, and says status and body.
    async fn start(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let asked = Arc::<AtomicUsize>::default();
        let (counter, base) = (Arc::clone(&asked), url.clone());
        tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if tcp.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let (status, body) = answer(&base, head.split(' ').nth(1).unwrap_or_default());
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nlocation: /keys\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = tcp.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn token(&self, issuer: &str) -> String {
        let claims = json!({ "iss": issuer, "sub": "someone", "aud": EXCHANGE, "exp": 9_999_999_999_i64 });
        let key = SigningKey::from_pem(keys::PKCS8, None).unwrap();
        jws::sign(&Map::new(), &claims, &key, Algorithm::Rs256).unwrap()
    }
}

fn jwks() -> String {
    let key = SigningKey::from_pem(keys::PKCS8, None).unwrap();
    let (n, e) = (base64url::encode(key.public_key().n()), base64url::encode(key.public_key().e()));
    // a key that Entra cannot use stands beside, as with many issuers
    json!({ "keys": [{ "kty": "EC", "x5c": "odd", "kid": "ec" }, { "kty": "RSA", "n": n, "e": e }] }).to_string()
}

fn well(base: &str, path: &str) -> (u16, String) {
    match path {
        "/.well-known/openid-configuration" => {
            (200, json!({ "issuer": base, "jwks_uri": format!("{base}/keys") }).to_string())
        }
        "/keys" => (200, jwks()),
        _ => (404, String::new()),
    }
}

#[tokio::test]
async fn any_issuer_is_read_over_http_and_its_keys_are_kept() {
    let entra = start().await;
    let issuer = Elsewhere::start(well).await;
    // one who is not trusted is not asked
    assert_eq!(refused(&entra, &issuer.token(&issuer.url)).await.0, 700_211);
    assert_eq!(issuer.asked(), 0);
    trust(&entra, &SeedFederatedCredential::new("own", &issuer.url, "someone"));
    for _ in 0..3 {
        assert_eq!(exchange(&entra, &issuer.token(&issuer.url)).await.status, 200);
    }
    assert_eq!(issuer.asked(), 2, "metadata and keys, once");
    // invented names of keys do not flood it: a few more times, and that is all within a second
    for n in 0..20 {
        let good = issuer.token(&issuer.url);
        let forged = forged(&good, Some(&n.to_string()), Algorithm::Rs256);
        assert_eq!(refused(&entra, &forged).await.0, 700_027);
    }
    assert!((4..=10).contains(&issuer.asked()), "{}", issuer.asked());
}

#[tokio::test]
async fn an_issuer_that_cannot_be_read_is_told() {
    let entra = start_with(describe().limits(|limits| {
        limits.issuer_document = Duration::from_millis(500);
        limits.issuer_document_bytes = 4096;
    }))
    .await;
    let liar = |_: &str, _: &str| (200, json!({ "issuer": "https://liar.example", "jwks_uri": "" }).to_string());
    let far = |base: &str, _: &str| (200, json!({ "issuer": base, "jwks_uri": "http://192.0.2.1/" }).to_string());
    let redirects = |_: &str, _: &str| (302, String::new());
    let long = |_: &str, _: &str| (200, "x".repeat(5000));
    let mut issuers = vec![
        (Elsewhere::start(liar).await, "names another issuer"),
        (Elsewhere::start(far).await, "must be https"),
        (Elsewhere::start(redirects).await, "HTTP status 302"),
        (Elsewhere::start(|_, _| (503, String::new())).await, "HTTP status 503"),
        (Elsewhere::start(|_, _| (200, "<html>".into())).await, "expected value"),
        (Elsewhere::start(long).await, "longer than 4096 bytes"),
    ];
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}", nobody.local_addr().unwrap().port());
    issuers.push((Elsewhere { url, asked: Arc::default() }, "timed out"));
    for (n, (issuer, words)) in issuers.iter().enumerate() {
        trust(&entra, &SeedFederatedCredential::new(format!("issuer-{n}"), &issuer.url, "someone"));
        let (code, what, _, presented) = refused(&entra, &issuer.token(&issuer.url)).await;
        assert_eq!((code, what.as_str()), (501_661, "issuer metadata"));
        assert!(presented.contains(words), "{words}: {presented}");
    }
}

#[tokio::test]
async fn of_entras_own_tokens_an_apps_is_no_assertion() {
    let entra = start().await;
    let token = entra.granted("api://AzureADTokenExchange/.default").await;
    let claims = entra.claims(&token).await;
    let (issuer, subject) = (claims["iss"].as_str().unwrap(), claims["sub"].as_str().unwrap());
    trust(&entra, &SeedFederatedCredential::new("itself", issuer, subject));
    let (code, what, _, presented) = refused(&entra, &token).await;
    assert_eq!((code, what.as_str(), presented.as_str()), (700_226, "issued to", "Daemon"));

    // nor is a token for something else, whatever is registered
    let token = entra.granted(common::GRAPH_DEFAULT).await;
    let claims = entra.claims(&token).await;
    let audience = claims["aud"].as_str().unwrap();
    let mut graph = SeedFederatedCredential::new("graph", claims["iss"].as_str().unwrap(), subject);
    graph.audiences = vec![audience.to_owned()];
    trust(&entra, &graph);
    let (code, .., presented) = refused(&entra, &token).await;
    assert_eq!((code, presented.as_str()), (700_227, audience));

    let real = "https://login.microsoftonline.com/99999999-0000-4000-8000-000000000000/v2.0";
    trust(&entra, &SeedFederatedCredential::new("real", real, "someone"));
    let elsewhere = Elsewhere { url: String::new(), asked: Arc::default() };
    assert_eq!(refused(&entra, &elsewhere.token(real)).await.0, 700_222);
}

#[tokio::test]
async fn the_registration_has_entras_limits() {
    let entra = start().await;
    let directory = entra.emulator.directory();
    let app = DAEMON.to_string();
    let good = || SeedFederatedCredential::new("github-main_1", "https://issuer.example", "someone");
    let with = |change: fn(&mut SeedFederatedCredential)| {
        let mut credential = good();
        change(&mut credential);
        credential
    };
    for (credential, member) in [
        (with(|c| c.name = "ab".into()), "name"),
        (with(|c| c.name = "x".repeat(121)), "name"),
        (with(|c| c.name = "with space".into()), "name"),
        (with(|c| c.issuer.clear()), "issuer"),
        (with(|c| c.subject = "x".repeat(601)), "subject"),
        (with(|c| c.description = "x".repeat(601)), "description"),
        (with(|c| c.audiences.clear()), "audiences"),
        (with(|c| c.audiences.push("api://another".into())), "audiences"),
        (with(|c| c.audiences[0] = "x".repeat(601)), "audiences[0]"),
    ] {
        let error = directory.add_federated_credential(&app, &credential).unwrap_err().to_string();
        assert!(error.contains(&format!("federatedIdentityCredential.{member}: ")), "{error}");
    }
    directory.add_federated_credential(&app, &good()).unwrap();
    assert!(directory.add_federated_credential(&app, &good()).is_err(), "the name is taken");
    let same = with(|c| c.name = "another".into());
    assert!(directory.add_federated_credential(&app, &same).is_err(), "issuer and subject are taken");
    for n in 1..20 {
        let credential = SeedFederatedCredential::new(format!("number-{n}"), "https://issuer.example", n.to_string());
        directory.add_federated_credential(&app, &credential).unwrap();
    }
    let one_more = SeedFederatedCredential::new("one-more", "https://issuer.example", "20");
    assert!(directory.add_federated_credential(&app, &one_more).unwrap_err().to_string().contains("the most"));
    directory.remove_federated_credential(&app, "github-main_1").unwrap();
    assert!(directory.remove_federated_credential(&app, "github-main_1").is_err());
    let id = directory.add_federated_credential(&app, &one_more).unwrap();
    directory.remove_federated_credential(&app, &id.to_string()).unwrap();
    assert_eq!(directory.snapshot().application(DAEMON).unwrap().federated.len(), 19);
}

#[tokio::test]
async fn a_job_asks_for_its_token_as_at_github() {
    let entra = start().await;
    let job = trusted(&entra);
    let [(_, url), (_, bearer)] = &job.environment()[..] else { panic!("two variables") };
    let ask = |url: String, bearer: &str| entra.send(entra.client.get(url).bearer_auth(bearer));
    let answer = ask(format!("{url}&audience={EXCHANGE}"), bearer).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!(exchange(&entra, answer.json["value"].as_str().unwrap()).await.status, 200);
    let usual = ask(url.clone(), bearer).await.json["value"].as_str().unwrap().to_owned();
    assert_eq!(refused(&entra, &usual).await.3, "https://github.com/contoso");
    assert_eq!(ask(url.clone(), "c4n4ry-other").await.status, 401);
    assert_eq!(ask(url.replace("api-version", "version"), bearer).await.status, 400);
    let other = trusted_pipeline(&entra);
    assert_eq!(ask(url.clone(), &other.environment()[1].1).await.status, 401);
    assert_eq!(entra.send(entra.client.post(url).bearer_auth(bearer)).await.status, 405);
}

fn trusted_pipeline(entra: &Entra) -> Workload {
    let job = PipelinesJob::new("contoso", "daemon", "azure", CONNECTION);
    let workload = entra.emulator.issuer().azure_pipelines(&job);
    trust(entra, &workload.credential("pipeline"));
    workload
}

#[tokio::test]
async fn a_job_asks_for_its_token_as_at_azure_devops() {
    let entra = start().await;
    let job = trusted_pipeline(&entra);
    let [(_, url), (_, bearer)] = &job.environment()[..] else { panic!("two variables") };
    let query = format!("?api-version=7.1&serviceConnectionId={CONNECTION}");
    let ask = |query: &str, bearer: &str| {
        let request = entra.client.post(format!("{url}{query}")).bearer_auth(bearer).header("content-length", 0);
        entra.send(request.header("x-tfs-fedauthredirect", "Suppress"))
    };
    let answer = ask(&query, bearer).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!(exchange(&entra, answer.json["oidcToken"].as_str().unwrap()).await.status, 200);
    assert_eq!(ask(&query, "c4n4ry-other").await.status, 401);
    assert_eq!(ask("?serviceConnectionId=x", bearer).await.status, 400);
    assert_eq!(ask("?api-version=7.1-preview.1", bearer).await.status, 404);
    let client = common::client(&entra.emulator).redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let unannounced = client.post(format!("{url}{query}")).bearer_auth("c4n4ry-other").send().await.unwrap();
    assert_eq!(unannounced.status(), 302, "a program must say that it is one");
}

#[tokio::test]
async fn its_assertions_may_bear_the_real_names() {
    let entra = start_with(describe().workload_issuers(WorkloadIssuers::Real)).await;
    let real = SeedFederatedCredential::new(
        "as-in-the-cloud",
        "https://token.actions.githubusercontent.com",
        "repo:contoso/daemon:ref:refs/heads/main",
    );
    trust(&entra, &real);
    let job = entra.emulator.issuer().github(&job());
    assert_eq!(job.credential("as-in-the-cloud"), real);
    assert_eq!(exchange(&entra, &job.token(EXCHANGE).unwrap()).await.status, 200);
    let aks = entra.emulator.issuer().kubernetes("default", "daemon");
    assert!(aks.issuer().ends_with('/'));
    trust(&entra, &aks.credential("pod"));
    assert_eq!(exchange(&entra, &aks.token(EXCHANGE).unwrap()).await.status, 200);
}
