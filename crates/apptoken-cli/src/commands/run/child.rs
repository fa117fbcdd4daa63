//! The program that is run: our streams, our signals, its exit code.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use super::environment::Environment;
use crate::exit::Failure;
#[cfg(target_os = "linux")]
use crate::launch::{self, Becoming, Isolation, Socket};
use crate::terminal::tell;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Code(u8),
    #[cfg_attr(not(unix), expect(dead_code, reason = "elsewhere nothing dies of a signal"))]
    Signal(u8),
    /// Never started: 127 or 126, as a shell says it.
    NotRun(u8),
}

impl Ended {
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Code(code) | Self::NotRun(code) => code,
            Self::Signal(signal) => signal.saturating_add(128),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(u8::try_from(signal).unwrap_or(127));
        }
        // Windows has 32 bits of it
        Self::Code(status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1)))
    }
}

/// It, running or about to.
pub(super) struct Program {
    name: String,
    child: io::Result<Child>,
    signals: signals::Signals,
    #[cfg(target_os = "linux")]
    becoming: Becoming,
}

impl Program {
    /// Starts it; it ends with us, even when we are killed.
    #[cfg(target_os = "linux")]
    pub(super) async fn start(command: &[OsString], environment: &Environment, folder: &Path) -> Result<Self, Failure> {
        Self::launch(command, environment, folder, None).await.map(|(program, _)| program)
    }

    /// Starts it in a network of its own; the sockets listen there.
    #[cfg(target_os = "linux")]
    pub(super) async fn launch(
        command: &[OsString],
        environment: &Environment,
        folder: &Path,
        isolation: Option<Isolation>,
    ) -> Result<(Self, Vec<Socket>), Failure> {
        let signals = signals::Signals::listen()?;
        let private = folder.join("launch");
        std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&private)?;
        let launching = launch::prepare(&private, isolation)?;
        let mut child = spawn(launch::command(&private, command), environment)?;
        let (sockets, becoming) = launching.ready(&mut child).await?;
        Ok((Self { name: name(command), child: Ok(child), signals, becoming }, sockets))
    }

    /// Starts it.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_async, reason = "as on Linux")]
    pub(super) async fn start(command: &[OsString], environment: &Environment, _: &Path) -> Result<Self, Failure> {
        let signals = signals::Signals::listen()?;
        let Some((program, arguments)) = command.split_first() else { return Err(Failure::usage("no program to run")) };
        let mut direct = Command::new(program);
        direct.args(arguments);
        Ok(Self { name: name(command), child: spawn(direct, environment), signals })
    }

    /// Runs it to its end; signals that reach us reach it.
    pub(super) async fn wait(mut self) -> Result<Ended, Failure> {
        #[cfg(target_os = "linux")]
        if let Err(error) = self.becoming.program().await {
            self.child = Err(error);
        }
        let mut child = match self.child {
            Ok(child) => child,
            Err(error) => {
                let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
                tell(format_args!("apptoken run: {} cannot be run: {error}", self.name));
                return Ok(Ended::NotRun(code));
            }
        };
        loop {
            tokio::select! {
                status = child.wait() => return Ok(status?.into()),
                signal = self.signals.next() => signals::forward(&child, signal),
            }
        }
    }
}

/// Of the program, without its arguments: they may be secrets.
pub(super) fn name(command: &[OsString]) -> String {
    command.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default()
}

fn spawn(mut command: Command, environment: &Environment) -> io::Result<Child> {
    environment.apply(&mut command);
    command.kill_on_drop(true).spawn()
}

#[cfg(unix)]
mod signals {
    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    use super::{Child, io};

    /// None for one that we were told to ignore.
    pub(super) struct Signals {
        interrupt: Option<Stream>,
        quit: Option<Stream>,
        terminate: Option<Stream>,
        hang_up: Option<Stream>,
        user_1: Option<Stream>,
        user_2: Option<Stream>,
        window: Option<Stream>,
    }

    impl Signals {
        /// From here on none of them ends this process.
        pub(super) fn listen() -> io::Result<Self> {
            let ignored = ignored();
            let listen = |kind: SignalKind| {
                let told = ignored >> (kind.as_raw_value() - 1) & 1 == 1;
                if told { Ok(None) } else { signal(kind).map(Some) }
            };
            Ok(Self {
                interrupt: listen(SignalKind::interrupt())?,
                quit: listen(SignalKind::quit())?,
                terminate: listen(SignalKind::terminate())?,
                hang_up: listen(SignalKind::hangup())?,
                user_1: listen(SignalKind::user_defined1())?,
                user_2: listen(SignalKind::user_defined2())?,
                window: listen(SignalKind::window_change())?,
            })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                () = came(&mut self.interrupt) => Signal::INT,
                () = came(&mut self.quit) => Signal::QUIT,
                () = came(&mut self.terminate) => Signal::TERM,
                () = came(&mut self.hang_up) => Signal::HUP,
                () = came(&mut self.user_1) => Signal::USR1,
                () = came(&mut self.user_2) => Signal::USR2,
                () = came(&mut self.window) => Signal::WINCH,
            }
        }
    }

    async fn came(stream: &mut Option<Stream>) {
        match stream {
            Some(stream) => _ = stream.recv().await,
            None => std::future::pending().await,
        }
    }

    /// A set of signals. The program is to ignore what it would ignore without us (nohup(1), jobs in a shell's background):
    /// it does if we do, and not if we handle it.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or_default()
    }

    pub(super) fn forward(child: &Child, signal: Signal) {
        // these go to every process of the terminal's foreground group: the child has it already
        if matches!(signal, Signal::INT | Signal::QUIT | Signal::WINCH) && in_foreground() {
            return;
        }
        // no id: it has ended, and was waited for
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::debug!(%error, ?signal, "a signal was not passed on");
        }
    }

    fn in_foreground() -> bool {
        let group = getpgrp();
        let foreground = |terminal: rustix::io::Result<Pid>| terminal.is_ok_and(|foreground| foreground == group);
        foreground(rustix::termios::tcgetpgrp(io::stdin()))
            || foreground(rustix::termios::tcgetpgrp(io::stderr()))
            || foreground(rustix::termios::tcgetpgrp(io::stdout()))
    }
}

#[cfg(not(unix))]
mod signals {
    use super::{Child, io};

    pub(super) struct Signals;

    impl Signals {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        /// Ctrl-C goes to every process of the console: the child has it already, and we wait for its end.
        pub(super) async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn forward(_: &Child, (): ()) {}
}
