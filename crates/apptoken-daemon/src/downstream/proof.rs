//! What a call shows to the API: a token, alone or with the proof that it is the caller's own.

use apptoken::{AccessToken, AcquireTokenForClient, PopRequest};
use http::{HeaderValue, Method};
use url::Url;

/// How the token of a call is shown (`ProtocolScheme` in the settings).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolScheme {
    /// As it is (RFC 6750).
    #[default]
    Bearer,
    /// Bound to the app's certificate, which the connection to the API shows (RFC 8705). `MTLS_POP` in the settings.
    MtlsPop,
    /// Inside a signature over this one request, by the client's
    /// [`pop_key`](apptoken::ConfidentialClientBuilder::pop_key) or a key made in memory. `PoP` in the settings.
    Pop,
}

/// A token as one request carries it.
pub(super) struct Pass {
    pub(super) token: AccessToken,
    pub(super) authorization: HeaderValue,
}

impl ProtocolScheme {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let named = [("Bearer", Self::Bearer), ("MTLS_POP", Self::MtlsPop), ("PoP", Self::Pop)];
        named.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, scheme)| scheme)
    }

    pub(super) async fn pass(
        self,
        call: AcquireTokenForClient<'_>,
        method: &Method,
        url: &Url,
    ) -> Result<Pass, apptoken::Error> {
        match self {
            Self::Bearer => call.await.map(Pass::from),
            Self::MtlsPop => call.mtls_proof_of_possession().await.map(Pass::from),
            Self::Pop => {
                let signed = call.signed_http_request(PopRequest::new(method.clone(), url)?).await?;
                let authorization = signed.authorization_header();
                Ok(Pass { token: signed.access_token().clone(), authorization })
            }
        }
    }
}

impl Pass {
    /// `text` without what was shown, should an API repeat it.
    pub(super) fn taken_from(&self, text: &str) -> String {
        let shown = self.authorization.to_str().ok().and_then(|header| header.split_once(' '));
        let text = text.replace(self.token.secret(), "[the token]");
        match shown {
            Some((_, shown)) => text.replace(shown, "[the token]"),
            None => text,
        }
    }
}

impl From<AccessToken> for Pass {
    fn from(token: AccessToken) -> Self {
        Self { authorization: token.authorization_header(), token }
    }
}
