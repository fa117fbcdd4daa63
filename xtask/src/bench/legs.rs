//! What is run, case by case.

use std::process::Stdio;

use super::budget::Budget;
use super::figures::Figures;
use super::harness::{Drivers, Harness};
use super::{Bench, micro, table};
use crate::{Result, workspace};

/// One case of the table.
pub(super) struct Leg {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// That it may take.
    pub(super) seconds: u64,
    needs: &'static [Need],
    run: fn(&mut Bench),
}

/// What is built before anything is measured.
#[derive(PartialEq)]
enum Need {
    /// The peers, and our driver beside theirs.
    Peers,
    /// A bench of ours: its package and its name.
    Own(&'static str, &'static str),
}

pub(super) const LEGS: [Leg; 12] = [
    Leg { name: "hit", about: "a kept token, one key, one thread", seconds: 100, needs: &[Need::Peers, HIT], run: hit },
    Leg {
        name: "threads",
        about: "hits on two threads",
        seconds: 95,
        needs: &[Need::Peers],
        run: |bench| bench.rust(&["hitN"], &["threads"], 3),
    },
    Leg {
        name: "tenants",
        about: "hits over many tenants, their memory, filling",
        seconds: 240,
        needs: &[Need::Peers],
        run: tenants,
    },
    Leg {
        name: "cold-secret",
        about: "one request with a secret",
        seconds: 40,
        needs: &[Need::Peers],
        run: cold_secret,
    },
    Leg {
        name: "cold-cert",
        about: "one request with a certificate",
        seconds: 45,
        needs: &[Need::Peers],
        run: cold_certificate,
    },
    Leg { name: "herd", about: "many callers of one key", seconds: 30, needs: &[Need::Peers], run: herd },
    Leg {
        name: "meanwhile",
        about: "a hit while another key is fetched; callers past the refresh time",
        seconds: 50,
        needs: &[Need::Peers],
        run: meanwhile,
    },
    Leg { name: "process", about: "start, one token, exit", seconds: 35, needs: &[Need::Peers], run: process },
    Leg { name: "storm", about: "100,000 refreshes due in a minute", seconds: 125, needs: &[Need::Peers], run: storm },
    Leg { name: "fleet", about: "64 processes, 1,000 keys, one Redis", seconds: 70, needs: &[FLEET], run: fleet },
    Leg {
        name: "msal-file",
        about: "a cache file of 10,000 entries",
        seconds: 40,
        needs: &[MSAL_FILE],
        run: msal_file,
    },
    Leg {
        name: "instructions",
        about: "of a hit, counted by valgrind",
        seconds: 30,
        needs: &[INSTRUCTIONS],
        run: |bench| bench.note(micro::instructions),
    },
];

const HIT: Need = Need::Own("apptoken", "hit");
const INSTRUCTIONS: Need = Need::Own("apptoken", "instructions");
const MSAL_FILE: Need = Need::Own("apptoken", "msal_file");
const FLEET: Need = Need::Own("apptoken-redis", "fleet");

/// Builds what `legs` need, so that nothing is built while something is measured. What cannot be built fails where it is
/// needed.
pub(super) fn build(legs: &[&Leg]) -> Result<Harness> {
    let mut needs: Vec<&Need> = Vec::new();
    for need in legs.iter().flat_map(|leg| leg.needs) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    let mut harness = Err("the peers are not needed".to_owned());
    for need in needs {
        match need {
            Need::Peers => {
                println!("xtask: building the peers, our driver and the peers' authority");
                harness = Harness::start();
            }
            Need::Own(package, bench) => {
                println!("xtask: building the bench {bench} of {package}");
                let mut cargo = workspace::cargo(&["bench", "--quiet", "--locked", "--no-run"]);
                let built = workspace::run(cargo.args(["--package", package, "--bench", bench]));
                let _ = built.inspect_err(|why| println!("FAILED  {why}"));
            }
        }
    }
    harness
}

fn hit(bench: &mut Bench) {
    bench.rust(&["hit1"], &["hit"], 3);
    if !bench.quick {
        bench.drive("hit-scripts", &["hit1"], Drivers::Scripts, 1);
    }
    let quick = bench.quick;
    bench.note(|budget, figures| micro::criterion(quick, budget, figures));
}

fn tenants(bench: &mut Bench) {
    bench.rust(&["tenants-10000"], &["many-10000", "many-100000"], 1);
    if !bench.quick {
        bench.drive("tenants-million", &["many-1000000"], Drivers::Ours, 1);
    }
}

fn cold_secret(bench: &mut Bench) {
    bench.rust(&["cold-secret"], &["wire"], 9);
    bench.limits("rtt");
}

fn cold_certificate(bench: &mut Bench) {
    bench.rust(&["cold-cert"], &[], 5);
    bench.limits("rsa");
}

fn herd(bench: &mut Bench) {
    bench.rust(&["herd", "herd-cold"], &[], 3);
    // a few milliseconds each
    bench.drive("herd-1000", &["herd-1000", "herd-10000"], Drivers::Ours, 9);
}

fn meanwhile(bench: &mut Bench) {
    bench.rust(&["isolation", "refresh"], &["isolation-hits"], 3);
}

fn process(bench: &mut Bench) {
    bench.rust(&["process", "process-bundle"], &[], 5);
    bench.drive("process-scripts", &["process"], Drivers::Scripts, 1);
}

fn storm(bench: &mut Bench) {
    bench.drive("storm", &[if bench.quick { "storm-10000" } else { "storm-100000" }], Drivers::Ours, 1);
}

fn fleet(bench: &mut Bench) {
    bench.own(&["bench", "--quiet", "--locked", "--package=apptoken-redis", "--bench=fleet"]);
    // each of its bars is a count, which no machine is too slow for
    let missed = table::missed(&table::rows(&bench.figures, ["fleet"].into_iter())).join(", ");
    bench.failed(if missed.is_empty() { Ok(()) } else { Err(format!("not reached: {missed}")) });
}

fn msal_file(bench: &mut Bench) {
    bench.own(&["bench", "--quiet", "--locked", "--package=apptoken", "--bench=msal_file"]);
}

impl Bench {
    /// `cases` of all libraries for Rust, and `own`, which only our driver has.
    fn rust(&mut self, cases: &[&str], own: &[&str], rounds: u32) {
        self.drive(cases[0], cases, Drivers::Rust, rounds);
        if !own.is_empty() {
            self.drive(own[0], own, Drivers::Ours, rounds);
        }
    }

    fn drive(&mut self, name: &str, cases: &[&str], drivers: Drivers, rounds: u32) {
        let out = self.folder.join(format!("{name}.jsonl"));
        let rounds = if self.quick { 1 } else { rounds };
        self.with_peers(|harness, budget, figures| harness.drive(cases, drivers, rounds, &out, budget, figures));
    }

    fn limits(&mut self, what: &str) {
        self.with_peers(|harness, budget, figures| harness.limits(what, budget, figures));
    }

    fn with_peers(&mut self, measure: impl FnOnce(&Harness, &Budget, &mut Figures) -> Result<()>) {
        let measured = match &self.harness {
            Ok(harness) => measure(harness, &self.budget, &mut self.figures),
            Err(why) => Err(why.clone()),
        };
        self.failed(measured);
    }

    /// A bench of ours that prints lines as the harness's drivers do.
    fn own(&mut self, arguments: &[&str]) {
        let mut cargo = workspace::cargo(arguments);
        cargo.args(["--"]).args(self.quick.then_some("--quick"));
        self.note(|budget, figures| {
            let output = budget.bound(&cargo)?.stderr(Stdio::inherit()).output().map_err(|e| format!("cargo: {e}"))?;
            let taken = figures.read(&String::from_utf8_lossy(&output.stdout));
            budget.verdict("the bench", output.status)?;
            if taken > 0 { Ok(()) } else { Err("it printed no figures".to_owned()) }
        });
    }

    /// What fails does not keep the rest from being measured.
    fn note(&mut self, measure: impl FnOnce(&Budget, &mut Figures) -> Result<()>) {
        let measured = measure(&self.budget, &mut self.figures);
        self.failed(measured);
    }

    /// Told once, however often it is met.
    fn failed(&mut self, measured: Result<()>) {
        if let Err(why) = measured
            && !self.failures.contains(&why)
        {
            self.failures.push(why);
        }
    }

    pub(super) fn run(&mut self, leg: &Leg) {
        self.budget = Budget::of(leg.seconds);
        (leg.run)(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_run_ends_within_a_quarter_of_an_hour() {
        assert!(LEGS.iter().map(|leg| leg.seconds).sum::<u64>() <= 15 * 60);
    }
}
