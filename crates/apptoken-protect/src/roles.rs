//! App roles: what one route demands of a caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body_util::Either;
use tower::{Layer, Service};

use crate::challenge::Challenge;
use crate::service::GuardedBody;
use crate::{Caller, Rejection};

/// Demands app roles of the caller that [`Protect`](crate::Protect) has let in: a [`tower::Layer`] for inside it.
///
/// Roles are compared letter by letter. An empty list lets nobody in. A caller without them gets 403
/// ([`Rejection::RoleMissing`]).
///
/// ```
/// # use apptoken_protect::RequireRoles;
/// # use axum::{Router, routing::get};
/// let api: Router = Router::new()
///     .route("/api/todolist", get(|| async { "to do" }).layer(RequireRoles::any(["DaemonAppRole"])));
/// ```
#[derive(Clone, Debug)]
pub struct RequireRoles(Arc<Demand>);

#[derive(Debug)]
struct Demand {
    roles: Vec<String>,
    all: bool,
}

impl RequireRoles {
    /// One of `roles` is enough.
    pub fn any<I>(roles: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::new(roles, false)
    }

    /// Every one of `roles` is needed.
    pub fn all<I>(roles: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::new(roles, true)
    }

    fn new<I>(roles: I, all: bool) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self(Arc::new(Demand { roles: roles.into_iter().map(Into::into).collect(), all }))
    }

    /// Judges a caller, for programs without tower.
    ///
    /// # Errors
    /// [`Rejection::RoleMissing`].
    pub fn check(&self, caller: &Caller) -> Result<(), Rejection> {
        let Demand { roles, all } = &*self.0;
        let granted = |role: &String| caller.has_role(role);
        let enough = if *all { !roles.is_empty() && roles.iter().all(granted) } else { roles.iter().any(granted) };
        if enough {
            return Ok(());
        }
        Err(Rejection::RoleMissing {
            required: roles.clone(),
            all: *all,
            granted: caller.roles().to_vec(),
            app_id: caller.app_id().to_owned(),
        })
    }
}

impl<S> Layer<S> for RequireRoles {
    type Service = RequireRolesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireRolesService { roles: self.clone(), inner }
    }
}

/// A service behind [`RequireRoles`].
#[derive(Clone, Debug)]
pub struct RequireRolesService<S> {
    roles: RequireRoles,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for RequireRolesService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: 'static,
    S::Error: 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let extensions = request.extensions();
        let verdict = extensions.get::<Caller>().ok_or(Rejection::ProtectMissing).and_then(|c| self.roles.check(c));
        match verdict {
            Ok(()) => {
                let answer = self.inner.call(request);
                Box::pin(async move { answer.await.map(|response| response.map(Either::Right)) })
            }
            Err(rejection) => {
                rejection.log();
                let response = rejection.response(extensions.get::<Arc<Challenge>>());
                Box::pin(async move { Ok(response.map(Either::Left)) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::caller::Facts;
    use crate::tenant::Guid;

    #[test]
    fn any_and_all() {
        let caller = caller(&["Read", "Write"]);
        for (layer, enough) in [
            (RequireRoles::any(["Read", "Other"]), true),
            (RequireRoles::any(["read"]), false),
            (RequireRoles::any(["Other"]), false),
            (RequireRoles::all(["Read", "Write"]), true),
            (RequireRoles::all(["Read", "Other"]), false),
            (RequireRoles::any(Vec::<String>::new()), false),
            (RequireRoles::all(Vec::<String>::new()), false),
        ] {
            assert_eq!(layer.check(&caller).is_ok(), enough, "{layer:?}");
        }
        let refused = RequireRoles::all(["Read", "Other"]).check(&caller).unwrap_err();
        let [required, granted] = [["Read", "Other"], ["Read", "Write"]].map(|roles| roles.map(str::to_owned).to_vec());
        assert_eq!(refused, Rejection::RoleMissing { required, all: true, granted, app_id: "app".into() });
    }

    fn caller(roles: &[&str]) -> Caller {
        Caller::new(Facts {
            app_id: "app".into(),
            object_id: "oid".into(),
            tenant_id: Guid::parse("aaaabbbb-0000-cccc-1111-dddd2222eeee").unwrap(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            scopes: Vec::new(),
            app_only: true,
            expires: 0,
            claims: Map::new(),
        })
    }
}
