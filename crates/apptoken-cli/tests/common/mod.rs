//! Runs the program against a local Entra ID, and keeps what it says for the search for secrets.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use apptoken_emulator::Emulator;
use assert_cmd::Command;
use serde_json::json;
use testkit::CANARY;

pub(crate) const TENANT: &str = "contoso.onmicrosoft.com";
pub(crate) const CLIENT_ID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
pub(crate) const SCOPE: &str = "api://todolist/.default";
pub(crate) const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program in an environment without any of our variables.
pub(crate) fn apptoken(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("apptoken").unwrap();
    for (name, _) in std::env::vars() {
        if ["APPTOKEN_", "AZURE_", "AzureAd__", "NO_COLOR", "CLICOLOR"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    // nothing is kept between runs, unless a test says where
    command.args(arguments).env("APPTOKEN_NO_CACHE", "1");
    command
}

/// Runs it. Standard error may never hold a secret or a token.
pub(crate) fn run(command: &mut Command) -> Run {
    let run = run_telling_secrets(command);
    testkit::witness_text(&run.err);
    assert_eq!(testkit::leak(&run.err), None, "on standard error");
    run
}

/// Runs it where it was asked to show secrets.
pub(crate) fn run_telling_secrets(command: &mut Command) -> Run {
    testkit::init();
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A local Entra ID with a daemon and an API, and a folder for files.
pub(crate) struct Local {
    pub(crate) entra: Emulator,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) secret: String,
}

impl Local {
    pub(crate) async fn start() -> Self {
        testkit::init();
        let secret = format!("{CANARY}-client-secret");
        let seed = json!({
            "tenants": [{
                "displayName": "Contoso", "defaultDomain": TENANT,
                "users": [{ "displayName": "Adele Vance", "userPrincipalName": "adele@contoso.onmicrosoft.com" }],
            }],
            "applications": [
                {
                    "displayName": "TodoList API", "identifierUris": ["api://todolist"],
                    "appRoles": [{ "value": "DaemonAppRole" }],
                },
                {
                    "appId": CLIENT_ID, "displayName": "daemon",
                    "passwordCredentials": [{ "secretText": secret }],
                    "requiredResourceAccess": [
                        { "resource": "api://todolist", "appRoles": ["DaemonAppRole"] },
                        { "resource": "00000003-0000-0000-c000-000000000000", "appRoles": ["User.Read.All"] },
                    ],
                },
            ],
        });
        let entra = Emulator::builder().seed_json(&seed.to_string()).unwrap().start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), entra.ca_pem()).unwrap();
        Self { entra, folder, secret }
    }

    pub(crate) fn consent(&self) {
        self.entra.directory().grant_admin_consent(TENANT, CLIENT_ID).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The program with authority and CA, and no credential.
    pub(crate) fn apptoken(&self, arguments: &[&str]) -> Command {
        let mut command = apptoken(arguments);
        command
            .current_dir(&self.folder)
            .env("APPTOKEN_AUTHORITY", self.entra.authority())
            .env("APPTOKEN_CA_FILE", self.file("ca.pem"));
        command
    }

    /// The program as the daemon with its secret.
    pub(crate) fn as_daemon(&self, arguments: &[&str]) -> Command {
        let mut command = self.apptoken(arguments);
        command
            .env("APPTOKEN_TENANT_ID", TENANT)
            .env("APPTOKEN_CLIENT_ID", CLIENT_ID)
            .env("APPTOKEN_CLIENT_SECRET", &self.secret);
        command
    }

    /// Writes an appsettings.json with the daemon and Graph as `MyWebApi`.
    pub(crate) fn write_settings(&self) {
        let settings = json!({
            "AzureAd": {
                "Instance": self.entra.authority(), "TenantId": TENANT, "ClientId": CLIENT_ID,
                "ClientCredentials": [{ "SourceType": "ClientSecret", "ClientSecret": self.secret }],
            },
            "MyWebApi": {
                "BaseUrl": format!("{}/v1.0", self.entra.graph_url()), "RelativePath": "users",
                "RequestAppToken": true, "Scopes": [GRAPH_SCOPE],
            },
        });
        std::fs::write(self.file("appsettings.json"), settings.to_string()).unwrap();
    }
}

/// Asserts that only the owner can read `path`.
pub(crate) fn assert_private(path: impl AsRef<Path>) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.as_ref().display());
    }
}
