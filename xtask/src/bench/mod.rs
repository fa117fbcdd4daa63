//! `cargo xtask bench`: apptoken beside the peers and beside what the machine allows, as one table of ratios.

mod bars;
mod budget;
mod doc;
mod emulator;
mod figures;
mod harness;
mod legs;
mod machine;
mod micro;
mod table;

use std::fs;

use self::budget::Budget;
pub use self::emulator::run as emulator;
use self::figures::Figures;
use self::legs::{LEGS, Leg};
use crate::{Result, workspace};

/// Builds what is needed, measures what is named (default: everything, in at most a quarter of an hour), prints the table,
/// and after a whole run writes it into `docs/performance.md`, also when a case has failed, which is told and is an error.
/// Quick: fewer rounds and fewer tenants, nothing is written.
pub fn run(arguments: &[String]) -> Result<()> {
    let Wanted { quick, legs } = wanted(arguments)?;
    let folder = workspace::target()?.join("bench");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let harness = legs::build(&legs);
    let mut bench =
        Bench { quick, folder, harness, budget: Budget::of(0), figures: Figures::default(), failures: Vec::new() };
    let mut failed = Vec::new();
    for leg in &legs {
        println!("xtask: {}: {}", leg.name, leg.about);
        bench.run(leg);
        println!("xtask: {}: {} s of {}", leg.name, bench.budget.taken(), leg.seconds);
        if !bench.failures.is_empty() {
            bench.failures.drain(..).for_each(|why| println!("FAILED  {}: {why}", leg.name));
            failed.push(leg.name);
        }
    }
    let rows = table::rows(&bench.figures, legs.iter().map(|leg| leg.name));
    println!("\n{}", table::markdown(&rows));
    // a case that failed does not cost the others their figures
    if !quick && legs.len() == LEGS.len() && failed.len() < legs.len() {
        doc::write(&rows, &bench.figures)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not measured, or not all of it: {}", failed.join(", "))) }
}

/// What the legs share.
struct Bench {
    quick: bool,
    folder: std::path::PathBuf,
    /// Or why there is none.
    harness: Result<harness::Harness>,
    figures: Figures,
    /// Of the leg that runs.
    budget: Budget,
    failures: Vec<String>,
}

struct Wanted {
    quick: bool,
    legs: Vec<&'static Leg>,
}

fn wanted(arguments: &[String]) -> Result<Wanted> {
    let (flags, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|flag| **flag != "--quick") {
        return Err(format!("{unknown} is no option of bench; there is --quick"));
    }
    let named = |name: &String| {
        let known = || LEGS.iter().map(|leg| leg.name).collect::<Vec<_>>().join(", ");
        LEGS.iter()
            .find(|leg| leg.name == name)
            .ok_or_else(|| format!("no case is called {name}; there are: {}", known()))
    };
    let legs =
        if names.is_empty() { LEGS.iter().collect() } else { names.into_iter().map(named).collect::<Result<_>>()? };
    Ok(Wanted { quick: !flags.is_empty(), legs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_named() {
        let of = |arguments: &[&str]| wanted(&arguments.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]).unwrap().legs.len(), LEGS.len());
        let some = of(&["hit", "--quick", "process"]).unwrap();
        assert!(some.quick && some.legs.iter().map(|leg| leg.name).eq(["hit", "process"]));
        assert!(of(&["hits"]).err().unwrap().contains("there are: hit, "));
        assert!(of(&["--fast"]).err().unwrap().contains("--quick"));
    }
}
