//! The servers, each a process of its own on a free port of this machine, over HTTPS with an ECDSA certificate.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use apptoken_jose::issue::Ca;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::Result;
use crate::arguments::Arguments;
use crate::figures::OURS;

/// One that runs until it is dropped.
pub struct Server {
    pub name: &'static str,
    pub version: String,
    pub token_endpoint: Url,
    /// What asks it for a token.
    pub form: String,
    /// What to trust.
    pub root: CertificateDer<'static>,
    /// Of the process that serves: a launcher may stand before it.
    pub pid: u32,
    child: Child,
}

/// The local Entra ID, as `apptoken emulator` runs it.
pub struct Emulator(pub Server);

/// The local Entra ID first.
pub fn all(arguments: &Arguments) -> Result<Vec<Server>> {
    let mut all = vec![Emulator::start(&arguments.apptoken, &arguments.folder)?.0];
    match &arguments.node {
        Some((node, folder)) => all.extend(peers(node, folder, &arguments.folder)?),
        None => eprintln!("no Node: the servers from npm are left out"),
    }
    Ok(all)
}

impl Emulator {
    /// With everything in memory.
    pub fn start(apptoken: &Path, folder: &Path) -> Result<Self> {
        Self::with(Command::new(apptoken).arg("emulator"), folder)
    }

    /// With a data folder.
    pub fn start_with_data(apptoken: &Path, folder: &Path, data: &Path) -> Result<Self> {
        Self::with(Command::new(apptoken).arg("emulator").arg("--data").arg(data), folder)
    }

    fn with(command: &mut Command, folder: &Path) -> Result<Self> {
        let (seed, ca) = (folder.join("seed.json"), folder.join("ca.pem"));
        fs::write(&seed, directory().to_string())?;
        let mut child = command
            .arg("--seed")
            .arg(&seed)
            .arg("--export-ca")
            .arg(&ca)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let authority = said(&mut child, |line| line.strip_prefix("export APPTOKEN_AUTHORITY=").map(str::to_owned))?;
        Ok(Self(Server {
            name: OURS,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            token_endpoint: Url::parse(&format!("{authority}/contoso.onmicrosoft.com/oauth2/v2.0/token"))?,
            form: form(&format!("{RESOURCE}/.default")),
            root: CertificateDer::from_pem_file(&ca)?,
            pid: child.id(),
            child,
        }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // the drivers end when nobody holds the other end of their standard input, the emulator when it is killed
        drop(self.child.stdin.take());
        if self.pid == self.child.id() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A daemon that was granted a role of an API with tokens of version 2.
fn directory() -> Value {
    json!({
        "tenants": [{ "displayName": "Contoso", "defaultDomain": "contoso.onmicrosoft.com" }],
        "applications": [
            {
                "displayName": "TodoList API", "identifierUris": [RESOURCE], "requestedAccessTokenVersion": 2,
                "appRoles": [{ "value": "DaemonAppRole" }],
            },
            {
                "appId": CLIENT_ID, "displayName": "TodoList daemon",
                "passwordCredentials": [{ "secretText": SECRET }],
                "requiredResourceAccess": [{ "resource": RESOURCE, "appRoles": ["DaemonAppRole"] }],
                "servicePrincipals": [{ "tenant": "contoso.onmicrosoft.com", "adminConsent": true }],
            },
        ],
    })
}

fn peers(node: &Path, drivers: &Path, folder: &Path) -> Result<Vec<Server>> {
    #[expect(clippy::disallowed_methods, reason = "certificates are dated")]
    let now = SystemTime::now();
    let ca = Ca::generate("bench", now)?;
    let leaf = ca.server_leaf(&["localhost"], now)?;
    let (key, chain) = (folder.join("peers.key"), folder.join("peers.crt"));
    fs::write(&key, pem("PRIVATE KEY", &leaf.key_pkcs8_der))?;
    fs::write(&chain, leaf.chain.iter().map(|der| pem("CERTIFICATE", der)).collect::<String>())?;
    let root = CertificateDer::from_pem_slice(ca.certificate().to_pem().as_bytes())?.into_owned();

    let lock: Value = serde_json::from_slice(&fs::read(drivers.join("package-lock.json"))?)?;
    PEERS
        .into_iter()
        .map(|(name, driver)| {
            let mut child = Command::new(node)
                .env("NODE_ENV", "production")
                .arg(drivers.join(driver))
                .args([&key, &chain])
                .args([CLIENT_ID, SECRET, RESOURCE, name])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let ready: Value = said(&mut child, |line| serde_json::from_str(line).ok())?;
            Ok(Server {
                name,
                version: lock["packages"][format!("node_modules/{name}")]["version"].as_str().unwrap_or("?").to_owned(),
                token_endpoint: Url::parse(ready["token_endpoint"].as_str().unwrap_or_default())?,
                form: form("daemon"),
                root: root.clone(),
                pid: u32::try_from(ready["pid"].as_u64().unwrap_or_default())?,
                child,
            })
        })
        .collect()
}

fn form(scope: &str) -> String {
    Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("client_secret", SECRET)
        .append_pair("scope", scope)
        .finish()
}

/// The first line of standard output that tells what is looked for; what comes after it is read and forgotten.
fn said<T>(child: &mut Child, tells: impl Fn(&str) -> Option<T>) -> Result<T> {
    let mut lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
    while let Some(line) = lines.next().transpose()? {
        if let Some(told) = tells(&line) {
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(told);
        }
    }
    Err("a server ended before it was ready".into())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = apptoken_jose::base64url::encode(der).replace('-', "+").replace('_', "/");
    let padding = "=".repeat(text.len().wrapping_neg() % 4);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}{padding}\n-----END {label}-----\n", lines.join("\n"))
}

/// By their names in `package.json`, with what runs them.
const PEERS: [(&str, &str); 3] = [
    ("oauth2-mock-server-8", "oauth2_mock_server.mjs"),
    ("oauth2-mock-server", "oauth2_mock_server.mjs"),
    ("oidc-provider", "oidc_provider.mjs"),
];
const CLIENT_ID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const SECRET: &str = "a.secret~of-forty.characters_as-Entra-makes";
const RESOURCE: &str = "api://todolist";
