//! A local Microsoft Entra ID for daemons: what works against it works in the cloud, what the cloud refuses it refuses
//! with the same code. A library with a server, for tests, laptops and CI. Not for production: whoever reaches it gets
//! tokens from it.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use apptoken_emulator::Emulator;
//!
//! let entra = Emulator::builder()
//!     .tenant("contoso", |contoso| {
//!         contoso.application("TodoList API", |api| {
//!             api.identifier_uri("api://todolist").app_role("DaemonAppRole").v2_tokens();
//!         });
//!         contoso.application("Daemon", |daemon| {
//!             daemon.secret("not a real secret").requires("api://todolist", ["DaemonAppRole"]).admin_consent();
//!         });
//!     })
//!     .start()
//!     .await?;
//!
//! // Clients trust entra.ca_pem() and ask at:
//! let token_endpoint = format!("{}/contoso.onmicrosoft.com/oauth2/v2.0/token", entra.authority());
//! # entra.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The directory has Entra's three objects: an *application* is global, a *service principal* is its presence in one
//! tenant, an *app role assignment* is what an administrator granted. Asking for a permission is only a wish until
//! [`Directory::grant_admin_consent`]; without it a token is issued without `roles`, and the API answers 403.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod aadsts;
mod admin;
mod builder;
mod clock;
mod directory;
mod emulator;
mod endpoints;
mod faults;
mod federation;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod hosts;
mod issuer;
mod keyring;
mod limits;
mod managed_identity;
mod own;
mod portal;
pub mod seed;
mod server;
mod sign_in;
mod signing_keys;
mod state;
mod store;
mod sts;
mod used_assertions;
mod workload;

pub use builder::{ApplicationBuilder, EmulatorBuilder, ManagedIdentityBuilder, StartError, TenantBuilder};
pub use clock::EmulatorClock;
pub use directory::{
    AppRole, AppRoleAssignment, Application, CertificateAuthority, ClaimsExpression, Directory, DirectoryError,
    FederatedCredential, Group, KeyCredential, ManagedIdentity, MemberType, NewSecret, OptionalClaim, OptionalClaims,
    RequiredResourceAccess, Secret, SeedError, ServicePrincipal, SignInAudience, Snapshot, Tenant, TokenVersion,
    TrustedSubjectName, User,
};
pub use emulator::Emulator;
pub use faults::{Fault, FaultRule, Faults};
pub use hosts::{is_microsoft_host, microsoft_hosts};
pub use issuer::IssuerMode;
pub use limits::Limits;
pub use managed_identity::ManagedIdentitySource;
pub use seed::Seed;
pub use sign_in::{CredentialKind, Evidence, Outcome, SignIn};
pub use store::DataFolderError;
pub use workload::{GithubJob, PipelinesJob, Workload, WorkloadIssuer, WorkloadIssuers};
