//! The peers: built with the harness of `../shared/peers`, measured against its authority.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::budget::Budget;
use super::figures::Figures;
use crate::{Result, workspace};

/// The harness, its authority running.
pub(super) struct Harness {
    sources: PathBuf,
    home: PathBuf,
    ours: PathBuf,
    ports: (u16, u16),
    authority: Child,
}

/// What is driven: libraries by the names of their drivers.
#[derive(Clone, Copy)]
pub(super) enum Drivers {
    Ours,
    /// Ours beside the libraries for Rust.
    Rust,
    /// The libraries for Python and Node.
    Scripts,
}

impl Harness {
    /// Builds and installs everything (some ten minutes the first time) and starts the authority.
    pub(super) fn start() -> Result<Self> {
        // by name, as the checkout may be a link to elsewhere
        let sources = workspace::root().with_file_name("shared").join("peers");
        let Ok(sources) = sources.canonicalize() else {
            return Err(format!("the peers' harness is not there ({}): the peers are not measured", sources.display()));
        };
        let home = workspace::target()?.join("peers");
        fs::create_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        build(&sources, &home)?;
        let ours = build_ours(&home)?;
        let ports = (free_port()?, free_port()?);
        let log = fs::File::create(home.join("authority.log")).map_err(|e| format!("authority.log: {e}"))?;
        let mut authority = Command::new(home.join("target/release/authority"));
        authority.arg("--ca-dir").arg(home.join("ca"));
        authority.args(["--http", &ports.0.to_string(), "--https", &ports.1.to_string()]);
        let authority =
            authority.stderr(log).spawn().map_err(|e| format!("the peers' authority does not start: {e}"))?;
        let harness = Self { sources, home, ours, ports, authority };
        harness.wait()?;
        Ok(harness)
    }

    /// Runs `cases` so many rounds, the drivers taking turns in each, and keeps what they print.
    pub(super) fn drive(
        &self,
        cases: &[&str],
        drivers: Drivers,
        rounds: u32,
        out: &Path,
        budget: &Budget,
        figures: &mut Figures,
    ) -> Result<()> {
        let _ = fs::remove_file(out);
        let drivers = self.drivers(drivers);
        if drivers.is_empty() {
            return Err("none of the drivers is there".to_owned());
        }
        let mut bench = Command::new("python3");
        bench.arg(self.sources.join("bench.py"));
        bench.args(["--authority", &format!("https://localhost:{}", self.ports.1)]);
        bench.args(["--control", &format!("http://localhost:{}", self.ports.0)]);
        bench.arg("--ca-dir").arg(self.home.join("ca")).arg("--out").arg(out);
        bench.arg("--timeit").arg(self.home.join("target/release/timeit"));
        bench.args(["--cases", &cases.join(","), "--rounds", &rounds.to_string()]).args(drivers);
        self.environment(&mut bench);
        let (status, trouble) = watched(budget.bound(&bench)?.stdout(Stdio::null()))?;
        // what was measured counts, whatever else went wrong
        let taken = figures.read_file(out);
        match trouble {
            Some(why) => Err(why),
            None => budget.verdict("the harness", status).and(taken),
        }
    }

    /// What the machine allows, by the harness's own measurement.
    pub(super) fn limits(&self, what: &str, budget: &Budget, figures: &mut Figures) -> Result<()> {
        let mut limits = Command::new(self.home.join("target/release/limits"));
        self.environment(&mut limits);
        limits.arg(what);
        let output = budget.bound(&limits)?.stderr(Stdio::inherit()).output().map_err(|e| format!("limits: {e}"))?;
        figures.read(&String::from_utf8_lossy(&output.stdout));
        budget.verdict("limits", output.status)
    }

    fn environment(&self, command: &mut Command) {
        command.env("CARGO_TARGET_DIR", self.home.join("target")).env("PEERS_CA_DIR", self.home.join("ca"));
        // with a slash at its end: the drivers resolve packages from it
        command.env("PEERS_NODE", format!("{}/", self.home.join("node").display()));
        command.env("PEERS_OURS", &self.ours).env("NO_PROXY", "localhost").env("no_proxy", "localhost");
        let mut path = std::ffi::OsString::from(self.home.join("py/bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path);
    }

    fn drivers(&self, drivers: Drivers) -> Vec<PathBuf> {
        let others = |names: &[&str]| {
            let paths = names.iter().map(|name| self.sources.join("drivers").join(name));
            paths.filter(|path| path.exists()).collect::<Vec<_>>()
        };
        match drivers {
            Drivers::Ours => vec![self.ours.clone()],
            Drivers::Rust => [vec![self.ours.clone()], others(&["azure_identity-rust", "oauth2-rust"])].concat(),
            Drivers::Scripts => others(&[
                "msal-python",
                "azure-identity-python",
                "azure-identity-python-aio",
                "msal-node",
                "azure-identity-node",
            ]),
        }
    }

    fn wait(&self) -> Result<()> {
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", self.ports.1)).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("the peers' authority does not listen: see {}", self.home.join("authority.log").display()))
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = self.authority.kill();
        let _ = self.authority.wait();
    }
}

/// Runs the harness to its end, and says what went wrong first: it goes on with the others when a driver fails or takes too
/// long, or when a client was refused.
fn watched(bench: &mut Command) -> Result<(ExitStatus, Option<String>)> {
    let mut child = bench.stderr(Stdio::piped()).spawn().map_err(|e| format!("python3 does not start: {e}"))?;
    let mut trouble = None;
    for line in child.stderr.take().into_iter().flat_map(|told| BufReader::new(told).lines()).map_while(io::Result::ok)
    {
        println!("{line}");
        if ["FAILED", "TIMEOUT", "REJECTED"].iter().any(|word| line.starts_with(word)) {
            trouble.get_or_insert(line);
        }
    }
    let status = child.wait().map_err(|e| format!("python3: {e}"))?;
    Ok((status, trouble))
}

/// The peers in Rust, the authority and the limits; a CA; the packages for Python and Node, all as the harness locks them.
fn build(sources: &Path, home: &Path) -> Result<()> {
    // our settings for cargo are not theirs: those that it finds from its folder, those that we were given by it
    let mut cargo = workspace::cargo(&["build", "--quiet", "--release", "--locked", "--target-dir"]);
    cargo.env_remove("AWS_LC_SYS_NO_JITTER_ENTROPY");
    workspace::run(cargo.arg(home.join("target")).current_dir(sources))?;
    workspace::run(Command::new(sources.join("mkca.sh")).arg(home.join("ca")))?;
    let python = home.join("py");
    let installed = home.join("py/installed");
    if !installed.exists() {
        workspace::run(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
        let mut pip = Command::new(python.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        workspace::run(pip.arg(sources.join("python/requirements.txt")))?;
        fs::write(&installed, "").map_err(|e| format!("{}: {e}", installed.display()))?;
    }
    let node = home.join("node");
    if !node.join("node_modules/.package-lock.json").exists() {
        fs::create_dir_all(&node).map_err(|e| format!("{}: {e}", node.display()))?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(sources.join("node").join(name), node.join(name)).map_err(|e| format!("{name}: {e}"))?;
        }
        let mut npm = Command::new("npm");
        workspace::run(npm.args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&node))?;
    }
    Ok(())
}

fn build_ours(home: &Path) -> Result<PathBuf> {
    // its lock follows the workspace's dependencies by itself
    let mut cargo = workspace::cargo(&["build", "--quiet", "--release"]);
    cargo.arg("--manifest-path").arg(workspace::root().join("bench/peers/Cargo.toml"));
    cargo.arg("--target-dir").arg(home.join("ours"));
    workspace::run(&mut cargo)?;
    Ok(home.join("ours/release/apptoken-peers"))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no free port: {e}"))?;
    listener.local_addr().map(|address| address.port()).map_err(|e| format!("no free port: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_first_is_told_though_the_harness_goes_on() {
        let says = |script: &str| watched(Command::new("sh").args(["-c", script])).unwrap();
        let (status, trouble) = says("echo noise >&2; echo 'FAILED d hit1 1 why' >&2; echo 'TIMEOUT e herd' >&2");
        assert!(status.success());
        assert_eq!(trouble.as_deref(), Some("FAILED d hit1 1 why"));
        let (status, trouble) = says("echo 'it FAILED' >&2; exit 3");
        assert_eq!((status.code(), trouble), (Some(3), None));
    }
}
