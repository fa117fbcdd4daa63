//! The chores of apptoken, run as `cargo xtask <chore>`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]

use std::process::ExitCode;

use xtask::{bench, fuzz, instructions, interop, soak, test};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chore = arguments.first().map(String::as_str);
    let done = match (chore, arguments.get(1..).unwrap_or_default()) {
        (Some("test"), []) => test::run(),
        (Some("interop"), []) => interop::run(),
        (Some("instructions"), []) => instructions::run(false),
        (Some("instructions"), [renew]) if renew == "--renew" => instructions::run(true),
        (Some("fuzz"), []) => fuzz::run(None),
        (Some("fuzz"), [seconds]) => fuzz::run(Some(seconds)),
        (Some("bench"), [case, settings @ ..]) if case == "emulator" => bench::emulator(settings),
        (Some("soak"), []) => soak::run(None),
        (Some("soak"), [seconds]) => soak::run(Some(seconds)),
        (Some("bench"), cases) => bench::run(cases),
        (Some("-h" | "--help" | "help"), []) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
usage: cargo xtask <chore>

  test      every test of the workspace, then a search through all that they logged for secrets, tokens and keys
  interop   Microsoft's own clients, unmodified, against the local Entra ID and the TodoList API of `apptoken demo`
  bench     apptoken beside its peers and beside what the machine allows, as one table of ratios; a whole run (fifteen
            minutes at most, and ten to build the peers once) writes docs/performance.md. [--quick] [CASE ...]
            bench emulator [rounds= seconds= tokens= starts=]: the local Entra ID beside RSA's limit and two servers from
            npm, five minutes; fails when a bar is missed, and writes docs/performance.md when nothing is set
  soak      ten minutes, or so many seconds as are given, of full load on a fleet in which everything goes wrong now and then
  instructions [--renew]
            how many instructions a hit takes, beside what it took; installs valgrind where it can
  fuzz      every fuzz target, ten minutes each or so many seconds as are given; needs cargo-fuzz and a C++ compiler
";
