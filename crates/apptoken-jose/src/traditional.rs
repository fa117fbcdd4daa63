//! OpenSSL's own old encryption of PEM keys (`Proc-Type: 4,ENCRYPTED` and `DEK-Info`), which `openssl genrsa -aes256` wrote
//! before version 3 and `openssl rsa -traditional` still writes: a key derived by one round of MD5, CBC, no integrity.

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use des::TdesEde3;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::KeyError;

/// The bytes of the key that `content` holds under `passphrase`, by what `DEK-Info` says.
pub(crate) fn decrypt(dek_info: &str, content: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (cipher, iv) = dek_info.split_once(',').ok_or(MALFORMED)?;
    let iv = unhex(iv.trim()).ok_or(MALFORMED)?;
    let decrypt = match cipher.trim() {
        "AES-128-CBC" => cbc::<Decryptor<Aes128>>,
        "AES-192-CBC" => cbc::<Decryptor<Aes192>>,
        "AES-256-CBC" => cbc::<Decryptor<Aes256>>,
        "DES-EDE3-CBC" => cbc::<Decryptor<TdesEde3>>,
        _ => return Err(KeyError::UnsupportedEncryption),
    };
    decrypt(content, passphrase, &iv)
}

fn cbc<D: KeyIvInit + BlockModeDecrypt>(
    content: &[u8],
    passphrase: &[u8],
    iv: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let salt = iv.get(..8).ok_or(MALFORMED)?;
    let key = derived(passphrase, salt, D::key_size());
    let decryptor = D::new_from_slices(&key, iv).map_err(|_| MALFORMED)?;
    let mut plain = Zeroizing::new(content.to_vec());
    let length = decryptor.decrypt_padded::<Pkcs7>(&mut plain).map_err(|_| KeyError::WrongPassword)?.len();
    plain.truncate(length);
    Ok(plain)
}

/// `EVP_BytesToKey` with MD5, one round: each block is the hash of the one before, the passphrase and the salt.
fn derived(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + 16));
    let mut block = Zeroizing::new([0; 16]);
    while key.len() < length {
        let mut hash = Md5::new();
        if !key.is_empty() {
            hash.update(block.as_slice());
        }
        hash.update(passphrase);
        hash.update(salt);
        *block = hash.finalize().into();
        key.extend_from_slice(block.as_slice());
    }
    key.truncate(length);
    key
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

const MALFORMED: KeyError = KeyError::Malformed("encrypted private key");
