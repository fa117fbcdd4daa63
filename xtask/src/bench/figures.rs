//! What was measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;

/// Figures by case and by who was measured; a figure is the median of the rounds.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rounds: BTreeMap<(String, String), Vec<f64>>,
    units: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
}

/// One figure and who it is of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) of: String,
    pub(super) value: f64,
    pub(super) unit: String,
}

impl Figures {
    /// The lines of the peers' harness: `{peer, version, case, n, value, unit}`. Lines that are no JSON are passed over,
    /// and how many were taken is told.
    pub(super) fn read(&mut self, lines: &str) -> usize {
        lines.lines().filter_map(|line| self.take(&serde_json::from_str(line).ok()?)).count()
    }

    pub(super) fn read_file(&mut self, path: &Path) -> Result<()> {
        let lines = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        match self.read(&lines) {
            0 => Err(format!("{}: no figure in it", path.display())),
            _ => Ok(()),
        }
    }

    fn take(&mut self, line: &Value) -> Option<()> {
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let (peer, case, unit) = (text("peer")?, text("case")?, text("unit")?);
        self.versions.insert(peer.clone(), text("version").unwrap_or_default());
        self.add(&peer, &case, line["value"].as_f64()?, &unit);
        Some(())
    }

    pub(super) fn add(&mut self, peer: &str, case: &str, value: f64, unit: &str) {
        self.units.insert(case.to_owned(), unit.to_owned());
        self.rounds.entry((case.to_owned(), peer.to_owned())).or_default().push(value);
    }

    pub(super) fn of(&self, peer: &str, case: &str) -> Option<Figure> {
        let rounds = self.rounds.get(&(case.to_owned(), peer.to_owned()))?;
        Some(Figure { of: peer.to_owned(), value: median(rounds), unit: self.units.get(case)?.clone() })
    }

    /// The least of the libraries of others.
    pub(super) fn best_peer(&self, case: &str) -> Option<Figure> {
        let peers = self.rounds.keys().filter(|(of, _)| of == case).map(|(_, peer)| peer);
        let figures =
            peers.filter(|peer| ![OURS, LIMIT].contains(&peer.as_str())).filter_map(|peer| self.of(peer, case));
        figures.min_by(|one, other| one.value.total_cmp(&other.value))
    }

    pub(super) fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.versions
            .iter()
            .map(|(peer, version)| (peer.as_str(), version.as_str()))
            .filter(|(_, version)| !version.is_empty())
    }

    /// Every figure, by case and by whom.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Figure)> {
        self.rounds.keys().filter_map(|(case, peer)| Some((case.as_str(), self.of(peer, case)?)))
    }
}

/// As a person reads it.
pub(super) fn shown(value: f64, unit: &str) -> String {
    const UNITS: [(&str, &[(f64, &str)]); 6] = [
        ("ns/op", &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms")]),
        ("us", &[(1.0, "µs"), (1e3, "ms")]),
        ("ms", &[(1e-6, "ns"), (1e-3, "µs"), (1.0, "ms"), (1e3, "s")]),
        ("ms-cpu/op", &[(1e-3, "µs"), (1.0, "ms")]),
        ("ops/s", &[(1.0, "/s"), (1e3, "k/s"), (1e6, "M/s")]),
        ("ops/s-cpu", &[(1.0, "per CPU-second")]),
    ];
    let scales = UNITS.iter().find(|(name, _)| *name == unit).map_or(&[][..], |(_, scales)| *scales);
    let scale = scales.iter().rev().find(|(size, _)| value.abs() >= *size).or_else(|| scales.first());
    match scale {
        Some((size, name)) => format!("{} {name}", digits(value / size)),
        None => format!("{} {unit}", digits(value)),
    }
}

/// Three of them that count.
pub(super) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

pub(super) const OURS: &str = "apptoken";
/// What the machine allows at best.
pub(super) const LIMIT: &str = "limit";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_its_rounds() {
        let mut figures = Figures::default();
        let line = |peer: &str, value: u32| {
            format!(r#"{{"peer":"{peer}","version":"1.2","case":"hit1","n":1,"value":{value},"unit":"ns/op"}}"#)
        };
        let lines =
            [line("a", 7), line("a", 900), line("a", 5), "noise".to_owned(), line("b", 6), line(OURS, 1)].join("\n");
        assert_eq!(figures.read(&lines), 5);
        let of_b = Figure { of: "b".to_owned(), value: 6.0, unit: "ns/op".to_owned() };
        assert_eq!(figures.of("a", "hit1").unwrap().value, 7.0);
        assert_eq!(figures.best_peer("hit1"), Some(of_b));
        assert_eq!(figures.of("a", "hit2"), None);
    }

    #[test]
    fn figures_are_shown_in_units_that_fit() {
        assert_eq!(shown(32.43, "ns/op"), "32.4 ns");
        assert_eq!(shown(1234.0, "ns/op"), "1.23 µs");
        assert_eq!(shown(0.0361, "ms"), "36.1 µs");
        assert_eq!(shown(4.1e6, "ops/s"), "4.1 M/s");
        assert_eq!(shown(1.0, "requests"), "1 requests");
        assert_eq!(shown(1912.4, "B/entry"), "1912 B/entry");
    }
}
