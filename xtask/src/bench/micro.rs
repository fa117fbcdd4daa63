//! Benches of the hot paths in our own crates: criterion's times, valgrind's counts of instructions.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::budget::Budget;
use super::figures::{Figures, LIMIT, OURS};
use crate::{Result, workspace};

/// `cargo bench` of the hit path; the figures are the medians that criterion writes down.
pub(super) fn criterion(quick: bool, budget: &Budget, figures: &mut Figures) -> Result<()> {
    let mut cargo = workspace::cargo(&["bench", "--quiet", "--locked", "--package=apptoken", "--bench=hit", "--"]);
    cargo.arg("--noplot").args(quick.then_some(["--measurement-time=1", "--warm-up-time=1"]).into_iter().flatten());
    let status = budget.bound(&cargo)?.stdout(Stdio::null()).status().map_err(|e| format!("cargo: {e}"))?;
    budget.verdict("criterion", status)?;
    let folder = workspace::target()?.join("criterion/hit");
    let mut found = 0;
    for entry in fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?.flatten() {
        let read = |name: &str| -> Option<Value> {
            serde_json::from_slice(&fs::read(entry.path().join("new").join(name)).ok()?).ok()
        };
        let (Some(estimates), Some(named)) = (read("estimates.json"), read("benchmark.json")) else { continue };
        let (Some(median), Some(name)) =
            (estimates["median"]["point_estimate"].as_f64(), named["function_id"].as_str())
        else {
            continue;
        };
        let whose = if name.starts_with("limit") { LIMIT } else { OURS };
        figures.add(whose, &format!("criterion.{name}"), median, "ns/op");
        found += 1;
    }
    if found > 0 { Ok(()) } else { Err(format!("{}: criterion left no figures", folder.display())) }
}

/// `cargo bench` that counts instructions; it fails by itself when there are more than allowed.
pub(super) fn instructions(budget: &Budget, figures: &mut Figures) -> Result<()> {
    let cargo = workspace::cargo(&["bench", "--quiet", "--locked", "--package=apptoken", "--bench=instructions"]);
    let output = budget.bound(&cargo)?.stderr(Stdio::inherit()).output().map_err(|e| format!("cargo: {e}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    print!("{printed}");
    for line in printed.lines() {
        let Some((before, _)) = line.split_once(" instructions") else { continue };
        if let [name, count] = before.split_whitespace().collect::<Vec<_>>()[..]
            && let Ok(count) = count.parse()
        {
            let whose = if name == "limit" { LIMIT } else { OURS };
            figures.add(whose, &format!("instructions.{name}"), count, "instructions");
        }
    }
    budget.verdict("the bench of instructions", output.status)
}
