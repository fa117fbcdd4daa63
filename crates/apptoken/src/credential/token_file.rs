use std::io::Read as _;
use std::path::PathBuf;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{AssertionRequest, AssertionSource};
use crate::Error;

/// A file that the platform keeps filled with a fresh assertion, for example Kubernetes for workload identity
/// (`AZURE_FEDERATED_TOKEN_FILE`). It is read for each token request, so that it may change at any time.
pub(crate) struct TokenFile(pub(crate) PathBuf);

impl AssertionSource for TokenFile {
    async fn assertion(
        &self,
        _request: AssertionRequest,
    ) -> Result<SecretString, Box<dyn std::error::Error + Send + Sync>> {
        let wrong = |why: &str| {
            Error::credential(format!("the federated token file {} {why}", self.0.display()))
                .with_advice("check the path, and that the platform has projected the token there")
        };
        let file = std::fs::File::open(&self.0).map_err(|cause| wrong("cannot be opened").with_source(cause))?;
        let mut text = Zeroizing::new(String::with_capacity(LONGEST + 1));
        file.take(LONGEST as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|cause| wrong("cannot be read").with_source(cause))?;
        if text.len() > LONGEST {
            return Err(wrong("is too long for an assertion").into());
        }
        Ok(SecretString::from(text.trim()))
    }
}

/// Bytes; a platform's assertions are a few kilobytes.
const LONGEST: usize = 64 * 1024;
