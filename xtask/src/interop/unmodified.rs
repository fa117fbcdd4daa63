//! Clients that are told tenant, client id and credential, and nothing of a local authority: `apptoken run` leads them
//! there, by its proxy and by a network of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::outcome::{Outcome, Verdict};
use super::runtimes::{Runtimes, ask, python_driver};
use crate::{Result, workspace};

/// A client, and what plays the daemon with it.
#[derive(Clone, Copy)]
struct Client {
    name: &'static str,
    driver: Driver,
}

#[derive(Clone, Copy)]
enum Driver {
    Python(&'static str),
    Node(&'static str),
    Rust(&'static str),
}

/// How it is led to the local Entra ID, and by what it signs in.
struct Way {
    name: &'static str,
    flags: &'static [&'static str],
    credential: Credential,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Credential {
    Secret,
    Certificate,
    /// The machine's: the client is told nothing at all.
    Identity,
}

/// The files of a run.
struct Files {
    seed: PathBuf,
    certificate_and_key: PathBuf,
    report: PathBuf,
}

const CLIENTS: [Client; 5] = [
    Client { name: "MSAL Python", driver: Driver::Python("unmodified_msal.py") },
    Client { name: "azure-identity Python", driver: Driver::Python("unmodified_azure_identity.py") },
    Client { name: "MSAL Node", driver: Driver::Node("unmodified_msal.mjs") },
    Client { name: "@azure/identity", driver: Driver::Node("unmodified_azure_identity.mjs") },
    Client { name: "azure_identity Rust", driver: Driver::Rust("azure-identity-unmodified") },
];

const WAYS: [Way; 6] = [
    Way { name: "run", flags: &["--offline"], credential: Credential::Secret },
    Way { name: "run --isolated", flags: &["--isolated"], credential: Credential::Secret },
    Way { name: "run --isolated, certificate", flags: &["--isolated"], credential: Credential::Certificate },
    Way {
        name: "run, App Service",
        flags: &["--offline", "--managed-identity", "app-service"],
        credential: Credential::Identity,
    },
    Way {
        name: "run --isolated, IMDS",
        flags: &["--isolated", "--managed-identity", "imds"],
        credential: Credential::Identity,
    },
    Way {
        name: "run --isolated, Azure Arc",
        flags: &["--isolated", "--managed-identity", "arc"],
        credential: Credential::Identity,
    },
];

/// Each client each way.
pub(super) fn run(runtimes: &Runtimes, folder: &Path) -> Result<Vec<Outcome>> {
    let files = Files::make(runtimes, &folder.join("unmodified"))?;
    let mut outcomes = Vec::new();
    for client in CLIENTS {
        // the MSALs have classes of their own for it, which the other parts play
        let may = |way: &&Way| way.credential != Credential::Identity || !client.name.starts_with("MSAL");
        outcomes.extend(WAYS.iter().filter(may).map(|way| client.play(way, runtimes, &files)));
    }
    Ok(outcomes)
}

impl Files {
    fn make(runtimes: &Runtimes, folder: &Path) -> Result<Self> {
        let (file, named) = (|name| folder.join(name), |e: std::io::Error| format!("{}: {e}", folder.display()));
        fs::create_dir_all(folder).map_err(named)?;
        let mut new = runtimes.program("apptoken");
        new.args(["--quiet", "cert", "new", "daemon", "--force", "--folder"]).arg(folder).stdout(Stdio::null());
        workspace::run(&mut new)?;
        let read = |name| fs::read_to_string(file(name)).map_err(named);
        let (key, certificate) = (read("daemon.key")?, read("daemon.crt")?);
        let seed = fs::read(workspace::root().join("interop/unmodified.json")).map_err(|e| e.to_string())?;
        let mut seed: Value = serde_json::from_slice(&seed).map_err(|e| format!("interop/unmodified.json: {e}"))?;
        seed["applications"][1]["keyCredentials"] = serde_json::json!([{ "certificate": certificate }]);
        let files =
            Self { seed: file("seed.json"), certificate_and_key: file("daemon.pem"), report: file("report.json") };
        fs::write(&files.seed, seed.to_string()).map_err(named)?;
        fs::write(&files.certificate_and_key, key + &certificate).map_err(named)?;
        Ok(files)
    }
}

impl Client {
    fn play(self, way: &Way, runtimes: &Runtimes, files: &Files) -> Outcome {
        let mut who = self.name.to_owned();
        if let Some(reason) = self.cannot(way, runtimes) {
            return Outcome { who, what: way.name.into(), verdict: Verdict::CannotBe(reason.into()) };
        }
        let result = ask(&mut self.command(way, runtimes, files)).and_then(|said| {
            who = said["client"].as_str().unwrap_or_default().to_owned();
            let text = fs::read(&files.report).map_err(|e| format!("{}: {e}", files.report.display()))?;
            let report = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", files.report.display()))?;
            way.judge(&said, &report)
        });
        Outcome::of(who, way.name, result)
    }

    fn cannot(self, way: &Way, runtimes: &Runtimes) -> Option<&'static str> {
        let by_proxy = !way.flags.contains(&"--isolated");
        if by_proxy && self.name == "MSAL Node" && !node_heeds_proxies(&runtimes.node) {
            return Some("Node before 22.21 heeds no proxy; that is what --isolated is for");
        }
        if way.flags.contains(&"arc") && matches!(self.driver, Driver::Rust(_)) {
            return Some("its releases know no Azure Arc yet");
        }
        let openssl = way.credential == Credential::Certificate && matches!(self.driver, Driver::Rust(_));
        openssl.then_some("its certificate credential links OpenSSL, which we do not")
    }

    fn command(self, way: &Way, runtimes: &Runtimes, files: &Files) -> Command {
        let mut command = runtimes.program("apptoken");
        command.args(["--quiet", "run", "--report", "json", "--report-file"]).arg(&files.report);
        command.arg("--seed").arg(&files.seed).args(way.flags).arg("--");
        match self.driver {
            Driver::Python(driver) => command.arg(&runtimes.python).arg(python_driver(driver)),
            Driver::Node(driver) => command.arg(&runtimes.node).arg(runtimes.node_folder.join(driver)),
            Driver::Rust(program) => command.arg(runtimes.built(program)),
        };
        match way.credential {
            Credential::Secret => command.envs(DAEMON).env("AZURE_CLIENT_SECRET", SECRET),
            Credential::Certificate => {
                command.envs(DAEMON).env("AZURE_CLIENT_CERTIFICATE_PATH", &files.certificate_and_key)
            }
            Credential::Identity => &mut command,
        };
        command
    }
}

impl Way {
    /// Passed: token and role, Graph's users, the refusal in the client's own error; and the report tells the same.
    fn judge(&self, said: &Value, report: &Value) -> Result<String> {
        let check = |holds: bool, what: &str, seen: &Value| if holds { Ok(()) } else { Err(format!("{what}: {seen}")) };
        check(said["claims"]["roles"][0] == "DaemonAppRole", "the token's roles", &said["claims"]["roles"])?;
        let proof = if self.credential == Credential::Secret { "1" } else { "2" };
        check(said["claims"]["azpacr"] == proof, "the token's azpacr", &said["claims"]["azpacr"])?;
        check(said["users"][0] == "Adele Vance", "Graph's users", &said["users"])?;
        let granted = |resource: &str| {
            let tokens = report["tokens"].as_array().into_iter().flatten();
            tokens.filter(|token| token["resource"] == resource).count() == 1
        };
        let both = granted("api://todolist") && granted("https://graph.microsoft.com");
        check(both, "the report's tokens", &report["tokens"])?;
        let (refused, refusals) = (&said["refused"], &report["refusals"]);
        if self.credential == Credential::Identity {
            check(refusals.as_array().is_some_and(Vec::is_empty), "the report's refusals", refusals)?;
            return Ok("token, Graph 200".into());
        }
        check(refused.as_str().is_some_and(|text| text.contains("AADSTS7000215")), "the refusal", refused)?;
        check(refusals[0]["code"] == 7_000_215, "the report's refusals", refusals)?;
        Ok("token, Graph 200, 7000215".into())
    }
}

/// From version 22.21, and 24, with `NODE_USE_ENV_PROXY`.
fn node_heeds_proxies(node: &PathBuf) -> bool {
    let told = Command::new(node).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let told = String::from_utf8_lossy(&told);
    let mut numbers = told.trim().trim_start_matches('v').split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    major >= 24 || (major == 22 && minor >= 21)
}

/// As in `interop/unmodified.json`.
const DAEMON: [(&str, &str); 2] = [
    ("AZURE_TENANT_ID", "aaaabbbb-0000-cccc-1111-dddd2222eeee"),
    ("AZURE_CLIENT_ID", "00001111-aaaa-2222-bbbb-3333cccc4444"),
];
const SECRET: &str = "a secret of the local Entra ID";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_client_passes_by_what_it_says_and_what_the_report_says() {
        let said = json!({ "claims": { "roles": ["DaemonAppRole"], "azpacr": "1" }, "users": ["Adele Vance"], "refused": "… AADSTS7000215: …" });
        let report = json!({
            "tokens": [{ "resource": "api://todolist" }, { "resource": "https://graph.microsoft.com" }],
            "refusals": [{ "code": 7_000_215 }],
        });
        assert!(WAYS[0].judge(&said, &report).is_ok());
        for pointer in ["/claims/roles/0", "/claims/azpacr", "/users/0", "/refused"] {
            let mut bad = said.clone();
            *bad.pointer_mut(pointer).unwrap() = Value::Null;
            assert!(WAYS[0].judge(&bad, &report).is_err(), "{pointer}");
        }
        for pointer in ["/tokens/0/resource", "/tokens/1/resource", "/refusals/0/code"] {
            let mut bad = report.clone();
            *bad.pointer_mut(pointer).unwrap() = Value::Null;
            assert!(WAYS[0].judge(&said, &bad).is_err(), "{pointer}");
        }
    }
}
