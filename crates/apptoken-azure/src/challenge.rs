use std::sync::Arc;

use apptoken::AccessToken;
use apptoken::http::claims_challenge;
use azure_core::http::headers::{AUTHORIZATION, Headers, WWW_AUTHENTICATE};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request, StatusCode};
use http::{HeaderMap, HeaderValue, header};

use crate::AzureCredential;
use crate::credential::refused;

/// Answers claims challenges (continuous access evaluation, step-up) for a client of the Azure SDK, which has no answer of
/// its own: a 401 that demands claims is sent again, once, with a token that was asked for with them.
///
/// It also puts the credential's current token in the place of the one that the SDK's client keeps, so that the token
/// that was turned down is not tried first with every call, and a token that was refreshed ahead is used at once. Requests
/// that carry no token are left alone.
///
/// ```no_run
/// # fn example(credential: apptoken_azure::AzureCredential) {
/// use std::sync::Arc;
/// use azure_core::http::ClientOptions;
///
/// let policy = credential.claims_challenges("https://vault.azure.net/.default");
/// let options = ClientOptions { per_try_policies: vec![Arc::new(policy)], ..ClientOptions::default() };
/// // SecretClientOptions { client_options: options, ..SecretClientOptions::default() }
/// # let _ = options; }
/// ```
#[derive(Clone, Debug)]
pub struct ClaimsChallengePolicy {
    credential: AzureCredential,
    scope: String,
}

impl AzureCredential {
    /// A policy for the `per_try_policies` of an SDK client's options that answers claims challenges for `scope`, the
    /// one that the SDK's client asks tokens for: `https://storage.azure.com/.default`, for example.
    #[must_use]
    pub fn claims_challenges(&self, scope: impl Into<String>) -> ClaimsChallengePolicy {
        ClaimsChallengePolicy { credential: self.clone(), scope: scope.into() }
    }
}

#[async_trait::async_trait]
#[expect(elided_lifetimes_in_paths, reason = "the trait's own form; async_trait makes another of the usual one")]
impl Policy for ClaimsChallengePolicy {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let Some((policy, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "the claims challenge policy is the last of the pipeline: it belongs into per_try_policies",
            ));
        };
        if request.headers().get_optional_str(&AUTHORIZATION).is_none() {
            return policy.send(ctx, request, rest).await;
        }
        let scopes = [self.scope.as_str()];
        // most often a hit; when there is none, the SDK's token is as good
        if let Ok(current) = self.credential.token(&scopes, None, ctx).await {
            authorize(request, &current);
        }
        let response = policy.send(ctx, request, rest).await?;
        if response.status() != StatusCode::Unauthorized {
            return Ok(response);
        }
        let Some(claims) = demanded(response.headers()) else { return Ok(response) };
        let token = self.credential.token(&scopes, Some(&claims), ctx).await.map_err(refused)?;
        authorize(request, &token);
        request.body_mut().reset().await?;
        policy.send(ctx, request, rest).await
    }
}

fn demanded(headers: &Headers) -> Option<String> {
    let line = HeaderValue::from_str(headers.get_optional_str(&WWW_AUTHENTICATE)?).ok()?;
    claims_challenge(&HeaderMap::from_iter([(header::WWW_AUTHENTICATE, line)]))
}

/// The SDK's headers are plain strings.
fn authorize(request: &mut Request, token: &AccessToken) {
    request.insert_header(AUTHORIZATION, format!("{} {}", token.token_type(), token.secret()));
}
