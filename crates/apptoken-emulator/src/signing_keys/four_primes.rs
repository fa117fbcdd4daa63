//! An RSA-2048 key of four primes in place of two: RFC 8017 §3.2's *multi-prime* RSA.
//!
//! Signing sets the pace of the token endpoint, and making the key that of a start. Four primes of 512 bits make a
//! signature cheaper by a fifth than AWS-LC's assembly for two of 1,024, and the key is made in a small part of the time.
//! Nobody can tell from outside: modulus, exponent and signatures are those of any RSA-2048 key. What it costs does not
//! matter here: a signature takes longer or shorter as the key's bits say, so no key that guards anything is made so.

use std::fmt;

use apptoken_jose::{Algorithm, KeyError, PublicKey};
use aws_lc_rs::rand as system_random;
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::rand_core::{Infallible, TryCryptoRng, TryRng};
use crypto_bigint::{NonZero, Odd, U512, U2048};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use zeroize::{Zeroize, Zeroizing};

/// Wiped when it is dropped.
pub(super) struct FourPrimes {
    shares: [Share; 4],
    modulus: NonZero<U2048>,
    public: PublicKey,
}

/// What one prime contributes, by the Chinese remainder theorem.
#[derive(Clone, Copy)]
struct Share {
    prime: FixedMontyParams<{ U512::LIMBS }>,
    /// 1/e mod (prime - 1).
    exponent: U512,
    /// 1/`others` mod prime.
    coefficient: FixedMontyForm<{ U512::LIMBS }>,
    /// The product of the other three primes.
    others: U2048,
}

impl FourPrimes {
    pub(super) fn generate() -> Result<Self, KeyError> {
        let mut random = SystemRandom { failed: false };
        let mut prime = || {
            let candidates = SmallFactorsSieveFactory::new(Flavor::Any, U512::BITS, SetBits::TwoMsb);
            let found = sieve_and_find(&mut random, candidates.ok()?, |_, candidate| is_prime(Flavor::Any, candidate));
            found.ok().flatten().filter(|_| !random.failed)
        };
        // One in five is a bit too short; next to none has a prime in which e has no inverse.
        for _ in 0..100 {
            let mut primes = [U512::ZERO; 4];
            for place in &mut primes {
                *place = prime().ok_or(FAILED)?;
            }
            let key = Self::of(primes);
            primes.zeroize();
            if let Some(key) = key {
                return Ok(key);
            }
        }
        Err(FAILED)
    }

    /// The four primes, big-endian, one after the other.
    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; 256]> {
        let mut bytes = Zeroizing::new([0; 256]);
        for (place, share) in bytes.chunks_exact_mut(U512::BYTES).zip(&self.shares) {
            place.copy_from_slice(share.prime.modulus().to_be_bytes().as_ref());
        }
        bytes
    }

    /// What [`Self::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        const WHAT: KeyError = KeyError::Malformed("RSA key of four primes");
        if bytes.len() != 4 * U512::BYTES {
            return Err(WHAT);
        }
        let mut primes = std::array::from_fn(|i| U512::from_be_slice(&bytes[i * U512::BYTES..][..U512::BYTES]));
        let key = Self::of(primes);
        primes.zeroize();
        key.ok_or(WHAT)
    }

    pub(super) fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.1).
    pub(super) fn sign(&self, message: &[u8]) -> [u8; U2048::BYTES] {
        let encoded = encode(message);
        let sum = self.shares.iter().fold(U2048::ZERO, |sum, share| sum.add_mod(&share.of(&encoded), &self.modulus));
        sum.to_be_bytes().into()
    }

    /// None if their product is not of 2,048 bits, or they are no four different primes for the exponent.
    fn of(primes: [U512; 4]) -> Option<Self> {
        let product = primes.iter().try_fold(U2048::ONE, |product, prime| product.checked_mul(prime).into_option())?;
        if product.bit_width_vartime() != U2048::BITS {
            return None;
        }
        let modulus = NonZero::new(product).into_option()?;
        let [a, b, c, d] = primes.map(|prime| Share::new(prime, &modulus));
        let public = PublicKey::from_components(modulus.to_be_bytes().as_ref(), &E.to_be_bytes()).ok()?;
        Some(Self { shares: [a?, b?, c?, d?], modulus, public })
    }
}

impl Share {
    fn new(prime: U512, modulus: &U2048) -> Option<Self> {
        let others = modulus.wrapping_div_vartime(&NonZero::new(prime).into_option()?);
        let order = NonZero::new(prime.wrapping_sub(&U512::ONE)).into_option()?;
        let prime = FixedMontyParams::new_vartime(Odd::new(prime).into_option()?);
        let cofactor = FixedMontyForm::new(&others.rem_vartime(prime.modulus().as_nz_ref()), &prime);
        Some(Self {
            exponent: U512::from(E).invert_mod(&order).into_option()?,
            coefficient: cofactor.invert().into_option()?,
            prime,
            others,
        })
    }

    /// Its summand of `encoded`^d mod n: congruent to it modulo this prime, and zero modulo the others.
    fn of(&self, encoded: &U2048) -> U2048 {
        let base = FixedMontyForm::new(&encoded.rem_vartime(self.prime.modulus().as_nz_ref()), &self.prime);
        let residue = base.pow_vartime(&self.exponent) * self.coefficient;
        self.others.wrapping_mul(&residue.retrieve())
    }
}

impl Drop for FourPrimes {
    fn drop(&mut self) {
        for share in &mut self.shares {
            share.prime.zeroize();
            share.exponent.zeroize();
            share.coefficient.zeroize();
            share.others.zeroize();
        }
    }
}

impl fmt::Debug for FourPrimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FourPrimes").field(&self.public).finish()
    }
}

/// AWS-LC's generator as the search for primes wants it, which knows no failure: nothing may be used after one.
struct SystemRandom {
    failed: bool,
}

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = Zeroizing::new([0; 4]);
        self.try_fill_bytes(&mut *bytes)?;
        Ok(u32::from_ne_bytes(*bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = Zeroizing::new([0; 8]);
        self.try_fill_bytes(&mut *bytes)?;
        Ok(u64::from_ne_bytes(*bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.failed |= system_random::fill(bytes).is_err();
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}

/// EMSA-PKCS1-v1_5 (RFC 8017 §9.2): `00 01 FF … FF 00`, then a `DigestInfo`.
fn encode(message: &[u8]) -> U2048 {
    let digest = Algorithm::Rs256.digest(message);
    let mut encoded = [0xff; U2048::BYTES];
    let (padding, info) = encoded.split_at_mut(U2048::BYTES - SHA_256.len() - digest.len());
    padding[..2].copy_from_slice(&[0, 1]);
    padding[padding.len() - 1] = 0;
    info[..SHA_256.len()].copy_from_slice(&SHA_256);
    info[SHA_256.len()..].copy_from_slice(&digest);
    U2048::from_be_slice(&encoded)
}

/// The public exponent.
const E: u32 = 65_537;
/// `DigestInfo` of SHA-256 up to the digest itself (RFC 8017 §9.2, note 1).
const SHA_256: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
const FAILED: KeyError = KeyError::Generate("the signing key");

#[cfg(test)]
mod tests {
    use super::*;

    /// The verifier is AWS-LC. PKCS #1 v1.5 has one right signature for a key and a message: nothing is left to chance.
    #[test]
    fn others_verify_what_it_signs() {
        for _ in 0..5 {
            let key = FourPrimes::generate().unwrap();
            assert_eq!((key.public_key().bits(), key.public_key().e()), (2048, &[1, 0, 1][..]));
            for length in 0..40 {
                let message = vec![length; length.into()];
                let signature = key.sign(&message);
                key.public_key().verify(Algorithm::Rs256, &message, &signature).unwrap();
                key.public_key().verify(Algorithm::Rs256, b"another", &signature).unwrap_err();
            }
        }
    }

    #[test]
    fn it_is_the_same_after_a_restart() {
        let key = FourPrimes::generate().unwrap();
        let again = FourPrimes::from_bytes(&*key.to_bytes()).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        assert_eq!(key.sign(b"message"), again.sign(b"message"));
        assert_ne!(key.public_key(), FourPrimes::generate().unwrap().public_key());
    }

    #[test]
    fn damaged_bytes_are_no_key() {
        let good = *FourPrimes::generate().unwrap().to_bytes();
        let twice = [&good[..64], &good[..64], &good[128..]].concat();
        let even = {
            let mut bytes = good;
            bytes[63] ^= 1;
            bytes.to_vec()
        };
        for bytes in [vec![], vec![0; 256], vec![255; 255], good[..255].to_vec(), twice, even] {
            FourPrimes::from_bytes(&bytes).unwrap_err();
        }
    }

    #[test]
    fn it_says_nothing_of_its_primes() {
        let key = FourPrimes::generate().unwrap();
        assert_eq!(format!("{key:?}"), "FourPrimes(PublicKey { bits: 2048, .. })");
    }
}
