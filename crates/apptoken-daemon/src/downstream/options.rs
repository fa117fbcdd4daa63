//! What one call of an API is made of.

use std::fmt;
use std::sync::Arc;

use apptoken::{AcquireToken, AcquireTokenForClient};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use super::address::{BaseUrl, without_query};
use super::{ProtocolScheme, header, keys};
use crate::configuration::Key;
use crate::error::ConfigurationError;

/// The settings of an API and of one call of it: what the section says, changed by what the caller of
/// [`call_for_app`](crate::DownstreamApi::call_for_app) says.
///
/// A wrong value given here is reported by the call itself, before anything is sent. `Debug` shows the names of extra
/// headers and query parameters, never their values.
#[derive(Clone)]
#[must_use]
pub struct DownstreamApiOptions {
    pub(super) base_url: BaseUrl,
    pub(super) relative_path: String,
    pub(super) http_method: Method,
    pub(super) scope: String,
    pub(super) accept: HeaderValue,
    pub(super) content_type: HeaderValue,
    pub(super) headers: HeaderMap,
    pub(super) query: Vec<(String, String)>,
    pub(super) scheme: ProtocolScheme,
    pub(super) token: AcquireTokenOptions,
    pub(super) body: Option<Bytes>,
    pub(super) allow_http: bool,
    /// The first wrong value that a caller gave.
    pub(super) wrong: Option<ConfigurationError>,
}

/// How the token of a call is asked for.
#[derive(Clone, Default)]
pub(super) struct AcquireTokenOptions {
    pub(super) tenant: Option<String>,
    pub(super) claims: Option<String>,
    pub(super) force_refresh: bool,
    pub(super) correlation_id: Option<Uuid>,
    pub(super) fmi_path: Option<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    /// What the program says in code.
    pub(super) change: Option<Change>,
}

pub(super) type Change = Arc<dyn for<'a> Fn(AcquireTokenForClient<'a>) -> AcquireTokenForClient<'a> + Send + Sync>;

impl AcquireTokenOptions {
    /// The app's call with these options; `claims` are those that an API demands, before the settings'.
    pub(super) fn of_app<'a>(
        &'a self,
        mut call: AcquireTokenForClient<'a>,
        claims: Option<&str>,
    ) -> AcquireTokenForClient<'a> {
        call = call.force_refresh(self.force_refresh);
        if let Some(tenant) = &self.tenant {
            call = call.tenant(tenant);
        }
        if let Some(id) = self.correlation_id {
            call = call.correlation_id(id);
        }
        if let Some(path) = &self.fmi_path {
            call = call.fmi_path(path);
        }
        for (name, value) in &self.query {
            call = call.extra_query_parameter(name, value);
        }
        for (name, value) in &self.headers {
            call = call.extra_header(name, value);
        }
        if let Some(change) = &self.change {
            call = change(call);
        }
        match claims.or(self.claims.as_deref()) {
            Some(claims) => call.claims(claims),
            None => call,
        }
    }

    /// The managed identity's call with these options.
    ///
    /// # Errors
    /// One of them has no meaning for a managed identity.
    pub(super) fn of_identity<'a>(
        &self,
        mut call: AcquireToken<'a>,
        claims: Option<&str>,
    ) -> Result<AcquireToken<'a>, ConfigurationError> {
        if self.tenant.is_some() || self.change.is_some() {
            let what = "a tenant or an option of an app's token was set for a call that a managed identity makes";
            return Err(ConfigurationError::new(what).with_key("AcquireTokenOptions:ManagedIdentity"));
        }
        call = call.force_refresh(self.force_refresh);
        if let Some(id) = self.correlation_id {
            call = call.correlation_id(id);
        }
        Ok(match claims.or(self.claims.as_deref()) {
            Some(claims) => call.claims(claims),
            None => call,
        })
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for AcquireTokenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("AcquireTokenOptions")
            .field("tenant", &self.tenant)
            .field("claims", &self.claims)
            .field("force_refresh", &self.force_refresh)
            .field("correlation_id", &self.correlation_id)
            .field("fmi_path", &self.fmi_path)
            .field("extra_query", &names(&self.query))
            .field("extra_headers", &names(&self.headers))
            .finish_non_exhaustive()
    }
}

impl DownstreamApiOptions {
    /// Another path below `BaseUrl`; it may hold a query.
    pub fn relative_path(mut self, path: impl Into<String>) -> Self {
        self.relative_path = path.into();
        self
    }

    /// Another address of the API, for this call. Over plain http only this machine is called, unless the factory
    /// allows more.
    pub fn base_url(self, url: impl AsRef<str>) -> Self {
        let parsed = BaseUrl::parse(url.as_ref(), self.allow_http);
        self.set(&keys::BASE_URL, parsed, |options, base_url| options.base_url = base_url)
    }

    /// Another method.
    pub fn http_method(mut self, method: Method) -> Self {
        self.http_method = method;
        self
    }

    /// Another scope: one resource and `/.default`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Whether the token is shown with a proof.
    pub fn protocol_scheme(mut self, scheme: ProtocolScheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// Another `Accept` header.
    pub fn accept_header(self, media_type: impl AsRef<str>) -> Self {
        let parsed = header::header_value(media_type.as_ref());
        self.set(&keys::ACCEPT_HEADER, parsed, |options, accept| options.accept = accept)
    }

    /// Another `Content-Type` of the body that is sent.
    pub fn content_type(self, media_type: impl AsRef<str>) -> Self {
        let parsed = header::header_value(media_type.as_ref());
        self.set(&keys::CONTENT_TYPE, parsed, |options, content_type| options.content_type = content_type)
    }

    /// One more header, or another value for one of the section. `Authorization`, `Cookie`, `Host` and headers that
    /// servers take for facts about the caller are refused.
    pub fn header(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let parsed = header::extra(name.as_ref(), value.as_ref());
        self.set(&keys::EXTRA_HEADERS, parsed, |options, (name, value)| {
            options.headers.insert(name, value);
        })
    }

    /// One more query parameter; it is percent-encoded here.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// The body, as it is; `ContentType` says what it is.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The body, as JSON.
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        const BODY: Key = Key::new("body", "something that serialises to JSON");
        let json = serde_json::to_vec(body).map_err(|error| format!("cannot be written as JSON: {error}"));
        self.set(&BODY, json, |options, json| options.body = Some(json.into()))
    }

    /// A token of another tenant than the app's own: its id or a domain.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.token.tenant = Some(tenant.into());
        self
    }

    /// Claims that the token must have, as a JSON object.
    pub fn claims(mut self, claims: impl Into<String>) -> Self {
        self.token.claims = Some(claims.into());
        self
    }

    /// Whether the cached token is passed over.
    pub fn force_refresh(mut self, force: bool) -> Self {
        self.token.force_refresh = force;
        self
    }

    /// The correlation id of the token request, if there is one.
    pub fn correlation_id(mut self, id: Uuid) -> Self {
        self.token.correlation_id = Some(id);
        self
    }

    /// Any other option of the token, for an app's calls: `|call| call.fmi_path("agent")`. It comes after those of the
    /// settings.
    pub fn acquire_token(
        mut self,
        change: impl for<'a> Fn(AcquireTokenForClient<'a>) -> AcquireTokenForClient<'a> + Send + Sync + 'static,
    ) -> Self {
        self.token.change = Some(Arc::new(change));
        self
    }

    /// Where the call goes.
    ///
    /// # Errors
    /// The first wrong value that was given, or a path that does not fit below the base.
    pub(super) fn url(&self) -> Result<Url, ConfigurationError> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        self.base_url
            .join(&self.relative_path, &self.query)
            .map_err(|problem| ConfigurationError::new(problem).with_key(keys::RELATIVE_PATH.name))
    }

    fn set<T>(mut self, key: &Key, parsed: Result<T, impl Into<String>>, apply: impl FnOnce(&mut Self, T)) -> Self {
        match parsed {
            Ok(value) => apply(&mut self, value),
            Err(problem) => {
                self.wrong.get_or_insert_with(|| ConfigurationError::new(problem).with_key(key.name));
            }
        }
        self
    }
}

impl fmt::Debug for DownstreamApiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.keys().map(http::HeaderName::as_str).collect();
        let query: Vec<&str> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("DownstreamApiOptions")
            .field("url", &self.url().map(|url| without_query(&url)))
            .field("http_method", &self.http_method)
            .field("scope", &self.scope)
            .field("protocol_scheme", &self.scheme)
            .field("extra_headers", &headers)
            .field("extra_query", &query)
            .field("token", &self.token)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}
