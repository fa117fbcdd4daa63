//! Bytes that hold a secret.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroize as _;

/// Wiped when they are dropped, in one go: zeroize's own way with a vector goes byte by byte, and a token has thousands.
pub(crate) struct Wiped(pub(crate) Vec<u8>);

impl Wiped {
    /// Shared; wiped when the last copy is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        // what lies behind its length was never written to
        self.0.as_mut_slice().zeroize();
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wiped").field(&self.0.len()).finish()
    }
}
