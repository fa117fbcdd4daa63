//! Tells the demo: steps, wire facts, checks; and keeps count of the checks.

use std::fmt::{Arguments, Display};
use std::io::Write;
use std::time::Duration;

use super::world::World;
use crate::exchange::Exchange;
use crate::exit::Failure;
use crate::terminal::{BAD, BOLD, DIM, GOOD};
use crate::words;

/// The voice of the demo.
pub(super) struct Narrator {
    steps: usize,
    checks: usize,
    failed: Vec<String>,
}

impl Narrator {
    pub(super) fn new() -> Self {
        Self { steps: 0, checks: 0, failed: Vec::new() }
    }

    pub(super) fn begin(&self, world: &World) -> Result<(), Failure> {
        self.say(format_args!(
            "{BOLD}A daemon gets an app-only token and calls its API{BOLD:#}; nothing leaves this machine.\n"
        ))?;
        for (what, how) in world.cast() {
            self.say(format_args!("  {what:<15} {how}"))?;
        }
        Ok(())
    }

    /// The next step.
    pub(super) fn step(&mut self, title: &str) -> Result<(), Failure> {
        self.steps += 1;
        self.say(format_args!("\n{BOLD}{:>2}  {title}{BOLD:#}", self.steps))
    }

    /// A sentence.
    pub(super) fn note(&self, text: impl Display) -> Result<(), Failure> {
        for line in wrapped(&text.to_string()) {
            self.say(format_args!("    {line}"))?;
        }
        Ok(())
    }

    /// What travelled.
    pub(super) fn wire(&self, text: impl Display) -> Result<(), Failure> {
        for line in wrapped(&text.to_string()) {
            self.say(format_args!("    {DIM}{line}{DIM:#}"))?;
        }
        Ok(())
    }

    /// A token request and its answer, in four lines or so.
    pub(super) fn exchange(&self, exchange: &Exchange) -> Result<(), Failure> {
        self.wire(format_args!("{} {}", exchange.method, exchange.url))?;
        let form: Vec<String> = exchange.form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.wire(format_args!("     {}", form.join(" ")))?;
        let Some(answer) = &exchange.answer else { return self.wire("no answer") };
        let words = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
        let (error, lifetime) = (words("error"), &answer.body["expires_in"]);
        if error.is_empty() {
            self.wire(format_args!("{}  {}, expires_in {lifetime}", answer.status, words("token_type")))
        } else {
            self.wire(format_args!("{}  {error}, error_codes {}", answer.status, answer.body["error_codes"]))
        }
    }

    /// A claim of this step, and whether it is so.
    pub(super) fn check(&mut self, held: bool, what: impl Display) -> Result<(), Failure> {
        self.checks += 1;
        if held {
            return self.say(format_args!("    {GOOD}✓{GOOD:#} {what}"));
        }
        self.failed.push(format!("step {}: {what}", self.steps));
        self.say(format_args!("    {BAD}✗ {what}{BAD:#}"))
    }

    /// A step that broke off.
    pub(super) fn broke_off(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.check(false, format_args!("the step broke off: {}", failure.line()))
    }

    pub(super) fn end(&self, took: Duration) -> Result<(), Failure> {
        let (steps, checks, took) = (self.steps, self.checks, words::measured(took));
        if self.failed.is_empty() {
            return self.say(format_args!("\n{GOOD}All {checks} checks of {steps} steps held{GOOD:#}, in {took}."));
        }
        self.say(format_args!("\n{BAD}{} of {checks} checks did not hold{BAD:#}:", self.failed.len()))?;
        for failed in &self.failed {
            self.say(format_args!("  {failed}"))?;
        }
        Ok(())
    }

    pub(super) fn all_held(&self) -> bool {
        self.failed.is_empty()
    }

    pub(super) fn say(&self, line: Arguments<'_>) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        out.write_fmt(line)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }
}

/// `text` in lines of at most [`WIDTH`], broken between words; what follows the first is indented.
fn wrapped(text: &str) -> Vec<String> {
    let indent = text.len() - text.trim_start().len();
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.trim().is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("{:FURTHER$}{word}", ""));
        }
    }
    lines
}

const WIDTH: usize = 108;
/// How far a continued line is indented.
const FURTHER: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrapped("one two"), ["one two"]);
        assert_eq!(wrapped("     a=b"), ["     a=b"]);
        let long = format!("{} {}", "x".repeat(WIDTH), "y");
        assert_eq!(wrapped(&long), ["x".repeat(WIDTH), "     y".to_owned()]);
    }
}
