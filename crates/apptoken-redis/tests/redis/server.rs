//! Real servers, on free ports and in folders of their own; they end with the test.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    arguments: Vec<String>,
    pub(crate) place: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start(more: &[&str]) -> Self {
        Self::start_at(free_port(), more).await
    }

    pub(crate) async fn start_at(port: u16, more: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let arguments = more.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>();
        let server = Self { child: spawn(port, &arguments, place.path()), port, arguments, place };
        server.until_it_listens().await;
        server
    }

    /// After [`kill`](Self::kill): at the same port, with nothing of what it held.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.port, &self.arguments, self.place.path());
        self.until_it_listens().await;
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What a command answers, by another client than ours.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().expect(INSTALL);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    async fn until_it_listens(&self) {
        for _ in 0..1000 {
            if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no server at port {} within ten seconds", self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // killed before, perhaps
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, more: &[String], place: &Path) -> Child {
    let mut command = Command::new("redis-server");
    // the option that makes it a Sentinel, or its file, comes first
    let (first, rest) = more.split_at(more.iter().take_while(|argument| !argument.starts_with("--")).count());
    command.args(first).args(["--port", &port.to_string(), "--bind", "127.0.0.1"]).args(rest);
    command.arg("--dir").arg(place);
    if !more.iter().any(|argument| argument == "--sentinel") {
        command.args(["--save", "", "--appendonly", "no"]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect(INSTALL)
}

/// Low enough for the port of a Cluster's bus, 10000 above.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let low = 20000 + port % 30000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, low)).is_ok() {
            return low;
        }
    }
}

const INSTALL: &str = "redis-server is needed: apt-get install redis-server";
