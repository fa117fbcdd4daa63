//! The local Entra ID without sockets: a request in, an answer out. For the fuzz targets, and for tests of what is
//! answered that need neither TLS nor time to pass.

#[cfg(test)]
mod granted;
#[cfg(test)]
mod graph;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::runtime::{Builder, Runtime};

use crate::clock::EmulatorClock;
use crate::directory::{Directory, SeedError};
use crate::endpoints::{Reply, handle};
use crate::seed::Seed;
use crate::sign_in::{SignIn, SignInLog};
use crate::state::State;

/// One that nobody can connect to. Its clock stands still, and it asks no other issuer for anything.
pub struct WithoutSockets {
    state: Arc<State>,
    /// For limits in time, which answers from memory do not reach.
    runtime: Runtime,
}

impl WithoutSockets {
    /// With this directory; the keys of `issuers` are what is given (a JWKS each), and no others are ever asked for.
    ///
    /// # Errors
    /// When the seed is refused, a JWKS cannot be read, or no key could be made.
    pub fn new(seed: &str, issuers: &[(&str, &str)]) -> Result<Self, Box<dyn Error>> {
        let mut state = State::bare(&Seed::from_json(seed)?)?;
        for (issuer, jwks) in issuers {
            state.federation.know(issuer, jwks)?;
        }
        Ok(Self { state: Arc::new(state), runtime: Builder::new_current_thread().enable_time().build()? })
    }

    /// The same with another directory, and an empty log.
    ///
    /// # Errors
    /// When the seed is refused.
    pub fn reseed(&mut self, seed: &str) -> Result<(), SeedError> {
        let directory = Directory::from_seed(&Seed::from_json(seed)?, self.state.clock.clone())?;
        if let Some(state) = Arc::get_mut(&mut self.state) {
            state.directory = directory;
            state.sign_ins = Arc::new(SignInLog::new(16, usize::MAX));
        }
        Ok(())
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &EmulatorClock {
        &self.state.clock
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.state.directory
    }

    /// The newest entry of the sign-in log.
    #[must_use]
    pub fn last_sign_in(&self) -> Option<SignIn> {
        self.state.sign_ins.entries().pop()
    }

    /// Answers as if the request had come over TLS. No answer is one: a fault that was asked for.
    #[must_use]
    pub fn answer(&self, request: Request<Vec<u8>>) -> Option<Response<Vec<u8>>> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        self.runtime.block_on(async {
            let Reply::Answer(answer) = handle(Arc::clone(&self.state), request, true).await else { return None };
            let (head, body) = answer.into_parts();
            // One without an end would be followed for ever: its head is all there is.
            let ends = hyper::body::Body::size_hint(&body).exact().is_some();
            let body =
                if ends { body.collect().await.map_or_else(|_| Bytes::new(), |b| b.to_bytes()) } else { Bytes::new() };
            Some(Response::from_parts(head, body.into()))
        })
    }
}

impl fmt::Debug for WithoutSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithoutSockets").finish_non_exhaustive()
    }
}
