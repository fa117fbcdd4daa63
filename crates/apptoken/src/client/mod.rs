//! What a program holds: [`ConfidentialClient`], and [`TokenSource`] for one scope.

mod acquire_token;
mod assertions;
mod builder;
mod environment_client;
mod managed_identity;
mod options;
mod proof;
mod request;
mod selection;
mod source;

use std::fmt;
use std::sync::Arc;

pub use acquire_token::AcquireToken;
pub use builder::ConfidentialClientBuilder;
use builder::Place;
pub use environment_client::{AnyClient, EnvironmentClient, EnvironmentClientBuilder};
pub use managed_identity::{ManagedIdentityClient, ManagedIdentityClientBuilder};
pub use proof::AcquireSignedHttpRequest;
pub use request::{Acquire, AcquireTokenForClient};
pub use selection::{EnvironmentCredential, Selection};
pub use source::TokenSource;

use crate::Error;
use crate::acquire::Inner;
use crate::cache::MemoryCounters;
use crate::credential::Credential;
use crate::environment::Environment;
use crate::issuer::App;
use crate::scope::IntoScopes;

/// An app that signs in as itself, and the tokens that it holds. Cloning it counts a reference; make one and keep it.
///
/// ```no_run
/// # async fn example() -> Result<(), apptoken::Error> {
/// use apptoken::ConfidentialClient;
///
/// let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
///     .tenant("contoso.onmicrosoft.com")
///     .client_secret(std::env::var("CLIENT_SECRET").unwrap_or_default())
///     .build()?;
/// let token = client.acquire_token_for_client(["https://graph.microsoft.com/.default"]).await?;
/// # let _ = token; Ok(()) }
/// ```
#[derive(Clone)]
pub struct ConfidentialClient {
    inner: Arc<Inner>,
    app: Arc<App>,
    /// What it was built from, for others beside it.
    place: Arc<Place>,
    environment: Environment,
}

impl ConfidentialClient {
    /// Begins a client for the app registration with this Application (client) ID.
    pub fn builder(client_id: impl Into<String>) -> ConfidentialClientBuilder {
        ConfidentialClientBuilder::new(client_id.into())
    }

    /// An app-only token for `scopes`, which is one scope of the form `<resource>/.default`: kept, or from the authority
    /// by the client-credentials grant (RFC 6749 §4.4). Awaiting what this returns runs it.
    ///
    /// The token is valid for five minutes and more; when the authority cannot give a new one, for less, and
    /// [marked so](crate::Metadata::stale). A hit neither locks nor allocates. However many callers want the same token,
    /// one request is sent, and dropping one caller's future disturbs no other.
    ///
    /// # Errors
    /// [`Error`]: a wrong scope or tenant is refused before anything is sent.
    pub fn acquire_token_for_client<'a>(&'a self, scopes: impl IntoScopes<'a>) -> AcquireTokenForClient<'a> {
        AcquireTokenForClient::new(&self.inner, scopes.into_scopes())
    }

    /// A handle for one scope in the client's own tenant, for whoever asks often: it skips even the lookup.
    ///
    /// # Errors
    /// A wrong scope.
    pub fn token_source<'a>(&self, scope: impl IntoScopes<'a>) -> Result<TokenSource, Error> {
        TokenSource::new(&self.inner, &scope.into_scopes())
    }

    /// Proves the app by another credential from the next request on: a rotated secret, a renewed certificate. Tokens in
    /// hand stay, and a request in flight ends with the credential that it began with; only if the authority refuses
    /// that one, it is sent again with the new one.
    ///
    /// ```no_run
    /// # fn example(client: apptoken::ConfidentialClient, rotated: String) -> Result<(), apptoken::Error> {
    /// client.replace_credential(apptoken::Credential::client_secret(rotated))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The credential cannot be used; the old one stays.
    pub fn replace_credential(&self, credential: Credential) -> Result<(), Error> {
        self.app.credential.replace(credential, &*self.inner.clock)
    }

    /// Another number for each credential that this client has had: replaced by the program, or found renewed on disk.
    #[must_use]
    pub fn credential_generation(&self) -> u64 {
        self.app.credential.generation()
    }

    /// The Application (client) ID.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.app.client_id
    }

    /// The tenant of requests that name none.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.inner.home.as_str()
    }

    /// Forgets all tokens in memory, for example after the app's permissions have changed: the next calls ask for new ones,
    /// or look into the second level if there is one ([`remove_tokens_for_client`](Self::remove_tokens_for_client)). Requests
    /// that are in flight serve those who wait for them, and what they bring is not kept.
    pub fn clear_tokens(&self) {
        self.inner.memory.clear(None);
    }

    /// Forgets the tokens of one tenant, as calls named it.
    pub fn clear_tokens_of(&self, tenant: &str) {
        self.inner.memory.clear(Some(tenant));
    }

    /// Forgets all tokens of this app at its authority in all levels: in memory as [`clear_tokens`](Self::clear_tokens)
    /// does, and in the second level of the [`TokenCache`](crate::cache::TokenCache) those that this process has used; in
    /// a file of the MSALs all that are the app's. Returns false when the second level could not be told.
    pub async fn remove_tokens_for_client(&self) -> bool {
        crate::acquire::forget(&self.inner).await
    }

    /// What this client's memory holds, and how it has fared; for a client with a
    /// [`token_cache`](ConfidentialClientBuilder::token_cache) those of all its clients.
    #[must_use]
    pub fn memory_counters(&self) -> MemoryCounters {
        self.inner.memory.counters()
    }

    /// How many tokens are kept, expired ones included. They are counted one by one.
    #[must_use]
    pub fn cached_tokens(&self) -> usize {
        self.inner.memory.tokens()
    }
}

impl fmt::Debug for ConfidentialClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfidentialClient")
            .field("client_id", &self.app.client_id)
            .field("authority", &self.app.endpoints.authority().origin())
            .field("tenant", &self.tenant())
            .field("credential", &self.app.credential)
            .field("cached_tokens", &self.cached_tokens())
            .finish_non_exhaustive()
    }
}
