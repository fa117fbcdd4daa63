//! What can be typed: the commands, and what is said about all of them.

use clap::{Parser, Subcommand};

#[cfg(target_os = "linux")]
use crate::launch;
use crate::{commands, demo, env_vars};

/// App-only access tokens from Microsoft Entra ID, and a local Entra ID to try them on.
#[derive(Debug, Parser)]
#[command(name = "apptoken", version, arg_required_else_help = true, after_help = AFTER, after_long_help = after_long())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log to standard error: a level or a filter such as apptoken=trace (also APPTOKEN_LOG)
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

impl Cli {
    /// `apptoken emulator --log json` means the log of sign-ins, not a filter for lines on standard error.
    pub(crate) fn take_sign_in_log(&mut self) {
        if let Command::Emulator(args) = &mut self.command {
            args.sign_ins_as_json = self.log.take_if(|log| log == "json").is_some();
        }
    }
}

// no comments on the variants for the help: they would hide the longer ones of their Args
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Args),
    Token(commands::token::Args),
    Call(commands::call::Args),
    Decode(commands::decode::Args),
    Emulator(commands::emulator::Args),
    Run(commands::run::Args),
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Launch(launch::Args),
    Init(commands::init::Args),
    Cache(commands::cache::Args),
    Cert(commands::cert::Args),
}

fn after_long() -> String {
    format!("{AFTER}\n\nEnvironment:\n{}", env_vars::table())
}

const AFTER: &str = "\
Exit codes:
  0  done
  1  refused: the authority or the API said no, or a check did not hold
  2  wrong usage, settings or credentials; nothing was sent
  3  not reached: no connection, no answer in time, or asked to wait; may work later

Results go to standard output, everything else to standard error.
Colours only on a terminal, never under NO_COLOR.

Begin with:
  apptoken demo
  apptoken token --help";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn what_is_to_be_copied_stands_in_one_line() {
        let cli = super::Cli::command();
        for command in std::iter::once(&cli).chain(cli.get_subcommands()) {
            for help in [command.get_after_help(), command.get_after_long_help()].into_iter().flatten() {
                for line in help.to_string().lines().filter(|line| line.starts_with("  ")) {
                    assert!(line.chars().count() <= 100, "clap breaks it: {line}");
                }
            }
        }
    }

    #[test]
    fn each_command_has_a_line_and_its_own_longer_help() {
        let cli = super::Cli::command();
        for command in cli.get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            // beside its name, on a screen 100 wide
            assert!((1..=85).contains(&about.len()), "{}: {about:?}", command.get_name());
        }
        let emulator = cli.find_subcommand("emulator").and_then(|command| command.get_long_about()).unwrap();
        assert!(emulator.to_string().contains("Not for production"), "{emulator}");
    }
}
