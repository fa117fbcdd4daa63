//! A trust store for Java, which reads no PEM: its own format JKS, that every version reads.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::pki_types::CertificateDer;

/// A key store with these certificates to trust, and Java's usual password.
pub(super) fn trust_store(certificates: &[CertificateDer<'_>], made_at_millis: u64) -> Vec<u8> {
    let mut store = Vec::new();
    store.extend(MAGIC.to_be_bytes());
    store.extend(VERSION.to_be_bytes());
    store.extend(length(certificates));
    for (number, der) in certificates.iter().enumerate() {
        store.extend(TRUSTED.to_be_bytes());
        text(&mut store, &format!("certificate-{number}"));
        store.extend(made_at_millis.to_be_bytes());
        text(&mut store, "X.509");
        store.extend(length(der));
        store.extend_from_slice(der);
    }
    // what Java checks when it is given the password: no secret, and no protection
    let password = "changeit".encode_utf16().flat_map(u16::to_be_bytes);
    let checked: Vec<u8> = password.chain(*b"Mighty Aphrodite").chain(store.iter().copied()).collect();
    store.extend(digest(&SHA1_FOR_LEGACY_USE_ONLY, &checked).as_ref());
    store
}

/// As `DataOutputStream.writeUTF` writes ASCII.
fn text(store: &mut Vec<u8>, text: &str) {
    store.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
    store.extend_from_slice(text.as_bytes());
}

fn length<T>(of: &[T]) -> [u8; 4] {
    u32::try_from(of.len()).unwrap_or_default().to_be_bytes()
}

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
/// The kind of an entry.
const TRUSTED: u32 = 2;
