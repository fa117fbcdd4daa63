//! `apptoken demo`: the whole scenario on one machine, each step checked.

mod connection_file;
mod keep;
mod narrator;
mod steps;
mod todolist;
mod world;

use std::path::PathBuf;

pub(crate) use self::keep::interrupted;
use self::narrator::Narrator;
use self::world::World;
use crate::clock::Stopwatch;
use crate::exit::Failure;

/// The whole scenario on a local Entra ID, each step checked and explained
///
/// Starts it and a TodoList web API on free ports of this machine, over HTTPS; nothing leaves it. Exit code 1 if a check
/// does not hold.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Leave both running afterwards and print how to try them by hand
    #[arg(long)]
    keep: bool,
    /// With --keep: write addresses, ids, secret and certificate paths to this file (JSON, 0600)
    #[arg(long, value_name = "FILE", requires = "keep")]
    connection_file: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    let world = World::start().await?;
    let mut narrator = Narrator::new();
    narrator.begin(&world)?;
    steps::all(&mut narrator, &world).await?;
    narrator.end(watch.elapsed())?;
    if args.keep {
        let connection = connection_file::Connection::of(&world);
        if let Some(path) = &args.connection_file {
            connection.write(path)?;
        }
        keep::until_interrupted(&connection, &mut narrator).await?;
    }
    let held = narrator.all_held();
    world.stop().await;
    if held { Ok(()) } else { Err(Failure::Silent) }
}

const EXAMPLES: &str = "\
Examples:
  apptoken demo
  apptoken demo --keep          then try it by hand; Ctrl-C ends it";
