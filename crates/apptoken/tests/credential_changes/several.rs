use std::time::Duration;

use apptoken::{CertificateFile, CertificateSource, ErrorKind};

use super::common::recording::recorded;
use super::common::{DAEMON, GRAPH, TODO, World, minutes};
use super::{Issued, signed_by, write};

const DAY: Duration = minutes(60 * 24);

#[tokio::test]
async fn the_one_that_became_valid_last_is_used() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let old = Issued::new(&world, "old", Duration::ZERO, 30).registered(&world);
    let next = Issued::new(&world, "next", 2 * DAY, 30).registered(&world);
    let path = write(folder.path(), "next.pem", next.pem());
    let sources: [CertificateSource; 2] = [CertificateFile::new(path).into(), old.certificate().into()];
    let (recording, builder) = recorded(&world);
    let client = builder.certificates(sources).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    world.advance(2 * DAY);
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(signed_by(&recording.assertions()), [old.x509.x5t_s256(), next.x509.x5t_s256()]);
    testkit::witness(&client);
}

#[tokio::test]
async fn one_that_is_not_registered_yet_gives_way_for_five_minutes() {
    let world = World::start().await;
    let old = Issued::new(&world, "old", Duration::ZERO, 30).registered(&world);
    let new = Issued::new(&world, "new", minutes(30), 30);
    let (recording, builder) = recorded(&world);
    let client = builder.certificates([old.certificate(), new.certificate()]).build().unwrap();
    let signers = || signed_by(&recording.assertions());
    let (o, n) = (old.x509.x5t_s256(), new.x509.x5t_s256());
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(signers(), [n.clone(), o.clone()], "refused once, then the other");
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    assert_eq!(signers()[2..], [o]);
    world.advance(minutes(5));
    world.entra.directory().add_certificate(DAEMON, "new", &new.x509).unwrap();
    client.acquire_token_for_client([GRAPH]).force_refresh(true).await.unwrap();
    assert_eq!(signers()[3..], [n]);
}

#[tokio::test]
async fn when_none_is_valid_the_error_names_the_dates() {
    let world = World::start().await;
    let late = Issued::new(&world, "late", 9 * DAY, 30);
    let over = Issued::new(&world, "over", Duration::ZERO, 1);
    let client = world.bare().certificates([late.certificate(), over.certificate()]).build().unwrap();
    world.advance(2 * DAY);
    let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!((error.kind(), world.requests()), (ErrorKind::Credential, 0));
    let text = error.to_string();
    for words in ["none of the 2 certificates", "(CN=late) is not valid before ", "(CN=over) expired on ", " GMT"] {
        assert!(text.contains(words), "{text}");
    }
    let error = world.bare().certificates(Vec::<CertificateSource>::new()).build().unwrap_err();
    assert!(error.to_string().contains("no certificate"), "{error}");
}
