//! Credentials change while a client lives: replaced by the program, renewed on disk, given anew by a callback, refused
//! by the authority. What is sent for it is counted.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../common/mod.rs"]
mod common;
mod files;
mod refusals;
mod replaced;
mod several;
mod signer;
#[path = "../stub/mod.rs"]
mod stub;

use std::path::{Path, PathBuf};
use std::time::Duration;

use apptoken::Certificate;
use apptoken::clock::Clock;
use apptoken_emulator::Fault;
use apptoken_jose::{SigningKey, issue, jws};
use common::{DAEMON, World};
use serde_json::json;

/// A certificate in every form that a test needs.
struct Issued {
    x509: apptoken_jose::Certificate,
    key: SigningKey,
}

impl Issued {
    /// Valid from `after` from now, less an hour, for `days`.
    fn new(world: &World, name: &str, after: Duration, days: u32) -> Self {
        let (x509, key) = issue::self_signed(name, world.clock.system_time() + after, days).unwrap();
        Self { x509, key }
    }

    fn registered(self, world: &World) -> Self {
        self.register(world);
        self
    }

    fn register(&self, world: &World) {
        world.entra.directory().add_certificate(DAEMON, self.x509.subject(), &self.x509).unwrap();
    }

    fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.x509.to_pem().as_bytes(), self.key.to_pkcs8_pem().unwrap().as_bytes(), None).unwrap()
    }

    fn pem(&self) -> String {
        self.x509.to_pem() + &self.key.to_pkcs8_pem().unwrap()
    }
}

/// The `x5t#S256` of each assertion.
fn signed_by(assertions: &[String]) -> Vec<String> {
    assertions.iter().map(|text| jws::Unverified::parse(text).unwrap().header().x5t_s256.clone().unwrap()).collect()
}

fn refusal(codes: &[u32]) -> Fault {
    let body = json!({ "error": "invalid_client", "error_codes": codes, "error_description": "AADSTS: refused" });
    Fault::Status { status: 401, retry_after: None, body: Some(body.to_string()) }
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}
