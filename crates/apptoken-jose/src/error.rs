/// A key or certificate that cannot be used, or an operation with it that failed. Holds no key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is encrypted and no password came with it.
    #[error("the private key is encrypted: give its password")]
    Encrypted,
    /// A new key or certificate could not be made.
    #[error("could not make {0}")]
    Generate(&'static str),
    /// The bytes are not what they should be; names the expected format.
    #[error("not a readable {0}")]
    Malformed(&'static str),
    /// No certificate in the input.
    #[error("no certificate in it (a PEM file needs a -----BEGIN CERTIFICATE----- block)")]
    NoCertificate,
    /// No private key in the input.
    #[error("no private key in it (a certificate alone cannot sign: export it together with its key)")]
    NoPrivateKey,
    /// The key is of another kind; Entra ID takes RSA only.
    #[error("the key is not an RSA key, and Microsoft Entra ID accepts RSA only")]
    NotRsa,
    /// The signature could not be made.
    #[error("the signature could not be made")]
    Signing,
    /// Fewer than 2,048 bits.
    #[error("the RSA key has {bits} bits, and at least 2048 are needed")]
    TooSmall {
        /// Bits of the modulus.
        bits: usize,
    },
    /// An encryption that only older tools write; the text says how to convert.
    #[error(
        "the private key is encrypted in a way that is not supported; convert it with: openssl pkcs8 -topk8 -in OLD -out NEW"
    )]
    UnsupportedEncryption,
    /// The password does not open the key.
    #[error("the password does not open it")]
    WrongPassword,
}

/// A JSON Web Signature that cannot be accepted. Holds nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// `alg` is none of the allowed ones (`none` and the HMAC family included).
    #[error("the algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// The signature does not fit the content and the key.
    #[error("the signature does not match")]
    BadSignature,
    /// `crit` asks for an extension; none is understood here (RFC 7515 §4.1.11).
    #[error("the header demands an extension (`crit`)")]
    CriticalExtension,
    /// A member appears twice in the header or the claims.
    #[error("a member appears twice")]
    DuplicateMember,
    /// Not three base64url parts with JSON objects in the first two.
    #[error("not a compact JWS")]
    Malformed,
    /// Longer than [`jws::MAX_TOKEN_BYTES`](crate::jws::MAX_TOKEN_BYTES).
    #[error("the token is too long")]
    TooLong,
}
