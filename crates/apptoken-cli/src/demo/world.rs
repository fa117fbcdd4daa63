//! Everything the demo plays on: the local Entra ID with a tenant, the TodoList API, the daemon's credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use apptoken::http::{ReqwestTransport, RetryPolicy};
use apptoken::{Certificate, ConfidentialClient, ConfidentialClientBuilder, SecretString};
use apptoken_daemon::TokenAcquirerFactory;
use apptoken_emulator::Emulator;
use apptoken_jose::issue::{self, Ca};
use apptoken_jose::{KeyError, SigningKey, pfx};
use apptoken_protect::Protect;
use serde_json::json;
use uuid::Uuid;

use super::todolist::{ROLE, TodoList};
use crate::clock;
use crate::exchange::{Recorder, Secrets};
use crate::exit::Failure;
use crate::files::{self, Existing};

/// The demo's stage. Its files are gone when it is dropped.
pub(super) struct World {
    pub(super) entra: Emulator,
    pub(super) api: TodoList,
    folder: tempfile::TempDir,
    secret: String,
    pfx_password: String,
    certificate: apptoken_jose::Certificate,
    ca_pem: String,
}

impl World {
    pub(super) async fn start() -> Result<Self, Failure> {
        let made = |error: KeyError| Failure::refused("no certificate could be made").because(&error);
        let folder = tempfile::Builder::new().prefix("apptoken-demo-").tempdir()?;
        let (certificate, key) = issue::self_signed("TodoList daemon", clock::now(), 90).map_err(made)?;
        let (secret, pfx_password) = (random(), random());
        let ca = Ca::generate("apptoken demo", clock::now()).map_err(made)?;
        let same_ca = Ca::from_pem(&ca.certificate().to_pem(), &ca.key_pem()).map_err(made)?;
        let entra = Emulator::builder()
            .certificate_authority(same_ca)
            .seed_json(&directory(&secret, &certificate.to_pem()).to_string())
            .map_err(|error| Failure::refused("the directory of the demo is not accepted").because(&error))?
            .start()
            .await
            .map_err(|error| Failure::refused("the local Entra ID does not start").because(&error))?;
        let guard =
            |error: apptoken_protect::BuildError| Failure::refused("the API's guard cannot be set up").because(&error);
        let protect = Protect::api(API_URI)
            .client_id(API_ID)
            .map_err(guard)?
            .tenant(TENANT_ID)
            .authority(entra.authority())
            .add_root_certificate_pem(entra.ca_pem())
            .map_err(guard)?
            .build()
            .await
            .map_err(guard)?;
        let api = TodoList::start(protect, &ca).await?;
        let ca_pem = entra.ca_pem().to_owned();
        let world = Self { entra, api, folder, secret, pfx_password, certificate, ca_pem };
        world.write_files(&key).map_err(|error| error.hint("the demo writes to the temporary folder (TMPDIR)"))?;
        Ok(world)
    }

    pub(super) async fn stop(self) {
        drop(self.api);
        self.entra.shutdown().await;
    }

    /// Who plays: a name and what there is to know.
    pub(super) fn cast(&self) -> Vec<(&'static str, String)> {
        vec![
            ("local Entra ID", format!("{}  tenant {TENANT} ({TENANT_ID})", self.entra.authority())),
            ("TodoList API", format!("{}  {API_URI}, demands the app role {ROLE}", self.api_url())),
            (
                "the daemon",
                format!("{DAEMON_ID}  a secret, a certificate (SHA-1 {})", self.certificate.thumbprint_hex()),
            ),
        ]
    }

    /// A client of its own, with its own cache, and the record of what it sends.
    pub(super) fn client(
        &self,
        credential: impl FnOnce(ConfidentialClientBuilder) -> ConfidentialClientBuilder,
    ) -> Result<(ConfidentialClient, Record), Failure> {
        let record = self.record()?;
        let builder = ConfidentialClient::builder(DAEMON_ID)
            .authority(self.entra.authority())
            .tenant(TENANT)
            .retry(RetryPolicy::NONE)
            .transport(record.clone());
        Ok((credential(builder).build()?, record))
    }

    /// The daemon as its author would write it, from the appsettings.json of the demo.
    pub(super) fn daemon(&self) -> Result<(TokenAcquirerFactory, Record), Failure> {
        let record = self.record()?;
        let transport = record.clone();
        let factory = TokenAcquirerFactory::builder()
            .file(self.file("appsettings.json"))
            .environment(Vec::<(String, String)>::new())
            .add_api_root_certificate_pem(&self.ca_pem)
            .client(move |builder| builder.transport(transport.clone()))
            .build()?;
        Ok((factory, record))
    }

    /// The daemon's certificate, from its PFX file.
    pub(super) fn certificate(&self) -> Result<Certificate, Failure> {
        let password = SecretString::from(self.pfx_password.clone());
        Ok(Certificate::from_pfx_file(self.file("daemon.pfx"), &password)?)
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn pfx_password(&self) -> &str {
        &self.pfx_password
    }

    pub(super) fn thumbprints(&self) -> (String, String) {
        let sha256 = self.certificate.thumbprint_sha256().iter().map(|byte| format!("{byte:02X}")).collect();
        (self.certificate.thumbprint_hex(), sha256)
    }

    pub(super) fn api_url(&self) -> String {
        format!("{}api/todolist", self.api.url())
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn record(&self) -> Result<Record, Failure> {
        let transport = ReqwestTransport::builder().add_root_certificate_pem(self.ca_pem.as_bytes())?.build();
        Ok(Recorder::new(Arc::new(transport), Secrets::CrossOut))
    }

    fn write_files(&self, key: &SigningKey) -> Result<(), Failure> {
        let made = |error: KeyError| Failure::refused("no key file could be made").because(&error);
        let key_pem = key.to_pkcs8_pem().map_err(made)?;
        let certificate_pem = self.certificate.to_pem();
        let chain = std::slice::from_ref(&self.certificate);
        let pfx = pfx::create(key, chain, self.pfx_password.as_bytes()).map_err(made)?;
        let settings = format!("{:#}\n", self.settings());
        let write = |name: &str, content: &[u8]| {
            let path: &Path = &self.file(name);
            files::write_private(path, content, Existing::Keep)
        };
        write("ca.pem", self.ca_pem.as_bytes())?;
        write("daemon.crt", certificate_pem.as_bytes())?;
        write("daemon.key", key_pem.as_bytes())?;
        write("daemon.pem", format!("{}{certificate_pem}", key_pem.as_str()).as_bytes())?;
        write("daemon.pfx", &pfx)?;
        write("appsettings.json", settings.as_bytes())
    }

    fn settings(&self) -> serde_json::Value {
        json!({
            "AzureAd": {
                "Instance": format!("{}/", self.entra.authority()),
                "TenantId": TENANT,
                "ClientId": DAEMON_ID,
                "ClientCredentials": [{ "SourceType": "ClientSecret", "ClientSecret": self.secret }],
            },
            "MyWebApi": {
                "BaseUrl": self.api.url(),
                "RelativePath": "api/todolist",
                "RequestAppToken": true,
                "Scopes": [API_SCOPE],
            },
            "Graph": {
                "BaseUrl": format!("{}/v1.0", self.entra.graph_url()),
                "RelativePath": "users",
                "RequestAppToken": true,
                "Scopes": [GRAPH_SCOPE],
            },
        })
    }
}

/// What a client sends, kept to be told.
pub(super) type Record = Recorder<Arc<ReqwestTransport>>;

/// A tenant with users, the API and the daemon, whose wish for the API's role nobody has granted yet.
fn directory(secret: &str, certificate: &str) -> serde_json::Value {
    json!({
        "tenants": [{
            "tenantId": TENANT_ID,
            "displayName": "Contoso",
            "defaultDomain": TENANT,
            "users": [
                { "displayName": "Adele Vance", "userPrincipalName": format!("adele@{TENANT}") },
                { "displayName": "Alex Wilber", "userPrincipalName": format!("alex@{TENANT}") },
            ],
        }],
        "applications": [
            {
                "appId": API_ID,
                "displayName": "TodoList API",
                "identifierUris": [API_URI],
                "requestedAccessTokenVersion": 2,
                "appRoles": [{ "value": ROLE, "displayName": "Daemons may read and write the list" }],
            },
            {
                "appId": DAEMON_ID,
                "displayName": "TodoList daemon",
                "requiredResourceAccess": [{ "resource": API_URI, "appRoles": [ROLE] }],
                "passwordCredentials": [{ "displayName": "demo", "secretText": secret }],
                "keyCredentials": [{ "displayName": "demo", "certificate": certificate }],
            },
        ],
    })
}

/// A secret nobody can guess.
fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

pub(super) const TENANT: &str = "contoso.onmicrosoft.com";
pub(super) const TENANT_ID: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
pub(super) const DAEMON_ID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
pub(super) const API_ID: &str = "11112222-bbbb-3333-cccc-4444dddd5555";
pub(super) const API_URI: &str = "api://todolist";
pub(super) const API_SCOPE: &str = "api://todolist/.default";
pub(super) const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";
