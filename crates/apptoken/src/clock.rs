//! The one door to the time. Everything that expires, waits or is measured asks the client's [`Clock`], so that tests
//! move a [`ManualClock`] instead of sleeping.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::ops::Add;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the client takes the time from.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Monotonic time, which counts on while the machine sleeps and which setting the wall clock does not move.
    /// Asked on every cache hit: a resolution of some milliseconds is enough, speed matters more.
    fn now(&self) -> Moment;

    /// Wall-clock time, for what others read: the `nbf` and `exp` of an assertion, `expires_on`.
    fn system_time(&self) -> SystemTime;

    /// Completes when `duration` has passed on this clock: for waits between tries.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Completes when [`now`](Self::now) has reached `moment`: for bounds on what others take. Other than for a
    /// [`sleep`](Self::sleep), a clock for tests does not move by itself for it.
    fn until(&self, moment: Moment) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.sleep(moment.since(self.now()))
    }
}

/// A point of a [`Clock`]'s monotonic time: milliseconds since a start that means nothing outside the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// `milliseconds` after the clock's start.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the clock's start.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is yet to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The machine's clock.
///
/// On Linux [`now`](Clock::now) is `CLOCK_BOOTTIME`, read at most once for each tick of the coarse clock (1 to 4 ms),
/// which is three times cheaper to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        machine::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn system_time(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Outside a tokio runtime a thread does the waiting: retries are rare.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        match tokio::runtime::Handle::try_current() {
            Ok(_) => Box::pin(tokio::time::sleep(duration)),
            Err(_) => Box::pin(on_a_thread(duration)),
        }
    }

    /// Never, outside a tokio runtime: there, nothing is bounded but what its transport bounds.
    fn until(&self, moment: Moment) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        match tokio::runtime::Handle::try_current() {
            Ok(_) => self.sleep(moment.since(self.now())),
            Err(_) => Box::pin(std::future::pending()),
        }
    }
}

fn on_a_thread(duration: Duration) -> impl Future<Output = ()> {
    let (over, waited) = tokio::sync::oneshot::channel::<()>();
    // dropped unsent, when there can be no thread: then the wait is over at once
    let _ = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(duration);
        over.send(())
    });
    async { waited.await.unwrap_or(()) }
}

/// The outcome of `work`, or `None` when `limit` has passed on `clock` first. Work that is ready at once needs no timer.
pub(crate) fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    by(clock, clock.now() + limit, work, |_| false)
}

/// The same by a point in time, and without a timer while `work`, which is not ready yet, is bound to end in time.
pub(crate) async fn by<T, W: Future<Output = T>>(
    clock: &dyn Clock,
    ends: Moment,
    work: W,
    is_bound: impl Fn(&W) -> bool,
) -> Option<T> {
    let mut work = pin!(work);
    let mut timer = None;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if is_bound(&*work) => Poll::Pending,
        Poll::Pending => timer.get_or_insert_with(|| clock.until(ends)).as_mut().poll(context).map(|()| None),
    })
    .await
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod machine {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::time::{ClockId, Timespec, clock_gettime};

    use super::Moment;

    pub(super) fn now() -> Moment {
        static TICK: AtomicU64 = AtomicU64::new(u64::MAX);
        static BOOT: AtomicU64 = AtomicU64::new(0);
        let coarse = clock_gettime(ClockId::MonotonicCoarse);
        // all that matters is whether it is another one than before
        let tick = (coarse.tv_sec as u64) << 30 | coarse.tv_nsec as u64;
        if TICK.load(Ordering::Acquire) != tick {
            // two threads may both do this: the later time wins, and it is stored before the tick that vouches for it
            BOOT.fetch_max(millis(clock_gettime(ClockId::Boottime)), Ordering::Release);
            TICK.store(tick, Ordering::Release);
        }
        Moment::from_millis(BOOT.load(Ordering::Acquire))
    }

    fn millis(time: Timespec) -> u64 {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod machine {
    use std::sync::OnceLock;
    use std::time::Instant;

    use super::Moment;

    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub(super) fn now() -> Moment {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = *START.get_or_init(Instant::now);
        Moment::from_millis(0) + Instant::now().duration_since(start)
    }
}

/// A clock that stands still until it is moved, for tests. [`sleep`](Clock::sleep) moves it by itself and returns at
/// once, so that retries take no time; [`slept`](Self::slept) tells how long they would have taken.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use apptoken::clock::{Clock, ManualClock};
///
/// let clock = Arc::new(ManualClock::default());
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now().since(before), Duration::from_secs(3600));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    start: Duration,
    elapsed: AtomicU64,
    slept: AtomicU64,
    alarms: Mutex<Alarms>,
}

/// Those who wait, by when they are due and a number of their own.
#[derive(Debug, Default)]
struct Alarms {
    waiting: BTreeMap<(Moment, u64), Waker>,
    set: u64,
}

impl ManualClock {
    /// Stands at `start`.
    #[must_use]
    pub fn new(start: SystemTime) -> Self {
        let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start, elapsed: AtomicU64::new(0), slept: AtomicU64::new(0), alarms: Mutex::default() }
    }

    /// Moves both times forward.
    pub fn advance(&self, duration: Duration) {
        let now = self.elapsed.fetch_add(millis(duration), Ordering::SeqCst).saturating_add(millis(duration));
        let due = {
            let mut alarms = self.alarms();
            let later = alarms.waiting.split_off(&(Moment(now.saturating_add(1)), 0));
            mem::replace(&mut alarms.waiting, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// The sum of all sleeps.
    #[must_use]
    pub fn slept(&self) -> Duration {
        Duration::from_millis(self.slept.load(Ordering::SeqCst))
    }

    fn alarms(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// Stands at the machine's present time.
    fn default() -> Self {
        Self::new(SystemClock.system_time())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.elapsed.load(Ordering::SeqCst))
    }

    fn system_time(&self) -> SystemTime {
        UNIX_EPOCH + self.start + Duration::from_millis(self.elapsed.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.slept.fetch_add(millis(duration), Ordering::SeqCst);
        self.advance(duration);
        Box::pin(std::future::ready(()))
    }

    fn until(&self, moment: Moment) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Alarm { clock: self, moment, number: None })
    }
}

/// A wait on a [`ManualClock`].
struct Alarm<'a> {
    clock: &'a ManualClock,
    moment: Moment,
    number: Option<u64>,
}

impl Future for Alarm<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // under the lock, so that no advance falls between the look and the wait
        let mut alarms = this.clock.alarms();
        if this.clock.now() >= this.moment {
            return Poll::Ready(());
        }
        let number = *this.number.get_or_insert_with(|| {
            alarms.set += 1;
            alarms.set
        });
        let replaced = alarms.waiting.insert((this.moment, number), context.waker().clone());
        drop(alarms);
        drop(replaced); // after the lock
        Poll::Pending
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        // the waker is dropped after the lock
        let _waker = self.number.and_then(|number| self.clock.alarms().waiting.remove(&(self.moment, number)));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::task::Wake;
    use std::thread::{self, Thread};

    use super::*;

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }

    #[test]
    fn a_sleep_ends_without_a_runtime_too() {
        let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
        let (before, wait) = (SystemClock.now(), Duration::from_millis(30));
        let mut sleep = SystemClock.sleep(wait);
        while sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
        }
        // the coarse clock's tick is four milliseconds
        assert!(SystemClock.now().since(before) >= wait - Duration::from_millis(8));
    }
}
