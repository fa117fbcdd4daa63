//! Programs of others that the tests start.

use std::env;
use std::process::Command;

use crate::{Result, workspace};

/// Installs what is missing of [`NEEDED`], on Debian and what is made from it; elsewhere it is said what to install.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&(&str, &str)> = NEEDED.iter().filter(|(program, _)| !on_path(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", ");
    if !on_path("apt-get") {
        return Err(format!("the tests need {programs}: install them and see that PATH has them"));
    }
    println!("xtask: the tests need {programs}: installing");
    let packages = missing.iter().map(|(_, package)| *package);
    workspace::run(apt_get().args(["update", "-qq"]))?;
    workspace::run(apt_get().args(["install", "-qq", "-y", "--no-install-recommends"]).args(packages))
}

/// `apt-get`, by sudo unless we are root.
fn apt_get() -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    let mut command = Command::new(if root { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    command
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Programs, and the Debian packages that have them.
const NEEDED: [(&str, &str); 6] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("curl", "curl"),
    ("node", "nodejs"),
    ("python3", "python3"),
    ("redis-server", "redis-server"),
];
