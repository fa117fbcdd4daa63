//! `cargo xtask instructions [--renew]`: what a hit takes, counted by valgrind.

use crate::{Result, tools, workspace};

/// Fails when a hit takes more than 5% more than `crates/apptoken/benches/instructions.txt` says; `renew` writes that file.
pub fn run(renew: bool) -> Result<()> {
    tools::install_valgrind()?;
    let mut cargo = workspace::cargo(&["bench", "--quiet", "--locked", "--package", "apptoken"]);
    cargo.args(["--bench", "instructions", "--"]).args(renew.then_some("--renew"));
    workspace::run(&mut cargo)
}
