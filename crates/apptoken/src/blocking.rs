//! Tokens for programs without async (feature `blocking`): [`wait`](Wait::wait) where others write `.await`, on every call
//! of every client.
//!
//! ```no_run
//! use apptoken::blocking::Wait as _;
//! use apptoken::ConfidentialClient;
//!
//! # fn main() -> Result<(), apptoken::Error> {
//! let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
//!     .tenant("contoso.onmicrosoft.com")
//!     .client_secret(std::env::var("CLIENT_SECRET").unwrap_or_default())
//!     .build()?;
//! let token = client.acquire_token_for_client("https://graph.microsoft.com/.default").wait()?;
//! # let _ = token; Ok(()) }
//! ```
//!
//! A hit costs what it costs in async code. For the rest there is one thread in the process, made when it is first needed,
//! which drives connections and refreshes behind the callers' backs. However many threads wait for the same token, one
//! request is sent.

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use self::sealed::MayBeHit as _;
use crate::clock::{Clock as _, SystemClock};
use crate::error::ErrorKind;
use crate::{Acquire, AcquireSignedHttpRequest, AcquireToken, AcquireTokenForClient, Error};

/// Waits for a token on the calling thread.
pub trait Wait: sealed::Sealed {
    /// The token, or the request that is signed with it.
    type Output;

    /// Runs the call and waits for its outcome.
    ///
    /// Not for async code, which awaits the call: waiting there holds up the runtime's thread, and with it perhaps the very
    /// request that is waited for. It does not panic, but gives up after two minutes.
    ///
    /// # Errors
    /// As the call's; and when the thread that drives connections cannot be made.
    fn wait(self) -> Result<Self::Output, Error>;
}

impl<T, O> Wait for T
where
    T: sealed::Sealed + IntoFuture<Output = Result<O, Error>, IntoFuture: sealed::MayBeHit>,
{
    type Output = O;

    fn wait(self) -> Result<O, Error> {
        let mut call = pin!(self.into_future());
        // a hit is ready at once; whatever else begins to run needs the runtime from the start
        if call.is_hit()
            && let Poll::Ready(outcome) = call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            return outcome;
        }
        let in_async_code = Handle::try_current().is_ok();
        let runtime = runtime()?;
        let _entered = runtime.enter();
        let mut patience = in_async_code.then(|| SystemClock.sleep(PATIENCE));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(outcome) = call.as_mut().poll(&mut context) {
                return outcome;
            }
            if patience.as_mut().is_some_and(|patience| patience.as_mut().poll(&mut context).is_ready()) {
                return Err(Error::new(
                    ErrorKind::Transport,
                    "no token for a thread that waits within an async runtime",
                )
                .with_advice("await the call in async code, or wait for it in tokio::task::spawn_blocking"));
            }
            thread::park();
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The runtime of all who wait, on a thread of its own that lives as long as the process. When it cannot be made, the next
/// who waits tries again.
fn runtime() -> Result<Handle, Error> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    let mut made = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*made {
        return Ok(handle.clone());
    }
    let failed = |error| Error::configuration("the thread for connections cannot be made").with_source(error);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(std::future::pending::<()>());
    thread::Builder::new().name("apptoken".to_owned()).spawn(drive).map_err(failed)?;
    Ok(made.insert(handle).clone())
}

mod sealed {
    pub trait Sealed {}

    pub trait MayBeHit {
        fn is_hit(&self) -> bool;
    }
}

impl sealed::Sealed for Acquire<'_> {}
impl sealed::Sealed for AcquireToken<'_> {}
impl sealed::Sealed for AcquireTokenForClient<'_> {}
impl sealed::Sealed for AcquireSignedHttpRequest<'_> {}

impl sealed::MayBeHit for Acquire<'_> {
    fn is_hit(&self) -> bool {
        Acquire::is_hit(self)
    }
}

/// Each request is signed anew.
impl sealed::MayBeHit for <AcquireSignedHttpRequest<'_> as IntoFuture>::IntoFuture {
    fn is_hit(&self) -> bool {
        false
    }
}

/// As long as an acquisition may take, unless the builder says otherwise.
const PATIENCE: Duration = crate::acquire::TIMEOUT;
