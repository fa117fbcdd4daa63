//! How many instructions a hit takes, which no load on the machine changes: counted by valgrind's cachegrind
//! (`apt-get install valgrind`), and held to what it was with 5% to spare.
//!
//! The bench runs itself under cachegrind, with few and with many hits; the difference is what a hit takes. It fails
//! when one takes more than [`CASES`] allows.
#![allow(clippy::print_stdout, reason = "the figures are for a person")]

mod canned;

use std::hint::black_box;
use std::process::{Command, ExitCode};

use canned::{Limit, SCOPE, ready};

/// What is counted, and the instructions that one takes: x86-64, Rust 1.95, the release profile.
const CASES: [(&str, u64); 3] = [("limit", 292), ("acquire_token_for_client", 482), ("TokenSource", 230)];

/// In percent.
const LEEWAY: u64 = 5;

const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

fn main() -> ExitCode {
    if let [_, flag, case, times] = &std::env::args().collect::<Vec<_>>()[..]
        && flag == RUN
    {
        run(case, times.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let mut slower = false;
    for (case, expected) in CASES {
        let taken = (instructions(case, MANY) - instructions(case, FEW)) / (MANY - FEW);
        let verdict = match taken * 100 {
            more if more > expected * (100 + LEEWAY) => "SLOWER",
            less if less < expected * (100 - LEEWAY) => "faster: lower the figure in benches/instructions.rs",
            _ => "as ever",
        };
        slower |= verdict == "SLOWER";
        println!("{case:25} {taken:5} instructions, expected {expected:5}: {verdict}");
    }
    if slower { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Of a whole run, by cachegrind.
fn instructions(case: &str, times: u64) -> u64 {
    let this = std::env::current_exe().expect("a path of its own");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    let output = valgrind.arg(this).args([RUN, case, &times.to_string()]).output().expect("valgrind is installed");
    let report = String::from_utf8_lossy(&output.stderr);
    let count = report.lines().find_map(|line| Some(line.split_once("refs:")?.1.trim().replace(',', "")));
    let count = count.filter(|_| output.status.success()).and_then(|count| count.parse().ok());
    count.unwrap_or_else(|| panic!("valgrind did not count: {report}"))
}

fn run(case: &str, times: u64) {
    let (client, source) = canned::client();
    let limit = Limit::new();
    for _ in 0..times {
        match case {
            "limit" => drop(black_box(limit.get())),
            "TokenSource" => drop(black_box(ready(black_box(&source).token()))),
            _ => drop(black_box(ready(client.acquire_token_for_client([black_box(SCOPE)])))),
        }
    }
}

const RUN: &str = "--run";
