//! Whose name stands in `iss`.

use uuid::Uuid;

use crate::directory::TokenVersion;

/// The issuer that tokens and metadata name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssuerMode {
    /// What real tokens carry: `https://sts.windows.net/{tid}/` and `https://login.microsoftonline.com/{tid}/v2.0`.
    /// Azurite and validators with these strings built in need it.
    #[default]
    Entra,
    /// This emulator's own address: `https://localhost:PORT/{tid}/` and `…/{tid}/v2.0`, so that every issuer is the
    /// base of its own metadata, as strict OpenID Connect clients want.
    Local,
}

/// Makes issuers.
#[derive(Clone, Debug)]
pub(crate) struct Issuers {
    v1: String,
    v2: String,
}

impl Issuers {
    pub(crate) fn new(mode: IssuerMode, authority: &str) -> Self {
        match mode {
            IssuerMode::Entra => {
                Self { v1: "https://sts.windows.net".into(), v2: "https://login.microsoftonline.com".into() }
            }
            IssuerMode::Local => Self { v1: authority.into(), v2: authority.into() },
        }
    }

    pub(crate) fn of(&self, version: TokenVersion, tenant: Uuid) -> String {
        match version {
            TokenVersion::V1 => format!("{}/{tenant}/", self.v1),
            TokenVersion::V2 => format!("{}/{tenant}/v2.0", self.v2),
        }
    }

    /// The issuer of the metadata of `common` and `organizations`, and of published keys: any tenant's.
    pub(crate) fn template(&self, version: TokenVersion) -> String {
        match version {
            TokenVersion::V1 => format!("{}/{{tenantid}}/", self.v1),
            TokenVersion::V2 => format!("{}/{{tenantid}}/v2.0", self.v2),
        }
    }
}
