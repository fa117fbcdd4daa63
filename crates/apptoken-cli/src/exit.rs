//! How the program ends: one failure type, mapped to the documented exit codes.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use apptoken::ErrorKind;

use crate::terminal::{BAD, BOLD, tell};

/// Why a command failed, for the person who must act.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit code 1: someone said no, or a check did not hold.
    Refused(Told),
    /// Exit code 2: usage, settings, credentials, files.
    Usage(Told),
    /// Exit code 3: not reached.
    Unreachable(Told),
    /// Exit code 1, and everything has been said.
    Silent,
    /// The exit code of a program that was run.
    Ended(u8),
    /// Nobody reads our output any more; not a failure (`apptoken demo | head`).
    BrokenPipe,
}

/// What is told: the failure, its causes, the next step.
#[derive(Debug, Default)]
pub(crate) struct Told {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(Told { message: message.into(), ..Told::default() })
    }

    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::Unreachable(Told { message: message.into(), ..Told::default() })
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(Told { message: message.into(), ..Told::default() })
    }

    /// Adds the next step, unless one is known already.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Refused(told) | Self::Usage(told) | Self::Unreachable(told) = &mut self {
            told.hint.get_or_insert_with(|| hint.into());
        }
        self
    }

    /// Adds what a library said, with its causes.
    pub(crate) fn because(mut self, error: &(dyn StdError + 'static)) -> Self {
        if let Self::Refused(told) | Self::Usage(told) | Self::Unreachable(told) = &mut self {
            told.causes.push(error.to_string());
            told.causes.extend(causes(error));
        }
        self
    }

    /// What the library says against something that was given, with its advice.
    pub(crate) fn about(what: impl Into<String>, error: &apptoken::Error) -> Self {
        let failure = Self::usage(what).because(error);
        match error.advice() {
            Some(advice) => failure.hint(in_flags(advice)),
            None => failure,
        }
    }

    /// One line: the failure and its causes.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Refused(told) | Self::Usage(told) | Self::Unreachable(told) => {
                let mut line = told.message.clone();
                for cause in &told.causes {
                    // writing to a String cannot fail
                    let _ = write!(line, ": {cause}");
                }
                line
            }
            Self::Silent | Self::Ended(_) | Self::BrokenPipe => String::new(),
        }
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (code, told) = match self {
            Self::BrokenPipe => return ExitCode::SUCCESS,
            Self::Silent => return ExitCode::from(1),
            Self::Ended(code) => return ExitCode::from(code),
            Self::Refused(told) => (1, told),
            Self::Usage(told) => (2, told),
            Self::Unreachable(told) => (3, told),
        };
        tell(format_args!("{BAD}error{BAD:#}: {}", told.message));
        for cause in &told.causes {
            tell(format_args!("  because: {cause}"));
        }
        if let Some(hint) = &told.hint {
            tell(format_args!("  {BOLD}hint{BOLD:#}: {hint}"));
        }
        ExitCode::from(code)
    }
}

impl From<apptoken::Error> for Failure {
    fn from(error: apptoken::Error) -> Self {
        let wait = error.retry_after().map(|wait| format!("try again in {} seconds", wait.as_secs()));
        let hint = error.advice().map(in_flags).or(wait);
        let told = Told { message: error.to_string(), causes: causes(&error), hint };
        match error.kind() {
            ErrorKind::Configuration | ErrorKind::Credential => Self::Usage(told),
            ErrorKind::Throttled | ErrorKind::Transport => Self::Unreachable(told),
            _ => Self::Refused(told),
        }
    }
}

impl From<apptoken_daemon::Error> for Failure {
    fn from(error: apptoken_daemon::Error) -> Self {
        if let apptoken_daemon::Error::Token(error) = error {
            return error.into();
        }
        let hint = error.advice().map(in_flags);
        let told = Told { message: in_flags(&error.to_string()), causes: causes(&error), hint };
        match error {
            apptoken_daemon::Error::Configuration(_) => Self::Usage(told),
            apptoken_daemon::Error::Transport(_) => Self::Unreachable(told),
            _ => Self::Refused(told),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::BrokenPipe } else { Self::usage(error.to_string()) }
    }
}

/// What the libraries tell programmers, for who types.
fn in_flags(text: &str) -> String {
    FLAGS.iter().fold(text.to_owned(), |text, (method, flag)| text.replace(method, flag))
}

const FLAGS: [(&str, &str); 4] = [
    ("is added with add_root_certificate_pem", "is given with --ca-file"),
    ("add it with add_root_certificate_pem", "give it with --ca-file"),
    ("or domain name, for example .tenant(\"contoso.onmicrosoft.com\")", "or domain name with --tenant"),
    ("for a local test server allow it with allow_http_loopback(true)", "write https"),
];

/// The causes of `error`, outermost first; one that only repeats what was said before it is left out.
fn causes(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said.push_str(&text);
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}
