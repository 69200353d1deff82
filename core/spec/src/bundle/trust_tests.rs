//! Who is believed, and what the text formats refuse.

use super::tests::{key, sample};
use super::*;

fn trusted(key: &SecretKey, names: &[&str]) -> TrustedKey {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    TrustedKey { key: key.public(), names, grants: None, comment: None, revoked: false }
}

fn store(entries: &[TrustedKey]) -> TrustStore {
    let mut store = TrustStore::default();
    for entry in entries {
        store.insert(entry.clone()).unwrap();
    }
    store
}

#[test]
fn a_bundle_is_trusted_by_a_bound_key_and_by_no_other() {
    let (one, two) = (key(1), key(2));
    let bytes = sample(&[&one, &two]);
    let bundle = Bundle::open(&bytes).unwrap();
    let verdict = |entries: &[TrustedKey], name: &str| verify(&bundle, name, &store(entries));
    let revoked = |key| TrustedKey { revoked: true, ..trusted(key, &["*"]) };
    let by = |key: &SecretKey, pattern: &str| Verdict::Trusted {
        key: key.public(),
        pattern: pattern.parse().unwrap(),
        grants: None,
    };
    assert_eq!(verdict(&[trusted(&one, &["acme/*", "hello"])], "hello"), by(&one, "hello"));
    assert_eq!(verdict(&[trusted(&two, &["hel*"])], "hello"), by(&two, "hel*"));
    let unbound = Verdict::Unbound { keys: vec![one.public(), two.public()] };
    assert_eq!(verdict(&[], "hello"), unbound);
    assert_eq!(verdict(&[trusted(&one, &["other"])], "hello"), unbound);
    assert_eq!(verdict(&[trusted(&one, &[])], "hello"), unbound);
    assert_eq!(verdict(&[trusted(&key(3), &["*"])], "hello"), unbound);
    assert_eq!(verdict(&[revoked(&one)], "hello"), Verdict::Revoked { key: one.public() });
    assert_eq!(verdict(&[revoked(&one), trusted(&two, &["*"])], "hello"), by(&two, "*"));
    let unsigned = sample(&[]);
    let unsigned = Bundle::open(&unsigned).unwrap();
    assert_eq!(verify(&unsigned, "hello", &store(&[trusted(&one, &["*"])])), Verdict::Unsigned);
}

#[test]
fn one_bad_signature_spoils_the_good_ones() {
    let (one, two) = (key(1), key(2));
    let bytes = sample(&[&one, &two]);
    for (from_end, bad) in [(1, &two), (105, &one)] {
        let mut changed = bytes.clone();
        let at = changed.len() - from_end;
        changed[at] ^= 1;
        let bundle = Bundle::open(&changed).unwrap();
        let verdict = verify(&bundle, "hello", &store(&[trusted(&one, &["*"]), trusted(&two, &["*"])]));
        assert_eq!(verdict, Verdict::BadSignature { key: bad.public().id() });
        assert_eq!(bundle.sign(&key(3)), Err(Error::BadSignature { key: bad.public().id() }));
    }
}

#[test]
fn a_second_signature_leaves_the_header_alone() {
    let (one, two) = (key(1), key(2));
    let mut bytes = sample(&[&one]);
    let id = *Bundle::open(&bytes).unwrap().id();
    for key in [&two, &two] {
        let trailer = Bundle::open(&bytes).unwrap().sign(key).unwrap();
        bytes.truncate(usize::try_from(trailer.offset).unwrap());
        bytes.extend_from_slice(&trailer.bytes);
    }
    assert_eq!(bytes, sample(&[&one, &two]));
    let bundle = Bundle::open(&bytes).unwrap();
    assert_eq!((bundle.id(), bundle.signatures().len()), (&id, 2));
}

#[test]
fn a_signature_is_of_one_bundle_only() {
    let one = key(1);
    let signed = sample(&[&one]);
    let mut writer = Writer::new(b"{\"name\":\"evil\"}".to_vec());
    writer.created(1);
    let mut other = std::io::Cursor::new(Vec::new());
    writer.write(&mut other, &[&one]).unwrap();
    let mut other = other.into_inner();
    let at = other.len() - 64;
    other[at..].copy_from_slice(&signed[signed.len() - 64..]);
    let bundle = Bundle::open(&other).unwrap();
    let verdict = verify(&bundle, "evil", &store(&[trusted(&one, &["*"])]));
    assert_eq!(verdict, Verdict::BadSignature { key: one.public().id() });
}

#[test]
fn a_weak_key_vouches_for_nothing() {
    // The identity and the other points of small order accept made-up signatures under lax rules.
    let mut identity = [0; 32];
    identity[0] = 1;
    for bytes in [[0; 32], identity] {
        assert_eq!(PublicKey::from_bytes(&bytes), Err(KeyError::Weak));
    }
    let mut bundle = sample(&[&key(1)]);
    let at = bundle.len() - 104;
    bundle[at + 8..at + 40].copy_from_slice(&identity);
    let id = blake3::hash(&identity);
    bundle[at..at + 8].copy_from_slice(&id.as_bytes()[..8]);
    bundle[at + 40..].fill(0);
    bundle[at + 40] = 1;
    let bundle = Bundle::open(&bundle).unwrap();
    assert!(matches!(verify(&bundle, "hello", &TrustStore::default()), Verdict::BadSignature { .. }));
}

#[test]
fn key_files_are_read_back_and_damage_is_noticed() {
    let one = key(1);
    let text = one.to_text();
    let read = SecretKey::from_text(&text).unwrap();
    assert_eq!((read.public(), read.note()), (one.public(), Some("test key")));
    let public = one.public().to_text(None).unwrap();
    assert_eq!(PublicKey::from_text(&public), Ok((one.public(), None)));
    assert_eq!(PublicKey::from_text(&text), Err(KeyError::SecretGiven));
    assert!(!format!("{one:?}").contains("0101"), "{one:?}");
    let refused = |text: &str| SecretKey::from_text(text).unwrap_err();
    for at in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        // The note is the owner's to change; nothing else is.
        if SecretKey::from_text(&changed).is_ok() {
            assert_eq!(changed.lines().nth(1).map(|line| &line[..5]), Some("note "), "{at}");
        }
    }
    assert_eq!(refused(&text.replace("key 1", "key 2")), KeyError::NewerVersion { found: 2 });
    assert_eq!(
        refused(&text.replace(" 1\n", " x\n")),
        KeyError::NotAKeyFile { expected: "qyvol-secret-key" }
    );
    assert_eq!(refused(&text.replace("secret 01", "secret 02")), KeyError::Damaged);
    assert_eq!(refused(&(text.to_string() + "more\n")), KeyError::Line { line: 5 });
    assert_eq!(refused(&" ".repeat(MAX_KEY_FILE_BYTES + 1)), KeyError::TooLarge);
    assert_eq!(one.public().to_text(Some("two\nlines")), Err(KeyError::Note));
}

#[test]
fn a_trust_store_is_read_back() {
    let entry = TrustedKey {
        grants: Some("net,exec".into()),
        comment: Some("Acme, release key".into()),
        revoked: true,
        ..trusted(&key(1), &["acme/*", "hello"])
    };
    let store = store(&[entry, trusted(&key(2), &[])]);
    let text = store.to_text();
    assert_eq!(TrustStore::from_text(&text), Ok(store.clone()));
    let one = key(1).public();
    let expected = format!(
        "qyvol-trust 1\n\nkey {one}\nname acme/*\nname hello\ngrants net,exec\ncomment Acme, release key\nrevoked\n\nkey {}\n",
        key(2).public()
    );
    assert_eq!(text, expected);
    assert_eq!(store.by_id(one.id()).count(), 1);
    let mut store = store;
    assert!(store.remove(&one).is_some() && store.get(&one).is_none());
}

#[test]
fn a_faulty_trust_store_is_refused_whole() {
    let (one, start) = (key(1).public(), "qyvol-trust 1\n");
    for (text, expected) in [
        (String::new(), "no trust store"),
        ("qyvol-trust 2\n".into(), "newer qyvol (version 2)"),
        ("qyvol-trust\n".into(), "no trust store"),
        (format!("{start}name hello\n"), "line 2 of the trust store stands before"),
        (format!("{start}key 00\n"), "line 2"),
        (format!("{start}key {}\n", "0".repeat(64)), "no usable Ed25519 key"),
        (format!("{start}key {one}\nkey {one}\n"), "twice"),
        (format!("{start}key {one}\nname A\n"), "line 3 of the trust store: `A` is no pattern"),
        (format!("{start}key {one}\ngrant net\n"), "line 3"),
        (format!("{start}key {one}\ngrants net\ngrants exec\n"), "line 4"),
        (format!("{start}key {one}\nrevoked no\n"), "line 3"),
        (format!("{start}key {one}\ncomment \x1b[2J\n"), "line 3"),
    ] {
        let error = TrustStore::from_text(&text).expect_err(&text).to_string();
        assert!(error.contains(expected), "`{error}` instead of `{expected}`");
    }
    let kept = TrustStore::from_text(&format!("{start}# a remark\n\n  key {one}\n\tname hello\n")).unwrap();
    assert_eq!(kept.keys().len(), 1);
    let bad = TrustedKey { comment: Some("a\nkey".into()), ..trusted(&key(1), &[]) };
    assert_eq!(TrustStore::default().insert(bad), Err(TrustError::Text));
}
