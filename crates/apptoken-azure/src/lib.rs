//! [`apptoken`] as the `TokenCredential` of the Azure SDK for Rust: its clients take tokens from a
//! [`ConfidentialClient`], with the client's cache, its one request for many callers, and its certificates without
//! OpenSSL.
//!
//! ```no_run
//! # fn example(client: apptoken::ConfidentialClient) {
//! use std::sync::Arc;
//! use apptoken_azure::AzureCredential;
//! use azure_core::credentials::TokenCredential;
//!
//! let credential: Arc<dyn TokenCredential> = Arc::new(AzureCredential::new(client));
//! // BlobServiceClient::new(url, Some(credential), None), SecretClient::new(url, credential, None), …
//! # let _ = credential; }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

use apptoken::{AccessToken, ConfidentialClient, Error};
use azure_core::credentials::{self, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;

/// An app's credential for the clients of the Azure SDK. Cloning it counts a reference.
#[derive(Clone, Debug)]
pub struct AzureCredential {
    client: ConfidentialClient,
    tenant: Option<String>,
}

impl AzureCredential {
    /// Tokens of `client`, in its own tenant.
    #[must_use]
    pub fn new(client: ConfidentialClient) -> Self {
        Self { client, tenant: None }
    }

    /// Tokens of another tenant, for resources that live there.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }
}

#[async_trait::async_trait]
impl TokenCredential for AzureCredential {
    /// The SDK passes on neither claims nor tenant, and asks again five minutes before the token's end at the latest.
    ///
    /// # Errors
    /// `ErrorKind::Credential` around an [`apptoken::Error`]: find it by downcasting.
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<credentials::AccessToken> {
        let mut call = self.client.acquire_token_for_client(scopes);
        if let Some(tenant) = &self.tenant {
            call = call.tenant(tenant);
        }
        call.await.map(|token| handed_over(&token)).map_err(refused)
    }
}

/// The SDK keeps a token as a plain string: the one copy of the secret that this adapter makes.
fn handed_over(token: &AccessToken) -> credentials::AccessToken {
    let expires_on = OffsetDateTime::from(token.expires_on());
    credentials::AccessToken::new(Secret::new(token.secret().to_owned()), expires_on)
}

/// The SDK shows an error's text only, so the advice goes into it.
fn refused(error: Error) -> azure_core::Error {
    let text = match error.advice() {
        Some(advice) => format!("{error}: {advice}"),
        None => error.to_string(),
    };
    azure_core::Error::with_error(ErrorKind::Credential, error, text)
}
