//! What is run, case by case.

use std::process::Stdio;

use super::harness::{Drivers, Harness};
use super::{Bench, micro};
use crate::{Result, workspace};

/// One case of the table.
pub(super) struct Leg {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) run: fn(&mut Bench) -> Result<()>,
}

pub(super) const LEGS: [Leg; 12] = [
    Leg { name: "hit", about: "a kept token, one key, one thread", run: hit },
    Leg { name: "threads", about: "hits on two threads", run: |bench| bench.rust(&["hitN"], &["threads"], 3) },
    Leg { name: "tenants", about: "hits over many tenants, their memory, filling", run: tenants },
    Leg { name: "cold-secret", about: "one request with a secret", run: cold_secret },
    Leg { name: "cold-cert", about: "one request with a certificate", run: cold_certificate },
    Leg { name: "herd", about: "many callers of one key", run: herd },
    Leg {
        name: "meanwhile",
        about: "a hit while another key is fetched; callers past the refresh time",
        run: meanwhile,
    },
    Leg { name: "process", about: "start, one token, exit", run: process },
    Leg { name: "storm", about: "100,000 refreshes due in a minute", run: storm },
    Leg { name: "fleet", about: "64 processes, 1,000 keys, one Redis", run: fleet },
    Leg { name: "msal-file", about: "a cache file of 10,000 entries", run: msal_file },
    Leg {
        name: "instructions",
        about: "of a hit, counted by valgrind",
        run: |bench| micro::instructions(&mut bench.figures),
    },
];

fn hit(bench: &mut Bench) -> Result<()> {
    bench.rust(&["hit1"], &["hit"], 3)?;
    if !bench.quick {
        bench.drive("hit-scripts", &["hit1"], Drivers::Scripts, 1)?;
    }
    micro::criterion(bench.quick, &mut bench.figures)
}

fn tenants(bench: &mut Bench) -> Result<()> {
    bench.rust(&["tenants-10000"], &["many-10000", "many-100000"], 1)?;
    if bench.quick {
        return Ok(());
    }
    bench.drive("tenants-peers", &["tenants-100000"], Drivers::Rust, 1)?;
    bench.drive("tenants-million", &["many-1000000"], Drivers::Ours, 1)
}

fn cold_secret(bench: &mut Bench) -> Result<()> {
    bench.rust(&["cold-secret"], &["wire"], 9)?;
    bench.limits("rtt")
}

fn cold_certificate(bench: &mut Bench) -> Result<()> {
    bench.rust(&["cold-cert"], &[], 5)?;
    bench.limits("rsa")
}

fn herd(bench: &mut Bench) -> Result<()> {
    bench.rust(&["herd", "herd-cold"], &["herd-1000", "herd-10000"], 3)
}

fn meanwhile(bench: &mut Bench) -> Result<()> {
    bench.rust(&["isolation", "refresh"], &["isolation-hits"], 3)
}

fn process(bench: &mut Bench) -> Result<()> {
    bench.rust(&["process", "process-bundle"], &[], 5)?;
    bench.drive("process-scripts", &["process"], Drivers::Scripts, 1)
}

fn storm(bench: &mut Bench) -> Result<()> {
    bench.drive("storm", &[if bench.quick { "storm-10000" } else { "storm-100000" }], Drivers::Ours, 1)
}

fn fleet(bench: &mut Bench) -> Result<()> {
    bench.own(&["bench", "--quiet", "--locked", "--package=apptoken-redis", "--bench=fleet"])
}

fn msal_file(bench: &mut Bench) -> Result<()> {
    bench.own(&["bench", "--quiet", "--locked", "--package=apptoken", "--bench=msal_file"])
}

impl Bench {
    /// `cases` of all libraries for Rust, and `own`, which only our driver has.
    fn rust(&mut self, cases: &[&str], own: &[&str], rounds: u32) -> Result<()> {
        self.drive(cases[0], cases, Drivers::Rust, rounds)?;
        if own.is_empty() { Ok(()) } else { self.drive(own[0], own, Drivers::Ours, rounds) }
    }

    fn drive(&mut self, name: &str, cases: &[&str], drivers: Drivers, rounds: u32) -> Result<()> {
        let out = self.folder.join(format!("{name}.jsonl"));
        let rounds = if self.quick { 1 } else { rounds };
        self.harness()?;
        let Some(harness) = &self.harness else { return Ok(()) };
        harness.drive(cases, drivers, rounds, &out, &mut self.figures)
    }

    fn limits(&mut self, what: &str) -> Result<()> {
        self.harness()?;
        self.harness.as_ref().map_or(Ok(()), |harness| harness.limits(what, &mut self.figures))
    }

    fn harness(&mut self) -> Result<()> {
        if self.harness.is_none() {
            println!("xtask: building the peers, our driver and the peers' authority");
            self.harness = Some(Harness::start()?);
        }
        Ok(())
    }

    /// A bench of ours that prints lines as the harness's drivers do.
    fn own(&mut self, arguments: &[&str]) -> Result<()> {
        let mut cargo = workspace::cargo(arguments);
        cargo.args(["--"]).args(self.quick.then_some("--quick"));
        let output = cargo.stderr(Stdio::inherit()).output().map_err(|e| format!("cargo: {e}"))?;
        let taken = self.figures.read(&String::from_utf8_lossy(&output.stdout));
        match (output.status.success(), taken) {
            (true, 1..) => Ok(()),
            (true, 0) => Err("it printed no figures".to_owned()),
            (false, _) => Err(output.status.to_string()),
        }
    }
}
