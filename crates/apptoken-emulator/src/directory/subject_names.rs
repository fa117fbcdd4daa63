//! Trust by subject name and issuer: an application names an authority of its tenant and a subject, and each
//! certificate that the authority issues for the subject is then the application's, without being registered. In Graph
//! (beta) `trustedSubjectNameAndIssuers`, in the manifest `trustedCertificateSubjects`.

use apptoken_jose::{Certificate, base64url};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Directory, DirectoryError, SeedError, Snapshot};
use crate::seed::{SeedCertificateAuthority, SeedTrustedSubjectName};

/// A certificate authority that a tenant knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SeedCertificateAuthority", into = "SeedCertificateAuthority")]
#[non_exhaustive]
pub struct CertificateAuthority {
    /// By which applications name it.
    pub id: Uuid,
    /// Name for people.
    pub display_name: String,
    /// Where chains may end: at least one, each its own issuer.
    pub roots: Vec<Certificate>,
    /// Certificates between a root and those of applications, which clients need not send.
    pub intermediates: Vec<Certificate>,
}

/// Whose certificates an application trusts by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SeedTrustedSubjectName", into = "SeedTrustedSubjectName")]
#[non_exhaustive]
pub struct TrustedSubjectName {
    /// An authority of the application's home tenant.
    pub authority_id: Uuid,
    /// Common name or DNS name of the subject.
    pub subject_name: String,
    /// Serial numbers and thumbprints of certificates that are revoked: hex, upper case.
    pub revoked: Vec<String>,
}

impl CertificateAuthority {
    pub(super) fn of_seeds(seeds: &[SeedCertificateAuthority], path: &str) -> Result<Vec<Self>, SeedError> {
        let mut all: Vec<Self> = Vec::with_capacity(seeds.len());
        for (i, seed) in seeds.iter().enumerate() {
            let path = format!("{path}.trustedCertificateAuthorities[{i}]");
            if all.iter().any(|other| other.id == seed.id) {
                return Err(SeedError::taken(format!("{path}.id"), format!("{} is used twice", seed.id)));
            }
            all.push(Self::of_seed(seed, &path)?);
        }
        Ok(all)
    }

    fn of_seed(seed: &SeedCertificateAuthority, path: &str) -> Result<Self, SeedError> {
        let (mut roots, mut intermediates) = (Vec::new(), Vec::new());
        for (i, text) in seed.certificates.iter().enumerate() {
            let wrong = |why: String| SeedError::new(format!("{path}.certificates[{i}]"), why);
            for certificate in certificates(text).map_err(wrong)? {
                // both kinds must be readable by who follows chains
                webpki::anchor_from_trusted_cert(&CertificateDer::from(certificate.der()))
                    .map_err(|error| wrong(format!("not a certificate of an authority: {error}")))?;
                let is_root = certificate.subject() == certificate.issuer();
                if is_root { &mut roots } else { &mut intermediates }.push(certificate);
            }
        }
        if roots.is_empty() {
            let why = "no root: none of them is its own issuer";
            return Err(SeedError::new(format!("{path}.certificates"), why));
        }
        Ok(Self { id: seed.id, display_name: seed.display_name.clone(), roots, intermediates })
    }
}

impl TrustedSubjectName {
    fn of_seed(seed: &SeedTrustedSubjectName, path: &str) -> Result<Self, SeedError> {
        if seed.subject_name.trim().is_empty() {
            return Err(SeedError::new(format!("{path}.subjectName"), "an empty name"));
        }
        let identifier = |(i, text): (usize, &String)| {
            let digits = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect::<String>().to_ascii_uppercase();
            let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let path = || format!("{path}.revokedCertificateIdentifiers[{i}]");
            let why = "neither a serial number nor a thumbprint in hex";
            hex.then_some(digits).ok_or_else(|| SeedError::new(path(), why))
        };
        Ok(Self {
            authority_id: seed.authority_id,
            subject_name: seed.subject_name.clone(),
            revoked: seed
                .revoked_certificate_identifiers
                .iter()
                .enumerate()
                .map(identifier)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether a certificate's subject has this name.
    pub(crate) fn is_of(&self, certificate: &Certificate) -> bool {
        certificate.subject_names().iter().any(|name| name.eq_ignore_ascii_case(&self.subject_name))
    }
}

impl Directory {
    /// Lets an application (`client_id`) trust certificates by subject name and issuer.
    ///
    /// # Errors
    /// No such application, or no such authority in its home tenant; an empty name.
    pub fn trust_subject_name(&self, app: &str, trusted: &SeedTrustedSubjectName) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let application = next.app(app)?;
            let (app_id, home) = (application.app_id, application.home_tenant.unwrap_or_default());
            let trusted = next.subject_names_of_seed(home, std::slice::from_ref(trusted), "application")?;
            next.edit_application(app_id, |application| application.trusted_subject_names.extend(trusted));
            Ok(())
        })
    }

    /// Ends an application's trust in certificates of this authority with this name.
    ///
    /// # Errors
    /// No such application, or it has no such trust.
    pub fn distrust_subject_name(&self, app: &str, authority: Uuid, name: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let application = next.app(app)?;
            let app_id = application.app_id;
            let is = |one: &TrustedSubjectName| one.authority_id == authority && one.subject_name == name;
            if !application.trusted_subject_names.iter().any(is) {
                return Err(DirectoryError::NoCredential { app: app_id, credential: name.into() });
            }
            next.edit_application(app_id, |application| application.trusted_subject_names.retain(|one| !is(one)));
            Ok(())
        })
    }
}

impl Snapshot {
    pub(super) fn subject_names_of_seed(
        &self,
        home: Uuid,
        seeds: &[SeedTrustedSubjectName],
        path: &str,
    ) -> Result<Vec<TrustedSubjectName>, SeedError> {
        let one = |(i, seed): (usize, &SeedTrustedSubjectName)| {
            let path = format!("{path}.trustedSubjectNameAndIssuers[{i}]");
            if self.certificate_authority(home, seed.authority_id).is_none() {
                let why = format!("the home tenant has no trusted certificate authority {}", seed.authority_id);
                return Err(SeedError::new(format!("{path}.authorityId"), why));
            }
            TrustedSubjectName::of_seed(seed, &path)
        };
        seeds.iter().enumerate().map(one).collect()
    }

    pub(crate) fn certificate_authority(&self, tenant: Uuid, id: Uuid) -> Option<&CertificateAuthority> {
        self.tenants.get(&tenant)?.certificate_authorities.iter().find(|authority| authority.id == id)
    }
}

impl TryFrom<SeedCertificateAuthority> for CertificateAuthority {
    type Error = SeedError;

    fn try_from(seed: SeedCertificateAuthority) -> Result<Self, SeedError> {
        Self::of_seed(&seed, "certificateAuthority")
    }
}

impl From<CertificateAuthority> for SeedCertificateAuthority {
    fn from(authority: CertificateAuthority) -> Self {
        let CertificateAuthority { id, display_name, roots, intermediates } = authority;
        let certificates = roots.iter().chain(&intermediates).map(Certificate::x5c).collect();
        Self { id, display_name, certificates }
    }
}

impl TryFrom<SeedTrustedSubjectName> for TrustedSubjectName {
    type Error = SeedError;

    fn try_from(seed: SeedTrustedSubjectName) -> Result<Self, SeedError> {
        Self::of_seed(&seed, "trustedSubjectName")
    }
}

impl From<TrustedSubjectName> for SeedTrustedSubjectName {
    fn from(trusted: TrustedSubjectName) -> Self {
        let TrustedSubjectName { authority_id, subject_name, revoked } = trusted;
        Self { authority_id, subject_name, revoked_certificate_identifiers: revoked }
    }
}

/// PEM text of one or more, or the base64 of one in DER: so in seeds, and in the `x5c` of some clients.
pub(crate) fn certificates(text: &str) -> Result<Vec<Certificate>, String> {
    if text.contains("-----BEGIN") {
        return Certificate::from_pem(text.as_bytes()).map_err(|error| error.to_string());
    }
    let der = base64url::decode_lenient(text).map_err(|_| "neither PEM nor the base64 of a DER certificate")?;
    Ok(vec![Certificate::from_der(der).map_err(|error| error.to_string())?])
}
