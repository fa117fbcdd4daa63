use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apptoken::{AssertionRequest, Certificate, CertificateFile, Error};

use super::common::recording::recorded;
use super::common::{CONTOSO, DAEMON, GRAPH, TODO, World, minutes};
use super::{Issued, refusal, signed_by, write};

/// The file on disk when the authority refuses the certificate in use: what is sent, and what comes of it.
#[tokio::test]
async fn a_refused_certificate_is_read_again_and_sent_once_more_if_it_differs() {
    for (on_disk, requests, succeeds) in [("the same", 1, false), ("registered", 2, true), ("unregistered", 2, false)] {
        let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
        let old = Issued::new(&world, "old", Duration::ZERO, 30);
        let path = write(folder.path(), "daemon.pem", old.pem());
        let client = world.bare().certificate(CertificateFile::new(&path)).build().unwrap();
        match on_disk {
            "the same" => fs::write(&path, old.pem() + "\n").unwrap(),
            name => {
                let new = Issued::new(&world, name, Duration::ZERO, 30);
                let new = if name == "registered" { new.registered(&world) } else { new };
                fs::write(&path, new.pem()).unwrap();
            }
        }
        let outcome = client.acquire_token_for_client([TODO]).await;
        assert_eq!((outcome.is_ok(), world.requests()), (succeeds, requests), "{on_disk}");
    }
}

/// By exact number: AADSTS7000271 is not 700027.
#[tokio::test]
async fn only_the_codes_of_a_bad_certificate_make_it_be_read_again() {
    let issued: [Issued; 2] = {
        let world = World::start().await;
        ["old", "new"].map(|name| Issued::new(&world, name, Duration::ZERO, 30))
    };
    for (code, requests) in [
        (700_024, 2),
        (700_027, 2),
        (1_000_502, 2),
        (7_000_214, 2),
        (7_000_274, 2),
        (7_000_277, 2),
        (7_000_271, 1),
        (70_002, 1),
        (7_000_215, 1),
        (7_000_222, 1),
        (700_016, 1),
        (50_012, 1),
    ] {
        let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
        let [old, new] = &issued;
        [old, new].iter().for_each(|issued| issued.register(&world));
        let path = write(folder.path(), "daemon.pem", old.pem());
        let client = world.bare().certificate(CertificateFile::new(&path)).build().unwrap();
        fs::write(&path, new.pem()).unwrap();
        world.entra.faults().next_token_requests(1, refusal(&[code]));
        let outcome = client.acquire_token_for_client([TODO]).await;
        assert_eq!((outcome.is_ok(), world.requests()), (requests == 2, requests), "AADSTS{code}");
    }
}

#[tokio::test]
async fn an_assertion_out_of_its_time_is_made_anew_once_if_it_was_reused() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(super::common::certificate()).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    world.entra.faults().next_token_requests(1, refusal(&[700_024]));
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    let assertions = recording.assertions();
    assert_eq!((assertions.len(), &assertions[0]), (3, &assertions[1]));
    assert_ne!(assertions[1], assertions[2]);
    // one just made would be refused again
    world.advance(minutes(9));
    world.entra.faults().next_token_requests(9, refusal(&[700_024]));
    client.acquire_token_for_client([GRAPH]).force_refresh(true).await.unwrap_err();
    assert_eq!(recording.assertions().len(), 4);
}

#[tokio::test]
async fn a_callback_gives_a_certificate_for_each_request_and_another_after_a_refusal() {
    let world = World::start().await;
    let [old, new] = ["old", "new"].map(|name| Issued::new(&world, name, Duration::ZERO, 30));
    let (old, new) = (old.registered(&world), new.registered(&world));
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let given: [Certificate; 2] = [old.certificate(), new.certificate()];
    let (recording, builder) = recorded(&world);
    let client = builder
        .certificate_callback(move |request: AssertionRequest| {
            assert_eq!((request.client_id.as_str(), request.tenant.as_str()), (DAEMON, CONTOSO));
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let certificate = given[usize::from(number >= 2)].clone();
            async move { Ok::<_, Error>(certificate) }
        })
        .build()
        .unwrap();
    testkit::witness(&client);
    client.acquire_token_for_client([TODO]).await.unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "never on a hit");
    // the second request is refused: the third certificate comes to its help
    world.entra.directory().remove_certificate(DAEMON, &old.x509.thumbprint_hex()).unwrap();
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    let assertions = recording.assertions();
    assert_eq!((assertions.len(), asked.load(Ordering::SeqCst)), (3, 3));
    assert_eq!(assertions[0], assertions[1], "the same certificate: the same assertion");
    assert_eq!(signed_by(&assertions)[2], new.x509.x5t_s256());
    let failing = world.bare().certificate_callback(|_| async { Err::<Certificate, _>("the vault is sealed") });
    let error = failing.build().unwrap().acquire_token_for_client([TODO]).await.unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the vault is sealed");
}

#[tokio::test]
async fn an_assertion_callback_is_asked_once_more_and_what_it_gives_sent_if_it_differs() {
    let world = World::start().await;
    let (source, builder) = recorded(&world);
    builder.certificate(super::common::certificate()).build().unwrap().acquire_token_for_client([TODO]).await.unwrap();
    let good = source.assertions().remove(0);
    let stranger = Issued::new(&world, "stranger", Duration::ZERO, 30).certificate();
    let (source, builder) = recorded(&world);
    builder.certificate(stranger).build().unwrap().acquire_token_for_client([TODO]).await.unwrap_err();
    let bad = source.assertions().remove(0);
    for (gives, requests) in [([bad.clone(), good], 2), ([bad.clone(), bad], 1)] {
        let (recording, builder) = recorded(&world);
        let number = Arc::new(AtomicUsize::new(0));
        let client = builder
            .client_assertion(move |_| {
                let assertion = gives[number.fetch_add(1, Ordering::SeqCst)].clone();
                async move { Ok::<_, Error>(assertion) }
            })
            .build()
            .unwrap();
        let outcome = client.acquire_token_for_client([TODO]).await;
        assert_eq!((outcome.is_ok(), recording.forms().len()), (requests == 2, requests));
    }
}
