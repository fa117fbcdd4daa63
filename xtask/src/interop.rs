//! `cargo xtask interop`: programs that others wrote, unmodified, against the local Entra ID.

mod cache_file;
mod clients;
mod demo;
mod outcome;
mod runtimes;
mod unmodified;

use std::fs;

use self::clients::CLIENTS;
use self::demo::Demo;
use self::outcome::Report;
use self::runtimes::Runtimes;
pub(crate) use self::runtimes::node_packages;
use crate::{Result, workspace};

/// Runs every part, each program in a process of its own, and fails if anything fails or nothing ran.
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

    let mut report = Report::default();
    for client in &CLIENTS {
        report.add(clients::run(client, &runtimes, &demo));
    }
    for outcome in cache_file::run(&runtimes, &demo, &folder) {
        report.add(outcome);
    }
    for outcome in unmodified::run(&runtimes, &folder)? {
        report.add(outcome);
    }
    report.end()
}
