//! `cargo xtask bench emulator`: tokens per CPU-second of the local Entra ID, its start and its memory, beside what the
//! machine allows and beside servers from npm.

use std::path::Path;
use std::process::{Command, Stdio};

use super::bars::EMULATOR;
use super::figures::Figures;
use super::{doc, table};
use crate::interop::node_packages;
use crate::{Result, workspace};

/// Builds the program and the bench, installs the peers, measures, and prints the table. A run with nothing set writes it
/// into `docs/performance.md`. A bar that is missed is an error.
pub fn run(settings: &[String]) -> Result<()> {
    let plan = Plan::of(settings)?;
    let target = workspace::target()?;
    let folder = target.join("bench/emulator");
    workspace::run(&mut workspace::cargo(&["build", "--release", "--locked", "--package=apptoken-cli"]))?;
    let mut build = workspace::cargo(&["build", "--release", "--locked", "--manifest-path=bench/emulator/Cargo.toml"]);
    workspace::run(build.arg("--target-dir").arg(folder.join("target")))?;
    let (node, node_folder) = node_packages(&workspace::root().join("bench/emulator/node"), &folder, NODE)?;

    let named = |name: &str, path: &Path| format!("{name}={}", path.display());
    let output = Command::new(folder.join("target/release/emulator-bench"))
        .arg(named("apptoken", &target.join("release/apptoken")))
        .arg(named("folder", &folder))
        .arg(named("node", &node))
        .arg(named("node-folder", &node_folder))
        .args(plan.0.iter().map(|(name, value)| format!("{name}={value}")))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("the bench does not start: {e}"))?;
    let mut figures = Figures::default();
    figures.read(&String::from_utf8_lossy(&output.stdout));
    let rows = table::rows_of(EMULATOR, &figures, plan.parts());
    println!("\n{}", table::markdown(&rows));
    if !output.status.success() {
        return Err(format!("the bench: {}", output.status));
    }
    if plan.is_usual() {
        doc::write_emulator(&rows, &figures)?;
    }
    let missed = table::missed(&rows);
    if missed.is_empty() { Ok(()) } else { Err(format!("not reached: {}", missed.join(", "))) }
}

/// What the bench is told; 0 leaves a part out.
struct Plan([(&'static str, f64); 4]);

impl Plan {
    fn of(settings: &[String]) -> Result<Self> {
        let mut plan = USUAL;
        for setting in settings {
            let known = || format!("{setting:?} is none of rounds=9, seconds=2, tokens=1000000, starts=10");
            let (name, value) = setting.split_once('=').ok_or_else(known)?;
            let place = plan.iter_mut().find(|(known, _)| *known == name).ok_or_else(known)?;
            place.1 = value.parse().ok().filter(|value| (0.0..1e12).contains(value)).ok_or_else(known)?;
        }
        Ok(Self(plan))
    }

    /// Those that are measured. What the table says of memory is of a million tokens.
    fn parts(&self) -> impl Iterator<Item = &'static str> {
        let [rounds, _, tokens, starts] = self.0.map(|(_, value)| value);
        let parts = [("speed", rounds >= 1.0), ("start", starts >= 1.0), ("memory", tokens >= 1e6)];
        parts.into_iter().filter(|(_, is_measured)| *is_measured).map(|(part, _)| part)
    }

    fn is_usual(&self) -> bool {
        self.0 == USUAL
    }
}

/// Some five minutes: a million tokens take more than three on two cores, as a signature takes a quarter of a millisecond.
const USUAL: [(&str, f64); 4] = [("rounds", 9.0), ("seconds", 2.0), ("tokens", 1e6), ("starts", 10.0)];
/// What oauth2-mock-server asks for.
const NODE: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_checked_before_anything_is_built() {
        let of = |settings: &[&str]| Plan::of(&settings.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        assert!(of(&[]).unwrap().is_usual());
        let short = of(&["rounds=1", "tokens=0", "seconds=0.5"]).unwrap();
        assert!(!short.is_usual() && short.parts().eq(["speed", "start"]));
        for wrong in ["rounds", "round=1", "tokens=many", "starts=-1", "seconds=NaN"] {
            assert!(of(&[wrong]).is_err(), "{wrong}");
        }
    }
}
