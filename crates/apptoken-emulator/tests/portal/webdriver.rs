//! Chromium, driven by the few commands of WebDriver (W3C) that the tests need.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A browser with a profile of its own; dropping it ends it.
pub(super) struct Browser {
    client: Client,
    session: String,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// A window that takes the emulator's certificate.
    pub(super) async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver does not start ({error}). {INSTALL}"));
        let profile = tempfile::tempdir().unwrap();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap();
        let mut browser = Self { client, session: format!("http://127.0.0.1:{port}"), driver, _profile: profile };
        browser.until_ready().await;
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": flags },
        } } });
        let session = browser.command(Method::POST, "/session", wanted).await;
        let id =
            session["sessionId"].as_str().unwrap_or_else(|| panic!("Chromium does not start. {INSTALL}\n{session}"));
        browser.session = format!("{}/session/{id}", browser.session);
        browser
    }

    async fn until_ready(&self) {
        let mut tries = 0;
        while self.client.get(format!("{}/status", self.session)).send().await.is_err() {
            tries += 1;
            assert!(tries < PATIENCE, "chromedriver does not answer. {INSTALL}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn command(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.client.request(method.clone(), format!("{}{path}", self.session));
        let request = if method == Method::POST {
            request.header("content-type", "application/json").body(body.to_string())
        } else {
            request
        };
        let bytes = request.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["value"].take()
    }

    pub(super) async fn open(&self, url: &str) {
        let failed = self.command(Method::POST, "/url", json!({ "url": url })).await;
        assert!(failed.is_null(), "{url}: {failed}");
    }

    /// The element that a CSS selector finds; waits for it.
    async fn find(&self, css: &str) -> String {
        let mut tries = 0;
        loop {
            let find = json!({ "using": "css selector", "value": css });
            let found = self.command(Method::POST, "/element", find).await;
            if let Some(id) = found[ELEMENT].as_str() {
                return id.to_owned();
            }
            tries += 1;
            assert!(tries < PATIENCE, "{css} is not on {}:\n{}", self.url().await, self.text("main").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        let failed = self.command(Method::POST, &format!("/element/{element}/click"), json!({})).await;
        assert!(failed.is_null(), "{css}: {failed}");
    }

    /// Types into a field.
    pub(super) async fn fill(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.command(Method::POST, &format!("/element/{element}/clear"), json!({})).await;
        let typed = json!({ "text": text });
        let failed = self.command(Method::POST, &format!("/element/{element}/value"), typed).await;
        assert!(failed.is_null(), "{css}: {failed}");
    }

    /// Chooses the option whose words are these.
    pub(super) async fn choose(&self, css: &str, words: &str) {
        let script = "const s = document.querySelector(arguments[0]);\
                      const all = [...s.options], words = arguments[1];\
                      const o = all.find((o) => o.text === words) ?? all.find((o) => o.text.includes(words));\
                      s.value = o.value; return o.value;";
        assert!(self.script(script, json!([css, words])).await.is_string(), "{words} is not in {css}");
    }

    pub(super) async fn script(&self, script: &str, arguments: Value) -> Value {
        self.command(Method::POST, "/execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// The text that the first such element shows; empty when there is none.
    pub(super) async fn text(&self, css: &str) -> String {
        let shown = self.script("return document.querySelector(arguments[0])?.innerText ?? ''", json!([css])).await;
        shown.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element shows this text.
    pub(super) async fn shows(&self, css: &str, words: &str) {
        let mut tries = 0;
        loop {
            let text = self.text(css).await;
            if text.contains(words) {
                return;
            }
            tries += 1;
            assert!(tries < PATIENCE, "{css} on {} does not show {words:?}:\n{text}", self.url().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn url(&self) -> String {
        self.command(Method::GET, "/url", Value::Null).await.as_str().unwrap_or_default().to_owned()
    }

    /// What the console had to say: violations of the page's policy among it.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.command(Method::POST, "/se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|entry| entry["message"].as_str().map(str::to_owned)).collect()
    }

    /// A picture of the window (PNG, base64).
    pub(super) async fn picture(&self, width: u32, height: u32, dark: bool) -> String {
        let cdp = |cmd: &str, params: Value| json!({ "cmd": cmd, "params": params });
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command(Method::POST, "/goog/cdp/execute", cdp("Emulation.setEmulatedMedia", media)).await;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command(Method::POST, "/goog/cdp/execute", cdp("Emulation.setDeviceMetricsOverride", size)).await;
        self.command(Method::GET, "/screenshot", Value::Null).await.as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser when it is asked to; killed, it would leave it behind.
        let (host, path) = self.session["http://".len()..].split_once('/').unwrap_or((&self.session, ""));
        if let Ok(mut stream) = std::net::TcpStream::connect(host) {
            use std::io::{Read as _, Write as _};
            let _ = write!(stream, "DELETE /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

const INSTALL: &str = "These tests drive Chromium; on Debian: apt-get install chromium chromium-driver";
/// Looks, a twentieth of a second apart, before what is waited for is given up.
const PATIENCE: u32 = 400;
/// WebDriver §12.1: what names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// No sandbox: tests may run as root. Nothing leaves the machine.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--window-size=1400,1000",
];
