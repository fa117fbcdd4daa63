//! What a program needs to join the demo: `--connection-file`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::world::{API_ID, API_SCOPE, API_URI, DAEMON_ID, GRAPH_SCOPE, TENANT, TENANT_ID, World};
use crate::exit::Failure;
use crate::files::{self, Existing};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection {
    /// `https://localhost:PORT`
    pub(super) authority: String,
    pub(super) tenant_id: &'static str,
    pub(super) tenant_domain: &'static str,
    /// PEM: the CA of the local Entra ID and of the API.
    pub(super) ca_file: PathBuf,
    pub(super) daemon: Daemon,
    pub(super) api: Api,
    pub(super) graph: Api,
    pub(super) appsettings_file: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Daemon {
    pub(super) client_id: &'static str,
    pub(super) client_secret: String,
    pub(super) certificate_file: PathBuf,
    pub(super) private_key_file: PathBuf,
    /// Key and certificate in one PEM file.
    pub(super) certificate_and_key_file: PathBuf,
    pub(super) pfx_file: PathBuf,
    pub(super) pfx_password: String,
    /// Upper-case hex.
    pub(super) thumbprint_sha1: String,
    pub(super) thumbprint_sha256: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Api {
    pub(super) url: String,
    pub(super) scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_id_uri: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<&'static str>,
}

impl Connection {
    pub(super) fn of(world: &World) -> Self {
        let (thumbprint_sha1, thumbprint_sha256) = world.thumbprints();
        Self {
            authority: world.entra.authority(),
            tenant_id: TENANT_ID,
            tenant_domain: TENANT,
            ca_file: world.file("ca.pem"),
            daemon: Daemon {
                client_id: DAEMON_ID,
                client_secret: world.secret().to_owned(),
                certificate_file: world.file("daemon.crt"),
                private_key_file: world.file("daemon.key"),
                certificate_and_key_file: world.file("daemon.pem"),
                pfx_file: world.file("daemon.pfx"),
                pfx_password: world.pfx_password().to_owned(),
                thumbprint_sha1,
                thumbprint_sha256,
            },
            api: Api { url: world.api_url(), scope: API_SCOPE, app_id_uri: Some(API_URI), client_id: Some(API_ID) },
            graph: Api {
                url: format!("{}/v1.0", world.entra.graph_url()),
                scope: GRAPH_SCOPE,
                app_id_uri: None,
                client_id: None,
            },
            appsettings_file: world.file("appsettings.json"),
        }
    }

    /// 0600, because the secret is in it; it appears whole, so that a program may wait for it.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(self).map_err(|error| Failure::usage(error.to_string()))?;
        files::write_private(path, format!("{json}\n").as_bytes(), Existing::Replace)
    }
}
