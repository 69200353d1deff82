//! A bundle that an earlier build wrote is read for ever, and written again byte for byte.
//!
//! When the writer's output changes on purpose, raise `WRITER_VERSION`, keep the old file as one that is only read,
//! and add the new one: `cargo test -p qyv-spec --features write --test golden_bundle -- --nocapture` names the
//! differing byte, and with `QYV_WRITE_GOLDEN=1` writes a missing file.
#![cfg(feature = "write")]

use std::io::Cursor;

use qyv_spec::bundle::{
    Bundle, ChunkCache, Input, ModuleKind, SecretKey, TrustStore, Verdict, Writer, verify,
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1.qyvbin");
const APP: &[u8] = br#"{"name":"golden","version":"1.2.3"}"#;
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// The secret half is in this file, so this key must never be trusted for anything.
const KEY: &str = "qyvol-secret-key 1\nnote golden test key, public knowledge\n\
    public 8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\n\
    secret 0101010101010101010101010101010101010101010101010101010101010101\n";

fn text() -> Vec<u8> {
    "Una línea que se repite, para que se comprima.\n".repeat(50).into_bytes()
}

fn written() -> Vec<u8> {
    let (key, text) = (SecretKey::from_text(KEY).unwrap(), text());
    let mut writer = Writer::new(APP.to_vec());
    let module = writer.module("golden.wasm", Input::bytes(MODULE)).unwrap();
    writer.module_file("golden.wasm", 1_600_000_000, module).unwrap();
    writer.file("docs/léeme.txt", 1_600_000_001, Input::bytes(&text)).unwrap();
    writer.file("raw", 0, Input::bytes(b"raw")).unwrap();
    writer.sbom(b"{\"components\":[]}".to_vec());
    writer.created(1_600_000_002);
    let mut output = Cursor::new(Vec::new());
    writer.write(&mut output, &[&key]).unwrap();
    output.into_inner()
}

#[test]
fn the_first_format_is_read_for_ever() {
    let bytes = std::fs::read(GOLDEN).unwrap();
    let bundle = Bundle::open(&bytes).unwrap();
    bundle.check_contents().unwrap();
    assert_eq!((bundle.writer_version(), bundle.created()), (1, 1_600_000_002));
    assert_eq!(bundle.read_app().unwrap(), APP);
    assert_eq!(bundle.read_sbom().unwrap().unwrap(), b"{\"components\":[]}");
    assert_eq!(bundle.read_module(0).unwrap(), MODULE);
    assert_eq!(bundle.modules().next().unwrap().kind, ModuleKind::Core);
    let files: Vec<_> = bundle.files().map(|file| (file.path, file.modified)).collect();
    assert_eq!(files, [("docs/léeme.txt", 1_600_000_001), ("golden.wasm", 1_600_000_000), ("raw", 0)]);
    let mut content = vec![0; 4000];
    let read = bundle.read_at(0, 0, &mut content, &mut ChunkCache::new(1)).unwrap();
    assert_eq!(content[..read], text());
    let public = SecretKey::from_text(KEY).unwrap().public();
    let store = TrustStore::from_text(&format!("qyvol-trust 1\nkey {public}\nname golden\n")).unwrap();
    assert!(matches!(verify(&bundle, "golden", &store), Verdict::Trusted { key, .. } if key == public));
}

#[test]
fn the_writer_still_writes_the_same() {
    let written = written();
    if std::env::var_os("QYV_WRITE_GOLDEN").is_some() && !std::path::Path::new(GOLDEN).exists() {
        std::fs::write(GOLDEN, &written).unwrap();
    }
    let golden = std::fs::read(GOLDEN).unwrap();
    assert_eq!(written.len(), golden.len());
    let differing = written.iter().zip(&golden).position(|(left, right)| left != right);
    assert_eq!(differing, None, "the first byte that differs");
}
