//! Calling the API that a section describes, with an app-only token: `IDownstreamApi`'s counterpart.

mod address;
mod call;
mod header;
mod http_client;
mod keys;
mod options;
mod proof;
mod response;
pub(crate) mod section;

pub use call::Call;
pub use options::DownstreamApiOptions;
pub use proof::ProtocolScheme;
pub use response::ApiResponse;

pub(crate) use http_client::{HttpClient, HttpSettings};

use std::fmt;
use std::sync::Arc;

use apptoken::http::claims_challenge;
use apptoken::{ConfidentialClient, ManagedIdentityClient, TokenSource};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use self::http_client::failure;
use self::proof::Pass;
use crate::error::{ConfigurationError, Error};

/// An API that a section of the settings describes. Cloning it counts a reference; make one and keep it.
///
/// ```no_run
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Todo { title: String }
/// # async fn example() -> Result<(), apptoken_daemon::Error> {
/// use apptoken_daemon::TokenAcquirerFactory;
///
/// let factory = TokenAcquirerFactory::from_default_files()?;
/// let api = factory.downstream_api("MyWebApi")?;
///
/// let todos: Vec<Todo> = api.get_for_app().await?;
/// let made: Todo = api.post_for_app(&Todo { title: "walk the dog".into() }).await?;
/// api.delete_for_app::<()>().with(|call| call.relative_path("api/TodoList/7")).await?;
/// # let _ = (todos, made); Ok(()) }
/// ```
#[derive(Clone)]
pub struct DownstreamApi(Arc<Inner>);

struct Inner {
    name: String,
    options: DownstreamApiOptions,
    caller: Caller,
    http: Arc<HttpClient>,
}

/// Whose token a call carries.
#[derive(Debug)]
pub(crate) enum Caller {
    App(ConfidentialClient),
    ManagedIdentity(ManagedIdentityClient),
}

impl Caller {
    fn token_source(&self, scope: &str) -> Result<TokenSource, apptoken::Error> {
        match self {
            Self::App(client) => client.token_source(scope),
            Self::ManagedIdentity(client) => client.token_source(scope),
        }
    }
}

impl DownstreamApi {
    pub(crate) fn new(name: String, options: DownstreamApiOptions, caller: Caller, http: Arc<HttpClient>) -> Self {
        Self(Arc::new(Inner { name, options, caller, http }))
    }

    /// The name of the section.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// `GET`, and the answer as a `T`.
    pub fn get_for_app<T: DeserializeOwned>(&self) -> Call<T> {
        self.typed(Method::GET)
    }

    /// `POST` with a JSON body, and the answer as a `T` (`()` if it does not matter).
    pub fn post_for_app<T: DeserializeOwned>(&self, body: &(impl Serialize + ?Sized)) -> Call<T> {
        self.typed(Method::POST).with(|call| call.json(body))
    }

    /// `PUT` with a JSON body, and the answer as a `T` (`()` if it does not matter).
    pub fn put_for_app<T: DeserializeOwned>(&self, body: &(impl Serialize + ?Sized)) -> Call<T> {
        self.typed(Method::PUT).with(|call| call.json(body))
    }

    /// `PATCH` with a JSON body, and the answer as a `T` (`()` if it does not matter).
    pub fn patch_for_app<T: DeserializeOwned>(&self, body: &(impl Serialize + ?Sized)) -> Call<T> {
        self.typed(Method::PATCH).with(|call| call.json(body))
    }

    /// `DELETE`, and the answer as a `T` (`()` if it does not matter).
    pub fn delete_for_app<T: DeserializeOwned>(&self) -> Call<T> {
        self.typed(Method::DELETE)
    }

    /// The call that the section describes, `HttpMethod` included, changed by `change`; the answer as it comes,
    /// whatever its status. Redirects are not followed.
    ///
    /// A 401 that demands claims (continuous access evaluation) is answered by one new token and one more try.
    ///
    /// # Errors
    /// [`Error::Configuration`] when `change` set something wrong: nothing is sent. [`Error::Token`] when there is no
    /// token: the API is not called. [`Error::Transport`] when the API cannot be reached.
    pub async fn call_for_app(
        &self,
        change: impl FnOnce(DownstreamApiOptions) -> DownstreamApiOptions + Send,
    ) -> Result<ApiResponse, Error> {
        let options = change(self.0.options.clone());
        self.send(&options).await
    }

    fn typed<T>(&self, method: Method) -> Call<T> {
        Call::new(self.clone(), self.0.options.clone().http_method(method))
    }

    async fn send(&self, options: &DownstreamApiOptions) -> Result<ApiResponse, Error> {
        let url = options.url()?;
        let pass = self.pass(options, &url, None).await?;
        let response = self.transmit(options, &url, pass).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(claims) = claims_challenge(response.headers()) else { return Ok(response) };
        tracing::info!(api = self.0.name, "the API demands other claims: one new token, one more try");
        drop(response);
        let pass = self.pass(options, &url, Some(&claims)).await?;
        self.transmit(options, &url, pass).await
    }

    async fn pass(&self, options: &DownstreamApiOptions, url: &Url, claims: Option<&str>) -> Result<Pass, Error> {
        let scope = options.scope.as_str();
        let pass = match &self.0.caller {
            Caller::App(client) => {
                let call = options.token.of_app(client.acquire_token_for_client(scope), claims);
                options.scheme.pass(call, &options.http_method, url).await?
            }
            Caller::ManagedIdentity(_) if options.scheme != ProtocolScheme::Bearer => {
                let problem = "is set for a call that a managed identity makes, whose tokens are Bearer";
                return Err(ConfigurationError::new(problem).with_key(keys::PROTOCOL_SCHEME.name).into());
            }
            Caller::ManagedIdentity(client) => {
                options.token.of_identity(client.acquire_token(scope), claims)?.await?.into()
            }
        };
        Ok(pass)
    }

    async fn transmit(&self, options: &DownstreamApiOptions, url: &Url, pass: Pass) -> Result<ApiResponse, Error> {
        let (method, shown) = (options.http_method.clone(), address::without_query(url));
        let mut headers = options.headers.clone();
        headers.insert(ACCEPT, options.accept.clone());
        headers.insert(AUTHORIZATION, pass.authorization.clone());
        let mut request = self.0.http.get(url, pass.token.binding_certificate())?.request(method.clone(), url.clone());
        if let Some(body) = &options.body {
            headers.insert(CONTENT_TYPE, options.content_type.clone());
            request = request.body(body.clone());
        }
        tracing::debug!(api = self.0.name, %method, url = shown, "calling the API");
        let inner = request.headers(headers).send().await.map_err(|error| failure(error, &method, &shown))?;
        tracing::debug!(api = self.0.name, status = inner.status().as_u16(), "the API answered");
        let limit = self.0.http.max_response_bytes();
        Ok(ApiResponse { inner, method, url: shown, limit, pass })
    }
}

impl fmt::Debug for DownstreamApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownstreamApi")
            .field("name", &self.0.name)
            .field("options", &self.0.options)
            .field("caller", &self.0.caller)
            .finish_non_exhaustive()
    }
}
