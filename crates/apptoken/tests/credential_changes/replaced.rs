use std::sync::{Arc, OnceLock};

use apptoken::http::{Request, Response, Transport, TransportError};
use apptoken::{ConfidentialClient, Credential, ErrorKind};
use testkit::CANARY;

use super::common::recording::{Recording, field, recorded};
use super::common::{CONTOSO, DAEMON, GRAPH, TODO, World, certificate, minutes, secret};

fn rotated() -> String {
    format!("{CANARY}-rotated")
}

#[tokio::test]
async fn a_new_secret_is_used_from_the_next_request_on() {
    let world = World::start().await;
    let (recording, builder) = recorded(&world);
    let client = builder.client_secret(secret()).build().unwrap();
    let held = client.acquire_token_for_client([TODO]).await.unwrap();
    let (source, before) = (client.token_source(TODO).unwrap(), client.credential_generation());
    world.entra.directory().add_secret_text(DAEMON, "rotated", &rotated(), minutes(600)).unwrap();

    client.replace_credential(Credential::client_secret(rotated())).unwrap();
    assert_ne!(client.credential_generation(), before);
    assert_eq!(source.token().await.unwrap().secret(), held.secret(), "tokens in hand stay");
    assert_eq!(recording.forms().len(), 1);
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    assert_eq!(field(&recording.forms()[1], "client_secret"), Some(&*rotated()));

    // a credential of another kind will do, and one that cannot be used changes nothing
    client.replace_credential(Credential::certificate(certificate())).unwrap();
    let generation = client.credential_generation();
    let error = client.replace_credential(Credential::client_secret(" ")).unwrap_err();
    assert_eq!((error.kind(), client.credential_generation()), (ErrorKind::Credential, generation));
    client.acquire_token_for_client([GRAPH]).force_refresh(true).await.unwrap();
    assert!(field(&recording.forms()[2], "client_assertion").is_some());
    testkit::witness(&client);
    testkit::witness(&Credential::client_secret(rotated()));
}

/// Replaces the client's credential while the first request is on its way.
#[derive(Clone)]
struct Meanwhile {
    to: Recording,
    client: Arc<OnceLock<ConfidentialClient>>,
    with: String,
}

impl Transport for Meanwhile {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if self.to.forms().is_empty() {
            self.client.get().unwrap().replace_credential(Credential::client_secret(self.with.clone())).unwrap();
        }
        self.to.send(request).await
    }
}

#[tokio::test]
async fn a_request_in_flight_ends_with_what_it_began_with() {
    for (old_is_good, requests) in [(true, 1), (false, 2)] {
        let world = World::start().await;
        world.entra.directory().add_secret_text(DAEMON, "rotated", &rotated(), minutes(600)).unwrap();
        let to = Recording::new(&world);
        let transport = Meanwhile { to: to.clone(), client: Arc::default(), with: rotated() };
        let old = if old_is_good { secret() } else { format!("{CANARY}-removed").into() };
        let client = ConfidentialClient::builder(DAEMON)
            .tenant(CONTOSO)
            .authority(world.entra.authority())
            .clock(world.clock.clone())
            .transport(transport.clone())
            .client_secret(old.clone())
            .build()
            .unwrap();
        transport.client.set(client.clone()).unwrap();
        client.acquire_token_for_client([TODO]).await.unwrap();
        let sent = to.forms().iter().map(|form| field(form, "client_secret").unwrap().to_owned()).collect::<Vec<_>>();
        let want = [apptoken::ExposeSecret::expose_secret(&old).to_owned(), rotated()];
        assert_eq!(sent, want[..requests], "an old one that is refused gives way to the new one");
    }
}

#[tokio::test]
async fn a_secret_that_is_refused_and_was_not_replaced_is_sent_once() {
    let world = World::start().await;
    let client = world.bare().client_secret(format!("{CANARY}-wrong")).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap_err();
    assert_eq!(world.requests(), 1);
}
