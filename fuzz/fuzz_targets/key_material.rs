//! Key and certificate files: PEM, PKCS#8, PKCS#1, PFX, X.509.
#![no_main]

use apptoken_jose::{Certificate, SigningKey, pfx};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = SigningKey::from_pem(bytes, None);
    let _ = SigningKey::from_pem(bytes, Some(b"passphrase"));
    let _ = SigningKey::from_pkcs8_der(bytes);
    let _ = SigningKey::from_pkcs1_der(bytes);
    let _ = pfx::open(bytes, b"password");
    for certificate in Certificate::from_pem(bytes).into_iter().flatten().chain(Certificate::from_der(bytes)) {
        let _ = (certificate.subject().len(), certificate.issuer().len(), certificate.thumbprint_hex());
        let _ = (certificate.not_before(), certificate.not_after(), certificate.public_key());
        assert_eq!(Certificate::from_pem(certificate.to_pem().as_bytes()).map(|all| all.len()), Ok(1));
    }
});
