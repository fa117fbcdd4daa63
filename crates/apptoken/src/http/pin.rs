use std::fmt;

/// The thumbprint of the one certificate that a server must show: SHA-1, as Service Fabric tells it, or SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThumbprintPin {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl ThumbprintPin {
    /// From hex in either case.
    pub(crate) fn parse(hex: &str) -> Option<Self> {
        let hex = hex.trim();
        // from_str_radix would take a sign too
        if !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let digits = hex.as_bytes().chunks(2);
        let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let bytes = bytes.collect::<Option<Vec<u8>>>()?;
        match hex.len() {
            40 => bytes.try_into().map(Self::Sha1).ok(),
            64 => bytes.try_into().map(Self::Sha256).ok(),
            _ => None,
        }
    }
}

impl fmt::Debug for ThumbprintPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: &[u8] = match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        };
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

#[cfg(feature = "reqwest")]
pub(super) use tls::config;

#[cfg(feature = "reqwest")]
mod tls {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

    use super::ThumbprintPin;

    /// Trusts the pinned certificate, whoever signed it and whatever names are in it, and no other.
    pub(in super::super) fn config(pin: ThumbprintPin) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(Verifier { pin, provider: provider.clone() });
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth())
    }

    #[derive(Debug)]
    struct Verifier {
        pin: ThumbprintPin,
        provider: Arc<CryptoProvider>,
    }

    impl ServerCertVerifier for Verifier {
        fn verify_server_cert(
            &self,
            end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            let same = apptoken_jose::Certificate::from_der(end_entity.to_vec()).is_ok_and(|shown| match self.pin {
                ThumbprintPin::Sha1(pin) => shown.thumbprint_sha1() == pin,
                ThumbprintPin::Sha256(pin) => shown.thumbprint_sha256() == pin,
            });
            if same {
                Ok(ServerCertVerified::assertion())
            } else {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ThumbprintPin;

    #[test]
    fn hex_of_a_known_length_and_nothing_else() {
        assert_eq!(ThumbprintPin::parse(&format!(" {} ", "aB".repeat(20))), Some(ThumbprintPin::Sha1([0xab; 20])));
        assert_eq!(ThumbprintPin::parse(&"0f".repeat(32)), Some(ThumbprintPin::Sha256([0x0f; 32])));
        for wrong in [String::new(), "0".repeat(41), "+f".repeat(20), "é".repeat(20), "0f".repeat(19)] {
            assert_eq!(ThumbprintPin::parse(&wrong), None, "{wrong}");
        }
    }
}
