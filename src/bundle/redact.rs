//! Takes known secrets out of bytes, as they are and as JSON, base64 or a URL would spell them. The last line: what is
//! gathered should hold none in the first place.

use crate::domain::Sensitive;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

const MARK: &[u8] = b"[redacted]";

/// The secrets, in all their spellings, the longest first.
#[derive(Debug, Default)]
pub struct Redactor(Vec<Sensitive<Vec<u8>>>);

impl Redactor {
    /// Of these secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Sensitive<String>>) -> Self {
        let mut spellings: Vec<Vec<u8>> = secrets.into_iter().flat_map(|secret| spellings(secret.reveal())).collect();
        spellings.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        spellings.dedup();
        spellings.retain(|one| !one.is_empty());
        Self(spellings.into_iter().map(Sensitive::new).collect())
    }

    /// The bytes without them.
    #[must_use]
    pub fn clean(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.iter().fold(bytes.to_vec(), |bytes, secret| replaced(bytes, secret.reveal()))
    }
}

fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let url: String =
        secret
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            })
            .collect();
    vec![
        secret.as_bytes().to_vec(),
        json.trim_matches('"').as_bytes().to_vec(),
        url.into_bytes(),
        STANDARD_NO_PAD.encode(secret).into_bytes(),
        URL_SAFE_NO_PAD.encode(secret).into_bytes(),
    ]
}

fn replaced(bytes: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let Some(first) = find(&bytes, secret) else { return bytes };
    let mut out = bytes[..first].to_vec();
    let mut rest = &bytes[first..];
    while let Some(at) = find(rest, secret) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(MARK);
        rest = &rest[at + secret.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_secret_is_found_in_each_spelling() {
        let secret = Sensitive::new("pa\"ss\\wörd/+".to_owned());
        let redactor = Redactor::new([&secret, &Sensitive::new(String::new())]);
        let texts = [
            secret.reveal().clone(),
            serde_json::json!({ "a": secret.reveal() }).to_string(),
            STANDARD.encode(secret.reveal()),
            "pa%22ss%5Cw%C3%B6rd%2F%2B".to_owned(),
        ];
        for text in texts {
            let clean = String::from_utf8(redactor.clean(format!("<{text}> and <{text}>").as_bytes())).unwrap();
            assert_eq!(clean.matches("[redacted]").count(), 2, "{clean}");
            assert!(!clean.contains("ss"), "{clean}");
        }
        assert_eq!(redactor.clean(b"nothing \xff here"), b"nothing \xff here");
    }

    #[test]
    fn the_longer_of_two_goes_first() {
        let secrets = ["abcd", "abcdefgh"].map(|text| Sensitive::new(text.to_owned()));
        assert_eq!(Redactor::new(&secrets).clean(b"abcdefgh abcd"), b"[redacted] [redacted]");
    }
}
