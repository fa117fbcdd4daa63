//! The limit: an RS256 token costs one RSA-2048 signature.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;

use crate::Result;
use crate::process::Usage;

/// How many RSA-2048 signatures (PKCS #1 v1.5, SHA-256) of a token's length this process makes with aws-lc-rs in a second
/// of its processor time.
pub fn signatures_per_cpu_second(window: Duration) -> Result<f64> {
    let key = KeyPair::generate(KeySize::Rsa2048)?;
    let random = SystemRandom::new();
    let mut signature = vec![0; key.public_modulus_len()];
    let pid = std::process::id();
    let before = Usage::of(pid)?.cpu;
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < window {
        for _ in 0..50 {
            key.sign(&RSA_PKCS1_SHA256, &random, &[b'x'; 900], &mut signature)?;
        }
        count += 50;
    }
    Ok(f64::from(count) / (Usage::of(pid)?.cpu - before).as_secs_f64())
}
