//! `azure_identity` for Rust as in Microsoft's samples: it knows tenant, client id and secret, or on a machine with an
//! identity nothing at all.
#![expect(clippy::print_stdout, reason = "the line that `cargo xtask interop` reads")]

use std::env;
use std::error::Error;
use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_identity::{ClientSecretCredential, ManagedIdentityCredential};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = env::var("AZURE_CLIENT_SECRET").ok();
    let credential: Arc<dyn TokenCredential> = match &secret {
        Some(secret) => of_secret(secret)?,
        None => ManagedIdentityCredential::new(None)?,
    };
    let api = credential.get_token(&["api://todolist/.default"], None).await?;
    let graph = credential.get_token(&["https://graph.microsoft.com/.default"], None).await?;
    let users = reqwest::Client::new().get("https://graph.microsoft.com/v1.0/users").bearer_auth(graph.token.secret());
    let users: Value = serde_json::from_slice(&users.send().await?.bytes().await?)?;
    let names = users["value"].as_array().into_iter().flatten().map(|user| &user["displayName"]);
    let refused = match &secret {
        Some(_) => of_secret("not the secret")?
            .get_token(&["api://todolist/.default"], None)
            .await
            .err()
            .map(|e| e.to_string()),
        None => None,
    };
    println!(
        "{}",
        json!({
            "client": "azure_identity Rust 1.0", "claims": claims(api.token.secret())?,
            "users": names.collect::<Vec<_>>(), "refused": refused,
        })
    );
    Ok(())
}

fn of_secret(secret: &str) -> Result<Arc<ClientSecretCredential>, Box<dyn Error>> {
    let (tenant, client) = (env::var("AZURE_TENANT_ID")?, env::var("AZURE_CLIENT_ID")?);
    Ok(ClientSecretCredential::new(&tenant, client, Secret::new(secret.to_owned()), None)?)
}

fn claims(token: &str) -> Result<Value, Box<dyn Error>> {
    let encoded = token.split('.').nth(1).ok_or("the token is not a JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded)?)?)
}
