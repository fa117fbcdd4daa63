//! What seeds, the portal and the admin API add, within the bounds of [`Limits`](crate::Limits).

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::{Fault, FaultRule, Faults};
use crate::directory::SeedError;
use crate::seed::{Seed, SeedReplicationDelay};

/// More than is kept. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMuch {
    #[error("at most {0} faults wait at a time: take some away first")]
    Faults(usize),
    #[error("at most {0} replication delays hold at a time")]
    Delays(usize),
    #[error("the tokens of at most {0} applications are revoked at a time: end some of these revocations first")]
    Revocations(usize),
    #[error("body, tenant and resource are longer than {0} bytes together")]
    Text(usize),
}

/// What a seed says of trouble.
#[derive(Debug, Default)]
pub(crate) struct SeededFaults {
    pub(crate) rules: Vec<FaultRule>,
    pub(crate) delays: Vec<SeedReplicationDelay>,
}

impl SeededFaults {
    pub(crate) fn of(seed: &Seed) -> Result<Self, SeedError> {
        let rule = |(i, fault)| FaultRule::declared(fault, &format!("faults[{i}]"));
        let rules = seed.faults.iter().enumerate().map(rule).collect::<Result<_, _>>()?;
        Ok(Self { rules, delays: seed.replication_delays.clone() })
    }
}

/// Whether what is there stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Import {
    Beside,
    Instead,
}

impl Faults {
    /// [`Self::add`], if there is room.
    pub(crate) fn admit(&self, rule: FaultRule) -> Result<u64, TooMuch> {
        self.fits(rule.text_bytes())?;
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.len() < self.limits.faults {
            true => Ok(self.put(&mut queue, rule)),
            false => Err(TooMuch::Faults(self.limits.faults)),
        }
    }

    /// [`Self::replication_delays`], if there is room.
    pub(crate) fn admit_delays(&self, delays: Vec<SeedReplicationDelay>) -> Result<(), TooMuch> {
        delays.iter().try_for_each(|delay| self.fits(delay_bytes(delay)))?;
        if delays.len() > self.limits.replication_delays {
            return Err(TooMuch::Delays(self.limits.replication_delays));
        }
        self.replication_delays(delays);
        Ok(())
    }

    /// [`Self::revoke`], if there is room.
    pub(crate) fn admit_revocation(&self, app: Uuid, now: i64) -> Result<(), TooMuch> {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        if revoked.len() >= self.limits.revocations && !revoked.contains_key(&app) {
            return Err(TooMuch::Revocations(self.limits.revocations));
        }
        revoked.insert(app, now);
        self.revocations.store(revoked.len(), Ordering::SeqCst);
        Ok(())
    }

    /// What a seed declares, once `directory` has taken the rest of it: all or nothing. Nobody adds or takes meanwhile.
    pub(crate) fn import<E: From<SeedError>>(
        &self,
        seeded: SeededFaults,
        import: Import,
        directory: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let SeededFaults { rules, delays } = seeded;
        for (i, rule) in rules.iter().enumerate() {
            self.fits(rule.text_bytes()).map_err(|error| error.at(&format!("faults[{i}]")))?;
        }
        for (i, delay) in delays.iter().enumerate() {
            self.fits(delay_bytes(delay)).map_err(|error| error.at(&format!("replicationDelays[{i}]")))?;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.delays.change(|held| -> Result<(), E> {
            let stay = usize::from(import == Import::Beside);
            let (waiting, holding) = (stay * queue.len(), stay * held.len());
            if waiting + rules.len() > self.limits.faults {
                return Err(TooMuch::Faults(self.limits.faults).at("faults").into());
            }
            if holding + delays.len() > self.limits.replication_delays {
                return Err(TooMuch::Delays(self.limits.replication_delays).at("replicationDelays").into());
            }
            directory()?;
            if import == Import::Instead {
                queue.clear();
                held.clear();
                self.clear_settings();
            }
            held.extend(delays);
            Ok(())
        })?;
        self.waiting.store(queue.len(), Ordering::SeqCst);
        rules.into_iter().for_each(|rule| _ = self.put(&mut queue, rule));
        Ok(())
    }

    fn fits(&self, text_bytes: usize) -> Result<(), TooMuch> {
        if text_bytes > self.limits.fault_bytes { Err(TooMuch::Text(self.limits.fault_bytes)) } else { Ok(()) }
    }
}

impl FaultRule {
    fn text_bytes(&self) -> usize {
        let body = match &self.fault {
            Fault::Status { body, .. } => body.as_ref(),
            _ => None,
        };
        [body, self.tenant.as_ref(), self.resource.as_ref()].into_iter().flatten().map(String::len).sum()
    }
}

impl TooMuch {
    fn at(self, path: &str) -> SeedError {
        SeedError::new(path, self.to_string())
    }
}

fn delay_bytes(delay: &SeedReplicationDelay) -> usize {
    delay.tenant.as_ref().map_or(0, String::len)
}
