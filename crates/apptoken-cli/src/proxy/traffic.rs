//! Which hosts were asked for, counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// What became of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// By the local Entra ID.
    Answered,
    Mapped,
    LetThrough,
    /// By `--offline`; under `--isolated` there is no such host.
    Refused,
    /// Not reached.
    Failed,
}

/// How often a host was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Counted {
    pub(crate) host: String,
    pub(crate) verdict: Verdict,
    pub(crate) tunnels: u64,
}

#[derive(Debug, Default)]
pub(super) struct Traffic(Mutex<BTreeMap<(Verdict, String), u64>>);

impl Traffic {
    pub(super) fn count(&self, verdict: Verdict, host: &str) {
        // counting cannot leave the map half-changed
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = hosts.len() >= MOST;
        let host: String = host.chars().take(253).collect();
        let key = (verdict, host);
        let key = if full && !hosts.contains_key(&key) { (verdict, OTHERS.to_owned()) } else { key };
        *hosts.entry(key).or_default() += 1;
    }

    pub(super) fn counted(&self) -> Vec<Counted> {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = |((verdict, host), &tunnels): (&(Verdict, String), &u64)| Counted {
            host: host.clone(),
            verdict: *verdict,
            tunnels,
        };
        hosts.iter().map(counted).collect()
    }
}

/// Distinct hosts that are remembered.
const MOST: usize = 200;
const OTHERS: &str = "(others)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_is_bounded() {
        let traffic = Traffic::default();
        for n in 0..1000 {
            traffic.count(Verdict::LetThrough, &format!("{n}.example"));
            traffic.count(Verdict::Answered, "login.microsoftonline.com");
        }
        let counted = traffic.counted();
        assert!(counted.len() <= MOST + 1, "{}", counted.len());
        assert_eq!((counted[0].verdict, counted[0].tunnels), (Verdict::Answered, 1000));
        assert_eq!(counted.iter().map(|counted| counted.tunnels).sum::<u64>(), 2000);
        assert!(counted.iter().any(|counted| counted.host == OTHERS && counted.tunnels > 700));
    }
}
