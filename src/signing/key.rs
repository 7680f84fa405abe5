//! Public keys as a configuration writes them: `ops-1:BASE64`, and what one may know of a key before it is used.

use crate::domain::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// The keys that are known at a time: a few people and machines, each with two epochs while one takes the other's
/// place. Each costs a signature that has to be looked at.
pub const MAX_KEYS: usize = 16;
/// The longest key id, in bytes: it stands in envelopes and in lines of the log.
const MAX_ID_BYTES: usize = 64;
/// Six digits: what is longer is no epoch but a date, or a slip.
const MAX_EPOCH: u32 = 999_999;
/// The size of an Ed25519 public key, in bytes (RFC 8032, 5.1.5).
pub(super) const KEY_BYTES: usize = 32;

/// The points of small order, in every encoding that OpenSSL takes, but for the sign (the last byte's highest bit). To
/// such a key signatures fit that nobody has made; all zeros, which somebody may write in place of a key, is one.
const SMALL_ORDER: [[u8; KEY_BYTES]; 7] = [
    [0; KEY_BYTES],
    edged(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
        0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
        0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    edged(0xec, 0xff, 0x7f),
    edged(0xed, 0xff, 0x7f),
    edged(0xee, 0xff, 0x7f),
];

const fn edged(first: u8, middle: u8, last: u8) -> [u8; KEY_BYTES] {
    let mut bytes = [middle; KEY_BYTES];
    bytes[0] = first;
    bytes[KEY_BYTES - 1] = last;
    bytes
}

/// A text that is no key, or no id of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The id.
    #[error(
        "{0:?} is no id of a key: it is a name and an epoch, as in ops-1 (letters, digits, '.', '_' and '-', at most {MAX_ID_BYTES}; an epoch counts up from 1)"
    )]
    Id(String),
    /// There is no colon.
    #[error("a key is written ID:BASE64, as in ops-1:BASE64; `axion-agent keys generate` prints one")]
    Form,
    /// The key itself.
    #[error("the key {0} is not the 44 characters of base64 that an Ed25519 public key has; `axion-agent keys generate` prints one")]
    Key(KeyId),
    /// A key that proves nothing.
    #[error("the key {0} is one that anybody can sign for; `axion-agent keys generate` makes another")]
    Weak(KeyId),
    /// What stands behind it.
    #[error("behind the key {0} stands {1:?}: what may follow is ;from=TIME and ;until=TIME, as in ;until=2027-01-31T12:00:00Z")]
    Validity(KeyId, String),
    /// It ends before it begins.
    #[error("the key {0} would end before it begins: until is not after from")]
    NeverValid(KeyId),
    /// Twice the same id.
    #[error("there are two keys {0}: the next key of a name gets the next epoch")]
    SameId(KeyId),
    /// Twice the same key.
    #[error("the keys {0} and {1} are the same: a new epoch needs a new key")]
    SameKey(KeyId, KeyId),
    /// More than there may be.
    #[error("there are more than {MAX_KEYS} keys: remove those that nobody signs with any more")]
    TooMany,
}

/// What a key is called: whose it is, and which of theirs. Written `NAME-EPOCH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    name: String,
    epoch: u32,
}

impl KeyId {
    /// Reads `NAME-EPOCH`.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let invalid = || InvalidKey::Id(text.chars().take(MAX_ID_BYTES).collect());
        let (name, epoch) = text.rsplit_once('-').ok_or_else(invalid)?;
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_number = epoch.bytes().all(|byte| byte.is_ascii_digit()) && !epoch.starts_with('0');
        let epoch = epoch.parse().ok().filter(|epoch| is_number && (1..=MAX_EPOCH).contains(epoch)).ok_or_else(invalid)?;
        if name.is_empty() || text.len() > MAX_ID_BYTES || !name.bytes().all(is_legal) {
            return Err(invalid());
        }
        Ok(Self { name: name.to_owned(), epoch })
    }

    /// Whose key it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which of theirs: a later one takes the place of those before.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.epoch)
    }
}

/// A key that signatures are held against, and when it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What it is called.
    pub id: KeyId,
    /// It does not count before this.
    pub from: Option<Timestamp>,
    /// Nor after this.
    pub until: Option<Timestamp>,
    pub(super) bytes: [u8; KEY_BYTES],
}

impl PublicKey {
    pub(super) fn new(id: KeyId, bytes: [u8; KEY_BYTES]) -> Result<Self, InvalidKey> {
        let mut unsigned = bytes;
        unsigned[KEY_BYTES - 1] &= 0x7f;
        if SMALL_ORDER.contains(&unsigned) {
            return Err(InvalidKey::Weak(id));
        }
        Ok(Self { id, from: None, until: None, bytes })
    }

    /// Reads `ID:BASE64`, with `;from=TIME` and `;until=TIME` (RFC 3339) behind it where it counts for a time alone.
    ///
    /// # Errors
    /// When the text is something else, or the key proves nothing.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let mut parts = text.split(';').map(str::trim);
        let (id, key) = parts.next().and_then(|first| first.split_once(':')).ok_or(InvalidKey::Form)?;
        let id = KeyId::parse(id)?;
        let bytes = STANDARD.decode(key).ok().and_then(|bytes| bytes.try_into().ok());
        let mut read = Self::new(id.clone(), bytes.ok_or_else(|| InvalidKey::Key(id.clone()))?)?;
        for part in parts {
            let (slot, time) = match part.split_once('=') {
                Some(("from", time)) => (&mut read.from, time),
                Some(("until", time)) => (&mut read.until, time),
                _ => return Err(InvalidKey::Validity(id, part.to_owned())),
            };
            let time = Timestamp::parse(time).map_err(|_| InvalidKey::Validity(id.clone(), part.to_owned()))?;
            if slot.replace(time).is_some() {
                return Err(InvalidKey::Validity(id, part.to_owned()));
            }
        }
        match (read.from, read.until) {
            (Some(from), Some(until)) if until <= from => Err(InvalidKey::NeverValid(id)),
            _ => Ok(read),
        }
    }

    /// Whether it counts at this time.
    #[must_use]
    pub fn counts_at(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at <= until)
    }
}

/// As a configuration writes it.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, STANDARD.encode(self.bytes))?;
        for (word, time) in [("from", self.from), ("until", self.until)] {
            if let Some(time) = time {
                write!(f, ";{word}={time}")?;
            }
        }
        Ok(())
    }
}

/// The keys that are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys(Vec<PublicKey>);

impl Keys {
    /// Knows one more.
    ///
    /// # Errors
    /// When its id or the key itself is known already, or there are too many.
    pub fn add(&mut self, key: PublicKey) -> Result<(), InvalidKey> {
        if self.get(&key.id).is_some() {
            return Err(InvalidKey::SameId(key.id));
        }
        if let Some(same) = self.0.iter().find(|known| known.bytes == key.bytes) {
            return Err(InvalidKey::SameKey(same.id.clone(), key.id));
        }
        if self.0.len() == MAX_KEYS {
            return Err(InvalidKey::TooMany);
        }
        self.0.push(key);
        Ok(())
    }

    /// The key that is called so.
    #[must_use]
    pub fn get(&self, id: &KeyId) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.id == *id)
    }

    /// Each, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Their ids, for an error: `ops-1, ops-2`, or `none`.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.iter().map(|key| key.id.to_string()).collect::<Vec<_>>().join(", "))
    }
}
