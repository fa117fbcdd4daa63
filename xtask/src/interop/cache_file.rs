//! The token cache file that the program and Microsoft's clients share: what one wrote, the other finds.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::demo::Demo;
use super::{Runtimes, last_line};
use crate::Result;

/// Both ways with each client; one line for each way that works, an error for each that does not.
pub(super) fn run(runtimes: &Runtimes, demo: &Demo, folder: &Path) -> Vec<Result<String>> {
    let mut outcomes = Vec::new();
    for client in [By::Python, By::Node] {
        let file = folder.join(format!("msal-{client:?}.json"));
        for first in [true, false] {
            drop(fs::remove_file(&file));
            let ours = || program(runtimes, demo, &file).map(|cached| ("apptoken".to_owned(), cached));
            let theirs = || client.ask(runtimes, demo, &file);
            outcomes.push(if first { passed(ours(), theirs) } else { passed(theirs(), ours) });
        }
    }
    outcomes
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
        (reader, true) => Ok(format!("{reader:<30} finds what {writer} wrote into the cache file")),
        (reader, false) => Err(format!("{reader} does not find what {writer} wrote into the cache file")),
    }
}

impl By {
    fn ask(self, runtimes: &Runtimes, demo: &Demo, file: &Path) -> Result<(String, bool)> {
        let mut command = match self {
            Self::Python => {
                let mut command = Command::new(&runtimes.python);
                command.arg(crate::workspace::root().join("interop/python/msal_cache_file.py"));
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Self::Node => {
                let mut command = Command::new(&runtimes.node);
                command.arg(runtimes.node_folder.join("msal_cache_file.mjs"));
                command.env("NODE_EXTRA_CA_CERTS", demo.ca_file()?);
                command
            }
        };
        command.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE").arg(demo.connection_file()).arg(file);
        let output = command.output().map_err(|e| format!("does not start: {e}"))?;
        if !output.status.success() {
            return Err(format!("MSAL {self:?}: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
        }
        let said: Value = last_line(&output.stdout)?;
        let cached = said["cached"].as_bool().ok_or_else(|| format!("MSAL {self:?} does not say: {said}"))?;
        Ok((said["client"].as_str().unwrap_or_default().to_owned(), cached))
    }
}

/// Whether the program found its token in the file.
fn program(runtimes: &Runtimes, demo: &Demo, file: &Path) -> Result<bool> {
    let mut command = Command::new(runtimes.programs.join("apptoken"));
    command
        .args(["token", "--scope", demo.text("/api/scope")?, "--tenant", demo.text("/tenantId")?])
        .args(["--client-id", demo.text("/daemon/clientId")?, "--authority", demo.text("/authority")?])
        .args(["--ca-file", demo.ca_file()?, "--msal-cache"])
        .arg(file)
        .env("APPTOKEN_CLIENT_SECRET", demo.text("/daemon/clientSecret")?);
    let output = command.output().map_err(|e| format!("apptoken does not start: {e}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("apptoken: {}", told.trim_end()));
    }
    Ok(told.contains("from the cache"))
}
