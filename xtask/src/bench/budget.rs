//! How long a case may take: a whole run ends, whatever hangs in it.

use std::process::{Command, ExitStatus};
use std::time::Instant;

use crate::Result;

/// The seconds of one case, from now on.
pub(super) struct Budget {
    begun: Instant,
    seconds: u64,
}

impl Budget {
    #[expect(clippy::disallowed_methods, reason = "a bench measures")]
    pub(super) fn of(seconds: u64) -> Self {
        Self { begun: Instant::now(), seconds }
    }

    #[expect(clippy::disallowed_methods, reason = "a bench measures")]
    pub(super) fn taken(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }

    /// `command`, which is ended with all that it has started when the time is over.
    pub(super) fn bound(&self, command: &Command) -> Result<Command> {
        let left = self.seconds.saturating_sub(self.taken());
        if left == 0 {
            return Err(self.over());
        }
        let mut bound = Command::new("timeout");
        bound.args(["--kill-after=5", &left.to_string()]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bound.env(name, value),
                None => bound.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            bound.current_dir(folder);
        }
        Ok(bound)
    }

    /// What became of a command that was bound.
    pub(super) fn verdict(&self, what: &str, status: ExitStatus) -> Result<()> {
        match status.code() {
            Some(0) => Ok(()),
            Some(OVER) => Err(self.over()),
            _ => Err(format!("{what}: {status}")),
        }
    }

    fn over(&self) -> String {
        format!("its {} seconds were over", self.seconds)
    }
}

/// What `timeout` says of a command that it has ended.
const OVER: i32 = 124;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_ended() {
        let budget = Budget::of(1);
        let mut hangs = Command::new("sh");
        hangs.args(["-c", "echo $WHO in $PWD; sleep 600 & wait"]).env("WHO", "it").current_dir("/");
        let output = budget.bound(&hangs).unwrap().output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "it in /\n");
        assert_eq!(budget.verdict("sh", output.status).unwrap_err(), "its 1 seconds were over");
        assert!(budget.taken() < 60, "it was waited for");
        assert!(budget.bound(&hangs).is_err(), "and what comes after it is not begun");
    }

    #[test]
    fn what_ends_by_itself_is_told_as_it_is() {
        let budget = Budget::of(60);
        let run = |program| budget.bound(&Command::new(program)).unwrap().status().unwrap();
        assert_eq!(budget.verdict("true", run("true")), Ok(()));
        assert_eq!(budget.verdict("false", run("false")).unwrap_err(), "false: exit status: 1");
    }
}
