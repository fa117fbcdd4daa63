use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::client_assertion::{AssertionSettings, Assertions, Signed};
use super::signer::Key;
use super::watched::Watched;
use super::{AssertionRequest, Certificate, CertificateFile, Occasion};
use crate::clock::{Clock, Moment};
use crate::{ClientIdentity, Error};

/// Where a client's certificate comes from: a [`Certificate`] in hand, or a [`CertificateFile`] that is read again when it
/// changes.
#[derive(Clone, Debug)]
pub struct CertificateSource(Given);

#[derive(Clone, Debug)]
enum Given {
    InHand(Certificate),
    OnDisk(CertificateFile),
}

impl From<Certificate> for CertificateSource {
    fn from(certificate: Certificate) -> Self {
        Self(Given::InHand(certificate))
    }
}

impl From<CertificateFile> for CertificateSource {
    fn from(file: CertificateFile) -> Self {
        Self(Given::OnDisk(file))
    }
}

/// Gives the certificate to sign with: asked once for each token request, never on a cache hit. The same certificate as
/// before (by thumbprint) goes on using the assertion that it has signed.
///
/// Any `Fn(AssertionRequest) -> impl Future<Output = Result<Certificate, E>>` is one.
pub trait CertificateProvider: Send + Sync + 'static {
    /// The certificate.
    ///
    /// # Errors
    /// Whatever keeps it from being got; the caller of the token gets it as an error's source, and an [`Error`] as it is.
    fn certificate(
        &self,
        request: AssertionRequest,
    ) -> impl Future<Output = Result<Certificate, Box<dyn StdError + Send + Sync>>> + Send;
}

impl<F, Answer, E> CertificateProvider for F
where
    F: Fn(AssertionRequest) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<Certificate, E>> + Send,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn certificate(
        &self,
        request: AssertionRequest,
    ) -> impl Future<Output = Result<Certificate, Box<dyn StdError + Send + Sync>>> + Send {
        let answer = self(request);
        async move { answer.await.map_err(Into::into) }
    }
}

type BoxedCertificate<'a> =
    Pin<Box<dyn Future<Output = Result<Certificate, Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

/// [`CertificateProvider`] with its future boxed.
pub(crate) trait DynCertificateProvider: Send + Sync + 'static {
    fn certificate(&self, request: AssertionRequest) -> BoxedCertificate<'_>;
}

impl<T: CertificateProvider> DynCertificateProvider for T {
    fn certificate(&self, request: AssertionRequest) -> BoxedCertificate<'_> {
        Box::pin(CertificateProvider::certificate(self, request))
    }
}

/// Certificates at work: the one to use now is picked, and its assertions are reused while they are good.
pub(crate) struct CertificateCredential {
    supply: Supply,
    settings: AssertionSettings,
    assertions: Assertions,
    /// Those that the authority refused, by SHA-256 thumbprint, and until when others come first.
    refused: Mutex<Vec<([u8; 32], Moment)>>,
}

enum Supply {
    /// One or more.
    Listed(Vec<Listed>),
    Provider(Box<dyn DynCertificateProvider>),
}

enum Listed {
    InHand(Certificate),
    OnDisk(CertificateFile, Box<Watched<Certificate>>),
}

impl CertificateCredential {
    /// Reads what is on disk; one certificate must be valid now.
    pub(crate) fn listed(
        sources: Vec<CertificateSource>,
        settings: AssertionSettings,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let listed = sources.into_iter().map(|CertificateSource(given)| match given {
            Given::InHand(certificate) => Ok(Listed::InHand(certificate)),
            Given::OnDisk(file) => {
                let watched = Watched::begun(file.paths(), BETWEEN_LOOKS, clock.now(), || file.read())?;
                Ok(Listed::OnDisk(file, Box::new(watched)))
            }
        });
        let listed = listed.collect::<Result<Vec<_>, Error>>()?;
        let held = listed.iter().filter_map(Listed::held).collect::<Vec<_>>();
        let credential = Self::new(Supply::Listed(listed), settings);
        credential.pick(&held, clock.now(), clock.system_time())?;
        Ok(credential)
    }

    pub(crate) fn provided(provider: Box<dyn DynCertificateProvider>, settings: AssertionSettings) -> Self {
        Self::new(Supply::Provider(provider), settings)
    }

    fn new(supply: Supply, settings: AssertionSettings) -> Self {
        Self { supply, settings, assertions: Assertions::default(), refused: Mutex::default() }
    }

    /// An assertion, and the certificate that signed it.
    pub(super) async fn assertion(
        &self,
        occasion: &Occasion<'_>,
        clock: &dyn Clock,
    ) -> Result<(Signed, Certificate), Error> {
        let certificate = self.certificate(occasion, clock).await?;
        let signed = self.assertions.get(&certificate, &self.settings, occasion, clock).await?;
        Ok((signed, certificate))
    }

    /// What the connection is to show when TLS is the proof.
    pub(super) async fn identity(&self, occasion: &Occasion<'_>, clock: &dyn Clock) -> Result<ClientIdentity, Error> {
        self.certificate(occasion, clock).await?.identity()
    }

    /// Whether the certificate is shown on TLS besides signing assertions.
    pub(super) fn is_shown_on_tls(&self) -> bool {
        self.settings.shown_on_tls
    }

    /// The certificate in use, as it was when it was last looked at; `None` when a callback gives it.
    pub(super) fn held(&self, clock: &dyn Clock) -> Result<Option<Certificate>, Error> {
        match &self.supply {
            Supply::Provider(_) => Ok(None),
            Supply::Listed(listed) => {
                let held: Vec<_> = listed.iter().filter_map(Listed::held).collect();
                self.pick(&held, clock.now(), clock.system_time()).map(Some)
            }
        }
    }

    /// The authority refused what the certificate signed: nothing made with it is used again, and if the certificate is
    /// to blame (`for_good`), others come first for a while and the files are read anew.
    pub(super) fn refused(&self, certificate: [u8; 32], for_good: bool, now: Moment) {
        self.assertions.forget(&certificate);
        if !for_good {
            return;
        }
        let mut refused = self.refused_ones();
        refused.retain(|(other, until)| *other != certificate && now < *until);
        refused.push((certificate, now + OTHERS_FIRST));
        drop(refused);
        self.read_soon();
    }

    /// PKCS#8, of the first certificate in hand whose key is here.
    pub(super) fn private_key(&self) -> Option<Zeroizing<Vec<u8>>> {
        let Supply::Listed(listed) = &self.supply else { return None };
        listed.iter().filter_map(Listed::held).find_map(|certificate| match certificate.key() {
            Key::Here(key) => key.to_pkcs8_der().ok(),
            Key::Elsewhere(_) => None,
        })
    }

    /// How often a certificate on disk was found renewed.
    pub(super) fn changes(&self) -> u64 {
        match &self.supply {
            Supply::Listed(listed) => listed.iter().map(Listed::changes).sum(),
            Supply::Provider(_) => 0,
        }
    }

    async fn certificate(&self, occasion: &Occasion<'_>, clock: &dyn Clock) -> Result<Certificate, Error> {
        let (now, wall) = (clock.now(), clock.system_time());
        let listed = match &self.supply {
            Supply::Provider(provider) => {
                let certificate = provider
                    .certificate(occasion.into())
                    .await
                    .map_err(|cause| super::assertion::callback_failed("the certificate callback failed", cause))?;
                return if certificate.is_valid(wall) { Ok(certificate) } else { Err(certificate.invalid(wall)) };
            }
            Supply::Listed(listed) => listed,
        };
        let picked = self.pick(&current(listed, now).await?, now, wall);
        if picked.is_ok() || self.changes_nothing(listed) {
            return picked;
        }
        // none is valid: perhaps one has been renewed since the last look
        self.read_soon();
        self.pick(&current(listed, now).await?, now, wall)
    }

    /// Of those valid now the one that became so last, which is how a renewal shows; one that the authority refused of
    /// late only if there is no other.
    fn pick(&self, certificates: &[Certificate], now: Moment, wall: SystemTime) -> Result<Certificate, Error> {
        let refused = self.refused_ones();
        let is_refused = |certificate: &Certificate| {
            let thumbprint = certificate.leaf().thumbprint_sha256();
            refused.iter().any(|(other, until)| *other == thumbprint && now < *until)
        };
        let rank = |certificate: &&Certificate| (!is_refused(certificate), certificate.leaf().not_before());
        if let Some(best) = certificates.iter().filter(|certificate| certificate.is_valid(wall)).max_by_key(rank) {
            return Ok(best.clone());
        }
        Err(match certificates {
            [] => Error::credential("no certificate was given").with_advice("give one at least"),
            [only] => only.invalid(wall),
            all => {
                let each = all.iter().map(|certificate| certificate.validity(wall)).collect::<Vec<_>>().join("; ");
                Error::credential(format!("none of the {} certificates is valid: {each}", all.len())).with_advice(
                    "install a new certificate and register it on the app, or set this machine's clock right",
                )
            }
        })
    }

    fn changes_nothing(&self, listed: &[Listed]) -> bool {
        listed.iter().all(|one| matches!(one, Listed::InHand(_)))
    }

    fn read_soon(&self) {
        if let Supply::Listed(listed) = &self.supply {
            listed.iter().for_each(|one| match one {
                Listed::InHand(_) => {}
                Listed::OnDisk(_, watched) => watched.read_soon(),
            });
        }
    }

    /// The list is whole after a panic: it is changed by single calls.
    fn refused_ones(&self) -> MutexGuard<'_, Vec<([u8; 32], Moment)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    fn held(&self) -> Option<Certificate> {
        match self {
            Self::InHand(certificate) => Some(certificate.clone()),
            Self::OnDisk(_, watched) => watched.held().map(|held| (*held).clone()),
        }
    }

    fn changes(&self) -> u64 {
        match self {
            Self::InHand(_) => 0,
            Self::OnDisk(_, watched) => watched.changes(),
        }
    }
}

async fn current(listed: &[Listed], now: Moment) -> Result<Vec<Certificate>, Error> {
    let mut certificates = Vec::with_capacity(listed.len());
    for one in listed {
        certificates.push(match one {
            Listed::InHand(certificate) => certificate.clone(),
            Listed::OnDisk(file, watched) => {
                let file = file.clone();
                (*watched.current(now, move || file.read()).await?).clone()
            }
        });
    }
    Ok(certificates)
}

impl fmt::Debug for CertificateCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.supply {
            Supply::Provider(_) => f.write_str("Certificate(callback)"),
            Supply::Listed(listed) => f.debug_list().entries(listed.iter().filter_map(Listed::held)).finish(),
        }
    }
}

/// How often the files' marks are looked at, at most.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);
/// A certificate that the authority refused (not registered yet, perhaps) is passed over for this long while there is
/// another.
const OTHERS_FIRST: Duration = Duration::from_secs(300);
