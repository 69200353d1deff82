//! The trust store's text and the key files: what is read is written and read again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qyv_spec::bundle::{PublicKey, SecretKey, TrustStore};

fuzz_target!(|text: &str| {
    if let Ok(store) = TrustStore::from_text(text) {
        assert_eq!(TrustStore::from_text(&store.to_text()), Ok(store.clone()));
        for entry in store.keys() {
            let _ = entry.names.iter().any(|name| name.matches(text));
        }
    }
    if let Ok((key, note)) = PublicKey::from_text(text) {
        assert_eq!(PublicKey::from_text(&key.to_text(note.as_deref()).unwrap()), Ok((key, note)));
    }
    if let Ok(key) = SecretKey::from_text(text) {
        assert_eq!(SecretKey::from_text(&key.to_text()).unwrap().public(), key.public());
    }
});
