//! The chores of apptoken, run as `cargo xtask <chore>`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]

use std::process::ExitCode;

use xtask::{fuzz, interop, test};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (chore, argument) = (arguments.next(), arguments.next());
    let done = match (chore.as_deref(), argument.as_deref(), arguments.next()) {
        (Some("test"), None, None) => test::run(),
        (Some("interop"), None, None) => interop::run(),
        (Some("fuzz"), seconds, None) => fuzz::run(seconds),
        (Some("-h" | "--help" | "help"), None, None) => {
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
  fuzz      every fuzz target, ten minutes each or so many seconds as are given; needs cargo-fuzz and a C++ compiler
";
