//! What Graph makes is not known to the token endpoint before the replication delay has passed.

use std::time::Duration;

use apptoken_emulator::seed::SeedReplicationDelay;
use apptoken_emulator::{GithubJob, Workload};
use apptoken_jose::{Algorithm, jws};
use serde_json::{Map, Value, json};

use crate::automation::{GRAPH_ID, base64, sign_in};
use crate::common::{API_V2_DEFAULT, CONTOSO, DaemonKey, daemon_key, form};
use crate::desk::{Desk, text};

const DELAY: u32 = 30;

/// With a delay, and a clock that stands still.
async fn slow() -> Desk {
    let desk = Desk::open().await;
    desk.entra.emulator.clock().freeze();
    let delay = SeedReplicationDelay { seconds: DELAY, ..Default::default() };
    desk.entra.emulator.faults().replication_delays(vec![delay]);
    desk
}

fn wait(desk: &Desk) {
    desk.entra.emulator.clock().advance(Duration::from_secs(DELAY.into()));
}

#[tokio::test]
async fn a_certificate_however_it_came() {
    let desk = slow().await;
    let emulator = &desk.entra.emulator;
    let [with_it, patched, added] = [(); 3].map(|()| daemon_key(emulator));
    let credential = |key: &DaemonKey| json!({ "type": "AsymmetricX509Cert", "usage": "Verify", "key": base64(key.certificate.der()), "displayName": "k" });

    let made = json!({ "displayName": "Slow", "keyCredentials": [credential(&with_it)] });
    let made = desk.post("applications", made).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let (id, client_id) = (text(&made.json["id"]), text(&made.json["appId"]));
    let path = format!("applications/{id}");
    assert_eq!(desk.post("servicePrincipals", json!({ "appId": client_id })).await.status, 201);
    let status = async |key: &DaemonKey| sign_in(&desk, &client_id, key).await;
    assert_eq!(status(&with_it).await, 401);
    wait(&desk);
    assert_eq!(status(&with_it).await, 200);

    // whole, as it was read: that one is nothing new
    let first = desk.get(&format!("{path}?$select=keyCredentials")).await.json["keyCredentials"][0].clone();
    let change = json!({ "keyCredentials": [first, credential(&patched)] });
    assert_eq!(desk.patch(&path, change).await.status, 204);
    assert_eq!((status(&with_it).await, status(&patched).await), (200, 401));
    wait(&desk);
    assert_eq!(status(&patched).await, 200);

    let now = emulator.clock().now_unix();
    let claims = json!({ "aud": GRAPH_ID, "iss": id, "nbf": now, "exp": now + 600 });
    let proof = jws::sign(&Map::new(), &claims, &with_it.key, Algorithm::Rs256).unwrap();
    let add = json!({ "keyCredential": credential(&added), "proof": proof });
    assert_eq!(desk.post(&format!("{path}/addKey"), add).await.status, 200);
    assert_eq!((status(&patched).await, status(&added).await), (200, 401));
    wait(&desk);
    assert_eq!(status(&added).await, 200);
}

#[tokio::test]
async fn a_federated_credential_and_each_change_of_whom_it_trusts() {
    let desk = slow().await;
    let (id, client_id) = desk.application("Slow").await;
    assert_eq!(desk.post("servicePrincipals", json!({ "appId": client_id })).await.status, 201);
    let job = |branch: &str| desk.entra.emulator.issuer().github(&GithubJob::new("contoso/daemon").branch(branch));
    let (main, release) = (job("main"), job("release"));
    let code = async |job: &Workload| {
        let assertion = job.token("api://AzureADTokenExchange").unwrap();
        let form = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &client_id),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
            ("scope", API_V2_DEFAULT),
        ]);
        let answer = desk.entra.send(desk.entra.post(&format!("/{CONTOSO}/oauth2/v2.0/token"), form)).await;
        answer.json["error_codes"][0].clone()
    };

    let path = format!("applications/{id}/federatedIdentityCredentials");
    let credential = json!({ "name": "job", "issuer": main.issuer(), "subject": main.subject(), "audiences": ["api://AzureADTokenExchange"] });
    assert_eq!(desk.post(&path, credential).await.status, 201);
    let one = format!("{path}/job");
    assert_eq!(code(&main).await, 70021);
    // words for people make it neither older nor younger
    assert_eq!(desk.patch(&one, json!({ "description": "x" })).await.status, 204);
    assert_eq!(code(&main).await, 70021);
    wait(&desk);
    assert_eq!(code(&main).await, Value::Null);
    assert_eq!(desk.patch(&one, json!({ "description": "y" })).await.status, 204);
    assert_eq!(code(&main).await, Value::Null);

    assert_eq!(desk.patch(&one, json!({ "subject": release.subject() })).await.status, 204);
    assert_eq!(code(&release).await, 70021);
    wait(&desk);
    assert_eq!(code(&release).await, Value::Null);
}
