//! The scene as a child process: a local Entra ID in which everything that the cases need is waiting.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::Result;

/// The running scene; dropping it ends it, and so does the end of this process.
pub(super) struct Scene {
    child: Child,
    file: PathBuf,
    description: Value,
}

impl Scene {
    /// Starts it and waits for its description.
    pub(super) fn start(program: &Path, folder: &Path, clients: &[&str]) -> Result<Self> {
        let named = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        let folder = folder.join("scene");
        let (file, log) = (folder.join("scene.json"), folder.join("scene.log"));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).map_err(|e| named(&folder, e))?;
        let errors = File::create(&log).map_err(|e| named(&log, e))?;
        let mut command = Command::new(program);
        command.arg(&folder).args(clients).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().map_err(|e| named(program, e))?;
        let mut scene = Self { child, file, description: Value::Null };
        scene.description = scene.wait(&log)?;
        Ok(scene)
    }

    /// The file that describes it.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn ca_file(&self) -> Result<&str> {
        self.text("/caFile")
    }

    /// All that is known of it.
    pub(super) fn description(&self) -> &Value {
        &self.description
    }

    /// A text in the description.
    pub(super) fn text(&self, pointer: &str) -> Result<&str> {
        let found = self.description.pointer(pointer).and_then(Value::as_str);
        found.ok_or_else(|| format!("the scene has no {pointer}"))
    }

    /// The sign-in log so far.
    pub(super) fn sign_ins(&self) -> Result<Vec<Value>> {
        let file = self.text("/signIns")?;
        let text = fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
        // the last line may still be being written
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn wait(&mut self, log: &Path) -> Result<Value> {
        for _ in 0..WAIT_STEPS {
            if let Ok(text) = fs::read(&self.file) {
                return serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", self.file.display()));
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("the scene ended ({status}):\n{said}"));
            }
            thread::sleep(WAIT_STEP);
        }
        Err(format!("the scene wrote no description; what it said is in {}", log.display()))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // it may have ended by itself
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const WAIT_STEP: Duration = Duration::from_millis(50);
/// Two minutes.
const WAIT_STEPS: u32 = 2_400;
