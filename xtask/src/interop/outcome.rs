//! What came of each thing that was tried, and the table of it all.

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
    CannotBe(&'static str),
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
}

/// All outcomes, each shown as soon as it is known.
#[derive(Default)]
pub(super) struct Report {
    passed: usize,
    failed: Vec<String>,
}

impl Report {
    pub(super) fn add(&mut self, Outcome { who, what, verdict }: Outcome) {
        match verdict {
            Verdict::Passed(seen) => {
                self.passed += 1;
                println!("ok      {who:<30} {what:<30} {seen}");
            }
            Verdict::CannotBe(reason) => println!("-       {who:<30} {what:<30} {reason}"),
            Verdict::Failed(why) => {
                println!("FAILED  {who:<30} {what:<30} {why}");
                self.failed.push(format!("{who}: {what}"));
            }
        }
    }

    /// Fails if anything failed or nothing passed.
    pub(super) fn end(self) -> Result<()> {
        if !self.failed.is_empty() || self.passed == 0 {
            return Err(format!("{} passed; failed: {}", self.passed, self.failed.join("; ")));
        }
        println!("xtask: {} passed, none failed", self.passed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_or_does_not_run_is_no_success() {
        let report = |outcomes: &[Result<String>]| {
            let mut report = Report::default();
            outcomes.iter().for_each(|outcome| report.add(Outcome::of("a client", "a token", outcome.clone())));
            report.end()
        };
        assert!(report(&[Ok("200".into())]).is_ok());
        assert!(report(&[]).is_err());
        assert!(report(&[Ok("200".into()), Err("401".into())]).unwrap_err().contains("a client: a token"));
        let mut cannot = Report::default();
        cannot.add(Outcome { who: String::new(), what: String::new(), verdict: Verdict::CannotBe("no such option") });
        assert!(cannot.end().is_err());
    }
}
