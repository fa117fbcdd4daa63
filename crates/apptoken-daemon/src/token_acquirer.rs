//! Tokens for the app that the settings describe: `ITokenAcquirer`'s counterpart.

use apptoken::{AcquireTokenForClient, ConfidentialClient, IntoScopes};

/// Gets app-only tokens for one app registration. Cloning it counts a reference.
#[derive(Clone, Debug)]
pub struct TokenAcquirer {
    client: ConfidentialClient,
}

impl TokenAcquirer {
    pub(crate) fn new(client: ConfidentialClient) -> Self {
        Self { client }
    }

    /// An app-only token for `scope`, which ends in `/.default`: kept, or from the authority. Awaiting what this returns
    /// runs it; before that it takes `tenant`, `claims`, `force_refresh` and `correlation_id`.
    ///
    /// # Errors
    /// [`apptoken::Error`], which turns into [`Error::Token`](crate::Error::Token) by `?`.
    pub fn get_token_for_app<'a>(&'a self, scope: impl IntoScopes<'a>) -> AcquireTokenForClient<'a> {
        self.client.acquire_token_for_client(scope)
    }

    /// The client behind it, for everything else.
    #[must_use]
    pub fn client(&self) -> &ConfidentialClient {
        &self.client
    }
}
