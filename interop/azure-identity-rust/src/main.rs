//! `azure_identity` for Rust, unmodified: plays the cases that `cargo xtask interop` wrote down; one line of JSON for
//! each. It does no discovery, so the variables `AZURE_AUTHORITY_HOST` and `SSL_CERT_FILE`, set there, are all it needs.
#![expect(clippy::print_stdout, reason = "the lines that `cargo xtask interop` reads")]

mod job;

use std::error::Error;
use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::ClientMethodOptions;
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use self::job::{Case, Credential, Job};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: azure-identity-rust JOB")?;
    let Job { cases } = serde_json::from_slice(&std::fs::read(file)?)?;
    println!("{}", json!({ "client": "azure_identity Rust 1.0" }));
    for case in &cases {
        let mut came = match play(case).await {
            Ok(came) => came,
            Err(error) => match error.downcast::<azure_core::Error>() {
                Ok(error) => json!({ "raised": raised(&error) }),
                Err(other) => return Err(other),
            },
        };
        came["case"] = case.id.as_str().into();
        println!("{came}");
    }
    Ok(())
}

/// Two requests for one token, which the API is called with.
async fn play(case: &Case) -> Result<Value, Box<dyn Error>> {
    let credential = credential(case)?;
    let ask = async || credential.get_token(&[&case.scope], None).await;
    let token = match ask().await {
        Ok(token) => token.token,
        Err(error) if case.again => {
            let again = ask().await.err();
            return Ok(json!({ "raised": raised(&error), "raisedAgain": again.as_ref().map(raised) }));
        }
        Err(error) => return Err(error.into()),
    };
    let cached = ask().await?.token.secret() == token.secret();
    let answer = reqwest::Client::new().get(&case.call.url).bearer_auth(token.secret()).send().await?;
    Ok(json!({ "claims": claims(token.secret())?, "cached": cached, "api": answer.status().as_u16() }))
}

fn credential(case: &Case) -> Result<Arc<dyn TokenCredential>, Box<dyn Error>> {
    let Case { tenant, client_id, .. } = case;
    Ok(match &case.credential {
        Credential::Secret { secret } => {
            ClientSecretCredential::new(tenant, client_id.clone(), Secret::new(secret.clone()), None)?
        }
        Credential::Assertion { assertion } => {
            ClientAssertionCredential::new(tenant.clone(), client_id.clone(), Fixed(assertion.clone()), None)?
        }
        Credential::Federated { token_file } => {
            WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                client_id: Some(client_id.clone()),
                tenant_id: Some(tenant.clone()),
                token_file_path: Some(token_file.clone()),
                ..WorkloadIdentityCredentialOptions::default()
            }))?
        }
        Credential::ManagedIdentity => ManagedIdentityCredential::new(None)?,
    })
}

/// An assertion that somebody else made.
#[derive(Debug)]
struct Fixed(String);

#[async_trait::async_trait]
impl ClientAssertion for Fixed {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.clone())
    }
}

/// What the error shows: its kind, its text, and of the HTTP answer, which is an error within it, status and codes.
fn raised(error: &azure_core::Error) -> Value {
    let inner = error.source().and_then(|inner| inner.downcast_ref::<azure_core::Error>());
    let (status, codes) = match inner.unwrap_or(error).kind() {
        ErrorKind::HttpResponse { status, error_code, .. } => {
            let codes =
                error_code.iter().flat_map(|codes| codes.split(',')).filter_map(|code| code.trim().parse().ok());
            (Some(u16::from(*status)), Some(codes.collect::<Vec<u32>>()))
        }
        _ => (None, None),
    };
    json!({ "type": format!("{:?}", error.kind()), "text": error.to_string(), "status": status, "codes": codes })
}

fn claims(token: &str) -> Result<Value, Box<dyn Error>> {
    let encoded = token.split('.').nth(1).ok_or("the token is not a JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded)?)?)
}
