//! What is run, case by case.

use std::process::Stdio;

use super::figures::Figures;
use super::harness::{Drivers, Harness};
use super::{Bench, micro};
use crate::{Result, workspace};

/// One case of the table.
pub(super) struct Leg {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) run: fn(&mut Bench),
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
    Leg { name: "instructions", about: "of a hit, counted by valgrind", run: |bench| bench.note(micro::instructions) },
];

fn hit(bench: &mut Bench) {
    bench.rust(&["hit1"], &["hit"], 3);
    if !bench.quick {
        bench.drive("hit-scripts", &["hit1"], Drivers::Scripts, 1);
    }
    let quick = bench.quick;
    bench.note(|figures| micro::criterion(quick, figures));
}

fn tenants(bench: &mut Bench) {
    bench.rust(&["tenants-10000"], &["many-10000", "many-100000"], 1);
    if !bench.quick {
        bench.drive("tenants-peers", &["tenants-100000"], Drivers::Rust, 1);
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
    bench.rust(&["herd", "herd-cold"], &["herd-1000", "herd-10000"], 3);
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
        self.with_peers(|harness, figures| harness.drive(cases, drivers, rounds, &out, figures));
    }

    fn limits(&mut self, what: &str) {
        self.with_peers(|harness, figures| harness.limits(what, figures));
    }

    fn with_peers(&mut self, measure: impl FnOnce(&Harness, &mut Figures) -> Result<()>) {
        let harness = self.harness.take().unwrap_or_else(|| {
            println!("xtask: building the peers, our driver and the peers' authority");
            Harness::start()
        });
        match &harness {
            Ok(harness) => self.note(|figures| measure(harness, figures)),
            Err(why) => self.note(|_| Err(why.clone())),
        }
        self.harness = Some(harness);
    }

    /// A bench of ours that prints lines as the harness's drivers do.
    fn own(&mut self, arguments: &[&str]) {
        let mut cargo = workspace::cargo(arguments);
        cargo.args(["--"]).args(self.quick.then_some("--quick"));
        self.note(|figures| {
            let output = cargo.stderr(Stdio::inherit()).output().map_err(|e| format!("cargo: {e}"))?;
            match (figures.read(&String::from_utf8_lossy(&output.stdout)), output.status.success()) {
                (1.., true) => Ok(()),
                (0, true) => Err("it printed no figures".to_owned()),
                (_, false) => Err(output.status.to_string()),
            }
        });
    }

    /// What fails does not keep the rest from being measured.
    fn note(&mut self, measure: impl FnOnce(&mut Figures) -> Result<()>) {
        self.failures.extend(measure(&mut self.figures).err());
    }
}
