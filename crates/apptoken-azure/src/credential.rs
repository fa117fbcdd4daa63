use apptoken::{AccessToken, AnyClient, Error};
use azure_core::credentials::{self, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::Context;
use azure_core::http::headers::Header as _;
use azure_core::http::request::options::ClientRequestId;
use azure_core::time::OffsetDateTime;
use uuid::Uuid;

/// A credential for the clients of the Azure SDK. Cloning it counts a reference.
#[derive(Clone, Debug)]
pub struct AzureCredential {
    client: AnyClient,
    tenant: Option<String>,
}

/// A claims challenge, JSON, for [`get_token`](TokenCredential::get_token) in the context of its options: the SDK has no
/// other way to say it. The kept token is passed over.
///
/// ```no_run
/// # async fn example(credential: apptoken_azure::AzureCredential) -> azure_core::Result<()> {
/// use apptoken_azure::Claims;
/// use azure_core::credentials::{TokenCredential, TokenRequestOptions};
/// use azure_core::http::{ClientMethodOptions, Context};
///
/// let context = Context::new().with_value(Claims::new(r#"{"access_token":{"nbf":{"essential":true}}}"#));
/// let options = TokenRequestOptions { method_options: ClientMethodOptions { context } };
/// let token = credential.get_token(&["https://vault.azure.net/.default"], Some(options)).await?;
/// # let _ = token; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Claims(String);

impl Claims {
    /// From the JSON of a claims challenge.
    #[must_use]
    pub fn new(json: impl Into<String>) -> Self {
        Self(json.into())
    }
}

impl AzureCredential {
    /// Tokens of `client`: a [`ConfidentialClient`](apptoken::ConfidentialClient) in its own tenant, a
    /// [`ManagedIdentityClient`](apptoken::ManagedIdentityClient) or an
    /// [`EnvironmentClient`](apptoken::EnvironmentClient).
    #[must_use]
    pub fn new(client: impl Into<AnyClient>) -> Self {
        Self { client: client.into(), tenant: None }
    }

    /// Tokens of another tenant, for resources that live there. A managed identity has none: its tokens are refused.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    pub(crate) async fn token(
        &self,
        scopes: &[&str],
        claims: Option<&str>,
        context: &Context<'_>,
    ) -> Result<AccessToken, Error> {
        // the SDK's own id of the call finds the sign-in, when it is one that Entra takes
        let id = context.value::<ClientRequestId>().and_then(|id| Uuid::parse_str(id.value().as_str()).ok());
        match (&self.client, &self.tenant) {
            (AnyClient::Confidential(client), tenant) => {
                let mut call = client.acquire_token_for_client(scopes);
                if let Some(tenant) = tenant {
                    call = call.tenant(tenant);
                }
                if let Some(claims) = claims {
                    call = call.claims(claims);
                }
                if let Some(id) = id {
                    call = call.correlation_id(id);
                }
                call.await
            }
            (client, None) => {
                let mut call = client.acquire_token(scopes);
                if let Some(claims) = claims {
                    call = call.claims(claims);
                }
                if let Some(id) = id {
                    call = call.correlation_id(id);
                }
                call.await
            }
            (_, Some(_)) => Err(Error::configuration("a managed identity's tokens are of its platform's tenant only")),
        }
    }
}

#[async_trait::async_trait]
impl TokenCredential for AzureCredential {
    /// What the SDK says in the options' context is heeded: [`Claims`], and the `ClientRequestId` of the call as the
    /// correlation id if it is a UUID.
    ///
    /// # Errors
    /// `ErrorKind::Credential` around an [`apptoken::Error`]: find it by downcasting.
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<credentials::AccessToken> {
        let context = options.map(|options| options.method_options.context).unwrap_or_default();
        let claims = context.value::<Claims>().map(|claims| claims.0.as_str());
        self.token(scopes, claims, &context).await.map(|token| handed_over(&token)).map_err(refused)
    }
}

/// The SDK keeps a token as a plain string: the one copy of the secret that this adapter makes.
fn handed_over(token: &AccessToken) -> credentials::AccessToken {
    let expires_on = OffsetDateTime::from(token.expires_on());
    credentials::AccessToken::new(Secret::new(token.secret().to_owned()), expires_on)
}

/// The SDK shows an error's text only, so the advice goes into it.
pub(crate) fn refused(error: Error) -> azure_core::Error {
    let text = match error.advice() {
        Some(advice) => format!("{error}: {advice}"),
        None => error.to_string(),
    };
    azure_core::Error::with_error(ErrorKind::Credential, error, text)
}
