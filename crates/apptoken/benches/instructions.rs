//! How many instructions a hit takes, which no load on the machine changes: counted by valgrind's cachegrind, and held
//! to `instructions.txt` beside this file: more than 5% more is a failure. `cargo xtask instructions` runs it; with
//! `--renew` it writes the file.
//!
//! The bench runs itself under cachegrind, with few and with many hits; the difference is what a hit takes.
#![allow(clippy::print_stdout, reason = "the figures are for a person")]

mod canned;

use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use canned::{Limit, SCOPE, ready};

/// What is counted.
const CASES: [&str; 3] = ["limit", "acquire_token_for_client", "TokenSource"];
/// What they took: x86-64, the release profile.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

/// In percent.
const LEEWAY: u64 = 5;

const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

fn main() -> ExitCode {
    let arguments = std::env::args().collect::<Vec<_>>();
    if let [_, flag, case, times] = &arguments[..]
        && flag == RUN
    {
        run(case, times.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let taken = CASES.map(|case| (case, (instructions(case, MANY) - instructions(case, FEW)) / (MANY - FEW)));
    if arguments.iter().any(|argument| argument == "--renew") {
        let lines = taken.map(|(case, taken)| format!("{case} {taken}\n"));
        fs::write(FILE, lines.concat()).expect("the file can be written");
    }
    let expected = fs::read_to_string(FILE).expect("the file can be read");
    let mut takes_more = false;
    for (case, taken) in taken {
        let line = expected.lines().find_map(|line| line.strip_prefix(case)?.trim().parse::<u64>().ok());
        let expected = line.unwrap_or_else(|| panic!("{FILE} has no figure for {case}"));
        let verdict = match taken * 100 {
            more if more > expected * (100 + LEEWAY) => "MORE",
            less if less < expected * (100 - LEEWAY) => "less: --renew keeps it so",
            _ => "as ever",
        };
        takes_more |= verdict == "MORE";
        println!("{case:25} {taken:5} instructions, expected {expected:5}: {verdict}");
    }
    if takes_more {
        println!("if that is as it should be: cargo xtask instructions --renew, and commit {FILE}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Of a whole run, by cachegrind.
fn instructions(case: &str, times: u64) -> u64 {
    let this = std::env::current_exe().expect("a path of its own");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    // the C library would compare memory by the best that this processor has, and the count would be the machine's
    valgrind.env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-SSE4_1,-SSSE3");
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
