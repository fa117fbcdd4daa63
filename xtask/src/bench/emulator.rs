//! `cargo xtask bench emulator`: tokens per CPU-second of the local Entra ID, its start and its memory, beside what the
//! machine allows and beside two servers from npm.

use std::process::Command;

use crate::interop::node_packages;
use crate::{Result, workspace};

/// Builds the program and the bench, installs the peers, and measures. `settings` are the bench's own: `rounds=7`,
/// `seconds=3`, `tokens=1000000` (before memory is read), `starts=10`; 0 leaves a part out.
pub fn run(settings: &[String]) -> Result<()> {
    let target = workspace::target()?;
    let folder = target.join("bench/emulator");
    workspace::run(&mut workspace::cargo(&["build", "--release", "--locked", "--package=apptoken-cli"]))?;
    let mut build = workspace::cargo(&["build", "--release", "--locked", "--manifest-path=bench/emulator/Cargo.toml"]);
    workspace::run(build.arg("--target-dir").arg(folder.join("target")))?;
    let (node, node_folder) = node_packages(&workspace::root().join("bench/emulator/node"), &folder, NODE)?;
    let named = |name: &str, path: std::path::PathBuf| format!("{name}={}", path.display());
    workspace::run(
        Command::new(folder.join("target/release/emulator-bench"))
            .arg(named("apptoken", target.join("release/apptoken")))
            .arg(named("folder", folder))
            .arg(named("node", node))
            .arg(named("node-folder", node_folder))
            .args(settings),
    )
}

/// What oauth2-mock-server asks for.
const NODE: u32 = 24;
