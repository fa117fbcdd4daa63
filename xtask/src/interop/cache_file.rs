//! The token cache file that the program and Microsoft's clients share: what one wrote, the other finds.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::outcome::Outcome;
use super::runtimes::{Runtimes, ask, last_line};
use super::scene::Scene;
use crate::Result;

/// Both ways with each client, then all at once.
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
    let together = together(runtimes, scene, &folder.join("msal-together.json"));
    outcomes.push(outcome("MSAL Python, two at once".to_owned(), together));
    outcomes
}

/// Two processes of MSAL Python write as other apps while the program refreshes its token: nothing is lost.
fn together(runtimes: &Runtimes, scene: &Scene, file: &Path) -> Result<String> {
    drop(fs::remove_file(file));
    let apps = ["app-one", "app-two"];
    let writers = apps.map(|app| {
        let mut command = runtimes.python("msal_cache_writer.py");
        command.arg(file).args([app, SECONDS]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    });
    let mut writers = writers.into_iter().collect::<std::io::Result<Vec<_>>>().map_err(|e| format!("Python: {e}"))?;
    let mut ours = 0_u32;
    while writers.iter_mut().any(|writer| matches!(writer.try_wait(), Ok(None))) {
        run_program(runtimes, scene, file, &["--force-refresh"])?;
        ours += 1;
    }
    let mut written = Vec::new();
    for writer in writers {
        let output = writer.wait_with_output().map_err(|e| format!("Python: {e}"))?;
        if !output.status.success() {
            return Err(format!("MSAL Python: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
        }
        written.push(last_line(&output.stdout)?["written"].as_u64().unwrap_or_default());
    }
    let text = fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let content: Value = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    let rows = |app: &str| {
        let all = content["AccessToken"].as_object().into_iter().flat_map(serde_json::Map::values);
        all.filter(|row| row["client_id"] == app).count() as u64
    };
    let kept = apps.map(rows);
    if ours < 2 || written.contains(&0) || kept.as_slice() != written || rows(scene.text("/daemon/clientId")?) != 2 {
        return Err(format!("of {written:?} tokens of MSAL Python's {kept:?} are left after {ours} writes of ours"));
    }
    Ok(format!(
        "{} writes of MSAL Python's and {ours} of ours at the same time, nothing lost",
        written.iter().sum::<u64>()
    ))
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
    Ok(run_program(runtimes, scene, file, &[])?.contains("from the cache"))
}

/// What the program says on standard error.
fn run_program(runtimes: &Runtimes, scene: &Scene, file: &Path, flags: &[&str]) -> Result<String> {
    let mut command = runtimes.program("apptoken");
    command
        .args(["token", "--scope", scene.text("/api/scope")?, "--tenant", scene.text("/tenantId")?])
        .args(["--client-id", scene.text("/daemon/clientId")?, "--authority", scene.text("/authority")?])
        .args(["--ca-file", scene.ca_file()?, "--msal-cache"])
        .arg(file)
        .args(flags)
        .env("APPTOKEN_CLIENT_SECRET", scene.text("/daemon/clientSecret")?);
    let output = command.output().map_err(|e| format!("apptoken does not start: {e}"))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(told) } else { Err(format!("apptoken: {}", told.trim_end())) }
}

/// How long they write together.
const SECONDS: &str = "5";
