//! The chores of apptoken, run as `cargo xtask <chore>`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]

use std::process::ExitCode;

use xtask::{interop, test};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = match (arguments.next().as_deref(), arguments.next()) {
        (Some("test"), None) => test::run,
        (Some("interop"), None) => interop::run,
        (Some("-h" | "--help" | "help"), None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match chore() {
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
";
