//! Key files that OpenSSL made (`keys/make.sh`), each in a form that a daemon's owner may have. Throw-away keys.

/// The password of the encrypted PEM keys.
pub const KEY_PASSWORD: &str = "c4n4ry-key";
/// The password of the PFX files.
pub const PFX_PASSWORD: &str = "c4n4ry-pfx";

macro_rules! files {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])* pub const $name: &[u8] = include_bytes!(concat!("../keys/", $file));)*
    };
}

files! {
    /// The daemon's self-signed certificate, valid for a hundred years.
    CERTIFICATE = "daemon.crt";
    /// Its key, PKCS#8.
    PKCS8 = "pkcs8.pem";
    /// Its key, PKCS#1.
    PKCS1 = "pkcs1.pem";
    /// Its key, PBES2 with AES-256.
    ENCRYPTED = "encrypted.pem";
    /// Its key, PBES2 with 3DES and HMAC-SHA-1.
    ENCRYPTED_3DES = "encrypted-3des.pem";
    /// Its key, PBES1: not supported.
    ENCRYPTED_PBES1 = "encrypted-pbes1.pem";
    /// Its key in OpenSSL's own old encryption with AES-128.
    ENCRYPTED_TRADITIONAL = "encrypted-traditional.pem";
    /// The same with AES-256.
    ENCRYPTED_TRADITIONAL_256 = "encrypted-traditional-256.pem";
    /// The same with 3DES.
    ENCRYPTED_TRADITIONAL_3DES = "encrypted-traditional-3des.pem";
    /// Certificate and key as OpenSSL 3 writes a PFX.
    PFX = "modern.pfx";
    /// The same with RC2 and 3DES.
    PFX_LEGACY = "legacy.pfx";
    /// The same under an empty password.
    PFX_NO_PASSWORD = "no-password.pfx";
    /// The certificate without its key.
    PFX_NO_KEY = "no-key.pfx";
    /// A certificate with the two above it, and its key.
    PFX_CHAIN = "chain.pfx";
    /// Another certificate.
    OTHER_CERTIFICATE = "other.crt";
    /// The other certificate's key.
    OTHER_KEY = "other.pem";
    /// A certificate with an RSA key of 1,024 bits.
    SMALL_CERTIFICATE = "small.crt";
    /// An RSA key of 1,024 bits.
    SMALL_KEY = "small.pem";
    /// A certificate with an EC key.
    EC_CERTIFICATE = "ec.crt";
    /// An EC key.
    EC_KEY = "ec.pem";
    /// A PFX with an EC key.
    PFX_EC = "ec.pfx";
    /// What OpenSSL signed with the daemon's key.
    MESSAGE = "message";
    /// Its signature with PKCS#1 v1.5 and SHA-256.
    MESSAGE_RS256 = "message.rs256";
    /// Its signature with PSS, SHA-256 and a salt of 32 bytes.
    MESSAGE_PS256 = "message.ps256";
}
