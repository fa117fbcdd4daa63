use std::time::Duration;

use apptoken::{AppToken, AppTokenRequest, ConfidentialClient, ErrorKind};
use apptoken_emulator::Emulator;

use crate::common::{self, CONTOSO, DAEMON, FABRIKAM, GRAPH, TODO, World, minutes};
use crate::{DISCOVERY, Entra, PRIVATE, PUBLIC, nowhere, post, until};

/// The host that was written, and the one that is asked: no word from the network is needed for that.
#[tokio::test]
async fn every_cloud_is_asked_by_its_preferred_name_and_nothing_else_is() {
    let entra = Entra::start().await;
    for (written, asked) in [
        ("login.microsoftonline.com", "login.microsoftonline.com"),
        ("login.windows.net", "login.microsoftonline.com"),
        ("login.microsoft.com", "login.microsoftonline.com"),
        ("sts.windows.net", "login.microsoftonline.com"),
        ("login.microsoftonline.us", "login.microsoftonline.us"),
        ("login.usgovcloudapi.net", "login.microsoftonline.us"),
        ("login.partner.microsoftonline.cn", "login.partner.microsoftonline.cn"),
        ("login.chinacloudapi.cn", "login.partner.microsoftonline.cn"),
        ("login-us.microsoftonline.com", "login-us.microsoftonline.com"),
        ("login.sovcloud-identity.fr", "login.sovcloud-identity.fr"),
        ("login.windows-ppe.net", "login.windows-ppe.net"),
    ] {
        let transport = entra.transport(&[asked], &[]);
        let client = entra.client(&transport).authority(format!("https://{written}")).build().unwrap();
        let token = client.acquire_token_for_client(TODO).await.unwrap_or_else(|error| panic!("{written}: {error:?}"));
        assert_eq!(transport.take(), [post(asked)], "{written}");
        assert_eq!(token.metadata().token_endpoint, format!("https://{asked}/{CONTOSO}/oauth2/v2.0/token"));
    }
}

#[tokio::test]
async fn this_machine_and_known_hosts_need_no_discovery() {
    let world = World::start().await;
    let entra = Entra::start().await;
    // not even one that could be answered
    let transport = entra.transport(&[PUBLIC, "localhost"], &[]);
    let client = entra.client(&transport).authority(entra.emulator.authority()).build().unwrap();
    client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(transport.take(), [post(&format!("localhost:{}", entra.address.port()))]);
    world.client().acquire_token_for_client(TODO).await.unwrap();
}

/// Who gets tokens from elsewhere needs no authority, and so nothing is looked up about one.
#[tokio::test]
async fn an_app_token_provider_needs_no_discovery() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[PUBLIC, PRIVATE], &[]);
    let provider = |_: AppTokenRequest| async {
        Ok::<_, std::io::Error>(AppToken::new(testkit::CANARY, Duration::from_secs(3600)))
    };
    let client = ConfidentialClient::builder(DAEMON)
        .tenant(CONTOSO)
        .app_token_provider(provider)
        .authority(format!("https://{PRIVATE}"))
        .transport(transport.clone())
        .build()
        .unwrap();
    assert_eq!(client.acquire_token_for_client(TODO).await.unwrap().secret(), testkit::CANARY);
    assert!(transport.take().is_empty());
}

#[tokio::test]
async fn an_unknown_host_is_asked_about_once_and_never_for_a_hit() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[PUBLIC, PRIVATE], &[]);
    let client = entra.client(&transport).authority(format!("https://{PRIVATE}")).build().unwrap();
    let calls = [TODO, GRAPH].into_iter().cycle().take(40).map(|scope| {
        let client = client.clone();
        tokio::spawn(async move { client.acquire_token_for_client(scope).await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let sent = transport.take();
    assert_eq!(sent[0], DISCOVERY, "before the secret goes anywhere");
    assert_eq!(sent[1..], [post(PRIVATE), post(PRIVATE)]);
    client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(transport.take().len(), 0, "a hit");
    client.acquire_token_for_client(TODO).tenant(FABRIKAM).await.unwrap();
    assert_eq!(transport.take(), [format!("POST https://{PRIVATE}/{FABRIKAM}/oauth2/v2.0/token")]);
}

#[tokio::test]
async fn a_host_that_entra_does_not_know_gets_no_secret() {
    testkit::init();
    // the one that answers for Microsoft does not know the name
    let entra = Entra::start().await;
    let stranger = Emulator::builder().seed(common::seed()).host_name("login.stranger.example").start().await.unwrap();
    let transport = entra.transport(&[PUBLIC, "login.stranger.example"], &[]);
    let builder = || entra.client(&transport).authority("https://login.stranger.example");
    let client = builder().build().unwrap();
    for _ in 0..2 {
        let error = client.acquire_token_for_client(TODO).await.unwrap_err();
        testkit::witness_error(&error);
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.denied().unwrap().error(), "invalid_instance");
        assert!(error.denied().unwrap().has_code(50049), "{error:?}");
        assert!(error.to_string().contains("https://login.stranger.example"), "{error}");
        assert!(error.advice().unwrap().contains("instance_discovery(false)"), "{error:?}");
        assert_eq!(transport.take(), [DISCOVERY], "and no token request");
    }
    // the program knows better
    let client = builder().instance_discovery(false).build().unwrap();
    let _ = client.acquire_token_for_client(TODO).await;
    assert_eq!(transport.take()[0], post("login.stranger.example"));
    drop(stranger);
}

#[tokio::test]
async fn a_discovery_that_fails_fails_no_token_and_is_tried_again_later() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[PRIVATE], &[(PUBLIC, nowhere())]);
    let client = entra.client(&transport).authority(format!("https://{PRIVATE}")).build().unwrap();
    client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(transport.take(), [DISCOVERY.to_owned(), post(PRIVATE)]);
    client.acquire_token_for_client(TODO).force_refresh(true).await.unwrap();
    assert_eq!(transport.take(), [post(PRIVATE)], "not at once");
    entra.clock.advance(minutes(11));
    client.acquire_token_for_client(TODO).force_refresh(true).await.unwrap();
    assert_eq!(transport.take(), [DISCOVERY.to_owned(), post(PRIVATE)]);
}

#[tokio::test]
async fn a_discovery_that_hangs_is_given_up() {
    let entra = Entra::start().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = entra.transport(&[PRIVATE], &[(PUBLIC, silent.local_addr().unwrap())]);
    let client = entra.client(&transport).authority(format!("https://{PRIVATE}")).build().unwrap();
    let call = tokio::spawn(async move { client.acquire_token_for_client(TODO).await });
    until(|| transport.sent.lock().unwrap().len() == 1).await;
    assert!(!call.is_finished());
    entra.clock.advance(Duration::from_secs(6));
    call.await.unwrap().unwrap();
    assert_eq!(transport.take(), [DISCOVERY.to_owned(), post(PRIVATE)]);
}

#[tokio::test]
async fn metadata_that_the_program_gives_is_not_asked_for() {
    let entra = Entra::start().await;
    let transport = entra.transport(&[PRIVATE], &[]);
    let metadata = format!(
        r#"{{ "metadata": [ {{ "preferred_network": "{PRIVATE}", "preferred_cache": "{PRIVATE}",
            "aliases": ["{PRIVATE}", "sts.contoso.example"] }} ] }}"#
    );
    let builder =
        |host: &str| entra.client(&transport).authority(format!("https://{host}")).instance_metadata(metadata.as_str());
    builder("sts.contoso.example").build().unwrap().acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(transport.take(), [post(PRIVATE)]);
    let error = builder(PUBLIC).build().unwrap_err();
    assert!(error.to_string().contains("does not list the authority's host, login.microsoftonline.com"), "{error}");
}
