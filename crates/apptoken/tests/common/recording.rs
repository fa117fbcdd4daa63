//! What a client sends.

use std::sync::{Arc, Mutex};

use apptoken::http::{Request, ReqwestTransport, Response, Transport, TransportError};
use apptoken::{ConfidentialClient, ConfidentialClientBuilder};

use super::{CONTOSO, DAEMON, World};

pub type Form = Vec<(String, String)>;

/// Passes requests on and keeps their forms.
#[derive(Clone)]
pub struct Recording {
    to: Arc<ReqwestTransport>,
    forms: Arc<Mutex<Vec<Form>>>,
}

impl Recording {
    pub fn new(world: &World) -> Self {
        let to = ReqwestTransport::builder().add_root_certificate_pem(world.entra.ca_pem().as_bytes()).unwrap().build();
        Self { to: Arc::new(to), forms: Arc::default() }
    }

    pub fn forms(&self) -> Vec<Form> {
        self.forms.lock().unwrap().clone()
    }

    pub fn assertions(&self) -> Vec<String> {
        self.forms().iter().map(|form| field(form, "client_assertion").unwrap().to_owned()).collect()
    }
}

impl Transport for Recording {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let form = url::form_urlencoded::parse(request.body()).into_owned().collect();
        self.forms.lock().unwrap().push(form);
        self.to.send(request).await
    }
}

pub fn field<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

pub fn recorded(world: &World) -> (Recording, ConfidentialClientBuilder) {
    let recording = Recording::new(world);
    let builder = ConfidentialClient::builder(DAEMON)
        .tenant(CONTOSO)
        .authority(world.entra.authority())
        .clock(world.clock.clone())
        .transport(recording.clone());
    (recording, builder)
}
