//! Azurite, which takes the tokens of the local Entra ID: a container and a blob, made through azure-identity and by
//! the program.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::outcome::Outcome;
use super::runtimes::{Runtimes, ask};
use super::scene::Scene;
use crate::Result;

/// Starts it and makes a container and a blob both ways.
pub(super) fn run(runtimes: &Runtimes, scene: &Scene, folder: &Path) -> Vec<Outcome> {
    let outcome = |who, result| Outcome::of(who, "container and blob in Azurite", result);
    match Azurite::start(runtimes, scene, folder) {
        Ok(azurite) => vec![
            outcome("azure-storage-blob Python", azurite.by_azure_identity(runtimes, scene, folder)),
            outcome("apptoken call", azurite.by_the_program(runtimes, scene)),
            Outcome::of("apptoken call", "Azurite, token for Graph", azurite.refuses(runtimes, scene)),
        ],
        Err(why) => vec![outcome("Azurite", Err(why))],
    }
}

/// The running one; dropping it ends it.
struct Azurite {
    child: Child,
    /// `https://127.0.0.1:PORT/devstoreaccount1`
    account: String,
}

impl Azurite {
    fn start(runtimes: &Runtimes, scene: &Scene, folder: &Path) -> Result<Self> {
        let log = folder.join("azurite.log");
        let output = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let errors = output.try_clone().map_err(|e| format!("{}: {e}", log.display()))?;
        let mut command = runtimes.node("node_modules/azurite/dist/src/blob/main.js", scene.ca_file()?);
        command.args(["--oauth", "basic", "--cert", scene.text("/server/certificateFile")?]);
        command.args(["--key", scene.text("/server/privateKeyFile")?, "--blobPort", "0"]);
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.map_err(|e| format!("Azurite does not start: {e}"))?;
        let mut azurite = Self { child, account: String::new() };
        for _ in 0..WAIT_STEPS {
            let said = fs::read_to_string(&log).unwrap_or_default();
            if let Some((_, url)) = said.split_once("listens on ")
                && let Some((url, _)) = url.split_once('\n')
            {
                azurite.account = format!("{}/devstoreaccount1", url.trim());
                return Ok(azurite);
            }
            if let Ok(Some(status)) = azurite.child.try_wait() {
                return Err(format!("Azurite ended ({status}):\n{said}"));
            }
            thread::sleep(WAIT_STEP);
        }
        Err(format!("Azurite does not listen; what it said is in {}", log.display()))
    }

    fn by_azure_identity(&self, runtimes: &Runtimes, scene: &Scene, folder: &Path) -> Result<String> {
        let job = json!({
            "authority": scene.text("/authority")?, "tenantId": scene.text("/tenantId")?, "caFile": scene.ca_file()?,
            "clientId": scene.text("/daemon/clientId")?, "clientSecret": scene.text("/daemon/clientSecret")?,
            "storage": self.account,
        });
        let file = folder.join("azurite.json");
        fs::write(&file, job.to_string()).map_err(|e| format!("{}: {e}", file.display()))?;
        let said = ask(runtimes.python("azurite.py").arg(&file))?;
        match said["found"] == "hello" {
            true => Ok(format!("made with {}", said["client"].as_str().unwrap_or_default())),
            false => Err(format!("the blob holds {}", said["found"])),
        }
    }

    fn by_the_program(&self, runtimes: &Runtimes, scene: &Scene) -> Result<String> {
        let call = |path: &str, more: &[&str]| self.call(runtimes, scene, STORAGE, path, more);
        call("made-by-apptoken?restype=container", &["--method", "PUT", "--data", ""])?;
        let blob = ["--method", "PUT", "--header", "x-ms-blob-type: BlockBlob", "--data", "hello"];
        call("made-by-apptoken/greeting.txt", &blob)?;
        let found = call("made-by-apptoken/greeting.txt", &[])?;
        if found.trim_end() == "hello" { Ok("made, and read again".into()) } else { Err(format!("it holds {found:?}")) }
    }

    /// A token for another resource does not open it.
    fn refuses(&self, runtimes: &Runtimes, scene: &Scene) -> Result<String> {
        match self.call(runtimes, scene, "https://graph.microsoft.com/.default", "?comp=list", &[]) {
            Ok(_) => Err("Azurite took it".into()),
            Err(why) if why.contains("403") => Ok("403".into()),
            Err(why) => Err(why),
        }
    }

    fn call(&self, runtimes: &Runtimes, scene: &Scene, scope: &str, path: &str, more: &[&str]) -> Result<String> {
        let mut command = runtimes.program("apptoken");
        command
            .args(["call", &format!("{}/{path}", self.account), "--scope", scope])
            .args(["--header", "x-ms-version: 2023-11-03", "--ca-file", scene.ca_file()?])
            .args(["--authority", scene.text("/authority")?, "--tenant", scene.text("/tenantId")?])
            .args(["--client-id", scene.text("/daemon/clientId")?])
            .args(more)
            .env("APPTOKEN_CLIENT_SECRET", scene.text("/daemon/clientSecret")?);
        let output = command.stdin(Stdio::null()).output().map_err(|e| format!("apptoken does not start: {e}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("apptoken call: {}", String::from_utf8_lossy(&output.stderr).trim_end())),
        }
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        // it may have ended by itself
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const STORAGE: &str = "https://storage.azure.com/.default";
const WAIT_STEP: Duration = Duration::from_millis(100);
/// One minute.
const WAIT_STEPS: u32 = 600;
