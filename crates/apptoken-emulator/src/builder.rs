//! How a local Entra ID is described before it starts.

mod managed_identity;

use std::io;
use std::path::PathBuf;

use apptoken_jose::issue::Ca;
use apptoken_jose::{Certificate, KeyError};
use uuid::Uuid;

pub use self::managed_identity::ManagedIdentityBuilder;
use crate::directory::{OptionalClaim, SeedError, SignInAudience};
use crate::emulator::Emulator;
use crate::issuer::IssuerMode;
use crate::limits::Limits;
use crate::managed_identity::ArcFolder;
use crate::own::OwnError;
use crate::seed::{
    SecretText, Seed, SeedAdminApplication, SeedAppRole, SeedApplication, SeedCertificate, SeedCertificateAuthority,
    SeedFederatedCredential, SeedManagedIdentity, SeedResourceAccess, SeedSecret, SeedServicePrincipal, SeedTenant,
    SeedTrustedSubjectName, SeedUser,
};
use crate::store::DataFolderError;
use crate::workload::WorkloadIssuers;

/// Describes a local Entra ID; [`Self::start`] runs it.
#[derive(Debug)]
#[must_use = "it does nothing before start()"]
pub struct EmulatorBuilder {
    pub(crate) seed: Seed,
    /// The first thing said that no seed can hold.
    pub(crate) impossible: Option<SeedError>,
    pub(crate) clock_offset: i64,
    pub(crate) issuer_mode: IssuerMode,
    pub(crate) listen: String,
    pub(crate) plain_http: Option<String>,
    pub(crate) other_machines: bool,
    pub(crate) host_names: Vec<String>,
    pub(crate) ca: Option<Ca>,
    pub(crate) asks_for_certificates: bool,
    pub(crate) issuer_roots: Vec<String>,
    pub(crate) workload_issuers: WorkloadIssuers,
    pub(crate) arc_keys: Option<ArcFolder>,
    pub(crate) data_folder: Option<PathBuf>,
    pub(crate) limits: Limits,
}

/// Why a local Entra ID did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// As it was given.
        address: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// The address can be reached from other machines, and that was not asked for.
    #[error(
        "{address} can be reached from other machines; whoever reaches a local Entra ID gets tokens from it. \
         Listen on 127.0.0.1, or allow it in so many words"
    )]
    NotLoopback {
        /// As it was given.
        address: String,
    },
    /// A key or certificate could not be made.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The seed contradicts itself.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The data folder cannot be used.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// What the start made could not be written to the data folder.
    #[error("the data folder cannot be written: {0}")]
    NotKept(String),
}

impl From<OwnError> for StartError {
    fn from(error: OwnError) -> Self {
        match error {
            OwnError::Key(error) => error.into(),
            OwnError::DataFolder(error) => error.into(),
        }
    }
}

impl EmulatorBuilder {
    pub(crate) fn new() -> Self {
        Self {
            seed: Seed::default(),
            impossible: None,
            clock_offset: 0,
            issuer_mode: IssuerMode::default(),
            listen: "127.0.0.1:0".into(),
            plain_http: None,
            other_machines: false,
            host_names: Vec::new(),
            ca: None,
            asks_for_certificates: false,
            issuer_roots: Vec::new(),
            workload_issuers: WorkloadIssuers::default(),
            arc_keys: None,
            data_folder: None,
            limits: Limits::default(),
        }
    }

    /// Adds what a seed declares.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed.tenants.extend(seed.tenants);
        self.seed.applications.extend(seed.applications);
        self.seed.managed_identities.extend(seed.managed_identities);
        self.seed.faults.extend(seed.faults);
        self.seed.replication_delays.extend(seed.replication_delays);
        self.seed.clock_offset_seconds = seed.clock_offset_seconds.or(self.seed.clock_offset_seconds);
        self
    }

    /// Adds what a seed in JSON declares.
    ///
    /// # Errors
    /// [`SeedError`], naming the JSON path.
    pub fn seed_json(self, json: &str) -> Result<Self, SeedError> {
        Ok(self.seed(Seed::from_json(json)?))
    }

    /// Adds a tenant `name.onmicrosoft.com` (or `name` itself, when it has a dot) and what `describe` says of it.
    pub fn tenant(mut self, name: &str, describe: impl FnOnce(&mut TenantBuilder)) -> Self {
        let default_domain = if name.contains('.') { name.to_owned() } else { format!("{name}.onmicrosoft.com") };
        let tenant = SeedTenant {
            tenant_id: None,
            display_name: Some(name.split('.').next().unwrap_or(name).to_owned()),
            default_domain,
            ..SeedTenant::default()
        };
        let mut builder = TenantBuilder { tenant, applications: Vec::new(), identities: Vec::new() };
        describe(&mut builder);
        self.seed.tenants.push(builder.tenant);
        self.seed.managed_identities.extend(builder.identities);
        for application in builder.applications {
            let path = format!("applications[{}]", self.seed.applications.len());
            match application.build(&path) {
                Ok(application) => self.seed.applications.push(application),
                Err(error) => self.impossible = self.impossible.or(Some(error)),
            }
        }
        self
    }

    /// Seconds by which its clock is ahead of the system's; negative: behind. See also [`Emulator::clock`].
    pub fn clock_offset_seconds(mut self, seconds: i64) -> Self {
        self.clock_offset = seconds;
        self
    }

    /// Whose name stands in `iss`; [`IssuerMode::Entra`] unless said otherwise.
    pub fn issuer_mode(mut self, mode: IssuerMode) -> Self {
        self.issuer_mode = mode;
        self
    }

    /// Where HTTPS listens: `127.0.0.1:0`, a free port, unless said otherwise.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Serves plain HTTP too, at a loopback address.
    pub fn plain_http(mut self, address: impl Into<String>) -> Self {
        self.plain_http = Some(address.into());
        self
    }

    /// Lets [`Self::listen`] name an address that other machines can reach. Whoever reaches it gets tokens from it.
    pub fn allow_connections_from_other_machines(mut self) -> Self {
        self.other_machines = true;
        self
    }

    /// A further name by which it is called: its certificate is good for it, and a `Host` header may have it.
    pub fn host_name(mut self, name: impl Into<String>) -> Self {
        self.host_names.push(name.into());
        self
    }

    /// Asks every HTTPS client for a certificate (RFC 8705), at `localhost` too; none is demanded. By the names that
    /// Entra has for it, `mtlsauth.microsoft.com` and its like, it always asks. A browser may then ask its user which
    /// certificate to show.
    pub fn ask_for_client_certificates(mut self) -> Self {
        self.asks_for_certificates = true;
        self
    }

    /// Uses a CA that was kept, instead of a new one.
    pub fn certificate_authority(mut self, ca: Ca) -> Self {
        self.ca = Some(ca);
        self
    }

    /// Trusts a further CA (PEM) when it reads the metadata and keys of federated issuers.
    pub fn trust_issuer_root(mut self, pem: impl Into<String>) -> Self {
        self.issuer_roots.push(pem.into());
        self
    }

    /// Whose names its own identity provider's assertions bear; [`WorkloadIssuers::Local`] unless said otherwise.
    pub fn workload_issuers(mut self, issuers: WorkloadIssuers) -> Self {
        self.workload_issuers = issuers;
        self
    }

    /// The folder, which must exist, for the key files of Azure Arc's challenges: clients take them from
    /// `/var/opt/azcmagent/tokens` only. Without it the Arc endpoint is not there.
    pub fn arc_key_folder(self, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        self.arc_key_folder_seen_at(folder.clone(), folder)
    }

    /// As [`arc_key_folder`](Self::arc_key_folder), for programs that find the folder at another path, which the
    /// challenges name: in a container, or with mounts of their own.
    pub fn arc_key_folder_seen_at(mut self, folder: impl Into<PathBuf>, seen_at: impl Into<PathBuf>) -> Self {
        self.arc_keys = Some(ArcFolder { here: folder.into(), seen: seen_at.into() });
        self
    }

    /// Keeps everything that should outlive the process in this folder, made if it is not there: the directory, the CA, the
    /// signing keys (those of [`Emulator::issuer`] too), the newest sign-ins. Secrets are kept as digests, keys as they are, all for the folder's owner only.
    /// A folder that holds a directory goes before the seed. Faults and the clock's offset end with the process.
    ///
    /// [`Emulator::shutdown`] lets go of the folder; a process that is killed leaves every change that was acknowledged.
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_folder = Some(folder.into());
        self
    }

    /// Other bounds than the usual ones.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Makes its keys and certificates, listens, and serves on the tokio runtime of the caller.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(self) -> Result<Emulator, StartError> {
        Emulator::run(self).await
    }
}

/// A tenant being described. Applications may refer to each other in any order.
#[derive(Debug)]
pub struct TenantBuilder {
    pub(crate) tenant: SeedTenant,
    applications: Vec<ApplicationBuilder>,
    pub(crate) identities: Vec<SeedManagedIdentity>,
}

impl TenantBuilder {
    /// Its id, instead of one that is made.
    pub fn id(&mut self, id: Uuid) -> &mut Self {
        self.tenant.tenant_id = Some(id);
        self
    }

    /// Name for people.
    pub fn display_name(&mut self, name: impl Into<String>) -> &mut Self {
        self.tenant.display_name = Some(name.into());
        self
    }

    /// A further domain.
    pub fn domain(&mut self, domain: impl Into<String>) -> &mut Self {
        self.tenant.domains.push(domain.into());
        self
    }

    /// A user, for Graph to read.
    pub fn user(&mut self, display_name: impl Into<String>, user_principal_name: impl Into<String>) -> &mut Self {
        self.tenant.users.push(SeedUser {
            id: None,
            display_name: display_name.into(),
            user_principal_name: user_principal_name.into(),
            ..SeedUser::default()
        });
        self
    }

    /// An authority whose certificates applications registered here may trust by subject name and issuer: its root, and
    /// intermediate ones that clients need not send. Gives the id for [`ApplicationBuilder::trusted_subject_name`].
    pub fn certificate_authority(&mut self, display_name: impl Into<String>, certificates: &[Certificate]) -> Uuid {
        let id = Uuid::new_v4();
        self.tenant.trusted_certificate_authorities.push(SeedCertificateAuthority {
            id,
            display_name: display_name.into(),
            certificates: certificates.iter().map(Certificate::x5c).collect(),
        });
        id
    }

    /// A bootstrap administrator with this secret: an application that may do through Graph what an administrator does,
    /// such as to register others, give them credentials and grant them roles. Gives its `client_id`.
    pub fn admin_application(&mut self, secret: impl Into<String>) -> Uuid {
        let app_id = Uuid::new_v4();
        let secret_text = SecretText::from(secret);
        self.tenant.admin_application = Some(SeedAdminApplication { app_id: Some(app_id), secret_text });
        app_id
    }

    /// An application registered here, with a service principal here. Gives its `client_id`.
    pub fn application(
        &mut self,
        display_name: impl Into<String>,
        describe: impl FnOnce(&mut ApplicationBuilder),
    ) -> Uuid {
        let app_id = Uuid::new_v4();
        let home = self.tenant.default_domain.clone();
        let mut builder = ApplicationBuilder {
            seed: SeedApplication {
                app_id: Some(app_id),
                display_name: display_name.into(),
                service_principals: Some(vec![SeedServicePrincipal::new(home.clone())]),
                home_tenant: Some(home),
                ..SeedApplication::default()
            },
            assignment_required: false,
            admin_consent: false,
            disabled: false,
            impossible_end: None,
        };
        describe(&mut builder);
        let app_id = builder.seed.app_id.unwrap_or(app_id);
        self.applications.push(builder);
        app_id
    }
}

/// An application being described.
#[derive(Debug)]
pub struct ApplicationBuilder {
    seed: SeedApplication,
    // of all its service principals, whenever they are named
    assignment_required: bool,
    admin_consent: bool,
    disabled: bool,
    /// Which secret ends at a Unix time that is no date.
    impossible_end: Option<(usize, i64)>,
}

impl ApplicationBuilder {
    /// Its `client_id`, instead of one that is made.
    pub fn app_id(&mut self, id: Uuid) -> &mut Self {
        self.seed.app_id = Some(id);
        self
    }

    /// An App ID URI, for example `api://todolist`.
    pub fn identifier_uri(&mut self, uri: impl Into<String>) -> &mut Self {
        self.seed.identifier_uris.push(uri.into());
        self
    }

    /// As an API: tokens of version 2. Without it they are of version 1, as in Entra.
    pub fn v2_tokens(&mut self) -> &mut Self {
        self.seed.requested_access_token_version = Some(2);
        self
    }

    /// As an API: tokens for it carry an optional claim, for example `idtyp`; `aud` means its client ID, in version 1
    /// too (`use_guid`).
    pub fn optional_claim(&mut self, name: impl Into<String>) -> &mut Self {
        let claims = self.seed.optional_claims.get_or_insert_default();
        claims.access_token.push(OptionalClaim::new(name));
        self
    }

    /// As an API: offers an application permission.
    pub fn app_role(&mut self, value: impl Into<String>) -> &mut Self {
        self.seed.app_roles.push(SeedAppRole { value: value.into(), ..SeedAppRole::default() });
        self
    }

    /// As an API: only who has one of its roles gets a token (501051 otherwise).
    pub fn assignment_required(&mut self) -> &mut Self {
        self.assignment_required = true;
        self
    }

    /// As a daemon: a client secret, good for two years.
    pub fn secret(&mut self, text: impl Into<String>) -> &mut Self {
        let secret_text = SecretText::from(text);
        self.seed.password_credentials.push(SeedSecret { secret_text, ..SeedSecret::default() });
        self
    }

    /// As a daemon: a client secret that expires at this Unix time. If that is no date (before the year -9999, after
    /// 9999), [`EmulatorBuilder::start`] says so.
    pub fn secret_until(&mut self, text: impl Into<String>, end: i64) -> &mut Self {
        let end_date_time = jiff::Timestamp::from_second(end).ok();
        if end_date_time.is_none() {
            self.impossible_end.get_or_insert((self.seed.password_credentials.len(), end));
        }
        let secret_text = SecretText::from(text);
        self.seed.password_credentials.push(SeedSecret { secret_text, end_date_time, ..SeedSecret::default() });
        self
    }

    /// As a daemon: a certificate.
    pub fn certificate(&mut self, certificate: &Certificate) -> &mut Self {
        let certificate = certificate.to_pem();
        self.seed.key_credentials.push(SeedCertificate { certificate, ..SeedCertificate::default() });
        self
    }

    /// As a daemon: certificates with this common name or DNS name, from this authority of its tenant, are its own,
    /// without being registered. Clients must send them (`x5c`); a new certificate needs no change here.
    pub fn trusted_subject_name(&mut self, authority: Uuid, subject_name: impl Into<String>) -> &mut Self {
        self.seed.trusted_subject_name_and_issuers.push(SeedTrustedSubjectName {
            authority_id: authority,
            subject_name: subject_name.into(),
            revoked_certificate_identifiers: Vec::new(),
        });
        self
    }

    /// As a daemon: each client assertion signed with its certificate is taken once, by its `jti`, which it must then
    /// have; a second use is refused (50012). Entra is not known to do so, and MSAL Node sends one assertion for minutes.
    /// Without this a second use is only noted in the sign-in log.
    pub fn single_use_assertions(&mut self) -> &mut Self {
        self.seed.single_use_assertions = true;
        self
    }

    /// As a daemon: tokens of this issuer with this subject, for `api://AzureADTokenExchange`, stand for a credential.
    pub fn federated(
        &mut self,
        name: impl Into<String>,
        issuer: impl Into<String>,
        subject: impl Into<String>,
    ) -> &mut Self {
        let credential = SeedFederatedCredential::new(name, issuer, subject);
        self.seed.federated_identity_credentials.push(credential);
        self
    }

    /// As a daemon: asks for application permissions of an API (App ID URI or application id). A wish, until
    /// [`Self::admin_consent`] or [`Directory::grant_admin_consent`](crate::Directory::grant_admin_consent).
    pub fn requires<const N: usize>(&mut self, api: impl Into<String>, roles: [&str; N]) -> &mut Self {
        let app_roles = roles.map(str::to_owned).to_vec();
        self.seed.required_resource_access.push(SeedResourceAccess {
            resource: api.into(),
            app_roles,
            scopes: Vec::new(),
        });
        self
    }

    /// An administrator has granted what it asks for.
    pub fn admin_consent(&mut self) -> &mut Self {
        self.admin_consent = true;
        self
    }

    /// Not allowed to sign in.
    pub fn disabled(&mut self) -> &mut Self {
        self.disabled = true;
        self
    }

    /// May be used in other tenants, where it has a service principal.
    pub fn multi_tenant(&mut self) -> &mut Self {
        self.seed.sign_in_audience = SignInAudience::AzureADMultipleOrgs;
        self
    }

    /// Present in a further tenant, by id or domain. Implies [`Self::multi_tenant`].
    pub fn also_in(&mut self, tenant: impl Into<String>) -> &mut Self {
        self.seed.service_principals.get_or_insert_default().push(SeedServicePrincipal::new(tenant));
        self.multi_tenant()
    }

    /// Registered, but without a service principal anywhere.
    pub fn without_service_principal(&mut self) -> &mut Self {
        self.seed.service_principals = Some(Vec::new());
        self
    }

    fn build(mut self, path: &str) -> Result<SeedApplication, SeedError> {
        if let Some((i, end)) = self.impossible_end {
            let path = format!("{path}.passwordCredentials[{i}].endDateTime");
            return Err(SeedError::new(path, format!("the Unix time {end} is no date")));
        }
        for principal in self.seed.service_principals.iter_mut().flatten() {
            principal.app_role_assignment_required |= self.assignment_required;
            principal.admin_consent |= self.admin_consent;
            principal.account_enabled &= !self.disabled;
        }
        Ok(self.seed)
    }
}
