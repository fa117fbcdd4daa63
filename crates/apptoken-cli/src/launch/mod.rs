//! From `apptoken run` to the program, on Linux: this binary, started once more, prepares itself and then becomes the
//! program (`exec`). Between fork and exec of a process with many threads almost nothing may be done; here everything
//! may. The program dies with `apptoken run`, and if that was asked for, it has a network and mounts of its own.

mod handover;
mod namespace;
mod netlink;
mod refusal;

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

pub(crate) use self::handover::{Becoming, Launching, Socket};
use self::handover::{Channel, Said};
use crate::exit::Failure;
use crate::files::{self, Existing};

/// What the new process does before it becomes the program.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    /// The process that it dies with.
    parent: i32,
    isolation: Option<Isolation>,
}

/// A network and mounts of the program's own.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Isolation {
    /// What the loopback interface has besides 127.0.0.0/8 and ::1.
    pub(crate) addresses: Vec<IpAddr>,
    /// Where we listen in that network, TCP.
    pub(crate) listen: Vec<SocketAddr>,
    /// Where name servers are asked there, UDP.
    pub(crate) names: Option<SocketAddr>,
    /// In this order.
    pub(crate) mounts: Vec<Mount>,
}

/// A file or folder that is seen in the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
}

/// Become the program that `apptoken run` runs; it starts this itself
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    folder: PathBuf,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Prepares a launch by way of a private folder; [`command`] starts it.
pub(crate) fn prepare(folder: &Path, isolation: Option<Isolation>) -> Result<Launching, Failure> {
    let plan = Plan { parent: rustix::process::getpid().as_raw_nonzero().get(), isolation };
    let text = serde_json::to_vec(&plan).map_err(io::Error::from)?;
    files::write_private(&folder.join(PLAN), &text, Existing::Keep)?;
    Ok(Launching::listen(folder)?)
}

/// Our own binary, told to become the program.
pub(crate) fn command(folder: &Path, program: &[OsString]) -> tokio::process::Command {
    // even when the file was replaced meanwhile
    let mut command = tokio::process::Command::new("/proc/self/exe");
    command.arg0("apptoken").arg(SUBCOMMAND).arg(folder).arg("--").args(program);
    command
}

/// In the new process, which has one thread: does not return, unless something fails.
pub(crate) fn become_program(args: &Args) -> Failure {
    match try_to_become_program(args) {
        // the one who started us tells it
        Ok(()) => Failure::Silent,
        Err(failure) => failure,
    }
}

fn try_to_become_program(args: &Args) -> Result<(), Failure> {
    let Some((program, arguments)) = args.command.split_first() else { return Err(Failure::usage("no program")) };
    let plan: Plan = serde_json::from_slice(&files::read(&args.folder.join(PLAN))?).map_err(io::Error::from)?;
    let channel = Channel::connect(&args.folder)?;
    let sockets: Vec<OwnedFd> = match plan.isolation.as_ref().map(namespace::enter) {
        None => Vec::new(),
        Some(Ok(sockets)) => sockets,
        Some(Err(refusal)) => return Ok(channel.say(&Said::Refused(refusal))?),
    };
    channel.send(&sockets)?;
    channel.say(&Said::Ready)?;
    drop(sockets);
    die_with(plan.parent)?;
    let error = Command::new(program).args(arguments).exec();
    Ok(channel.say(&Said::NotRun(error.raw_os_error().unwrap_or_default()))?)
}

/// Ends this process, and what it becomes, when its parent ends in whatever way.
fn die_with(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // it may have ended before
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return Err(io::Error::other("apptoken run has ended"));
    }
    Ok(())
}

/// As `cli` has it.
const SUBCOMMAND: &str = "launch";
const PLAN: &str = "plan.json";
