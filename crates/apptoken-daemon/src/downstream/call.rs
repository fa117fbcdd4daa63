//! A typed call, before it is awaited.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use serde::de::DeserializeOwned;

use super::{DownstreamApi, DownstreamApiOptions};
use crate::error::Error;

/// A call of an API that answers with a `T`. Awaiting it runs it.
///
/// The answer must be 2xx with JSON, or text for a `String`; no body reads as `null`, and `()` takes anything. A 401
/// that demands claims (continuous access evaluation) is answered by one new token and one more try.
///
/// # Errors
/// [`Error::Configuration`] when something wrong was set: nothing is sent. [`Error::Token`] when there is no token: the
/// API is not called. [`Error::Transport`] when the API cannot be reached, [`Error::Http`] when its status is not 2xx,
/// [`Error::Response`] when its answer is no `T`.
#[must_use = "awaiting it runs it"]
pub struct Call<T> {
    api: DownstreamApi,
    options: DownstreamApiOptions,
    answer: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    pub(super) fn new(api: DownstreamApi, options: DownstreamApiOptions) -> Self {
        Self { api, options, answer: PhantomData }
    }

    /// Changes this call: another path, more query, another tenant.
    pub fn with(mut self, change: impl FnOnce(DownstreamApiOptions) -> DownstreamApiOptions) -> Self {
        self.options = change(self.options);
        self
    }
}

impl<T: DeserializeOwned + 'static> IntoFuture for Call<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.api.send(&self.options).await?.json().await })
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.options).finish()
    }
}
