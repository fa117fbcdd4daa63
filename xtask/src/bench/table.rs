//! The table: each figure beside what it is measured against, their ratio, and what was to be reached.

use super::bars::LINES;
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
pub(super) enum Bar {
    /// At most so many times what it is measured against.
    Times(f64),
    /// So many times faster than what it is measured against, at least.
    Faster(f64),
    /// At least this share of what the machine allows.
    Share(f64),
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
pub(super) enum Other {
    /// A figure of the limit's.
    Limit(&'static str),
    Peer(&'static str, &'static str),
    BestPeer(&'static str),
    Ourselves(&'static str),
    Nobody,
}

/// The case that measures it, its name in the table, our figure, what it is measured against, what is to be reached.
pub(super) struct Line(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) Other,
    pub(super) Bar,
);

/// The rows of the cases that were run.
pub(super) fn rows<'a>(figures: &Figures, legs: impl Iterator<Item = &'a str>) -> Vec<Row> {
    rows_of(LINES, figures, legs)
}

/// Of these lines, those whose case was run.
pub(super) fn rows_of<'a>(lines: &[Line], figures: &Figures, legs: impl Iterator<Item = &'a str>) -> Vec<Row> {
    let run: Vec<&str> = legs.collect();
    let lines = lines.iter().filter(|Line(leg, ..)| run.contains(leg));
    lines.map(|line| line.row(figures)).collect()
}

/// What was to be reached and was not, or was not measured.
pub(super) fn missed(rows: &[Row]) -> Vec<&'static str> {
    let missed = |row: &&Row| matches!(row.verdict(), Verdict::NotReached | Verdict::NotMeasured);
    rows.iter().filter(missed).map(|row| row.what).collect()
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
            Bar::Share(_) => format!("{:.1}%", 100.0 * faster(ours, other)),
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
            (Bar::Faster(times) | Bar::Share(times), Some(other)) => faster(ours, other) >= times,
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
            Self::Share(share) => format!("≥ {}%", digits(100.0 * share)),
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
            (80.0, 100.0, "ops/s-cpu", Bar::Share(0.8), true),
            (79.0, 100.0, "ops/s-cpu", Bar::Share(0.8), false),
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
        assert_eq!(missed(&[row]), ["w"]);
    }

    #[test]
    fn ratios_are_told_as_their_bar_is() {
        let faster = row(30.0, 240.0, "ns/op", Bar::Faster(3.0)).markdown();
        assert_eq!(faster, "| w | 30 ns | 240 ns (peer) | 8× faster | ≥ 3× faster | ok |\n");
        let slower = row(30.0, 24.0, "ns/op", Bar::Times(1.0)).markdown();
        assert_eq!(slower, "| w | 30 ns | 24 ns (peer) | 1.25× | ≤ 1× | **not reached** |\n");
        let share = row(8.9, 10.0, "ops/s-cpu", Bar::Share(0.8));
        assert_eq!(share.markdown(), "| w | 8.9 per CPU-second | 10 per CPU-second (peer) | 89.0% | ≥ 80% | ok |\n");
        assert!(missed(&[share]).is_empty());
    }

    #[test]
    fn every_line_is_of_a_case() {
        for Line(leg, what, ..) in LINES {
            assert!(super::super::legs::LEGS.iter().any(|known| known.name == *leg), "{what}");
        }
    }
}
