//! The table of cases, `interop/cases.json`, played by every client: tokens, refusals, and what each library makes of
//! them.

mod judge;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use self::judge::Judge;
pub(super) use self::table::Table;
use self::table::{Case, Client, Runtime};
use super::outcome::{Outcome, Verdict};
use super::runtimes::{Runtimes, lines};
use super::scene::Scene;
use crate::Result;

/// Every client plays every case that it can; all at once, for some wait long when they are throttled.
pub(super) fn run(table: &Table, runtimes: &Runtimes, scene: &Scene, folder: &Path) -> Vec<Outcome> {
    thread::scope(|scope| {
        let play = |client| scope.spawn(move || play(table, client, runtimes, scene, folder));
        let playing: Vec<_> = table.clients.iter().map(play).collect();
        playing.into_iter().flat_map(|client| client.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// One process of the client for each environment, which it reads when it starts.
fn play(table: &Table, client: &Client, runtimes: &Runtimes, scene: &Scene, folder: &Path) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut who = client.name.clone();
    let environments: BTreeSet<_> = table.cases.iter().map(|case| &case.environment).collect();
    for environment in environments {
        let (cannot, cases): (Vec<_>, Vec<_>) = table
            .cases
            .iter()
            .filter(|case| case.environment == *environment)
            .partition(|c| client.cannot(c).is_some());
        outcomes.extend(cannot.into_iter().filter_map(|case| {
            let reason = client.cannot(case)?.to_owned();
            Some(Outcome { who: client.name.clone(), what: case.id.clone(), verdict: Verdict::CannotBe(reason) })
        }));
        if cases.is_empty() {
            continue;
        }
        let said = job(client, &cases, scene, folder).and_then(|job| {
            let mut command = command(client, runtimes, scene, &job)?;
            if let Some(environment) = environment {
                command.envs(variables(scene, environment)?);
            }
            let (said, ended) = lines(&mut command)?;
            // under "" what client it is
            let by_case = said.into_iter().map(|line| (line["case"].as_str().unwrap_or_default().to_owned(), line));
            Ok((by_case.collect(), ended))
        });
        let (said, ended) = match said {
            Ok((said, ended)) => (said, ended),
            Err(why) => (BTreeMap::<String, serde_json::Value>::new(), Err(why)),
        };
        if let Some(name) = said.get("").and_then(|line| line["client"].as_str()) {
            who = name.to_owned();
        }
        // the last lines of the log are written behind
        thread::sleep(BEHIND);
        let sign_ins = scene.sign_ins().unwrap_or_default();
        for case in cases {
            let ids = ids(client, case, scene);
            let verdict = said
                .get(&case.id)
                .ok_or_else(|| ended.clone().err().unwrap_or_else(|| "the driver did not play it".into()))
                .and_then(|line| {
                    let (app, tenant) = (ids?.0, scene.text("/tenantId")?);
                    Judge { client, case, app, tenant, sign_ins: &sign_ins }.verdict(line)
                });
            outcomes.push(Outcome::of(&client.name, &case.id, verdict));
        }
    }
    // with the version, now that it is known
    outcomes.into_iter().map(|outcome| Outcome { who: who.clone(), ..outcome }).collect()
}

/// Writes down what there is to play; the file.
fn job(client: &Client, cases: &[&Case], scene: &Scene, folder: &Path) -> Result<std::path::PathBuf> {
    let described = scene.description();
    let mut resolved = Vec::new();
    for case in cases {
        let (app, tenant) = ids(client, case, scene)?;
        let api = if case.challenge { "graph" } else { "api" };
        let mut call = json!({ "url": scene.text(&format!("/{api}/url"))? });
        if case.challenge {
            call["caFile"] = described["caFile"].clone();
        }
        let credential = &described["credentials"][&case.credential];
        if credential.is_null() {
            return Err(format!("the scene has no credential {:?}", case.credential));
        }
        resolved.push(json!({
            "id": case.id, "clientId": app, "tenant": tenant, "credential": credential, "call": call,
            "scope": match &case.scope { Some(scope) => scope, None => scene.text("/api/scope")? },
            "challenge": case.challenge, "again": case.again,
        }));
    }
    let file = folder.join(format!("{}.json", client.id));
    let text = json!({ "scene": described, "cases": resolved }).to_string();
    fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(file)
}

/// The app's id and the tenant's name.
fn ids(client: &Client, case: &Case, scene: &Scene) -> Result<(String, String)> {
    let app = match &case.app {
        None => String::new(),
        Some(app) => scene
            .text(&format!("/apps/{app}"))
            .or_else(|_| scene.text(&format!("/perClient/{}/{app}", client.id)))?
            .to_owned(),
    };
    let tenant = match case.tenant.as_deref() {
        None => scene.text("/tenantId")?,
        Some("its domain") => scene.text("/tenantDomain")?,
        Some(other) => other,
    };
    Ok((app, tenant.to_owned()))
}

fn command(client: &Client, runtimes: &Runtimes, scene: &Scene, job: &Path) -> Result<Command> {
    let mut command = match client.runtime {
        Runtime::Python => runtimes.python(&client.driver),
        Runtime::Node => runtimes.node(&client.driver, scene.ca_file()?),
        Runtime::Program => {
            let mut command = runtimes.program(&client.driver);
            command.env("SSL_CERT_FILE", scene.ca_file()?).env("AZURE_AUTHORITY_HOST", scene.text("/authority")?);
            command
        }
    };
    command.arg(job);
    Ok(command)
}

fn variables(scene: &Scene, environment: &str) -> Result<Vec<(String, String)>> {
    let variables = scene.description()["environments"][environment].as_object();
    let variables = variables.ok_or_else(|| format!("the scene has no environment {environment:?}"))?;
    Ok(variables.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect())
}

const BEHIND: Duration = Duration::from_millis(100);
