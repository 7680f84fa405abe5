//! Envelopes by table and by property: what passes, what does not, and why it does not.

use super::envelope::pre_authentication_encoding;
use super::*;
use crate::domain::{Code, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use serde_json::{Value, json};
use std::slice;

/// Made by `openssl genpkey -algorithm ed25519` and `openssl pkeyutl -sign -rawin`.
const PEM: &str =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIE3aaJ8PCXp54DV4eS3xHvUbiQ2quu6T88SeeKJ5jJZf\n-----END PRIVATE KEY-----\n";
const LINE: &str = "ops-1:6T4nqzplpfMGeCQJMMqlP+2oGG0g8/q9zy9A4+RQrVI=";
const BODY: &[u8] = br#"{"hello":"world"}"#;
const SIGNATURE: &str = "aM2uvV6odr+WquLPiFE5i3MuezQqJEn/abaL72s1mfc2zjt2wEChINNCJIjD5ecmuXMtwlxx7sL+gaCMrS8vAA==";
/// The same kind of key behind the password `secret`.
const LOCKED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgKnSezAerOIAICCAAw\nDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAQ4slBhLYAIge3osqU1SSMEQOiB\nk3BWChXfvaG3scVu0THdfQEV5n4SKFG1tkricNz23HiCcOgQpjuyVIaR+pYmD8AN\ns60PPV/46YMCnm91unc=\n-----END ENCRYPTED PRIVATE KEY-----\n";

const COMMAND: PayloadType = PayloadType::COMMAND;

fn id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn key(name: &str) -> PrivateKey {
    PrivateKey::generate(id(name)).unwrap()
}

fn known(keys: &[&PrivateKey]) -> Keys {
    let mut known = Keys::default();
    keys.iter().for_each(|key| known.add(key.public().unwrap()).unwrap());
    known
}

fn listed(lines: &[String]) -> Keys {
    let mut known = Keys::default();
    lines.iter().for_each(|line| known.add(PublicKey::parse(line).unwrap()).unwrap());
    known
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn now() -> Timestamp {
    at("2026-06-01T00:00:00Z")
}

fn signed(keys: &[PrivateKey]) -> Value {
    serde_json::from_slice(&sign(COMMAND, BODY, keys).unwrap()).unwrap()
}

fn fault(envelope: &Value, keys: &Keys) -> Fault {
    verify(COMMAND, envelope.to_string().as_bytes(), keys, now()).unwrap_err()
}

#[test]
fn the_encoding_is_that_of_the_specification() {
    let example = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
    assert_eq!(example, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
}

#[test]
fn what_another_program_signed_is_good_here_and_the_other_way_round() {
    let envelope =
        json!({"payloadType": COMMAND.as_str(), "payload": STANDARD.encode(BODY), "signatures": [{"keyid": "ops-1", "sig": SIGNATURE}]});
    let keys = listed(&[LINE.to_owned()]);
    let verified = verify(COMMAND, envelope.to_string().as_bytes(), &keys, now()).unwrap();
    assert_eq!((verified.key, verified.body.reveal().as_slice()), (id("ops-1"), BODY));
    // Ed25519 is deterministic: the same key and body give the same signature.
    let own = PrivateKey::from_pem(PEM.as_bytes(), Some(id("ops-1"))).unwrap();
    assert_eq!(signed(slice::from_ref(&own)), envelope);
    assert_eq!(own.public().unwrap().to_string(), LINE);
}

#[test]
fn a_body_of_any_bytes_comes_back_as_it_was() {
    let key = key("ops-1");
    let keys = known(&[&key]);
    let whole: Vec<u8> = (0..=u8::MAX).collect();
    for body in [b"".as_slice(), b"\0", b"DSSEv1 1 x 1 y", "ä\u{2028}".as_bytes(), &whole, &vec![b'x'; 1 << 20]] {
        let envelope = sign(COMMAND, body, slice::from_ref(&key)).unwrap();
        assert_eq!(verify(COMMAND, &envelope, &keys, now()).unwrap().body.reveal(), body);
    }
}

#[test]
fn no_byte_of_it_can_be_another() {
    let key = key("ops-1");
    let keys = known(&[&key]);
    let envelope = sign(COMMAND, BODY, &[key]).unwrap();
    for index in 0..envelope.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut tampered = envelope.clone();
            tampered[index] ^= flip;
            assert!(verify(COMMAND, &tampered, &keys, now()).is_err(), "byte {index}, flipped by {flip:#x}");
        }
    }
    for end in 0..envelope.len() {
        assert_eq!(verify(COMMAND, &envelope[..end], &keys, now()).unwrap_err().code(), Code::SIGNATURE_MALFORMED, "{end}");
    }
}

#[test]
fn no_byte_of_the_body_or_of_the_signature_can_be_another() {
    let key = key("ops-1");
    let keys = known(&[&key]);
    let envelope = signed(&[key]);
    let with = |field: &str, bytes: &[u8]| {
        let mut other = envelope.clone();
        match field {
            "payload" => other["payload"] = json!(STANDARD.encode(bytes)),
            _ => other["signatures"][0]["sig"] = json!(STANDARD.encode(bytes)),
        }
        fault(&other, &keys)
    };
    let sig = STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
    for (field, bytes) in [("payload", BODY), ("sig", &sig)] {
        for index in 0..bytes.len() * 8 {
            let mut tampered = bytes.to_vec();
            tampered[index / 8] ^= 1 << (index % 8);
            assert_eq!(with(field, &tampered), Fault::Invalid(id("ops-1")), "{field}, bit {index}");
        }
    }
    for body in [&BODY[1..], &BODY[..BODY.len() - 1], &[BODY, b" "].concat(), b""] {
        assert_eq!(with("payload", body), Fault::Invalid(id("ops-1")));
    }
    for sig in [&sig[1..], &[&sig[..], b"x"].concat(), b""] {
        assert_eq!(with("sig", sig).code(), Code::SIGNATURE_MALFORMED);
    }
    let zeros = with("sig", &[0; 64]);
    assert_eq!((zeros.code(), zeros), (Code::SIGNATURE_INVALID, Fault::Invalid(id("ops-1"))));
}

#[test]
fn what_was_signed_as_one_thing_does_not_pass_for_another() {
    let key = key("release-1");
    let keys = known(&[&key]);
    let manifest = sign(PayloadType::UPDATE_MANIFEST, BODY, &[key]).unwrap();
    assert!(verify(PayloadType::UPDATE_MANIFEST, &manifest, &keys, now()).is_ok());
    let error = verify(COMMAND, &manifest, &keys, now()).unwrap_err();
    assert_eq!(error.code(), Code::SIGNATURE_MALFORMED);
    assert!(error.to_string().contains("update-manifest") && error.to_string().contains("command+json"), "{error}");
    // The type is part of what was signed: to write another one there does not help.
    let mut disguised: Value = serde_json::from_slice(&manifest).unwrap();
    disguised["payloadType"] = json!(COMMAND.as_str());
    assert_eq!(fault(&disguised, &keys), Fault::Invalid(id("release-1")));
}

#[test]
fn only_known_keys_count_and_one_of_them_is_enough() {
    let (first, second, other) = (key("ops-1"), key("ops-2"), key("eve-1"));
    // The same name, another key.
    let impostor = key("ops-1");
    let good = |envelope: &Value, keys: &Keys| verify(COMMAND, envelope.to_string().as_bytes(), keys, now()).map(|verified| verified.key);
    let both = signed(&[first.clone(), second.clone()]);
    assert_eq!(good(&both, &known(&[&first])), Ok(id("ops-1")), "an agent before the change of keys");
    assert_eq!(good(&both, &known(&[&second])), Ok(id("ops-2")), "one after it");
    assert_eq!(good(&both, &known(&[&first, &second])), Ok(id("ops-1")), "one meanwhile");
    assert_eq!(good(&both, &known(&[&impostor, &second])), Ok(id("ops-2")), "one signature that does not fit harms nobody");
    assert_eq!(good(&both, &known(&[&impostor])), Err(Fault::Invalid(id("ops-1"))));
    let foreign = fault(&signed(&[other]), &known(&[&first, &second]));
    assert_eq!(foreign.to_string(), "the envelope is signed with eve-1, and the known keys are ops-1, ops-2");
    assert_eq!(fault(&both, &Keys::default()).code(), Code::SIGNATURE_UNKNOWN_KEY);
    let mut nameless = signed(slice::from_ref(&first));
    nameless["signatures"][0].as_object_mut().unwrap().remove("keyid");
    assert!(fault(&nameless, &known(&[&first])).to_string().contains("signed with no key id"));
    nameless["signatures"][0]["keyid"] = json!("ops-01");
    assert_eq!(fault(&nameless, &known(&[&first])).code(), Code::SIGNATURE_UNKNOWN_KEY, "an epoch has one spelling");
}

#[test]
fn a_key_counts_from_its_first_moment_to_its_last() {
    let key = key("ops-1");
    let line = |rest: &str| listed(&[format!("{}{rest}", key.public().unwrap())]);
    let envelope = sign(COMMAND, BODY, slice::from_ref(&key)).unwrap();
    let code = |rest: &str| verify(COMMAND, &envelope, &line(rest), now()).err().map(|fault| fault.code());
    for good in
        ["", ";from=2026-06-01T00:00:00Z", ";until=2026-06-01T00:00:00Z", "; from=2026-01-01T00:00:00Z ; until=2027-01-01T00:00:00Z"]
    {
        assert_eq!(code(good), None, "{good}");
    }
    for bad in [";from=2026-06-01T00:00:00.001Z", ";until=2026-05-31T23:59:59.999Z"] {
        assert_eq!(code(bad), Some(Code::SIGNATURE_KEY_NOT_VALID), "{bad}");
    }
    let over = line(";until=2026-01-01T00:00:00Z");
    let error = verify(COMMAND, &envelope, &over, now()).unwrap_err().to_string();
    assert_eq!(error, "the key ops-1 does not count at 2026-06-01T00:00:00Z: it is valid until 2026-01-01T00:00:00Z");
    // A signature that does not fit says nothing of the key's time.
    let mut tampered: Value = serde_json::from_slice(&envelope).unwrap();
    tampered["payload"] = json!("");
    assert_eq!(fault(&tampered, &over), Fault::Invalid(id("ops-1")));
}

#[test]
fn what_is_no_envelope_says_so_and_repeats_nothing() {
    let key = key("ops-1");
    let keys = known(&[&key]);
    let envelope = signed(&[key]);
    let with = |field: &str, value: Value| {
        let mut other = envelope.clone();
        other[field] = value;
        other
    };
    let signature = |n: usize| json!({"keyid": format!("ops-{}", n + 1), "sig": SIGNATURE});
    let many: Vec<Value> = (0..=MAX_SIGNATURES).map(signature).collect();
    let table = [
        (json!([]), "is not one JSON object"),
        (json!("hunter2"), "is not one JSON object"),
        (json!({"command_id": "hunter2"}), "is not one JSON object"),
        (with("payload", Value::Null), "is not one JSON object"),
        (with("payload", json!(["hunter2"])), "is not one JSON object"),
        (with("payloadType", json!({"hunter2": 1})), "is not one JSON object"),
        (with("signatures", json!({"keyid": "ops-1"})), "is not one JSON object"),
        (with("signatures", json!([{"keyid": "ops-1"}])), "is not one JSON object"),
        (with("signatures", json!([{"keyid": 1, "sig": "hunter2"}])), "is not one JSON object"),
        (with("signatures", json!([])), "signatures is empty"),
        (with("signatures", json!(many)), "it has 9 signatures, and at most 8 are read"),
        (with("signatures", json!([signature(0), signature(0)])), "it has two signatures of \"ops-1\""),
        (with("signatures", json!([{"keyid": "ops-1", "sig": "hunter2!"}])), "signatures[0].sig is not the base64 of 64 bytes"),
        (with("payload", json!("hunter2!")), "payload is not base64"),
    ];
    for (envelope, expected) in table {
        let fault = fault(&envelope, &keys);
        assert_eq!(fault.code(), Code::SIGNATURE_MALFORMED, "{envelope}");
        assert!(fault.to_string().contains(expected) && !fault.to_string().contains("hunter2"), "{fault} for {envelope}");
    }
    let twice = envelope.to_string().replacen('{', r#"{"payload":"","#, 1);
    assert_eq!(verify(COMMAND, twice.as_bytes(), &keys, now()).unwrap_err().code(), Code::SIGNATURE_MALFORMED, "a field that stands twice");
    let behind = [envelope.to_string().as_bytes(), b"{}"].concat();
    assert_eq!(verify(COMMAND, &behind, &keys, now()).unwrap_err().code(), Code::SIGNATURE_MALFORMED, "something behind it");
    let large = vec![b' '; MAX_ENVELOPE_BYTES + 1];
    assert!(verify(COMMAND, &large, &keys, now()).unwrap_err().to_string().contains("at most 16777216 are read"));
    let deep = format!("{{\"payloadType\":{}", "[".repeat(100_000));
    assert_eq!(verify(COMMAND, deep.as_bytes(), &keys, now()).unwrap_err().code(), Code::SIGNATURE_MALFORMED);
    let later = with("a_later_field", json!({"x": [1]}));
    assert!(verify(COMMAND, later.to_string().as_bytes(), &keys, now()).is_ok());
}

#[test]
fn base64_has_one_spelling() {
    let key = key("ops-1");
    let keys = known(&[&key]);
    // Its base64 ends in bits that mean nothing, and has letters of which the two alphabets differ.
    let body = b"\xfb\xff\xbf\xff\xff";
    let envelope: Value = serde_json::from_slice(&sign(COMMAND, body, &[key]).unwrap()).unwrap();
    let read = |payload: &str| {
        let mut other = envelope.clone();
        other["payload"] = json!(payload);
        verify(COMMAND, other.to_string().as_bytes(), &keys, now()).map(|verified| verified.body.reveal().clone())
    };
    let (standard, url_safe) = (STANDARD.encode(body), URL_SAFE.encode(body));
    assert_ne!(standard, url_safe);
    assert_eq!(read(&standard).unwrap(), body);
    assert_eq!(read(&url_safe).unwrap(), body, "DSSE allows both alphabets");
    let unused_bits = format!("{}9=", &standard[..standard.len() - 2]);
    let spaced = format!("{}\n{}", &standard[..4], &standard[4..]);
    let mixed = format!("{}{}", &standard[..4], &url_safe[4..]);
    for other in [&STANDARD_NO_PAD.encode(body), &unused_bits, &spaced, &format!("{standard}="), &format!("{standard}===="), &mixed] {
        if *other != standard && *other != url_safe {
            assert_eq!(read(other).unwrap_err().code(), Code::SIGNATURE_MALFORMED, "{other}");
        }
    }
}

#[test]
fn a_key_is_written_in_one_way() {
    for good in ["ops-1", "a-b.c_d-999999", "release-20261"] {
        assert_eq!(id(good).to_string(), good);
    }
    assert_eq!((id("a-b-2").name(), id("a-b-2").epoch()), ("a-b", 2));
    for bad in [
        "",
        "ops",
        "ops-",
        "-1",
        "ops-0",
        "ops-01",
        "ops-1000000",
        "ops--",
        "ops-+1",
        "ö-1",
        "a b-1",
        "a:b-1",
        &format!("{}-1", "x".repeat(63)),
    ] {
        assert!(matches!(KeyId::parse(bad), Err(InvalidKey::Id(_))), "{bad}");
    }
    let base64 = &LINE[6..];
    for good in [
        LINE.to_owned(),
        format!("{LINE};until=2027-01-01T00:00:00Z"),
        format!("{LINE};from=2026-01-01T00:00:00Z;until=2027-01-01T00:00:00Z"),
    ] {
        assert_eq!(PublicKey::parse(&good).unwrap().to_string(), good);
    }
    let zeros = STANDARD.encode([0; 32]);
    let table = [
        (String::new(), "is written ID:BASE64"),
        (base64.to_owned(), "is written ID:BASE64"),
        ("ops-1:BASE64".to_owned(), "ops-1 is not the 44 characters"),
        (format!("ops:{base64}"), "\"ops\" is no id of a key"),
        (format!("ops-1:{}", &base64[..43]), "ops-1 is not the 44 characters"),
        (format!("ops-1:{}", STANDARD.encode([7; 31])), "ops-1 is not the 44 characters"),
        (format!("ops-1: {base64}"), "ops-1 is not the 44 characters"),
        (format!("ops-1:{zeros}"), "ops-1 is one that anybody can sign for"),
        (format!("{LINE};"), "behind the key ops-1 stands \"\""),
        (format!("{LINE};until=soon"), "stands \"until=soon\""),
        (format!("{LINE};till=2027-01-01T00:00:00Z"), "stands \"till="),
        (format!("{LINE};until=2027-01-01T00:00:00Z;until=2028-01-01T00:00:00Z"), "stands \"until=2028"),
        (format!("{LINE};from=2027-01-01T00:00:00Z;until=2027-01-01T00:00:00Z"), "would end before it begins"),
    ];
    for (text, expected) in table {
        let error = PublicKey::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} for {text}");
    }
}

#[test]
fn to_a_key_that_anybody_can_sign_for_anybody_could_have_signed() {
    // With the neutral point as key, the neutral point and zero are a signature of everything.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for sign in [0, 0x80] {
        let mut key = neutral;
        key[31] |= sign;
        assert!(matches!(PublicKey::parse(&format!("ops-1:{}", STANDARD.encode(key))), Err(InvalidKey::Weak(_))));
    }
}

#[test]
fn a_list_of_keys_has_an_end_and_nothing_twice() {
    let (one, two) = (key("ops-1").public().unwrap(), key("ops-1").public().unwrap());
    let mut keys = Keys::default();
    keys.add(one.clone()).unwrap();
    assert_eq!(keys.add(two), Err(InvalidKey::SameId(id("ops-1"))));
    let again = PublicKey { id: id("ops-2"), ..one };
    assert_eq!(keys.add(again), Err(InvalidKey::SameKey(id("ops-1"), id("ops-2"))));
    for epoch in 2..=MAX_KEYS {
        keys.add(key(&format!("ops-{epoch}")).public().unwrap()).unwrap();
    }
    assert_eq!(keys.add(key("ops-99").public().unwrap()), Err(InvalidKey::TooMany));
    assert_eq!((keys.iter().count(), keys.is_empty(), Keys::default().is_empty()), (MAX_KEYS, false, true));
}

#[test]
fn a_private_key_knows_its_name_and_shows_nothing_else() {
    let made = key("ops-3");
    let pem = made.to_pem().unwrap();
    let text = String::from_utf8(pem.reveal().clone()).unwrap();
    assert!(text.starts_with("axion-agent-key: ops-3\n-----BEGIN PRIVATE KEY-----\n"), "a name, and what every other program reads");
    let read = PrivateKey::from_pem(text.as_bytes(), None).unwrap();
    assert_eq!((read.id(), read.public().unwrap()), (&id("ops-3"), made.public().unwrap()));
    assert_eq!(PrivateKey::from_pem(text.as_bytes(), Some(id("dev-1"))).unwrap().id(), &id("dev-1"));
    assert_eq!(PrivateKey::from_pem(text.replace('\n', "\r\n").as_bytes(), None).unwrap().id(), &id("ops-3"));
    assert_eq!(format!("{made:?} {pem:?}"), "PrivateKey { id: KeyId { name: \"ops\", epoch: 3 }, .. } [redacted]");
    let named = |pem: &str| format!("axion-agent-key: ops-1\n{pem}");
    let elliptic = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1)
        .and_then(|group| openssl::pkey::PKey::from_ec_key(openssl::ec::EcKey::generate(&group)?)?.private_key_to_pem_pkcs8())
        .unwrap();
    for other in ["", "hunter2", LINE, &String::from_utf8(elliptic).unwrap(), LOCKED] {
        assert!(matches!(PrivateKey::from_pem(named(other).as_bytes(), None), Err(PrivateKeyError::Content)), "{other}");
    }
    assert!(matches!(PrivateKey::from_pem(PEM.as_bytes(), None), Err(PrivateKeyError::Unnamed)));
    let misnamed = format!("axion-agent-key: ops\n{PEM}");
    assert!(matches!(PrivateKey::from_pem(misnamed.as_bytes(), None), Err(PrivateKeyError::Id(_))));
}
