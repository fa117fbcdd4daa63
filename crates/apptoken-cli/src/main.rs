//! The program `apptoken`: get a token, call an API, read a token, run the local Entra ID.
#![forbid(unsafe_code)]

mod cli;
mod clock;
mod commands;
mod demo;
mod env_vars;
mod exchange;
mod exit;
mod files;
#[cfg(target_os = "linux")]
mod launch;
mod logging;
mod proxy;
mod settings;
mod terminal;
mod tls;
mod token_cache;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::Failure;
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help_or_mistake) => {
            // printing fails only when nobody listens
            drop(help_or_mistake.print());
            return u8::try_from(help_or_mistake.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    // while there is one thread: namespaces are a thread's own affair
    #[cfg(target_os = "linux")]
    if let Command::Launch(args) = &cli.command {
        return launch::become_program(args).report();
    }
    // before anything can ask for one: two providers in one process would make rustls panic
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    cli.take_sign_in_log();
    match logging::init(cli.log.as_deref()).and_then(|()| run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let terminal = Terminal::new(cli.quiet);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Token(args) => commands::token::run(args, &terminal).await,
            Command::Call(args) => commands::call::run(args, &terminal).await,
            Command::Decode(args) => commands::decode::run(args, &terminal).await,
            Command::Emulator(args) => commands::emulator::run(args, &terminal).await,
            Command::Run(args) => commands::run::run(args, &terminal).await,
            #[cfg(target_os = "linux")]
            Command::Launch(args) => Err(launch::become_program(&args)),
            Command::Init(args) => commands::init::run(&args, &terminal),
            Command::Cache(args) => commands::cache::run(&args, terminal),
            Command::Cert(args) => commands::cert::run(args, &terminal),
        }
    })
}
