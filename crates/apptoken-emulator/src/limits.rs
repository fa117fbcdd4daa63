//! Bounds of the server.

use std::time::Duration;

/// Everything has a bound that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Time for a TLS handshake; 10 s.
    pub handshake: Duration,
    /// Time for the head of a request, from the end of the one before; 30 s.
    pub head: Duration,
    /// Time for the body of a request; 15 s.
    pub body: Duration,
    /// Time for a client to make room for more of an answer, when it has stopped reading; 30 s. With HTTP/2, where room
    /// is not what TCP says, up to twice this and [`Self::shutdown`].
    pub write: Duration,
    /// Longest body, bytes; 128 KiB.
    pub body_bytes: usize,
    /// Longest body at the admin API, bytes; 4 MiB.
    pub seed_bytes: usize,
    /// Connections at a time; 4,096. More are closed at once.
    pub connections: usize,
    /// Time for each of the two documents of a federated assertion's issuer; 5 s.
    pub issuer_document: Duration,
    /// Longest of these documents, bytes; 256 KiB.
    pub issuer_document_bytes: usize,
    /// Entries of the sign-in log; 10,000. The oldest goes first.
    pub sign_ins: usize,
    /// Bytes of the sign-in log in memory; 8 MiB. The oldest entries go first.
    pub sign_in_bytes: usize,
    /// Faults that wait, when a seed, the portal or the admin API asks for one more; 1,000. It is refused.
    pub faults: usize,
    /// Replication delays, likewise; 1,000.
    pub replication_delays: usize,
    /// Longest text of one fault or delay (body, tenant, resource), likewise, bytes; 16 KiB.
    pub fault_bytes: usize,
    /// Applications whose tokens are revoked, when the portal or the admin API asks for one more; 10,000. It is refused.
    pub revocations: usize,
    /// Client assertions whose use is remembered while they are good; 10,000. The oldest goes first.
    pub used_assertions: usize,
    /// Time for requests under way when the server stops; 2 s.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body: Duration::from_secs(15),
            write: Duration::from_secs(30),
            body_bytes: 128 * 1024,
            seed_bytes: 4 * 1024 * 1024,
            connections: 4096,
            issuer_document: Duration::from_secs(5),
            issuer_document_bytes: 256 * 1024,
            sign_ins: 10_000,
            sign_in_bytes: 8 * 1024 * 1024,
            faults: 1_000,
            replication_delays: 1_000,
            fault_bytes: 16 * 1024,
            revocations: 10_000,
            used_assertions: 10_000,
            shutdown: Duration::from_secs(2),
        }
    }
}
