//! The table: each figure beside what it is measured against, their ratio, and what was to be reached.

use super::figures::{Figure, Figures, LIMIT, OURS, digits, shown};

/// One line of it.
pub(super) struct Row {
    pub(super) what: &'static str,
    ours: Option<Figure>,
    other: Option<Figure>,
    bar: Bar,
}

/// What is to be reached. `Least` and `Most` are of rates, of which more is better, or of costs, of which less is.
#[derive(Clone, Copy)]
enum Bar {
    /// At most so many times what it is measured against.
    Times(f64),
    /// So many times faster than what it is measured against, at least.
    Faster(f64),
    /// A figure by itself: at most so much.
    AtMost(f64),
    /// A figure beside another, which tells what there is to reach.
    Plus(f64),
    /// For the reader: nothing was set.
    None,
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Reached,
    NotReached,
    NotMeasured,
    Nothing,
}

/// Whom a figure is measured against.
#[derive(Clone, Copy)]
enum Other {
    /// A figure of the limit's.
    Limit(&'static str),
    Peer(&'static str, &'static str),
    BestPeer(&'static str),
    Ourselves(&'static str),
    Nobody,
}

struct Line(&'static str, &'static str, &'static str, Other, Bar);

/// The rows of the cases that were run.
pub(super) fn rows<'a>(figures: &Figures, legs: impl Iterator<Item = &'a str>) -> Vec<Row> {
    let run: Vec<&str> = legs.collect();
    let lines = LINES.iter().filter(|Line(leg, ..)| run.contains(leg));
    lines.map(|line| line.row(figures)).collect()
}

pub(super) fn markdown(rows: &[Row]) -> String {
    let mut text = "| case | ours | beside | ratio | to reach | |\n|---|---|---|---|---|---|\n".to_owned();
    for row in rows {
        text.push_str(&row.markdown());
    }
    text
}

impl Line {
    fn row(&self, figures: &Figures) -> Row {
        let Self(_, what, case, other, bar) = *self;
        let other = match other {
            Other::Limit(case) => figures.of(LIMIT, case),
            Other::Peer(peer, case) => figures.of(peer, case),
            Other::BestPeer(case) => figures.best_peer(case),
            Other::Ourselves(case) => figures.of(OURS, case),
            Other::Nobody => None,
        };
        Row { what, ours: figures.of(OURS, case), other, bar }
    }
}

impl Row {
    fn markdown(&self) -> String {
        let ours = self.ours.as_ref().map_or_else(|| "–".to_owned(), |ours| shown(ours.value, &ours.unit));
        let other = self.other.as_ref().map_or_else(
            || "–".to_owned(),
            |other| {
                let of = if other.of == OURS { "ours" } else { &other.of };
                format!("{} ({of})", shown(other.value, &other.unit))
            },
        );
        let (ratio, bar) = (self.ratio().unwrap_or_default(), self.bar.in_words());
        let verdict = match self.verdict() {
            Verdict::Reached => "ok",
            Verdict::NotReached => "**not reached**",
            Verdict::NotMeasured => "not measured",
            Verdict::Nothing => "",
        };
        format!("| {} | {ours} | {other} | {ratio} | {bar} | {verdict} |\n", self.what)
    }

    fn ratio(&self) -> Option<String> {
        let (ours, other) = (self.ours.as_ref()?, self.other.as_ref()?);
        Some(match self.bar {
            Bar::Faster(_) => format!("{}× faster", digits(faster(ours, other))),
            Bar::Plus(_) => format!("+ {}", digits(ours.value - other.value)),
            Bar::Times(_) | Bar::AtMost(_) | Bar::None => format!("{}×", digits(1.0 / faster(ours, other))),
        })
    }

    fn verdict(&self) -> Verdict {
        let (Some(ours), other) = (&self.ours, self.other.as_ref()) else { return Verdict::NotMeasured };
        let reached = match (self.bar, other) {
            (Bar::None, _) => return Verdict::Nothing,
            (Bar::AtMost(most), _) => ours.value <= most,
            (Bar::Times(times), Some(other)) => 1.0 / faster(ours, other) <= times,
            (Bar::Faster(times), Some(other)) => faster(ours, other) >= times,
            (Bar::Plus(more), Some(other)) => ours.value <= other.value + more,
            (_, None) => return Verdict::NotMeasured,
        };
        if reached { Verdict::Reached } else { Verdict::NotReached }
    }
}

impl Bar {
    fn in_words(self) -> String {
        match self {
            Self::Times(times) => format!("≤ {}×", digits(times)),
            Self::Faster(times) => format!("≥ {}× faster", digits(times)),
            Self::AtMost(most) => format!("≤ {}", digits(most)),
            Self::Plus(more) => format!("≤ + {}", digits(more)),
            Self::None => String::new(),
        }
    }
}

/// How many times as good one is as the other.
fn faster(one: &Figure, other: &Figure) -> f64 {
    if one.unit.starts_with("ops/s") { one.value / other.value } else { other.value / one.value }
}

const AZURE: &str = "azure_identity-rust";
const MSAL: &str = "msal-python";

const LINES: &[Line] = &[
    Line(
        "hit",
        "hit, one key, beside the limit: papaya lookup, `Arc` clone, coarse clock",
        "hit.client",
        Other::Limit("hit.lookup-clock"),
        Bar::Times(2.0),
    ),
    Line("hit", "hit, one key", "hit1", Other::Peer(AZURE, "hit1"), Bar::Faster(3.0)),
    Line("hit", "hit, one key, `TokenSource`", "hit.source", Other::Peer(AZURE, "hit1"), Bar::Faster(7.0)),
    Line(
        "threads",
        "2 threads, different keys, beside one thread",
        "threads.different",
        Other::Ourselves("threads.one"),
        Bar::Faster(1.8),
    ),
    Line("threads", "2 threads, one key", "hitN", Other::Peer(AZURE, "hitN"), Bar::Faster(5.0)),
    Line("threads", "2 threads, one key, beside the limit", "threads.same", Other::Limit("threads.same"), Bar::None),
    Line(
        "tenants",
        "10,000 tenants, hit",
        "tenants-10000.hit",
        Other::Peer(AZURE, "tenants-10000.hit"),
        Bar::Faster(3.0),
    ),
    Line(
        "tenants",
        "10,000 tenants, hit, beside a bare lookup",
        "many-10000.hit",
        Other::Limit("many-10000.hit"),
        Bar::Times(1.5),
    ),
    Line(
        "tenants",
        "100,000 tenants, hit, beside a bare lookup",
        "many-100000.hit",
        Other::Limit("many-100000.hit"),
        Bar::Times(1.5),
    ),
    Line(
        "tenants",
        "1,000,000 tenants, hit, beside a bare lookup",
        "many-1000000.hit",
        Other::Limit("many-1000000.hit"),
        Bar::Times(1.5),
    ),
    Line(
        "tenants",
        "10,000 tenants, memory of an entry beside its token",
        "many-10000.memory",
        Other::Ourselves("many-10000.token"),
        Bar::Plus(400.0),
    ),
    Line(
        "tenants",
        "100,000 tenants, memory of an entry beside its token",
        "many-100000.memory",
        Other::Ourselves("many-100000.token"),
        Bar::Plus(400.0),
    ),
    Line(
        "tenants",
        "1,000,000 tenants, memory of an entry beside its token",
        "many-1000000.memory",
        Other::Ourselves("many-1000000.token"),
        Bar::Plus(400.0),
    ),
    Line(
        "tenants",
        "filling, 10,000 tenants",
        "tenants-10000.fill",
        Other::Peer(AZURE, "tenants-10000.fill"),
        Bar::None,
    ),
    Line(
        "tenants",
        "filling, an entry of 10,000, beside a bare request",
        "many-10000.fill",
        Other::Limit("many-10000.fill"),
        Bar::None,
    ),
    Line(
        "tenants",
        "filling, an entry of 100,000 beside one of 10,000",
        "many-100000.fill",
        Other::Ourselves("many-10000.fill"),
        Bar::Times(1.1),
    ),
    Line(
        "tenants",
        "filling, an entry of 1,000,000 beside one of 10,000",
        "many-1000000.fill",
        Other::Ourselves("many-10000.fill"),
        Bar::Times(1.1),
    ),
    Line("cold-secret", "cold, secret, p50", "cold-secret.p50", Other::BestPeer("cold-secret.p50"), Bar::Times(1.0)),
    Line(
        "cold-secret",
        "cold, secret, p50, beside a bare request over TLS",
        "cold-secret.p50",
        Other::Limit("wire.bare"),
        Bar::Times(1.6),
    ),
    Line("cold-secret", "cold, secret, beside reqwest alone", "wire.acquire", Other::Limit("wire.reqwest"), Bar::None),
    Line(
        "cold-secret",
        "cold, secret, CPU of an acquisition",
        "cold-secret.cpu",
        Other::BestPeer("cold-secret.cpu"),
        Bar::Times(1.0),
    ),
    Line(
        "cold-secret",
        "cold, secret, first (client and connection included)",
        "cold-secret.first",
        Other::BestPeer("cold-secret.first"),
        Bar::None,
    ),
    Line("cold-cert", "cold, certificate, p50", "cold-cert.p50", Other::BestPeer("cold-cert.p50"), Bar::Times(0.2)),
    Line(
        "cold-cert",
        "cold, certificate, first",
        "cold-cert.first",
        Other::BestPeer("cold-cert.first"),
        Bar::Times(1.0),
    ),
    Line(
        "herd",
        "1,000 callers, one key: requests",
        "herd.token-requests",
        Other::Peer(AZURE, "herd.token-requests"),
        Bar::AtMost(1.0),
    ),
    Line(
        "herd",
        "1,000 callers, a new client: connections",
        "herd-cold.connections",
        Other::Peer(AZURE, "herd-cold.connections"),
        Bar::AtMost(1.0),
    ),
    Line(
        "herd",
        "1,000 callers: all done after the authority's answer, ms",
        "herd-1000.after",
        Other::Nobody,
        Bar::AtMost(5.0),
    ),
    Line("herd", "10,000 callers, one key: requests", "herd-10000.token-requests", Other::Nobody, Bar::AtMost(1.0)),
    Line("herd", "10,000 callers, one key: connections", "herd-10000.connections", Other::Nobody, Bar::AtMost(1.0)),
    Line(
        "herd",
        "10,000 callers: all done after the authority's answer, ms",
        "herd-10000.after",
        Other::Nobody,
        Bar::AtMost(5.0),
    ),
    Line(
        "meanwhile",
        "a hit while another key is fetched",
        "isolation.hit-during-miss",
        Other::Peer(AZURE, "isolation.hit-during-miss"),
        Bar::None,
    ),
    Line(
        "meanwhile",
        "hits while another key is fetched, beside any hit",
        "isolation-hits.during",
        Other::Ourselves("isolation-hits.calm"),
        Bar::Times(1.1),
    ),
    Line(
        "meanwhile",
        "100 callers past the refresh time: requests",
        "refresh.token-requests",
        Other::Nobody,
        Bar::AtMost(1.0),
    ),
    Line(
        "meanwhile",
        "100 callers past the refresh time: the slowest, ms",
        "refresh.max",
        Other::Nobody,
        Bar::AtMost(1.0),
    ),
    Line("process", "process, wall", "process.wall", Other::BestPeer("process.wall"), Bar::Times(1.0)),
    Line("process", "process, wall", "process.wall", Other::Peer(AZURE, "process.wall"), Bar::Faster(6.0)),
    Line("process", "process, wall", "process.wall", Other::Peer(MSAL, "process.wall"), Bar::Faster(20.0)),
    Line("process", "process, peak memory", "process.peak", Other::BestPeer("process.peak"), Bar::Times(1.0)),
    Line(
        "process",
        "process with the system's roots too, wall",
        "process-bundle.wall",
        Other::BestPeer("process-bundle.wall"),
        Bar::None,
    ),
    Line(
        "storm",
        "refresh storm: most requests in a second beside the set rate",
        "storm.requests",
        Other::Ourselves("storm.rate"),
        Bar::Times(1.0),
    ),
    Line(
        "storm",
        "refresh storm: p99 of hits beside calm",
        "storm.hit-p99",
        Other::Ourselves("calm.hit-p99"),
        Bar::Times(2.0),
    ),
    Line("fleet", "64 processes, 1,000 keys, cold: requests", "fleet.requests", Other::Nobody, Bar::AtMost(1010.0)),
    Line(
        "fleet",
        "the same, Redis killed and started again: errors",
        "fleet-killed.errors",
        Other::Nobody,
        Bar::AtMost(0.0),
    ),
    Line(
        "msal-file",
        "MSAL file, 10,000 entries, load",
        "msal-file.load",
        Other::Peer(MSAL, "msal-file.load"),
        Bar::Faster(10.0),
    ),
    Line(
        "msal-file",
        "MSAL file, 10,000 entries, one save",
        "msal-file.save",
        Other::Peer(MSAL, "msal-file.save"),
        Bar::Faster(10.0),
    ),
    Line(
        "instructions",
        "instructions of a hit",
        "instructions.acquire_token_for_client",
        Other::Limit("instructions.limit"),
        Bar::None,
    ),
    Line(
        "instructions",
        "instructions of a hit, `TokenSource`",
        "instructions.TokenSource",
        Other::Limit("instructions.limit"),
        Bar::None,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, other: f64, unit: &str, bar: Bar) -> Row {
        let figure = |of: &str, value| Some(Figure { of: of.to_owned(), value, unit: unit.to_owned() });
        Row { what: "w", ours: figure(OURS, ours), other: figure("peer", other), bar }
    }

    #[test]
    fn a_bar_is_reached_or_not() {
        for (ours, other, unit, bar, reached) in [
            (40.0, 20.0, "ns/op", Bar::Times(2.0), true),
            (41.0, 20.0, "ns/op", Bar::Times(2.0), false),
            (30.0, 90.0, "ns/op", Bar::Faster(3.0), true),
            (31.0, 90.0, "ns/op", Bar::Faster(3.0), false),
            (50.0, 10.0, "ops/s", Bar::Faster(5.0), true),
            (49.0, 10.0, "ops/s", Bar::Faster(5.0), false),
            (1900.0, 1500.0, "B/entry", Bar::Plus(400.0), true),
            (1901.0, 1500.0, "B/entry", Bar::Plus(400.0), false),
            (1.0, 9.0, "requests", Bar::AtMost(1.0), true),
            (2.0, 9.0, "requests", Bar::AtMost(1.0), false),
        ] {
            let verdict = row(ours, other, unit, bar).verdict();
            assert!(
                (verdict == Verdict::Reached) == reached && verdict != Verdict::NotMeasured,
                "{ours} {other} {unit}"
            );
        }
    }

    #[test]
    fn what_was_not_measured_is_said_so() {
        let mut row = row(1.0, 1.0, "ns/op", Bar::Times(1.0));
        row.other = None;
        assert!(row.markdown().ends_with("| ≤ 1× | not measured |\n"), "{}", row.markdown());
    }

    #[test]
    fn ratios_are_told_as_their_bar_is() {
        let faster = row(30.0, 240.0, "ns/op", Bar::Faster(3.0)).markdown();
        assert_eq!(faster, "| w | 30 ns | 240 ns (peer) | 8× faster | ≥ 3× faster | ok |\n");
        let slower = row(30.0, 24.0, "ns/op", Bar::Times(1.0)).markdown();
        assert_eq!(slower, "| w | 30 ns | 24 ns (peer) | 1.25× | ≤ 1× | **not reached** |\n");
    }

    #[test]
    fn every_line_is_of_a_case() {
        for Line(leg, what, ..) in LINES {
            assert!(super::super::legs::LEGS.iter().any(|known| known.name == *leg), "{what}");
        }
    }
}
