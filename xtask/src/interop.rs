//! `cargo xtask interop`: programs that others wrote, unmodified, against the local Entra ID.

mod azurite;
mod cache_file;
mod cases;
mod outcome;
mod runtimes;
mod scene;
mod unmodified;
mod validators;

use std::fs;
use std::panic::resume_unwind;
use std::thread;

use self::cases::Table;
use self::outcome::Report;
use self::runtimes::Runtimes;
pub(crate) use self::runtimes::node_packages;
use self::scene::Scene;
use crate::{Result, workspace};

/// Runs every part, each program in a process of its own, and fails if anything fails or nothing ran.
pub fn run() -> Result<()> {
    let table = Table::read()?;
    let target = workspace::target()?;
    let folder = target.join("interop");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    build(&["--package=apptoken-cli", "--package=azure-identity-rust"])?;
    build(&["--package=apptoken-cli", "--example=interop", "--example=cache_file"])?;
    let runtimes = Runtimes::install(&folder, &target.join("debug"))?;
    let scene = Scene::start(&target.join("debug/examples/interop"), &folder, &table.clients())?;

    thread::scope(|scope| {
        // half a minute of its own, beside the others
        let together = scope.spawn(|| cache_file::together(&runtimes, &scene, &folder));
        let mut report = Report::default();
        report.table(&cases::run(&table, &runtimes, &scene, &folder));
        report.list(&validators::run(&runtimes, &scene, &folder));
        report.list(&azurite::run(&runtimes, &scene, &folder));
        report.list(&cache_file::run(&runtimes, &scene, &folder));
        report.list(&unmodified::run(&runtimes, &folder)?);
        report.list(&[together.join().unwrap_or_else(|panic| resume_unwind(panic))]);
        report.end()
    })
}

fn build(what: &[&str]) -> Result<()> {
    workspace::run(workspace::cargo(&["build", "--quiet", "--locked"]).args(what))
}
