//! Base64 as JOSE writes it (RFC 7515 §2: URL-safe alphabet, no padding), and as real clients write it.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::JwsError;

/// URL-safe alphabet, no padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Exactly what [`encode`] writes.
///
/// # Errors
/// [`JwsError::Malformed`] for padding, white space, the standard alphabet or stray bits.
pub fn decode(text: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsError::Malformed)
}

/// Either alphabet, padded or not, white space dropped: MSAL Python pads, MSAL Go and azure_identity use the standard
/// alphabet, MSAL Python's `x5c` has line breaks.
///
/// # Errors
/// [`JwsError::Malformed`] when it is no base64 even so.
pub fn decode_lenient(text: &str) -> Result<Vec<u8>, JwsError> {
    // wiped, and of a size to begin with: the text may be a PFX file
    let mut url_safe = Zeroizing::new(String::with_capacity(text.len()));
    url_safe.extend(text.chars().filter(|c| !c.is_ascii_whitespace()).map(|c| match c {
        '+' => '-',
        '/' => '_',
        other => other,
    }));
    LENIENT.decode(url_safe.as_bytes()).map_err(|_| JwsError::Malformed)
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_takes_what_real_clients_send() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for form in ["-__-AQ", "-__-AQ==", "+//+AQ==", "+//+AQ", "-__-\nAQ=="] {
            assert_eq!(decode_lenient(form).as_deref(), Ok(&bytes[..]), "{form}");
        }
        assert_eq!(decode("-__-AQ").as_deref(), Ok(&bytes[..]));
        for strict in ["-__-AQ==", "+//+AQ", "-__-\nAQ", "-__-A"] {
            assert_eq!(decode(strict), Err(JwsError::Malformed), "{strict}");
        }
    }
}
