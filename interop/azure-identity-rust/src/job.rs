//! What there is to play, of which each client reads what it can use.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Job {
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) credential: Credential,
    pub(crate) call: Api,
    /// Whether to ask once more after a refusal.
    pub(crate) again: bool,
}

#[derive(Deserialize)]
pub(crate) struct Api {
    pub(crate) url: String,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Credential {
    Secret { secret: String },
    Assertion { assertion: String },
    Federated { token_file: PathBuf },
    ManagedIdentity,
}
