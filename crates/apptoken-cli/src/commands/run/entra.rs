//! The local Entra ID that the program meets.

use std::path::Path;
use std::time::Duration;

use apptoken_emulator::{Emulator, SignIn};
use apptoken_jose::issue::Ca;
use url::Url;

use super::super::emulator::{Starter, not_started, seeded};
use super::identity::{ARC_KEYS, Platform, arc_keys};
use super::{Args, not_made};
use crate::exit::Failure;

/// The local Entra ID: ours, or one that runs already.
pub(super) enum Entra {
    Own { emulator: Box<Emulator>, authority: String, starter: Option<Starter> },
    Running(Url),
}

impl Entra {
    pub(super) async fn find(args: &Args, ca: &Ca, folder: &Path) -> Result<Self, Failure> {
        if let Some(url) = &args.authority {
            if url.scheme() != "https" || url.host().is_none() || url.path() != "/" {
                return Err(Failure::usage(format!("--authority {url} is not an https URL without a path")));
            }
            let running = Self::Running(url.clone());
            let (host, port) = running.address()?;
            let reached = tokio::time::timeout(REACH, tokio::net::TcpStream::connect((host.as_str(), port))).await;
            return match reached {
                Ok(Ok(_)) => Ok(running),
                Ok(Err(error)) => Err(Failure::unreachable(format!("nothing answers at {url}")).because(&error)),
                Err(_) => Err(Failure::unreachable(format!("nothing answers at {url} within {} s", REACH.as_secs()))),
            }
            .map_err(|failure| {
                failure.hint("`apptoken emulator` starts one; without --authority, `run` starts its own")
            });
        }
        let starter = args.seed.is_none().then(Starter::new);
        let builder = match (&args.seed, &starter) {
            (Some(path), _) => seeded(path)?,
            (None, Some(starter)) => starter.builder()?,
            (None, None) => Emulator::builder(),
        };
        let same_ca = Ca::from_pem(&ca.certificate().to_pem(), &ca.key_pem()).map_err(not_made)?;
        let mut builder = builder.certificate_authority(same_ca);
        // identity endpoints are plain HTTP in Azure
        if args.managed_identity.is_some() && !args.isolated {
            builder = builder.plain_http("127.0.0.1:0");
        }
        if args.managed_identity == Some(Platform::Arc) {
            std::fs::create_dir(arc_keys(folder))?;
            builder = builder.arc_key_folder_seen_at(arc_keys(folder), ARC_KEYS);
        }
        let emulator = builder.start().await.map_err(|error| not_started(&error))?;
        let authority = emulator.authority();
        Ok(Self::Own { emulator: Box::new(emulator), authority, starter })
    }

    pub(super) fn authority(&self) -> &str {
        match self {
            Self::Own { authority, .. } => authority,
            Self::Running(url) => url.as_str().trim_end_matches('/'),
        }
    }

    /// Host and port to connect to.
    pub(super) fn address(&self) -> Result<(String, u16), Failure> {
        let parsed = Url::parse(self.authority()).ok();
        let address = parsed.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        let (host, port) = address.ok_or_else(|| Failure::usage(format!("no address in {}", self.authority())))?;
        Ok((host.trim_matches(['[', ']']).to_owned(), port))
    }

    /// Its log, if it is ours to read.
    pub(super) fn sign_ins(&self) -> Option<Vec<SignIn>> {
        match self {
            Self::Own { emulator, .. } => Some(emulator.sign_ins()),
            Self::Running(_) => None,
        }
    }

    pub(super) async fn stop(self) {
        if let Self::Own { emulator, .. } = self {
            emulator.shutdown().await;
        }
    }
}

const REACH: Duration = Duration::from_secs(5);
