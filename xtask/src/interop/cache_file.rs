//! The token cache file that the program and Microsoft's clients share: what one wrote, the other finds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::outcome::Outcome;
use super::runtimes::{Runtimes, ask, last_line};
use super::scene::Scene;
use crate::Result;

/// Both ways with each client.
pub(super) fn run(runtimes: &Runtimes, scene: &Scene, folder: &Path) -> Vec<Outcome> {
    let outcome = |who: String, result| Outcome::of(who, "the shared cache file", result);
    let mut outcomes = Vec::new();
    for client in [By::Python, By::Node] {
        let file = folder.join(format!("msal-{client:?}.json"));
        for first in [true, false] {
            drop(fs::remove_file(&file));
            let ours = || program(runtimes, scene, &file).map(|cached| ("apptoken".to_owned(), cached));
            let theirs = || client.ask(runtimes, scene, &file);
            let result = if first { passed(ours(), theirs) } else { passed(theirs(), ours) };
            outcomes.push(outcome(format!("MSAL {client:?}"), result));
        }
    }
    outcomes
}

/// Two processes each of MSAL Python, MSAL Node and ours write into one file at the same time, each as an app of its own;
/// then each library is to have every token in its cache, and to serve those that it knows how to.
pub(super) fn together(runtimes: &Runtimes, scene: &Scene, folder: &Path) -> Outcome {
    let file = folder.join("msal-together.json");
    let result = write_together(runtimes, scene, &file).and_then(|written| {
        let seen = Writer::ALL.map(|reader| read_all(reader.command(runtimes, scene, &file)?, reader, &written));
        let seen = seen.into_iter().collect::<Result<Vec<_>>>()?;
        let all = written.values().sum::<u64>();
        Ok(format!("{all} writes of {} in {SECONDS} s, nothing lost: {}", written.len(), seen.join("; ")))
    });
    Outcome::of("MSAL Python, MSAL Node and ours", "the shared cache file, all at once", result)
}

/// How many tokens each app has put there.
fn write_together(runtimes: &Runtimes, scene: &Scene, file: &Path) -> Result<BTreeMap<String, u64>> {
    drop(fs::remove_file(file));
    let mut processes = Vec::new();
    for writer in Writer::ALL {
        for number in 1..=2 {
            let app = format!("{}-{number}", writer.prefix());
            let mut command = writer.command(runtimes, scene, file)?;
            command.args(["write", &app, SECONDS]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            processes.push((app, command.spawn().map_err(|e| format!("{writer:?}: {e}"))?));
        }
    }
    let mut written = BTreeMap::new();
    for (app, process) in processes {
        let output = process.wait_with_output().map_err(|e| format!("{app}: {e}"))?;
        if !output.status.success() {
            return Err(format!("{app}: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
        }
        let said = last_line(&output.stdout)?;
        // then it is no wonder if something is lost
        if said["forced"] != 0 {
            return Err(format!("{app} went on without the lock, since it did not get it in its time: {said}"));
        }
        written.insert(app, said["written"].as_u64().filter(|&count| count > 1).ok_or("it wrote nothing")?);
    }
    Ok(written)
}

fn read_all(mut command: Command, reader: Writer, written: &BTreeMap<String, u64>) -> Result<String> {
    let apps = json!(written).to_string();
    let said = ask(command.args(["read", &apps])).map_err(|e| format!("{reader:?}: {e}"))?;
    let client = said["client"].as_str().unwrap_or_default().to_owned();
    for (app, &count) in written {
        let lost = |had: &Value| (had != count).then(|| format!("{client} has {had} of the {count} tokens of {app}"));
        let serves = Writer::ALL.into_iter().any(|writer| app.starts_with(writer.prefix()) && reader.serves(writer));
        let why = lost(&said["held"][app]).or_else(|| lost(&said["served"][app]).filter(|_| serves));
        if let Some(why) = why {
            return Err(format!("{why}: {said}"));
        }
    }
    let served = said["served"].as_object().into_iter().flat_map(|served| served.values());
    let (held, served) = (written.values().sum::<u64>(), served.filter_map(Value::as_u64).sum::<u64>());
    Ok(format!("{client} has {held}, serves {served}"))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    Python,
    Node,
    Ours,
}

impl Writer {
    const ALL: [Self; 3] = [Self::Python, Self::Node, Self::Ours];

    fn command(self, runtimes: &Runtimes, scene: &Scene, file: &Path) -> Result<Command> {
        let mut command = match self {
            Self::Python => runtimes.python("msal_cache_together.py"),
            Self::Node => runtimes.node("msal_cache_together.mjs", scene.ca_file()?),
            Self::Ours => runtimes.program("examples/cache_file"),
        };
        command.arg(file);
        Ok(command)
    }

    /// Of MSAL Python and MSAL Node, neither takes the other's tokens for its own (one writes a home account of null, the
    /// other one of ""); ours takes both, and both take ours.
    fn serves(self, writer: Self) -> bool {
        self == writer || self == Self::Ours || writer == Self::Ours
    }

    /// What the names of its apps begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Ours => "ours",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum By {
    Python,
    Node,
}

/// The first one asks the authority, the second one finds its token.
fn passed(writer: Result<(String, bool)>, reader: impl FnOnce() -> Result<(String, bool)>) -> Result<String> {
    let (writer, cached) = writer?;
    if cached {
        return Err(format!("{writer} found a token in a file that was not there"));
    }
    match reader()? {
        (reader, true) => Ok(format!("{reader} finds what {writer} wrote")),
        (reader, false) => Err(format!("{reader} does not find what {writer} wrote")),
    }
}

impl By {
    fn ask(self, runtimes: &Runtimes, scene: &Scene, file: &Path) -> Result<(String, bool)> {
        let mut command = match self {
            Self::Python => runtimes.python("msal_cache_file.py"),
            Self::Node => runtimes.node("msal_cache_file.mjs", scene.ca_file()?),
        };
        let said = ask(command.arg(scene.file()).arg(file)).map_err(|why| format!("MSAL {self:?}: {why}"))?;
        let cached = said["cached"].as_bool().ok_or_else(|| format!("MSAL {self:?} does not say: {said}"))?;
        Ok((said["client"].as_str().unwrap_or_default().to_owned(), cached))
    }
}

/// Whether the program found its token in the file.
fn program(runtimes: &Runtimes, scene: &Scene, file: &Path) -> Result<bool> {
    Ok(run_program(runtimes, scene, file)?.contains("from the cache"))
}

/// What the program says on standard error.
fn run_program(runtimes: &Runtimes, scene: &Scene, file: &Path) -> Result<String> {
    let mut command = runtimes.program("apptoken");
    command
        .args(["token", "--scope", scene.text("/api/scope")?, "--tenant", scene.text("/tenantId")?])
        .args(["--client-id", scene.text("/daemon/clientId")?, "--authority", scene.text("/authority")?])
        .args(["--ca-file", scene.ca_file()?, "--msal-cache"])
        .arg(file)
        .env("APPTOKEN_CLIENT_SECRET", scene.text("/daemon/clientSecret")?);
    let output = command.output().map_err(|e| format!("apptoken does not start: {e}"))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(told) } else { Err(format!("apptoken: {}", told.trim_end())) }
}

/// How long they write together.
const SECONDS: &str = "30";
