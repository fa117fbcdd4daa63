use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apptoken::{AccessToken, ConfidentialClientBuilder, Environment, ErrorKind, RegionOutcome};
use apptoken_emulator::Fault;
use serde_json::json as value;

use crate::common::{GRAPH, TODO, minutes};
use crate::stub::{Seen, Stub, json};
use crate::{Entra, Noted, PUBLIC, nowhere, post, until};

const WEST: &str = "westeurope.login.microsoft.com";

fn unwell(status: u16) -> Fault {
    Fault::Status { status, retry_after: None, body: None }
}

fn region(token: &AccessToken) -> (Option<String>, RegionOutcome) {
    let metadata = token.metadata();
    (metadata.region, metadata.region_outcome)
}

fn west() -> Option<String> {
    Some("westeurope".to_owned())
}

#[tokio::test]
async fn a_region_is_asked_in_every_cloud() {
    let entra = Entra::start().await;
    for (authority, asked) in [
        ("login.microsoftonline.com", "westeurope.login.microsoft.com"),
        ("sts.windows.net", "westeurope.login.microsoft.com"),
        ("login.microsoftonline.us", "westeurope.login.microsoftonline.us"),
        ("login.chinacloudapi.cn", "westeurope.login.partner.microsoftonline.cn"),
        ("login.sovcloud-identity.de", "westeurope.login.sovcloud-identity.de"),
    ] {
        let transport = entra.transport(&[asked], &[]);
        let client =
            entra.client(&transport).authority(format!("https://{authority}")).region("WestEurope").build().unwrap();
        let token = client.acquire_token_for_client(TODO).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        assert_eq!(transport.take(), [post(asked)]);
        assert_eq!(region(&token), (west(), RegionOutcome::Named));
    }
}

#[tokio::test]
async fn a_request_names_its_own_and_all_share_the_tokens() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[PUBLIC, WEST, "eastus.login.microsoft.com"], &[]);
    let client = entra.client(&transport).region("westeurope").build().unwrap();
    client.acquire_token_for_client(TODO).region("eastus").await.unwrap();
    assert_eq!(transport.take(), [post("eastus.login.microsoft.com")]);
    let token = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(transport.take().len(), 0, "the token is the same wherever it was asked for");
    assert_eq!(region(&token), (Some("eastus".into()), RegionOutcome::Named));
    let error = client.acquire_token_for_client(GRAPH).region("east us").await.unwrap_err();
    assert_eq!((error.kind(), transport.take().len()), (ErrorKind::Configuration, 0));
    assert!(error.advice().unwrap().contains("\"eastus\""), "{error:?}");
    let error = apptoken::ConfidentialClient::builder(crate::DAEMON)
        .authority("https://fs.example/adfs")
        .client_secret(crate::secret())
        .region("westeurope")
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("an ADFS authority has no regional endpoints"), "{error}");
}

#[tokio::test]
async fn the_environment_forces_and_forbids() {
    let entra = Entra::start().await;
    for (variables, asked, outcome) in [
        (vec![("MSAL_FORCE_REGION", "westeurope")], WEST, RegionOutcome::Named),
        (vec![("MSAL_FORCE_REGION", "westeurope"), ("MSAL_DISABLE_REGION", "1")], PUBLIC, RegionOutcome::NotUsed),
        (vec![("MSAL_FORCE_REGION", "TryAutoDetect"), ("REGION_NAME", "West Europe")], WEST, RegionOutcome::Detected),
        (vec![("REGION_NAME", "West Europe")], PUBLIC, RegionOutcome::NotUsed),
    ] {
        let transport = entra.transport(&[PUBLIC, WEST], &[]);
        let client = entra.client(&transport).environment(Environment::from_iter(variables)).build().unwrap();
        let token = client.acquire_token_for_client(TODO).await.unwrap();
        assert_eq!((transport.take(), token.metadata().region_outcome), (vec![post(asked)], outcome));
    }
}

/// What goes wrong in the region; the answer comes from the global endpoint within the same call.
#[tokio::test]
async fn the_global_endpoint_stands_behind_a_region_that_is_ill() {
    let entra = Entra::start().await;
    let good = entra.transport(&[PUBLIC, WEST], &[]);
    let unreachable = entra.transport(&[PUBLIC], &[(WEST, nowhere())]);
    let faults: [(&Noted, Option<Fault>); 5] = [
        (&unreachable, None),
        (&good, Some(unwell(503))),
        (&good, Some(unwell(500))),
        (&good, Some(Fault::Reset)),
        (&good, Some(Fault::Truncated)),
    ];
    for (transport, fault) in faults {
        let client = entra.client(transport).region("westeurope").build().unwrap();
        if let Some(fault) = fault.clone() {
            entra.emulator.faults().next_token_requests(1, fault);
        }
        let token = client.acquire_token_for_client(TODO).await.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert_eq!(transport.take(), [post(WEST), post(PUBLIC)], "{fault:?}");
        assert_eq!(region(&token), (None, RegionOutcome::Ill), "{fault:?}");
    }
}

#[tokio::test]
async fn an_ill_region_is_left_alone_and_used_again_when_it_is_well() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[PUBLIC, WEST], &[]);
    let client = entra.client(&transport).region("westeurope").build().unwrap();
    let ask = || client.acquire_token_for_client(TODO).force_refresh(true);
    entra.emulator.faults().next_token_requests(1, unwell(503));
    ask().await.unwrap();
    assert_eq!(transport.take(), [post(WEST), post(PUBLIC)]);
    entra.clock.advance(Duration::from_secs(59));
    ask().await.unwrap();
    assert_eq!(transport.take(), [post(PUBLIC)], "left alone for a minute");
    entra.clock.advance(Duration::from_secs(2));
    entra.emulator.faults().next_token_requests(1, unwell(503));
    ask().await.unwrap();
    assert_eq!(transport.take(), [post(WEST), post(PUBLIC)], "tried, and still ill");
    entra.clock.advance(Duration::from_secs(61));
    ask().await.unwrap();
    assert_eq!(transport.take(), [post(PUBLIC)], "for twice as long");
    entra.clock.advance(Duration::from_secs(61));
    let token = ask().await.unwrap();
    assert_eq!((transport.take(), region(&token)), (vec![post(WEST)], (west(), RegionOutcome::Named)));
    ask().await.unwrap();
    assert_eq!(transport.take(), [post(WEST)]);
}

#[tokio::test]
async fn a_region_that_hangs_is_given_up_after_ten_seconds() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[PUBLIC, WEST], &[]);
    let client = entra.client(&transport).region("westeurope").build().unwrap();
    entra.emulator.faults().next_token_requests(1, Fault::Hang);
    let call = tokio::spawn(async move { client.acquire_token_for_client(TODO).await });
    until(|| entra.emulator.token_requests() == 1).await;
    entra.clock.advance(Duration::from_secs(9));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!call.is_finished());
    entra.clock.advance(Duration::from_secs(2));
    assert_eq!(region(&call.await.unwrap().unwrap()), (None, RegionOutcome::Ill));
    assert_eq!(transport.take(), [post(WEST), post(PUBLIC)]);
}

#[tokio::test]
async fn a_refusal_in_the_region_is_a_refusal() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[PUBLIC, WEST], &[]);
    let client = entra.client(&transport).region("westeurope").build().unwrap();
    let throttled = |seconds| Fault::Status { status: 429, retry_after: seconds, body: None };
    entra.emulator.faults().next_token_requests(1, throttled(Some(Duration::from_secs(30))));
    let error = client.acquire_token_for_client(TODO).await.unwrap_err();
    assert_eq!((error.kind(), transport.take()), (ErrorKind::Throttled, vec![post(WEST)]), "{error:?}");
    entra.emulator.faults().next_token_requests(2, throttled(Some(Duration::from_secs(3))));
    let token = client.acquire_token_for_client(GRAPH).await.unwrap();
    assert_eq!((transport.take(), region(&token)), (vec![post(WEST); 3], (west(), RegionOutcome::Named)));
    let client = entra.client(&transport).region("westeurope").tenant("nobody.example").build().unwrap();
    let error = client.acquire_token_for_client(TODO).await.unwrap_err();
    let asked = format!("POST https://{WEST}/nobody.example/oauth2/v2.0/token");
    assert_eq!((error.kind(), transport.take()), (ErrorKind::Denied, vec![asked]), "{error:?}");
}

/// A machine with an instance-metadata service, and a client on it that finds its region out.
fn on_machine(entra: &Entra, transport: &Noted, imds: &str) -> ConfidentialClientBuilder {
    let environment = Environment::from_iter([("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds)]);
    entra.client(transport).environment(environment).region_auto_detect()
}

fn compute(request: &Seen) -> bool {
    request.method == "GET"
        && request.path == "/metadata/instance/compute"
        && request.header("metadata") == Some("true")
        && request.header("x-forwarded-for").is_none()
}

fn imds_request(stub: &Stub, query: &str) -> String {
    format!("GET {}{query}", stub.url("/metadata/instance/compute"))
}

#[tokio::test]
async fn the_machine_tells_its_region_once() {
    let entra = Entra::start().await;
    let stub = Stub::start(|request| {
        assert!(compute(request) && request.query("api-version") == Some("2021-02-01"));
        json(200, &value!({ "location": "westeurope", "name": "vm" }))
    })
    .await;
    let transport = entra.transport(&[PUBLIC, WEST], &[]);
    let client = on_machine(&entra, &transport, &stub.url("")).build().unwrap();
    let token = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(transport.take(), [imds_request(&stub, "?"), post(WEST)]);
    assert_eq!(region(&token), (west(), RegionOutcome::Detected));
    entra.clock.advance(minutes(24 * 60));
    client.acquire_token_for_client(GRAPH).await.unwrap();
    assert_eq!(transport.take(), [post(WEST)]);
}

#[tokio::test]
async fn an_older_machine_names_its_own_version() {
    let entra = Entra::start().await;
    let stub = Stub::start(|request| match request.query("api-version") {
        Some("2020-06-01") => json(200, &value!({ "location": "West Europe" })),
        Some(_) => json(400, &value!({ "error": "Bad request. api-version is invalid" })),
        None => json(400, &value!({ "error": "Bad request", "newest-versions": ["2020-06-01", "2019-11-01"] })),
    })
    .await;
    let transport = entra.transport(&[PUBLIC, WEST], &[]);
    on_machine(&entra, &transport, &stub.url("")).build().unwrap().acquire_token_for_client(TODO).await.unwrap();
    let asked = [imds_request(&stub, "?"), imds_request(&stub, ""), imds_request(&stub, "?"), post(WEST)];
    assert_eq!(transport.take(), asked);
}

/// Off Azure, or while the service is ill: a token all the same, and another look later.
#[tokio::test]
async fn a_failed_detection_is_tried_again_later() {
    for status in [404, 400, 500, 200] {
        let entra = Entra::start().await;
        let well = std::sync::Arc::new(AtomicUsize::new(0));
        let told = well.clone();
        let stub = Stub::start(move |_| match told.load(Ordering::SeqCst) {
            0 => json(status, &value!({ "error": "no" })),
            _ => json(200, &value!({ "location": "westeurope" })),
        })
        .await;
        let transport = entra.transport(&[PUBLIC, WEST], &[]);
        let client = on_machine(&entra, &transport, &stub.url("")).build().unwrap();
        let ask = || client.acquire_token_for_client(TODO).force_refresh(true);
        let token = ask().await.unwrap();
        assert_eq!(region(&token), (None, RegionOutcome::NotDetected), "{status}");
        // an ill service is asked four times, behind the caller's back: the sleeps between move the clock
        let times = if status == 500 { 5 } else { 2 };
        until(|| transport.sent.lock().unwrap().len() >= times).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(transport.take().contains(&post(PUBLIC)), "{status}");
        well.store(1, Ordering::SeqCst);
        ask().await.unwrap();
        assert_eq!(transport.take(), [post(PUBLIC)], "{status}: not with every token");
        entra.clock.advance(minutes(6));
        ask().await.unwrap();
        until(|| transport.sent.lock().unwrap().len() == 2).await;
        // it was asked behind the back of that call
        for _ in 0..200 {
            if region(&ask().await.unwrap()) == (west(), RegionOutcome::Detected) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        transport.take();
        ask().await.unwrap();
        assert_eq!(transport.take(), [post(WEST)], "{status}");
    }
}

#[tokio::test]
async fn a_slow_machine_delays_the_first_token_by_a_second_and_no_other() {
    let entra = Entra::start().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = silent.local_addr().unwrap();
    let transport = entra.transport(&[PUBLIC, WEST], &[]);
    let client = on_machine(&entra, &transport, &format!("http://{address}")).build().unwrap();
    let first = client.clone();
    let call = tokio::spawn(async move { first.acquire_token_for_client(TODO).await });
    until(|| transport.sent.lock().unwrap().len() == 1).await;
    entra.clock.advance(Duration::from_millis(900));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!call.is_finished(), "it waits for a moment");
    entra.clock.advance(Duration::from_millis(200));
    assert_eq!(region(&call.await.unwrap().unwrap()), (None, RegionOutcome::NotDetected));
    transport.take();
    // the clock stands: this one waits for nothing
    let token = client.acquire_token_for_client(GRAPH).await.unwrap();
    assert_eq!((transport.take(), token.metadata().region), (vec![post(PUBLIC)], None));
}
