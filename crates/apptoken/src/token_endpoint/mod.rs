//! One token request: form, headers, answer (RFC 6749 §4.4).

mod grant_body;
mod response;

use std::borrow::Cow;
use std::time::SystemTime;

use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use ::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use url::form_urlencoded;

pub(crate) use response::{Grant, json, shortened};

use crate::Error;
use crate::credential::Proof;
use crate::error::ErrorKind;
use crate::http::{Request, Response, Skew, TransportError, TransportErrorKind};
use crate::request::{Asked, Extra};
use crate::telemetry::{Caller, Told, client_headers};
use crate::token::RegionUse;
use crate::wiped::Wiped;

/// What is asked of a token endpoint.
pub(crate) struct TokenRequest<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) proof: &'a Proof,
    pub(crate) asked: Asked<'a>,
    /// The body's: the challenge's, the program's own and the client's capabilities in one.
    pub(crate) claims: Option<Cow<'a, str>>,
    pub(crate) extra: Extra,
    /// Where `endpoint` is.
    pub(crate) region: &'a RegionUse,
    /// Who asks, if it is to be told.
    pub(crate) caller: Option<&'a Caller>,
}

impl TokenRequest<'_> {
    /// The request as it goes over the wire.
    pub(crate) fn to_http(&self) -> Result<Request, Error> {
        let text = HeaderValue::from_static;
        let id = HeaderValue::try_from(self.asked.correlation_id.to_string()).map_err(|_| self.not_sendable())?;
        let mut request = Request::new(self.form());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.address().parse().map_err(|_| self.not_sendable())?;
        *request.headers_mut() = HeaderMap::with_capacity(ROOM);
        request.headers_mut().extend([
            (CONTENT_TYPE, text("application/x-www-form-urlencoded")),
            (ACCEPT, text("application/json")),
            (CLIENT_REQUEST_ID, id),
            (RETURN_CLIENT_REQUEST_ID, text("true")),
            (LIB_CAPABILITY, text("retry-after, h429")),
        ]);
        if let Some(caller) = self.caller {
            let Asked { reason, options, .. } = self.asked;
            let told = Told { reason, scheme: options.scheme, region: self.region, caller };
            request.headers_mut().extend(client_headers(&told));
        }
        if let Some(identity) = self.proof.identity() {
            request.extensions_mut().insert(identity.clone());
        }
        // none of them has one of the names above
        request.headers_mut().extend(self.extra.headers.iter().cloned());
        Ok(request)
    }

    /// What the answer, which came at `now`, grants, or why it does not.
    pub(crate) fn read(&self, answer: Result<Response, TransportError>, now: SystemTime) -> Result<Grant, Error> {
        let grant = match answer {
            Ok(response) if response.status() == StatusCode::OK => {
                response::grant(&response, self.asked.options.scheme)
            }
            Ok(response) => Err(response::refusal(&response, self, Skew::measured(response.headers(), now))),
            Err(error) => Err(self.unreachable(error)),
        };
        grant.map_err(|error| error.with_correlation_id(self.asked.correlation_id))
    }

    /// The endpoint and what is added to its query, which is no part of an assertion's audience.
    fn address(&self) -> Cow<'_, str> {
        if self.extra.query.is_empty() {
            return self.endpoint.into();
        }
        let address = format!("{}?", self.endpoint);
        let query_at = address.len();
        form_urlencoded::Serializer::for_suffix(address, query_at).extend_pairs(&self.extra.query).finish().into()
    }

    /// The form's bytes, wiped when the last copy of the request is dropped.
    fn form(&self) -> Bytes {
        let scope = self.asked.scope;
        // sized so that it does not grow and leave copies of the secret behind; the encoding at most triples a byte
        let extra = self.extra.body.iter().map(|(name, value)| 2 + name.len() + value.len()).sum::<usize>();
        let size = 256
            + 3 * (self.client_id.len()
                + scope.len()
                + self.proof.secret().len()
                + self.claims.as_deref().map_or(0, str::len)
                + extra);
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(size));
        form.append_pair("client_id", self.client_id);
        form.append_pair("scope", scope);
        for (name, value) in self.proof.fields().into_iter().flatten() {
            form.append_pair(name, value);
        }
        form.append_pair("grant_type", "client_credentials");
        if let Some(claims) = &self.claims {
            form.append_pair("claims", claims);
        }
        // none of them has one of the names above
        form.extend_pairs(&self.extra.body);
        Wiped(form.finish().into_bytes()).into_bytes()
    }

    fn not_sendable(&self) -> Error {
        Error::configuration(format!("the token endpoint {} is not an address", self.endpoint))
    }

    fn unreachable(&self, cause: TransportError) -> Error {
        let (kind, next_try) = (cause.kind(), cause.next_try());
        let what = format!("the token request to {} got no answer: {cause}", self.endpoint);
        let error = Error::new(ErrorKind::Transport, what).with_source(cause);
        match kind {
            TransportErrorKind::Connect => error.transient().with_advice(
                "check that this machine reaches the authority: name resolution, firewall, HTTPS_PROXY",
            ),
            TransportErrorKind::Timeout => {
                error.transient().with_advice("the authority or a proxy on the way is slow: try again later")
            }
            TransportErrorKind::Body => {
                error.transient().with_advice("a proxy or firewall on the way may cut connections: try again later")
            }
            TransportErrorKind::Tls => error.with_advice(
                "trust the CA that signed it: a TLS-inspecting proxy's or the local Entra ID's CA is added with add_root_certificate_pem",
            ),
            TransportErrorKind::Setup => error.with_advice("install the machine's ca-certificates, or add the CA to trust by hand"),
            TransportErrorKind::Withheld => error.transient().withheld_for(next_try).with_advice(
                "nothing to do here: the client asks by itself when the pause is over; see that the authority is well",
            ),
            TransportErrorKind::TooLarge => error.with_advice("something else than a token endpoint answers at this address"),
        }
    }
}

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const RETURN_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("return-client-request-id");
/// Tells Entra that this client heeds `Retry-After` and 429.
const LIB_CAPABILITY: HeaderName = HeaderName::from_static("x-ms-lib-capability");
/// For the headers of a usual request, `reqwest`'s own included.
const ROOM: usize = 24;
