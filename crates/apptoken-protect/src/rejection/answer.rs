//! A refusal as an HTTP answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::Rejection;
use crate::challenge::Challenge;

impl Rejection {
    /// The whole answer: status, a `WWW-Authenticate` for each way in, and an RFC 9457 body. A guard without a challenge
    /// (a router set up wrongly) leaves that header out.
    pub(crate) fn response<'a>(
        &self,
        challenges: impl IntoIterator<Item = &'a Arc<Challenge>>,
    ) -> Response<Full<Bytes>> {
        let status = self.status();
        let mut response = Response::new(Full::from(self.problem().to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for challenge in challenges.into_iter().filter(|_| status.is_client_error()) {
            headers.append(WWW_AUTHENTICATE, self.www_authenticate(challenge));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// `WWW-Authenticate` (RFC 6750 §3) for this refusal.
    #[must_use]
    pub fn www_authenticate(&self, challenge: &Challenge) -> HeaderValue {
        challenge.header(self.error().map(|error| (error, self.words().1)))
    }

    /// The body, `application/problem+json` (RFC 9457): `title`, `status` and `detail`, and as extensions `error` (the
    /// word of RFC 6750) and `reason` (ours, see [`Self::reason`]).
    #[must_use]
    pub fn problem(&self) -> serde_json::Value {
        let status = self.status();
        let mut problem = serde_json::json!({
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.detail(),
            "reason": self.reason(),
        });
        if let Some(error) = self.error() {
            problem["error"] = error.into();
        }
        problem
    }
}
