use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use apptoken::{CertificateFile, ErrorKind};
use apptoken_jose::pfx;
use testkit::{CANARY, keys};

use super::common::recording::recorded;
use super::common::{GRAPH, TODO, World, minutes};
use super::{Issued, signed_by, write};

const FIVE_SECONDS: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_renewed_file_is_noticed_within_five_seconds() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let [old, new] = ["old", "new"].map(|name| Issued::new(&world, name, Duration::ZERO, 30).registered(&world));
    let path = write(folder.path(), "daemon.pem", old.pem());
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(CertificateFile::new(&path)).build().unwrap();
    testkit::witness(&client);
    let before = client.credential_generation();
    let ask = async || client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();

    ask().await;
    fs::write(&path, new.pem()).unwrap();
    ask().await;
    world.advance(FIVE_SECONDS);
    ask().await;
    let [old, new] = [&old, &new].map(|issued| issued.x509.x5t_s256());
    assert_eq!(signed_by(&recording.assertions()), [old.clone(), old, new]);
    assert_ne!(client.credential_generation(), before);
    assert_eq!(world.requests(), 3);
}

#[tokio::test]
async fn a_half_written_file_leaves_the_old_certificate_in_use() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let [old, new] = ["old", "new"].map(|name| Issued::new(&world, name, Duration::ZERO, 30).registered(&world));
    let crt = write(folder.path(), "half-written.crt", old.x509.to_pem());
    let key = write(folder.path(), "half-written.key", old.key.to_pkcs8_pem().unwrap().as_bytes());
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(CertificateFile::new(&crt).key(&key)).build().unwrap();
    let ask = async || {
        world.advance(FIVE_SECONDS);
        client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    };
    ask().await;
    let pem = new.x509.to_pem();
    // cut off, then whole but with the old one's key, then gone
    fs::write(&crt, &pem[..pem.len() / 2]).unwrap();
    ask().await;
    ask().await;
    fs::write(&crt, &pem).unwrap();
    ask().await;
    fs::remove_file(&crt).unwrap();
    ask().await;
    fs::write(&crt, &pem).unwrap();
    fs::write(&key, new.key.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
    ask().await;
    let signers = signed_by(&recording.assertions());
    assert!(signers[..5].iter().all(|signer| *signer == old.x509.x5t_s256()));
    assert_eq!(signers[5], new.x509.x5t_s256());
    let logged = testkit::logged();
    let warnings = logged.lines().filter(|line| line.contains("WARN") && line.contains("half-written.crt"));
    assert_eq!(warnings.count(), 3, "one for each complaint");
}

#[tokio::test]
async fn an_expired_certificate_is_renewed_before_anything_is_sent() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let old = Issued::new(&world, "old", Duration::ZERO, 1).registered(&world);
    let new = Issued::new(&world, "new", minutes(60 * 24), 1).registered(&world);
    let password = format!("{CANARY}-pfx");
    let pfx =
        |issued: &Issued| pfx::create(&issued.key, std::slice::from_ref(&issued.x509), password.as_bytes()).unwrap();
    let path = write(folder.path(), "daemon.pfx", pfx(&old));
    let client = world.bare().certificate(CertificateFile::new(&path).password(password.clone())).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    world.advance(minutes(60 * 24 + 1));
    let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!((error.kind(), world.requests()), (ErrorKind::Credential, 1));
    assert!(error.to_string().contains("(CN=old) expired on "), "{error}");
    // the next look would be due in five seconds
    fs::write(&path, pfx(&new)).unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn what_is_not_there_or_of_no_use_is_told_when_the_client_is_built() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let certificate = write(folder.path(), "only.crt", keys::CERTIFICATE);
    let pfx = write(folder.path(), "daemon.pfx", keys::PFX);
    for (file, words) in [
        (CertificateFile::new(folder.path().join("gone.pem")), "gone.pem cannot be read"),
        (CertificateFile::new(&certificate), "only.crt cannot be used: no private key"),
        (CertificateFile::new(&pfx), "the PFX file"),
        (CertificateFile::new(&pfx).password(format!("{CANARY}-wrong")), "the password does not open it"),
    ] {
        testkit::witness(&file);
        let error = world.bare().certificate(file).build().unwrap_err();
        testkit::witness_error(&error);
        assert!(error.kind() == ErrorKind::Credential && error.to_string().contains(words), "{error}");
    }
}

/// As on Kubernetes: `AZURE_FEDERATED_TOKEN_FILE`.
#[tokio::test]
async fn a_token_file_is_read_when_its_marks_change_and_not_otherwise() {
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let (source, builder) = recorded(&world);
    let signer = builder.certificate(super::common::certificate()).build().unwrap();
    let assertion = async || {
        world.advance(minutes(9));
        signer.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
        source.assertions().pop().unwrap()
    };
    let (first, second) = (assertion().await, assertion().await);
    assert_eq!((first.len(), first == second), (second.len(), false));
    let path = write(folder.path(), "token", format!("{first}\n"));
    let (recording, builder) = recorded(&world);
    let client = builder.federated_token_file(&path).build().unwrap();
    let ask = async || client.acquire_token_for_client([GRAPH]).force_refresh(true).await;
    // the content changes and the marks do not, then the marks do
    let then = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let set_back = || File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
    set_back();
    ask().await.unwrap();
    fs::write(&path, format!("{second}\n")).unwrap();
    set_back();
    ask().await.unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(then + Duration::from_secs(1)).unwrap();
    ask().await.unwrap();
    assert_eq!(recording.assertions(), [first.clone(), first, second]);
}
