//! What the tests of apptoken share: every log line captured at trace level, and the canaries that must not be in it.
//!
//! `cargo xtask test` sets [`LOG_DIR`] and searches the files afterwards for what no log may hold: [`CANARY`], anything
//! shaped like a JWT, private keys.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod keys;

use std::fmt::{Debug, Display};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Part of every secret and password that a test makes up; it must never be seen in a log, a `Debug` or an error.
pub const CANARY: &str = "c4n4ry";

/// Names the folder for the log files, one for each test process; unset: the lines are only kept in memory.
pub const LOG_DIR: &str = "APPTOKEN_TEST_LOGS";

/// First line of every test: from here on each log line of this process, at trace level, is captured.
pub fn init() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let installed = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
            .with_ansi(false)
            .with_writer(Log::shared().clone())
            .try_init();
        assert!(installed.is_ok(), "another log subscriber is installed");
    });
}

/// Writes what a person could see of `value` to the captured log, so that the canary search covers it.
pub fn witness<T: Debug + ?Sized>(value: &T) {
    init();
    tracing::trace!(target: "testkit", "{value:?} {value:#?}");
}

/// As [`witness`], with `Display` and the chain of causes.
pub fn witness_error<E: std::error::Error>(error: &E) {
    witness(error);
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        witness_text(cause);
        next = cause.source();
    }
}

/// As [`witness`], for what is only displayed.
pub fn witness_text<T: Display + ?Sized>(value: &T) {
    init();
    tracing::trace!(target: "testkit", "{value}");
}

/// All that this process has logged so far.
#[must_use]
pub fn logged() -> String {
    let lines = Log::shared().lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    String::from_utf8_lossy(&lines).into_owned()
}

/// Whether `text` holds something that no log may hold; the name of it, never the thing itself.
#[must_use]
pub fn leak(text: &str) -> Option<&'static str> {
    if text.contains(CANARY) {
        return Some("a canary");
    }
    if text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let jwt = text.match_indices("eyJ").any(|(start, _)| {
        let mut parts = text[start..]
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
            .next()
            .unwrap_or_default()
            .split('.');
        let long = |part: Option<&str>, least| part.is_some_and(|part| part.len() >= least);
        long(parts.next(), 10) && parts.next().is_some_and(|claims| claims.len() >= 10 && claims.starts_with("eyJ"))
    });
    jwt.then_some("a JWT")
}

#[derive(Clone)]
struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    file: Arc<Option<Mutex<File>>>,
}

impl Log {
    fn shared() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| Self { lines: Arc::default(), file: Arc::new(log_file().map(Mutex::new)) })
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(line);
        if let Some(file) = &*self.file {
            file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log_file() -> Option<File> {
    let folder = PathBuf::from(std::env::var_os(LOG_DIR)?);
    std::fs::create_dir_all(&folder).expect("the log folder can be made");
    let program = std::env::current_exe().expect("a test has a file");
    let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Some(File::create(folder.join(format!("{name}-{}.log", std::process::id()))).expect("the log can be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks_are_found() {
        assert_eq!(leak("client_secret=c4n4ry-secret"), Some("a canary"));
        assert_eq!(leak("Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhcGkifQ.c2ln"), Some("a JWT"));
        assert_eq!(leak("-----BEGIN PRIVATE KEY-----"), Some("a private key"));
        assert_eq!(leak("eyJ is how a JWT begins, status 200"), None);
    }

    #[test]
    fn what_is_witnessed_is_logged() {
        init();
        witness("seen by the search");
        assert!(logged().contains("seen by the search"));
    }
}
