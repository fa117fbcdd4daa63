//! Replication: a new credential is not known everywhere at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::directory::{Application, Tenant};
use crate::seed::SeedReplicationDelay;

/// Which credentials are too young to be known.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    /// The token path looks here, and takes the lock only when there are any.
    any: AtomicBool,
    rules: Mutex<Vec<SeedReplicationDelay>>,
}

impl Delays {
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Vec<SeedReplicationDelay>) -> T) -> T {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut rules);
        self.any.store(!rules.is_empty(), Ordering::SeqCst);
        outcome
    }

    pub(crate) fn rules(&self) -> Vec<SeedReplicationDelay> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Credentials that were added after this Unix second are not known yet.
    pub(crate) fn known_until(&self, tenant: &Tenant, application: &Application, now: i64) -> i64 {
        if !self.any.load(Ordering::SeqCst) {
            return i64::MAX;
        }
        let here = |name: &String| {
            tenant.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name)) || tenant.id.to_string() == *name
        };
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let meets = |rule: &&SeedReplicationDelay| {
            rule.app.is_none_or(|app| app == application.app_id) && rule.tenant.as_ref().is_none_or(here)
        };
        let longest = rules.iter().filter(meets).map(|rule| i64::from(rule.seconds)).max();
        longest.map_or(i64::MAX, |seconds| now.saturating_sub(seconds))
    }
}
