use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apptoken::cache::distributed::ChangeListener;
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;

use crate::link::Link;

/// Tells listeners of the changes that Redis publishes, from a task that lives as long as the cache and its runtime.
pub(crate) struct Changes {
    link: Arc<Link>,
    channel: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listeners: Vec<ChangeListener>,
    task: Option<JoinHandle<()>>,
}

impl Changes {
    pub(crate) fn new(link: Arc<Link>, channel: String) -> Self {
        Self { link, channel, state: Mutex::default() }
    }

    pub(crate) fn add(&self, listener: ChangeListener) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.listeners.push(listener);
        if let Some(task) = state.task.take() {
            task.abort();
        }
    }

    /// Starts the task unless it runs: at the first use within a runtime, and again when that runtime has ended.
    pub(crate) fn listen(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.listeners.is_empty() || state.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let work = tell(self.link.clone(), self.channel.clone(), state.listeners.clone());
        state.task = Some(runtime.spawn(work));
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = state.task.take() {
            task.abort();
        }
    }
}

async fn tell(link: Arc<Link>, channel: String, listeners: Vec<ChangeListener>) {
    let mut pause = SHORTEST;
    loop {
        let ended = match subscribe(&link, &channel, &listeners).await {
            Ok(()) => {
                pause = SHORTEST;
                "the connection was lost".to_owned()
            }
            Err(error) => error.to_string(),
        };
        tracing::debug!(redis = ?link, error = ended, "no changes are told; trying again in {pause:?}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Until the connection is lost.
async fn subscribe(link: &Link, channel: &str, listeners: &[ChangeListener]) -> Result<(), redis::RedisError> {
    let mut subscription = link.subscription().await?;
    subscription.subscribe(channel).await?;
    // what was put before is not told
    listeners.iter().for_each(ChangeListener::missed);
    let mut messages = subscription.into_on_message();
    while let Some(message) = messages.next().await {
        match std::str::from_utf8(message.get_payload_bytes()) {
            Ok(key) => listeners.iter().for_each(|listener| listener.changed(key)),
            Err(_) => listeners.iter().for_each(ChangeListener::missed),
        }
    }
    Ok(())
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
