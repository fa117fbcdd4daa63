//! Validators that others wrote, on the tokens, the keys and the metadata of the local Entra ID, in both issuer modes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::outcome::{Outcome, Verdict};
use super::runtimes::{Runtimes, lines};
use super::scene::Scene;
use crate::Result;

/// Each accepts a token of each version, and refuses one for another API and one that was changed.
pub(super) fn run(runtimes: &Runtimes, scene: &Scene, folder: &Path) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (mode, authority) in [("entra", "/authority"), ("local", "/localAuthority")] {
        for (runtime, checks) in [("Python", 6), ("Node", if mode == "local" { 13 } else { 12 })] {
            let played = play(runtime, mode, authority, runtimes, scene, folder).and_then(|said| match said.len() {
                played if played == checks => Ok(said),
                played => Err(format!("{played} checks, not {checks}")),
            });
            match played {
                Ok(said) => outcomes.extend(said.iter().map(|line| outcome(line, mode))),
                Err(why) => outcomes.push(Outcome::of(format!("the validators in {runtime}"), mode, Err(why))),
            }
        }
    }
    let reason = "in issuer mode entra the issuer is login.microsoftonline.com, which is not where it was asked".into();
    let (who, what) = ("openid-client".into(), "discovery, issuers entra".into());
    outcomes.push(Outcome { who, what, verdict: Verdict::CannotBe(reason) });
    outcomes
}

fn play(
    runtime: &str,
    mode: &str,
    authority: &str,
    runtimes: &Runtimes,
    scene: &Scene,
    folder: &Path,
) -> Result<Vec<Value>> {
    let api = scene.text("/api/clientId")?;
    let job = json!({
        "authority": scene.text(authority)?, "tenantId": scene.text("/tenantId")?, "caFile": scene.ca_file()?,
        "clientId": scene.text("/daemon/clientId")?, "clientSecret": scene.text("/daemon/clientSecret")?,
        "discovery": mode == "local",
        "resources": [
            { "version": "2.0", "scope": scene.text("/api/scope")?, "audience": api },
            { "version": "1.0", "scope": "https://storage.azure.com/.default", "audience": "https://storage.azure.com" },
        ],
    });
    let file = folder.join(format!("validators-{mode}.json"));
    fs::write(&file, job.to_string()).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut command = match runtime {
        "Python" => runtimes.python("validators.py"),
        _ => runtimes.node("validators.mjs", scene.ca_file()?),
    };
    let (said, ended) = lines(command.arg(&file))?;
    ended.map(|()| said)
}

fn outcome(line: &Value, mode: &str) -> Outcome {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let result = match &line["wrong"] {
        Value::Null if line.get("wrong").is_some() => Ok("as it must be".to_owned()),
        wrong => Err(wrong.to_string()),
    };
    Outcome::of(text("who"), format!("{}, issuers {mode}", text("what")), result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_passes_only_by_saying_so() {
        let passed = |line: Value| matches!(outcome(&line, "local").verdict, Verdict::Passed(_));
        assert!(passed(json!({ "who": "jose", "what": "token", "wrong": null })));
        assert!(!passed(json!({ "who": "jose", "what": "token", "wrong": "accepted" })));
        assert!(!passed(json!({ "who": "jose", "what": "token" })));
    }
}
