//! A running local Entra ID.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use apptoken_jose::KeyError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::builder::{EmulatorBuilder, StartError};
use crate::clock::EmulatorClock;
use crate::directory::{Directory, SeedError, Snapshot};
use crate::faults::{Faults, Import, SeededFaults};
use crate::federation::Federation;
use crate::hosts::Hosts;
use crate::issuer::Issuers;
use crate::keyring::Keyring;
use crate::managed_identity::{Machine, ManagedIdentitySource};
use crate::own::Own;
use crate::seed::Seed;
use crate::server::{self, Tls};
use crate::sign_in::{SignIn, SignInLog};
use crate::state::State;
use crate::store::Opened;
use crate::used_assertions::UsedAssertions;
use crate::workload::{WorkloadIssuer, Workloads};

/// A running local Entra ID. Dropping it stops it.
pub struct Emulator {
    state: Arc<State>,
    http_authority: Option<String>,
    ca_pem: String,
    restored: bool,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Describes one; with nothing said it has no tenant.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::new()
    }

    pub(crate) async fn run(builder: EmulatorBuilder) -> Result<Self, StartError> {
        let EmulatorBuilder {
            seed,
            impossible,
            clock_offset,
            issuer_mode,
            listen,
            plain_http,
            other_machines,
            host_names,
            ca,
            asks_for_certificates,
            issuer_roots,
            workload_issuers,
            arc_keys,
            data_folder,
            limits,
        } = builder;
        if let Some(error) = impossible {
            return Err(error.into());
        }
        let clock = EmulatorClock::new(clock_offset);
        // Certificates are for machines with their own clocks: the emulator's may be years off.
        let real_now = EmulatorClock::new(0).now();
        let https = bind(&listen, other_machines).await?;
        let http = match &plain_http {
            Some(address) => bind(address, false).await?,
            None => Vec::new(),
        };
        let (names, now) = (host_names.clone(), clock.now_unix());
        let preparing = tokio::task::spawn_blocking(move || {
            let folder = data_folder.as_deref().map(Opened::open).transpose()?;
            let own = Own::of(folder.as_ref(), ca, real_now)?;
            let tls = Tls::new(own.ca, &names, asks_for_certificates, real_now)?;
            let begin = Beginning::of(folder.as_ref(), &seed, now)?;
            let keys = (own.keys, own.workload_keys);
            Ok::<_, StartError>((folder, begin, tls, keys, (own.machine, own.admin_key), own.unsaved))
        });
        let prepared = preparing.await.map_err(|_| KeyError::Generate("the signing key"))?;
        let (folder, begin, tls, (keys, workload_keys), (machine, admin_key), unsaved) = prepared?;
        let sign_ins = Arc::new(SignInLog::new(limits.sign_ins, limits.sign_in_bytes));
        let store = folder.map(|folder| folder.keep(Arc::clone(&sign_ins))).transpose()?.map(Arc::new);
        let Beginning { kept, directory, restored, faults: seeded, offset } = begin;
        let faults = Faults::new(limits.clone());
        faults.import(seeded, Import::Beside, || Ok::<_, SeedError>(()))?;
        clock.shift_seconds(offset);
        let directory = Directory::new(&kept, directory, clock.clone(), store.clone());
        if let Some(store) = &store {
            store.save(unsaved);
            store.saved().await.map_err(StartError::NotKept)?;
        }

        let authority = format!("https://localhost:{}", port(&https));
        let http_authority = plain_http.map(|_| format!("http://localhost:{}", port(&http)));
        let workloads = Workloads::new(&authority, workload_issuers, clock.clone()).kept(workload_keys, store.clone());
        let roots = std::iter::once(tls.ca_pem.clone()).chain(issuer_roots).collect();
        let federation = Federation::new(roots, limits.issuer_document, limits.issuer_document_bytes);
        let (stop, stopping) = watch::channel(false);
        let state = Arc::new(State {
            federation: federation.elsewhere(workloads.elsewhere()),
            workloads: Arc::new(workloads),
            machine: Machine::new(machine, arc_keys, tls.thumbprint),
            directory,
            store,
            clock,
            keys,
            issuers: Issuers::new(issuer_mode, &authority),
            authority,
            hosts: Hosts::new(&host_names),
            asks_for_certificates,
            faults,
            sign_ins,
            used_assertions: UsedAssertions::new(limits.used_assertions),
            token_requests: AtomicU64::new(0),
            limits,
            keyring: Keyring::new()?,
            admin_key,
            ca_pem: tls.ca_pem.clone(),
            stopping: stopping.clone(),
        });
        let listeners = https
            .into_iter()
            .map(|listener| (listener, Some(tls.acceptor.clone())))
            .chain(http.into_iter().map(|listener| (listener, None)))
            .collect();
        let server = tokio::spawn(server::serve(listeners, Arc::clone(&state), stopping));
        tracing::info!(authority = state.authority, "local Entra ID started");
        Ok(Self { state, http_authority, ca_pem: tls.ca_pem, restored, stop, server: Some(server) })
    }

    /// `https://localhost:PORT`: no tenant, no slash at the end.
    #[must_use]
    pub fn authority(&self) -> String {
        self.state.authority.clone()
    }

    /// `http://localhost:PORT`, when [`EmulatorBuilder::plain_http`] asked for it.
    #[must_use]
    pub fn http_authority(&self) -> Option<&str> {
        self.http_authority.as_deref()
    }

    /// Where its Microsoft Graph is: `{graph_url}/v1.0/users`.
    #[must_use]
    pub fn graph_url(&self) -> String {
        format!("{}/graph", self.state.authority)
    }

    /// The certificate authority that clients must trust, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Its clock, to be moved.
    #[must_use]
    pub fn clock(&self) -> &EmulatorClock {
        &self.state.clock
    }

    /// Its directory, to be read and changed.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.state.directory
    }

    /// Trouble on demand.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// An identity provider of its own, for assertions that federated credentials trust.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use apptoken_emulator::{Emulator, GithubJob};
    /// # let mut daemon = uuid::Uuid::nil();
    /// # let entra = Emulator::builder().tenant("contoso", |t| daemon = t.application("Daemon", |_| ())).start().await?;
    /// let job = entra.issuer().github(&GithubJob::new("contoso/daemon").branch("main"));
    /// entra.directory().add_federated_credential(&daemon.to_string(), &job.credential("main-branch"))?;
    /// let client_assertion = job.token("api://AzureADTokenExchange")?;
    /// # let _ = client_assertion;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn issuer(&self) -> WorkloadIssuer {
        WorkloadIssuer(Arc::clone(&self.state.workloads))
    }

    /// The variables by which a platform tells a program where to get the tokens of its managed identities; the
    /// endpoints are at the plain HTTP address if there is one ([`EmulatorBuilder::plain_http`]), as in Azure, else at
    /// the HTTPS one.
    #[must_use]
    pub fn managed_identity_environment(&self, source: ManagedIdentitySource) -> Vec<(String, String)> {
        let base = self.http_authority.as_deref().unwrap_or(&self.state.authority);
        self.state.machine.environment(source, base, &self.state.authority)
    }

    /// Continuous access evaluation: revokes the tokens that an application (`client_id`) has. Of Microsoft's APIs,
    /// Graph notices, with clients that said that they handle challenges (`cp1`): it answers 401 `insufficient_claims`,
    /// and takes a token again that was asked for with the challenge's `claims`. [`Faults::clear`] ends it.
    pub fn revoke_tokens(&self, app: uuid::Uuid) {
        self.state.faults.revoke(app, self.state.clock.now_unix());
    }

    /// A seed that imports to the directory as it is now, with the faults that wait and the clock's offset. Secrets are in
    /// it as digests: with their text, they open the imported applications too.
    #[must_use]
    pub fn export(&self) -> Seed {
        self.state.export()
    }

    /// Where its admin API is, for tests and scripts in any language: `https://localhost:PORT/admin`.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("{}/admin", self.state.authority)
    }

    /// What opens the admin API, as a bearer token. A data folder keeps it.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        self.state.admin_key.text()
    }

    /// Where its portal is, for a browser: `https://localhost:PORT/portal`.
    #[must_use]
    pub fn portal_url(&self) -> String {
        format!("{}/portal", self.state.authority)
    }

    /// The entries of the sign-in log after this [`SignIn::sequence`], oldest first; waits until there are any. Begin
    /// with 0 and go on from the last one got. Entries that left the bounded log in between are missing.
    pub async fn sign_ins_after(&self, sequence: u64) -> Vec<SignIn> {
        self.state.sign_ins.after(sequence).await.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// The sign-in log, oldest first.
    #[must_use]
    pub fn sign_ins(&self) -> Vec<SignIn> {
        self.state.sign_ins.entries()
    }

    /// How many token requests have arrived, faulted ones included.
    #[must_use]
    pub fn token_requests(&self) -> u64 {
        self.state.token_requests.load(Ordering::SeqCst)
    }

    /// Whether it began with the directory that its data folder held ([`EmulatorBuilder::data_folder`]); the seed was not
    /// read then.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Waits until every change made so far is in the data folder; at once without one. Changes that come over HTTP are
    /// answered only then.
    ///
    /// # Errors
    /// What the disk said. The change stands, and is tried again until the end.
    pub async fn saved(&self) -> Result<(), std::io::Error> {
        self.state.saved().await.map_err(std::io::Error::other)
    }

    /// Signs with a new key from now on. The old one stays published, so that its tokens are still good.
    ///
    /// # Errors
    /// When no key could be made.
    pub async fn rotate_signing_key(&self) -> Result<(), KeyError> {
        self.state.rotate_signing_key().await
    }

    /// Stops: no new connection, requests under way finish, faults that hang are let go, the data folder is left whole
    /// and free.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(server) = self.server.take() {
            // An error says that the server's task panicked or was cancelled: it has stopped all the same.
            let _ = server.await;
        }
        if let Some(store) = self.state.store.clone() {
            let _ = tokio::task::spawn_blocking(move || store.close()).await;
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("authority", &self.state.authority).finish_non_exhaustive()
    }
}

/// The directory at the start.
struct Beginning {
    /// As the data folder has it.
    kept: Snapshot,
    directory: Snapshot,
    restored: bool,
    faults: SeededFaults,
    /// Of the clock, seconds.
    offset: i64,
}

impl Beginning {
    /// A folder that holds a directory goes before the seed.
    fn of(folder: Option<&Opened>, seed: &Seed, now: i64) -> Result<Self, StartError> {
        match folder.filter(|folder| folder.has_directory()) {
            Some(folder) => {
                let kept = Snapshot::from_rows(folder.objects.iter()).map_err(|what| folder.damaged(&what))?;
                let directory = kept.with_all_first_parties(now);
                Ok(Self { kept, directory, restored: true, faults: SeededFaults::default(), offset: 0 })
            }
            None => {
                let kept = match folder {
                    Some(folder) => Snapshot::from_rows(folder.objects.iter()).map_err(|what| folder.damaged(&what))?,
                    None => Snapshot::with_first_parties(),
                };
                let offset = seed.clock_offset_seconds.unwrap_or(0);
                Ok(Self {
                    kept,
                    directory: Snapshot::from_seed(seed, now.saturating_add(offset))?,
                    restored: false,
                    faults: SeededFaults::of(seed)?,
                    offset,
                })
            }
        }
    }
}

async fn bind(address: &str, other_machines: bool) -> Result<Vec<tokio::net::TcpListener>, StartError> {
    let bound = server::bind(address).await;
    let listeners = bound.map_err(|cause| StartError::Listen { address: address.into(), cause })?;
    if !other_machines && !server::is_loopback(&listeners) {
        return Err(StartError::NotLoopback { address: address.into() });
    }
    Ok(listeners)
}

fn port(listeners: &[tokio::net::TcpListener]) -> u16 {
    listeners.first().and_then(|listener| listener.local_addr().ok()).map_or(0, |address| address.port())
}
