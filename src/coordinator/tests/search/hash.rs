//! Two hashes. One costs little in a build without optimisation and finds its way in tables that compare the keys too.
//! The other stands for what it was made of: see [`fingerprint`].

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

/// 128 bits that stand for these words: two SipHashes, which begin differently. That any two of `n` different keys have one
/// fingerprint has the probability n²/2¹²⁹, for 10⁹ of them less than 10⁻²⁰.
pub(super) fn fingerprint(words: &[u64]) -> u128 {
    let half = |beginning: u64| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(beginning);
        words.iter().for_each(|word| hasher.write_u64(*word));
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// The same of a text.
pub(super) fn fingerprint_of(text: &str) -> u128 {
    let half = |beginning: u64| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(beginning);
        hasher.write(text.as_bytes());
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

pub(super) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;

#[derive(Default)]
pub(super) struct Mixer(u64);

/// 2^64 over the golden ratio, odd.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        // The table looks at the upper bits and at the lower ones.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u128(&mut self, value: u128) {
        self.write_u64(value as u64);
        self.write_u64((value >> 64) as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(FACTOR);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.cast_unsigned() as u64);
    }
}
