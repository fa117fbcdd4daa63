//! Where words go: results to standard output, everything else to standard error; colours by anstream's rules (a
//! terminal, no `NO_COLOR`).

use std::fmt::Arguments;
use std::io::Write;

use anstyle::{AnsiColor, Style};

use crate::exit::Failure;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

/// The two streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// A line of the result.
    pub(crate) fn result(self, line: Arguments<'_>) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        out.write_fmt(line)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// A result that is not ours to touch.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// What happens meanwhile; not with `--quiet`.
    pub(crate) fn progress(self, line: Arguments<'_>) {
        if !self.quiet {
            tell(line);
        }
    }

    /// What was asked for beside the result, as `--show-request`.
    pub(crate) fn aside(self, text: &str) {
        tell(format_args!("{text}"));
    }
}

/// A line on standard error. That nobody reads it is no reason to end, as `eprintln!` would.
pub(crate) fn tell(line: Arguments<'_>) {
    drop(writeln!(anstream::stderr(), "{line}"));
}
