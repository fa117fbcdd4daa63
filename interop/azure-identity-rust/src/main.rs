//! `azure_identity` for Rust, unmodified, against the local Entra ID: a client secret. It does no discovery, so the
//! variables `AZURE_AUTHORITY_HOST` and `SSL_CERT_FILE`, set by `cargo xtask interop`, are all it needs.
#![expect(clippy::print_stdout, reason = "the line that `cargo xtask interop` reads")]

use std::error::Error;

use azure_core::credentials::{Secret, TokenCredential};
use azure_identity::ClientSecretCredential;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: azure-identity-rust CONNECTION_FILE")?;
    let demo: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let text = |pointer: &str| {
        demo.pointer(pointer).and_then(Value::as_str).ok_or_else(|| format!("the connection file has no {pointer}"))
    };

    let secret = Secret::new(text("/daemon/clientSecret")?.to_owned());
    let credential =
        ClientSecretCredential::new(text("/tenantId")?, text("/daemon/clientId")?.to_owned(), secret, None)?;
    let token = credential.get_token(&[text("/api/scope")?], None).await?;

    let answer = reqwest::Client::new().get(text("/api/url")?).bearer_auth(token.token.secret()).send().await?;
    let status = answer.status().as_u16();
    let todos: Value = serde_json::from_slice(&answer.bytes().await?)?;
    let claims = claims(token.token.secret())?;
    let proof = claims.get("azpacr").or_else(|| claims.get("appidacr"));
    let todos = todos.as_array().map_or(0, Vec::len);
    println!("{}", json!({ "client": "azure_identity Rust 1.0", "status": status, "todos": todos, "proof": proof }));
    Ok(())
}

fn claims(token: &str) -> Result<Value, Box<dyn Error>> {
    let encoded = token.split('.').nth(1).ok_or("the token is not a JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded)?)?)
}
