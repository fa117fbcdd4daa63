//! `apptoken demo --keep` as a child process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::Result;

/// The running demo; dropping it ends it.
pub(super) struct Demo {
    child: Child,
    file: PathBuf,
    connection: Value,
}

impl Demo {
    /// Starts it and waits for its connection file, which it writes after its last step.
    pub(super) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let named = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        let (file, log, temporary) = (folder.join("connection.json"), folder.join("demo.log"), folder.join("tmp"));
        // what an earlier run left, which could not clean up when it was ended
        drop(fs::remove_file(&file));
        drop(fs::remove_dir_all(&temporary));
        fs::create_dir_all(&temporary).map_err(|e| named(&temporary, e))?;
        let output = File::create(&log).map_err(|e| named(&log, e))?;
        let errors = output.try_clone().map_err(|e| named(&log, e))?;
        let child = Command::new(program)
            .args(["demo", "--keep", "--connection-file"])
            .arg(&file)
            .env("TMPDIR", &temporary)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|e| named(program, e))?;
        let mut demo = Self { child, file, connection: Value::Null };
        demo.connection = demo.wait(&log)?;
        Ok(demo)
    }

    pub(super) fn connection_file(&self) -> &Path {
        &self.file
    }

    pub(super) fn ca_file(&self) -> Result<&str> {
        self.text("/caFile")
    }

    /// A member of the connection file.
    pub(super) fn text(&self, pointer: &str) -> Result<&str> {
        self.connection
            .pointer(pointer)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("the connection file has no {pointer}"))
    }

    fn wait(&mut self, log: &Path) -> Result<Value> {
        for _ in 0..WAIT_STEPS {
            if let Ok(text) = fs::read(&self.file) {
                return serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", self.file.display()));
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("apptoken demo ended ({status}):\n{said}"));
            }
            thread::sleep(WAIT_STEP);
        }
        Err(format!("apptoken demo wrote no connection file; what it said is in {}", log.display()))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // it may have ended by itself
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const WAIT_STEP: Duration = Duration::from_millis(100);
/// Two minutes.
const WAIT_STEPS: u32 = 1_200;
