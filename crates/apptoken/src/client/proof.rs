//! Tokens that are worth nothing without a key.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::AcquireTokenForClient;
use crate::issuer::Issuer;
use crate::pop::{PopKey, PopRequest, SignedHttpRequest};
use crate::{ConfidentialClientBuilder, Error};

/// # Proof of possession
///
/// A token that is bound to a key (its claim `cnf`, RFC 7800) is of no use to who steals it.
impl<'a> AcquireTokenForClient<'a> {
    /// A token that is bound to the client's certificate, which proves the app on TLS (RFC 8705): for an API to which
    /// connections show the same certificate, [`AccessToken::binding_certificate`](crate::AccessToken::binding_certificate).
    /// The scheme of its header is `mtls_pop`. Another certificate, such as a renewed one, has another token; one that a
    /// callback gives is asked for with each token request, once, and the token in hand serves until it is due.
    ///
    /// Needs a certificate as the credential, or a
    /// [`bound_client_assertion`](ConfidentialClientBuilder::bound_client_assertion); anything else is refused, and so is
    /// an authority without an endpoint for mutual TLS.
    pub fn mtls_proof_of_possession(mut self) -> Self {
        let certificate = match &self.client.issuer {
            Issuer::Authority(app) => app.credential.current().binding(&*self.client.clock),
            Issuer::ManagedIdentity(_) => {
                Err(Error::configuration("a managed identity's tokens are not bound to certificates"))
            }
        };
        let x5t_s256 = certificate.map(|certificate| certificate.map(|certificate| certificate.leaf().x5t_s256()));
        self.options().bound_to_certificate(x5t_s256);
        self
    }

    /// A token that goes with a signature over one request to the API (MSAL's signed HTTP request, scheme `PoP`). The
    /// token is kept by the key's id, and each call signs anew. The key is the client's
    /// [`pop_key`](ConfidentialClientBuilder::pop_key), or one made in memory and replaced every eight hours.
    ///
    /// ```no_run
    /// # async fn example(client: apptoken::ConfidentialClient) -> Result<(), apptoken::Error> {
    /// use apptoken::PopRequest;
    ///
    /// let request = PopRequest::new(http::Method::GET, "https://api.contoso.com/todolist")?;
    /// let signed = client.acquire_token_for_client("api://todolist/.default").signed_http_request(request).await?;
    /// let header = signed.authorization_header(); // `PoP …`, for this one request
    /// # let _ = header; Ok(()) }
    /// ```
    pub fn signed_http_request(self, request: PopRequest) -> AcquireSignedHttpRequest<'a> {
        AcquireSignedHttpRequest { call: self, request }
    }

    /// A token bound to `key`, for a program that signs its requests by itself. See
    /// [`signed_http_request`](Self::signed_http_request), which does both.
    pub fn bound_to(mut self, key: &PopKey) -> Self {
        self.options().bound_to_key(key.id());
        self
    }
}

impl ConfidentialClientBuilder {
    /// Signs [requests](AcquireTokenForClient::signed_http_request) with this key. Default: one made in memory when it is
    /// first needed, and replaced every eight hours.
    pub fn pop_key(mut self, key: PopKey) -> Self {
        self.pop_key = Some(key);
        self
    }
}

/// One call for a signed request; `.await` runs it.
#[must_use = "awaiting it runs it"]
pub struct AcquireSignedHttpRequest<'a> {
    call: AcquireTokenForClient<'a>,
    request: PopRequest,
}

impl<'a> IntoFuture for AcquireSignedHttpRequest<'a> {
    type Output = Result<SignedHttpRequest, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { call, request } = self;
            let client = call.client;
            let Issuer::Authority(app) = &client.issuer else {
                return Err(Error::configuration("a managed identity's tokens are not bound to keys"));
            };
            let key = app.pop_keys.current(client.clock.now()).await?;
            let token = call.bound_to(&key).await?;
            request.sign(&key, token, client.clock.system_time()).await
        })
    }
}

impl fmt::Debug for AcquireSignedHttpRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireSignedHttpRequest").field("call", &self.call).field("request", &self.request).finish()
    }
}
