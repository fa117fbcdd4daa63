//! The tower side: a request goes in, and either the API's answer or a refusal comes out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use tower::{Layer, Service};

use crate::{Protect, authorization};

/// The body of an answer from behind a guard: the refusal's, or the inner service's.
pub type GuardedBody<B> = Either<Full<Bytes>, B>;

impl<S> Layer<S> for Protect {
    type Service = ProtectService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ProtectService { protect: self.clone(), inner }
    }
}

/// A service behind [`Protect`].
#[derive(Clone, Debug)]
pub struct ProtectService<S> {
    protect: Protect,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ProtectService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that was polled ready must be the one that is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let protect = self.protect.clone();
        Box::pin(async move {
            authorization::conceal(request.headers_mut());
            let (mut head, body) = request.into_parts();
            match protect.authenticate(&head).await {
                Ok(caller) => {
                    head.extensions.insert(caller);
                    head.extensions.insert(Arc::clone(protect.challenge_for(&head)));
                    let request = Request::from_parts(head, body);
                    inner.call(request).await.map(|response| response.map(Either::Right))
                }
                Err(rejection) => Ok(protect.refuse(&head, &rejection).map(Either::Left)),
            }
        })
    }
}
