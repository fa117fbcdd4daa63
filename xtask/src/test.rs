//! `cargo xtask test`: every test, then the search through what they logged.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use crate::{Result, leaks, tools, workspace};

/// Runs all tests with every log line at trace level written to `target/test-logs`, then searches those files and the
/// tests' own output for secrets. Passes only if the search can be believed: there must have been something to find.
pub fn run() -> Result<()> {
    tools::install()?;
    let logs = workspace::target()?.join("test-logs");
    if logs.exists() {
        fs::remove_dir_all(&logs).map_err(|e| format!("{}: {e}", logs.display()))?;
    }
    fs::create_dir_all(&logs).map_err(|e| format!("{}: {e}", logs.display()))?;
    // a test that fails may be the one that tells a secret: search in any case
    let (tested, searched) = (tests(&logs), search(&logs));
    match (tested, searched) {
        (Err(test), Err(search)) => Err(format!("{test}; and {search}")),
        (tested, searched) => tested.and(searched).and_then(|()| models()),
    }
}

/// The models of `model/`, which is a workspace of its own.
fn models() -> Result<()> {
    let target = workspace::target()?.join("model");
    let mut cargo = workspace::cargo(&["test", "--quiet", "--locked", "--manifest-path", "model/Cargo.toml"]);
    workspace::run(cargo.arg("--target-dir").arg(target))
}

fn search(logs: &Path) -> Result<()> {
    let (files, lines) = believable(logs)?;
    let leaks = leaks::search(logs)?;
    for leak in &leaks {
        println!("{leak}");
    }
    if !leaks.is_empty() {
        return Err(format!("{} lines tell a secret (the files are in {})", leaks.len(), logs.display()));
    }
    println!("xtask: no secret, token or private key in {lines} lines of {files} logs, nor in what the tests printed");
    Ok(())
}

/// `cargo test`; what the tests print is shown and kept beside the logs.
fn tests(logs: &Path) -> Result<()> {
    let mut cargo = workspace::cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--", "--show-output"]);
    cargo.env(LOG_DIR, logs).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = cargo.spawn().map_err(|e| format!("cargo does not start: {e}"))?;
    let keep = |name: &str| {
        let path = logs.join(name);
        File::create(&path).map_err(|e| format!("{}: {e}", path.display()))
    };
    let (out_file, err_file) = (keep("cargo-test.stdout")?, keep("cargo-test.stderr")?);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let copied = thread::scope(|scope| {
        let out = scope.spawn(|| out.map_or(Ok(()), |from| copy(from, io::stdout(), out_file)));
        let err = scope.spawn(|| err.map_or(Ok(()), |from| copy(from, io::stderr(), err_file)));
        [out, err].map(|copier| copier.join().unwrap_or_else(|_| Err(io::Error::other("the copier panicked"))))
    });
    let status = child.wait().map_err(|e| format!("cargo test: {e}"))?;
    for result in copied {
        result.map_err(|e| format!("the tests' output: {e}"))?;
    }
    if status.success() { Ok(()) } else { Err(format!("cargo test: {status}")) }
}

fn copy(mut from: impl Read, mut shown: impl Write, mut kept: File) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => {
                kept.write_all(&buffer[..read])?;
                shown.write_all(&buffer[..read])?;
            }
        }
    }
}

/// A search that finds nothing proves something only if there was something to find: the logs exist, hold lines of our
/// code and of the HTTP stack below it, the latter at trace level, and a planted leak of each kind is found. Returns
/// how many files and lines there are.
fn believable(logs: &Path) -> Result<(usize, usize)> {
    let mut missing = NEEDED.to_vec();
    let (mut files, mut lines) = (0, 0);
    for file in leaks::files(logs)?.iter().filter(|file| file.extension().is_some_and(|ending| ending == "log")) {
        let bytes = fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        files += 1;
        lines += text.lines().count();
        missing.retain(|needed| !text.lines().any(|line| is_of(line, needed)));
    }
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|(level, target)| format!("{level} {target}")).collect();
        return Err(format!(
            "the logs of the tests have no lines of {}: the search proves nothing",
            missing.join(", ")
        ));
    }
    planted(logs)?;
    Ok((files, lines))
}

/// Whether `line` is one of tracing's at this level from this crate: time, level, spans, target, message.
fn is_of(line: &str, (level, target): &(&str, &str)) -> bool {
    let Some((_, after)) = line.split_once(&format!(" {level} ")) else { return false };
    [format!(" {target}::"), format!(" {target}: ")].iter().any(|target| format!(" {after}").contains(target))
}

fn planted(logs: &Path) -> Result<()> {
    let folder = logs.with_file_name("test-logs-planted");
    let name = |e: io::Error| format!("{}: {e}", folder.display());
    fs::create_dir_all(&folder).map_err(name)?;
    let lines = [
        format!("TRACE body=client_secret={}", leaks::CANARY),
        "TRACE Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhcGkifQ.c2ln".to_owned(),
        "-----BEGIN PRIVATE KEY-----".to_owned(),
    ];
    fs::write(folder.join("planted.log"), lines.join("\n")).map_err(name)?;
    let found = leaks::search(&folder);
    fs::remove_dir_all(&folder).map_err(name)?;
    match found?.len() {
        n if n == lines.len() => Ok(()),
        n => Err(format!("only {n} of {} planted leaks were found: the search is broken", lines.len())),
    }
}

/// As in `testkit::LOG_DIR`.
const LOG_DIR: &str = "APPTOKEN_TEST_LOGS";

/// Lines that there must be: the least level, and whose.
const NEEDED: [(&str, &str); 6] = [
    ("TRACE", "hyper_util"),
    ("TRACE", "reqwest"),
    ("DEBUG", "apptoken"),
    ("DEBUG", "apptoken_daemon"),
    ("INFO", "apptoken_emulator"),
    ("INFO", "apptoken_protect"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_proves_nothing() {
        let folder = workspace::target().unwrap().join(format!("no-logs-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let said = believable(&folder);
        fs::write(folder.join("a.log"), "2026 TRACE hyper_util::client: x\n2026 DEBUG reqwest::connect: x\n").unwrap();
        let partly = believable(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert!(said.unwrap_err().contains("TRACE hyper_util, TRACE reqwest, DEBUG apptoken,"));
        let partly = partly.unwrap_err();
        assert!(partly.contains("TRACE reqwest") && !partly.contains("hyper_util"), "{partly}");
    }
}
