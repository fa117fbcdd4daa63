//! Programs of others that the chores start.

use std::env;
use std::process::Command;

use crate::{Result, workspace};

/// What the tests start.
pub(crate) fn install() -> Result<()> {
    install_missing("the tests need", &NEEDED)
}

/// What counts instructions.
pub(crate) fn install_valgrind() -> Result<()> {
    install_missing("to count instructions needs", &[("valgrind", "valgrind")])
}

/// Installs what is missing of these programs by their packages, on Debian and what is made from it; elsewhere it is said
/// what to install.
fn install_missing(who_needs: &str, programs: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = programs.iter().filter(|(program, _)| !on_path(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", ");
    if !on_path("apt-get") {
        return Err(format!("{who_needs} {programs}: install them and see that PATH has them"));
    }
    println!("xtask: {who_needs} {programs}: installing");
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
