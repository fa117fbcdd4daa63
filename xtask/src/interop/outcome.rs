//! What came of each thing that was tried, and the tables of it all.

use crate::Result;

/// One thing that one program was made to do.
pub(super) struct Outcome {
    /// The program, with its version once it is known.
    pub(super) who: String,
    /// What it was to do.
    pub(super) what: String,
    pub(super) verdict: Verdict,
}

pub(super) enum Verdict {
    /// What was seen, in a few words.
    Passed(String),
    /// What was expected and what came.
    Failed(String),
    /// Why this program cannot be made to do it.
    CannotBe(String),
}

impl Outcome {
    /// Passed with what was seen, or failed with the reason.
    pub(super) fn of(who: impl Into<String>, what: impl Into<String>, result: Result<String>) -> Self {
        let verdict = match result {
            Ok(seen) => Verdict::Passed(seen),
            Err(why) => Verdict::Failed(why),
        };
        Self { who: who.into(), what: what.into(), verdict }
    }

    fn told(&self) -> String {
        match &self.verdict {
            Verdict::Passed(seen) => seen.clone(),
            Verdict::Failed(why) => format!("FAILED: {why}"),
            Verdict::CannotBe(reason) => format!("- {reason}"),
        }
    }
}

/// All outcomes, shown part by part as they come.
#[derive(Default)]
pub(super) struct Report {
    passed: usize,
    failed: Vec<String>,
}

impl Report {
    /// One line for each.
    pub(super) fn list(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            println!("{:<35} {:<39} {}", outcome.who, outcome.what, outcome.told());
            self.count(outcome);
        }
    }

    /// What there was to do down, who did it across; then what each saw, and why something cannot be.
    pub(super) fn table(&mut self, outcomes: &[Outcome]) {
        let programs = distinct(outcomes, |it| it.who.as_str());
        let things = distinct(outcomes, |it| it.what.as_str());
        for (column, who) in (1..).zip(&programs) {
            println!("{:<27} {column}  {who}", "");
        }
        let columns: Vec<_> = (1..=programs.len()).map(|column| format!("{column:<8}")).collect();
        println!("{:<27} {}", "", columns.concat().trim_end());
        for what in &things {
            let cell = |who: &&str| match outcomes.iter().find(|it| it.who == *who && it.what == *what) {
                Some(Outcome { verdict: Verdict::Passed(_), .. }) => "ok      ",
                Some(Outcome { verdict: Verdict::Failed(_), .. }) => "FAILED  ",
                Some(Outcome { verdict: Verdict::CannotBe(_), .. }) | None => "-       ",
            };
            let cells: Vec<_> = programs.iter().map(cell).collect();
            println!("{what:<27} {}", cells.concat().trim_end());
        }
        for who in &programs {
            println!("\n{who}");
            let of_program: Vec<_> = outcomes.iter().filter(|it| it.who == *who).collect();
            for line in distinct(of_program.iter().copied(), Outcome::told) {
                let cases: Vec<_> =
                    of_program.iter().filter(|it| it.told() == line).map(|it| it.what.as_str()).collect();
                println!("    {line}\n        {}", cases.join("; "));
            }
        }
        println!();
        outcomes.iter().for_each(|outcome| self.count(outcome));
    }

    /// Fails if anything failed or nothing passed.
    pub(super) fn end(self) -> Result<()> {
        if !self.failed.is_empty() || self.passed == 0 {
            return Err(format!("{} passed; {} failed: {}", self.passed, self.failed.len(), self.failed.join("; ")));
        }
        println!("xtask: {} passed, none failed", self.passed);
        Ok(())
    }

    fn count(&mut self, Outcome { who, what, verdict }: &Outcome) {
        match verdict {
            Verdict::Passed(_) => self.passed += 1,
            Verdict::Failed(_) => self.failed.push(format!("{who}: {what}")),
            Verdict::CannotBe(_) => (),
        }
    }
}

/// Each value once, in the order of its first coming.
fn distinct<'a, T: PartialEq>(
    outcomes: impl IntoIterator<Item = &'a Outcome>,
    of: impl Fn(&'a Outcome) -> T,
) -> Vec<T> {
    let mut found = Vec::new();
    for value in outcomes.into_iter().map(of) {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_or_does_not_run_is_no_success() {
        type Show = fn(&mut Report, &[Outcome]);
        for show in [Report::list as Show, Report::table as Show] {
            let report = |outcomes: &[Result<String>]| {
                let mut report = Report::default();
                let of = |outcome: &Result<String>| Outcome::of("a client", "a token", outcome.clone());
                show(&mut report, &outcomes.iter().map(of).collect::<Vec<_>>());
                report.end()
            };
            assert!(report(&[Ok("200".into())]).is_ok());
            assert!(report(&[]).is_err());
            assert!(report(&[Ok("200".into()), Err("401".into())]).unwrap_err().contains("a client: a token"));
            let (mut cannot, verdict) = (Report::default(), Verdict::CannotBe("no such option".into()));
            show(&mut cannot, &[Outcome { who: String::new(), what: String::new(), verdict }]);
            assert!(cannot.end().is_err());
        }
    }
}
