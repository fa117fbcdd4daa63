//! A certificate that an assertion brings with it (`x5c`), for an application that trusts by subject name and issuer.
//! Its chain decides alone: what is registered by thumbprint does not help.

use apptoken_jose::Certificate;
use apptoken_jose::jws::{Header, Unverified};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use super::assertion::{ALLOWED, Verifier, decode_thumbprint, hex};
use crate::aadsts::{Code, Refusal};
use crate::directory::{CertificateAuthority, TrustedSubjectName, certificates};

impl Verifier<'_> {
    /// Time, chain, name, revocation, signature.
    pub(super) fn by_subject_name(&self, jwt: &Unverified<'_>) -> Result<(), Refusal> {
        let presented = Presented::parse(jwt.header()).map_err(|why| self.bad_chain(&why, "x5c", CHAIN, &why))?;
        let leaf = &presented.leaf;
        self.named_by_thumbprint(jwt.header(), leaf)?;
        self.certificate_in_time(leaf, |reason, _| self.refuse_leaf(reason))?;
        if !leaf.allows_digital_signature() {
            let why = "The key usage of the certificate does not include digitalSignature";
            return Err(self.bad_chain(why, "key usage", "digitalSignature", "without it"));
        }
        let trusted = self.trusted(&presented)?;
        if trusted.iter().any(|trusted| presented.is_listed(&trusted.revoked)) {
            let listed = "none of the application's revokedCertificateIdentifiers";
            return Err(Refusal::new(Code::CertificateRevoked, &[]).evidence("certificate", listed, presented.serial));
        }
        let verified = leaf.public_key().map_err(|error| error.to_string());
        let verified = verified.and_then(|key| jwt.verify(&key, ALLOWED).map_err(|error| error.to_string()));
        verified.map_err(|error| self.not_its_key(leaf, error))
    }

    /// The header may leave the thumbprint out; one that is there must be the certificate's.
    fn named_by_thumbprint(&self, header: &Header, leaf: &Certificate) -> Result<(), Refusal> {
        let Some(named) = header.x5t_s256.as_deref().or(header.x5t.as_deref()).or(header.kid.as_deref()) else {
            return Ok(());
        };
        let (sha256, sha1) = (leaf.thumbprint_sha256(), leaf.thumbprint_sha1());
        let bytes = decode_thumbprint(named).unwrap_or_default();
        if bytes == sha256 || bytes == sha1 {
            return Ok(());
        }
        let shown = hex(bytes.get(..32).unwrap_or(&bytes));
        let reason =
            format!("The thumbprint in the header is not that of the certificate in x5c, Thumbprint: '{shown}'");
        let expected = if bytes.len() == 32 { hex(&sha256) } else { hex(&sha1) };
        Err(self.refuse_leaf(&reason).evidence("thumbprint", expected, shown))
    }

    /// What the application says of certificates of this name, from an authority where their chain ends.
    fn trusted(&self, presented: &Presented) -> Result<Vec<&TrustedSubjectName>, Refusal> {
        let home = self.application.home_tenant.unwrap_or_default();
        let all = &self.application.trusted_subject_names;
        let authority = |trusted: &TrustedSubjectName| self.directory.certificate_authority(home, trusted.authority_id);
        let mut why = "no certificate authority".to_owned();
        let mut reaches = |authority: &CertificateAuthority| match presented.reaches(authority, self.now) {
            Ok(()) => true,
            Err(error) => {
                why = error.to_string();
                false
            }
        };
        let issued: Vec<_> = all.iter().filter(|&one| authority(one).is_some_and(&mut reaches)).collect();
        if issued.is_empty() {
            let roots = all.iter().filter_map(authority).flat_map(|authority| &authority.roots);
            let mut roots: Vec<_> = roots.map(Certificate::subject).collect();
            roots.dedup();
            let reason = format!("The chain leads to no trusted authority: {why}");
            let presented = format!("issued by {}", presented.leaf.issuer());
            return Err(self.bad_chain(&reason, "chain", &format!("to {}", roots.join(" or ")), &presented));
        }
        let names: Vec<_> = issued.iter().map(|one| one.subject_name.as_str()).collect();
        let named: Vec<_> = issued.iter().copied().filter(|one| one.is_of(&presented.leaf)).collect();
        if named.is_empty() {
            let shown = presented.leaf.subject_names();
            let shown = shown[..shown.len().min(MOST_NAMES)].join(", ");
            let refusal = Refusal::new(Code::SubjectNameUnknown, &[&format!(" Names of its subject: {shown}.")]);
            return Err(refusal.evidence("subject name", names.join(", "), shown));
        }
        Ok(named)
    }

    fn bad_chain(&self, reason: &str, subject: &str, expected: &str, presented: &str) -> Refusal {
        let app = self.application.app_id.to_string();
        Refusal::new(Code::CertificateChain, &[&app, reason]).evidence(subject, expected, presented)
    }

    fn not_its_key(&self, leaf: &Certificate, error: String) -> Refusal {
        let shown = leaf.thumbprint_hex();
        let reason = format!("The key used is not the private key of this certificate, Thumbprint: '{shown}'");
        self.refuse_leaf(&reason).evidence("signature", "made with the key of the first certificate of x5c", error)
    }

    fn refuse_leaf(&self, reason: &str) -> Refusal {
        Refusal::new(Code::AssertionKey, &[&self.application.app_id.to_string(), reason])
    }
}

/// The certificates of `x5c`.
struct Presented {
    leaf: Certificate,
    others: Vec<Certificate>,
    /// Of the leaf: hex, upper case.
    serial: String,
}

impl Presented {
    fn parse(header: &Header) -> Result<Self, String> {
        let wrong = |i: usize, why: &dyn std::fmt::Display| format!("x5c[{i}] cannot be read: {why}");
        let mut all = Vec::new();
        for (i, text) in header.x5c.iter().enumerate() {
            all.extend(certificates(text).map_err(|error| wrong(i, &error))?);
        }
        if all.is_empty() {
            return Err("x5c is empty".into());
        }
        let others = all.split_off(1);
        let leaf = all.remove(0);
        let der = CertificateDer::from(leaf.der());
        let serial =
            EndEntityCert::try_from(&der).map(|parsed| hex(parsed.serial())).map_err(|error| wrong(0, &error))?;
        Ok(Self { leaf, others, serial })
    }

    /// Whether the chain ends at this authority, at this time.
    fn reaches(&self, authority: &CertificateAuthority, now: i64) -> Result<(), webpki::Error> {
        let leaf = CertificateDer::from(self.leaf.der());
        let roots: Vec<_> = authority.roots.iter().map(|root| CertificateDer::from(root.der())).collect();
        let anchors = roots.iter().map(webpki::anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>()?;
        let between = self.others.iter().chain(&authority.intermediates);
        let between: Vec<_> = between.map(|one| CertificateDer::from(one.der())).collect();
        // the leaf's own time has been judged, with some skew
        let now = u64::try_from(now.max(self.leaf.not_before())).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let leaf = EndEntityCert::try_from(&leaf)?;
        leaf.verify_for_usage(algorithms, &anchors, &between, now, AnyUsage, None, None).map(drop)
    }

    fn is_listed(&self, identifiers: &[String]) -> bool {
        let (sha1, sha256) = (self.leaf.thumbprint_hex(), hex(&self.leaf.thumbprint_sha256()));
        let bare = |serial: &str| serial.trim_start_matches('0').to_owned();
        let is = |text: &String| *text == sha1 || *text == sha256 || bare(text) == bare(&self.serial);
        identifiers.iter().any(is)
    }
}

/// Entra is not known to ask for an extended key usage.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

const CHAIN: &str = "certificates in base64 of their DER, the signer's first";
/// So many names of a certificate does 700030 show.
const MOST_NAMES: usize = 10;
