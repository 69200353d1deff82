//! Attacks on the bundle reader. They run on a bundle that the writer made, and on headers made wrong on purpose.

use std::io::Cursor;

use super::limits::*;
use super::*;

const APP: &[u8] = br#"{"name":"hello","version":"1.0.0"}"#;
const CORE: &[u8] = b"\0asm\x01\0\0\0\0\x06\x04test\x07";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

pub(super) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&zeroize::Zeroizing::new([number; 32]), Some("test key")).unwrap()
}

/// The size of a file of two chunks, of which the second is small: decompressing the first takes most of the time.
const LARGE: u64 = CHUNK_BYTES + 5000;

/// Compresses well.
fn large() -> Vec<u8> {
    (0..LARGE).map(|at| ((at >> 13) % 251) as u8).collect()
}

/// Has every kind of section, raw and compressed chunks, an empty file and a file that is a module.
pub(super) fn sample(keys: &[&SecretKey]) -> Vec<u8> {
    let large = large();
    let mut writer = Writer::new(APP.to_vec());
    let module = writer.module("hello.wasm", Input::bytes(CORE)).unwrap();
    writer.module("runtime/other.wasm", Input::bytes(COMPONENT)).unwrap();
    writer.module_file("hello.wasm", 0, module).unwrap();
    writer.file("data/large.bin", 1_700_000_000, Input::bytes(&large)).unwrap();
    writer.file("data/empty", 0, Input::bytes(b"")).unwrap();
    writer.file("data-2/text", 0, Input::bytes(b"unas palabras")).unwrap();
    writer.sbom(b"{}".to_vec());
    let mut output = Cursor::new(Vec::new());
    writer.write(&mut output, keys).unwrap();
    output.into_inner()
}

/// Opens, reads everything and checks the signatures: what the CLI does before it trusts a bundle.
fn accept(bytes: &[u8]) -> Result<()> {
    let bundle = Bundle::open(bytes)?;
    if let Verdict::BadSignature { key } = verify(&bundle, "hello", &TrustStore::default()) {
        return Err(Error::BadSignature { key });
    }
    bundle.check_contents()
}

/// What a host does that runs a program from its cache: the stored bytes are checked, nothing is decompressed.
fn accept_stored(bytes: &[u8]) -> Result<()> {
    let bundle = Bundle::open(bytes)?;
    if let Verdict::BadSignature { key } = verify(&bundle, "hello", &TrustStore::default()) {
        return Err(Error::BadSignature { key });
    }
    bundle.check_stored()
}

fn refusal(bytes: &[u8]) -> Error {
    accept(bytes).expect_err("the bundle was accepted")
}

/// Puts a changed header into a bundle and mends the hash, as an attacker would.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let bundle = Bundle::open(bytes).unwrap();
    let (mut header, end) = (bundle.header().to_vec(), bundle.sign(&key(9)).unwrap().offset as usize);
    change(&mut header);
    let mut changed = bytes[..end].to_vec();
    changed[..header.len()].copy_from_slice(&header);
    changed.extend_from_slice(blake3::hash(&header).as_bytes());
    changed.extend_from_slice(&[0; 8]);
    changed
}

fn put(header: &mut [u8], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Where the section record `index` begins.
fn record(header: &[u8], index: usize) -> usize {
    let mut at = PRELUDE_BYTES;
    for _ in 0..index {
        let number = |from: usize, count: usize| {
            let mut bytes = [0; 8];
            bytes[..count].copy_from_slice(&header[at + from..][..count]);
            u64::from_le_bytes(bytes)
        };
        let chunks = if number(0, 4) == 3 { 0 } else { number(24, 8).div_ceil(CHUNK_BYTES) };
        at += SECTION_RECORD_BYTES + number(64, 2) as usize + chunks as usize * CHUNK_RECORD_BYTES;
    }
    at
}

fn find(header: &[u8], text: &[u8]) -> usize {
    header.windows(text.len()).rposition(|window| window == text).unwrap()
}

#[test]
fn what_was_packed_is_read() {
    let bytes = sample(&[&key(1)]);
    let bundle = Bundle::open(&bytes).unwrap();
    bundle.check_contents().unwrap();
    assert_eq!(bundle.read_app().unwrap(), APP);
    assert_eq!(bundle.read_sbom().unwrap().unwrap(), b"{}");
    assert_eq!(bundle.read_module(0).unwrap(), CORE);
    assert_eq!(bundle.read_module(2), Err(Error::NoSuchEntry));
    let modules: Vec<_> = bundle.modules().map(|module| (module.name, module.kind, module.size)).collect();
    assert_eq!(
        modules,
        [("hello.wasm", ModuleKind::Core, 16), ("runtime/other.wasm", ModuleKind::Component, 8)]
    );
    assert_eq!(bundle.modules().next().unwrap().hash, *blake3::hash(CORE).as_bytes());
    let files: Vec<_> =
        bundle.files().map(|file| (file.path, file.size, file.modified, file.module)).collect();
    let expected = [
        ("data/empty", 0, 0, None),
        ("data/large.bin", LARGE, 1_700_000_000, None),
        ("data-2/text", 13, 0, None),
        ("hello.wasm", 16, 0, Some(0)),
    ];
    assert_eq!(files, expected);
    for file in bundle.files() {
        assert_eq!(bundle.find(file.path), Some(file.index));
    }
    assert_eq!(bundle.find("data"), None);
}

#[test]
fn files_are_read_at_any_offset() {
    let bytes = sample(&[]);
    let bundle = Bundle::open(&bytes).unwrap();
    let (large, index) = (large(), bundle.find("data/large.bin").unwrap());
    let mut cache = ChunkCache::new(1);
    let mut read = |offset: u64, count: usize| {
        let mut buffer = vec![0xee; count];
        let read = bundle.read_at(index, offset, &mut buffer, &mut cache).unwrap();
        buffer.truncate(read);
        buffer
    };
    for (offset, count) in [(0, 10), (CHUNK_BYTES - 3, 7), (100, 3 << 20), (LARGE - 1, 2), (LARGE, 1), (7, 0)]
    {
        let start = offset as usize;
        assert_eq!(read(offset, count), large[start..(start + count).min(large.len())], "{offset} {count}");
    }
    assert!(read(u64::MAX, 8).is_empty());
    assert!(read(u64::MAX - 3, 8).is_empty());
    let mut buffer = [0; 32];
    let shared = bundle.find("hello.wasm").unwrap();
    assert_eq!(bundle.read_at(shared, 4, &mut buffer, &mut cache), Ok(12));
    assert_eq!(buffer[..12], CORE[4..]);
    let empty = bundle.find("data/empty").unwrap();
    assert_eq!(bundle.read_at(empty, 0, &mut buffer, &mut cache), Ok(0));
    assert_eq!(bundle.read_at(99, 0, &mut buffer, &mut cache), Err(Error::NoSuchEntry));
}

#[test]
fn any_changed_byte_is_refused() {
    let bytes = sample(&[&key(1), &key(2)]);
    accept(&bytes).unwrap();
    accept_stored(&bytes).unwrap();
    let mut changed = bytes.clone();
    for at in 0..bytes.len() {
        for bit in [0x01, 0x10, 0x80] {
            changed[at] ^= bit;
            assert!(accept(&changed).is_err(), "byte {at} changed by {bit:#x}");
            assert!(accept_stored(&changed).is_err(), "byte {at} changed by {bit:#x}, stored");
            changed[at] ^= bit;
        }
    }
}

#[test]
fn a_cut_or_lengthened_bundle_is_refused() {
    let mut bytes = sample(&[&key(1)]);
    for length in 0..bytes.len() {
        let error = Bundle::open(&bytes[..length]).expect_err("a cut bundle was opened");
        let expected = matches!(error, Error::NotABundle | Error::Truncated { .. });
        assert!(expected, "{length}: {error}");
    }
    bytes.push(0);
    assert!(matches!(refusal(&bytes), Error::TrailingBytes { .. }));
}

#[test]
fn a_changing_source_gives_errors_and_nothing_else() {
    let bytes = sample(&[]);
    let bundle = Bundle::open(&bytes).unwrap();
    let other: Vec<u8> =
        bytes.iter().enumerate().map(|(at, byte)| if at < 4096 { *byte } else { !byte }).collect();
    assert!(matches!(Bundle::open(&other), Err(Error::HeaderDamaged)));
    let mut cache = ChunkCache::new(1);
    let text = bundle.find("data-2/text").unwrap();
    let at = find(&bytes, b"unas palabras");
    let mut swapped = bytes.clone();
    swapped[at] = b'U';
    let bundle = Bundle::open(&swapped).unwrap();
    let error = bundle.read_at(text, 5, &mut [0; 3], &mut cache).unwrap_err();
    assert_eq!(error.to_string(), "the file `data-2/text` is damaged: chunk 0 does not have its hash");
}

#[test]
fn lying_headers_are_refused() {
    type Change = fn(&mut Vec<u8>);
    let bytes = sample(&[]);
    let cases: &[(&str, Change)] = &[
        ("newer qyvol (format 2", |h| put(h, 8, &[2])),
        ("unknown format: 0", |h| put(h, 8, &[0])),
        ("not a `.qyvbin` bundle", |h| put(h, 0, b"PK")),
        ("too much in its section count", |h| put(h, 16, &[68])),
        ("no App section", |h| put(h, 16, &[0])),
        ("too much in its file count", |h| put(h, 20, &[0xff; 4])),
        ("too much in its file count for its header", |h| put(h, 20, &[0, 1])),
        ("not zero in its header", |h| put(h, 28, &[1])),
        ("time after the year 2554", |h| put(h, 32, &[0xff; 8])),
        ("unknown kind 5", |h| put(h, PRELUDE_BYTES, &[5])),
        ("no App section", |h| put(h, PRELUDE_BYTES, &[2])),
        ("not zero in its section record", |h| put(h, PRELUDE_BYTES + 4, &[1])),
        ("App section begins at byte 8192 instead of 4096", |h| put(h, PRELUDE_BYTES + 9, &[0x20])),
        ("App section begins at byte 0 instead of 4096", |h| put(h, PRELUDE_BYTES + 9, &[0])),
        ("too much in its App", |h| put(h, PRELUDE_BYTES + 24 + 7, &[0x7f])),
        ("App section is empty", |h| put(h, PRELUDE_BYTES + 24, &[0])),
        ("stored in 34", |h| put(h, PRELUDE_BYTES + 24, &[5])),
        ("App section declares 35 bytes, its parts have 34", |h| put(h, PRELUDE_BYTES + 16, &[35])),
        ("stored in 0", |h| put(h, PRELUDE_BYTES + SECTION_RECORD_BYTES, &[0])),
        ("App section is repeated", |h| {
            let at = record(h, 1);
            put(h, at, &[1]);
        }),
        ("unknown kind 3", |h| {
            let at = record(h, 1);
            put(h, at + 4, &[3]);
        }),
        ("begins at byte", |h| {
            let at = record(h, 2);
            put(h, at + 9, &[0x20]);
        }),
        ("climbs with `..`", |h| {
            let at = find(h, b"runtime/other");
            put(h, at, b"../time");
        }),
        ("two modules named `hello.wasm`", |h| {
            let (first, second) = (record(h, 1) + 64, record(h, 2) + 64);
            put(h, first, &[10]);
            let at = second;
            let rest = h.split_off(at + 2 + 18);
            h.truncate(at);
            h.extend_from_slice(&[10, 0]);
            h.extend_from_slice(b"hello.wasm");
            h.extend_from_slice(&rest);
            let length = h.len() as u32;
            put(h, 12, &length.to_le_bytes());
        }),
        ("begins with `/`", |h| {
            let at = find(h, b"data/empty");
            put(h, at, b"/");
        }),
        ("empty name", |h| {
            let at = find(h, b"data/empty");
            put(h, at, b"dat//");
        }),
        ("has a `.`", |h| {
            let at = find(h, b"data/empty");
            put(h, at, b"./ta");
        }),
        ("is not UTF-8", |h| {
            let at = find(h, b"data/empty");
            put(h, at, b"\xff");
        }),
        ("control character", |h| {
            let at = find(h, b"data/empty");
            put(h, at, b"\x1b");
        }),
        ("not in order", |h| {
            let at = find(h, b"data/empty");
            put(h, at, b"zata");
        }),
        ("not in order", |h| {
            let at = find(h, b"hello.wasm");
            put(h, at, b"aello");
        }),
        ("as a file and as a folder", |h| {
            let (file, folder) = (find(h, b"data/empty"), find(h, b"data/large.bin"));
            put(h, file, b"data/larga");
            put(h, folder, b"data/larga/bin");
        }),
        ("is not the module 7", |h| {
            let at = find(h, b"hello.wasm");
            put(h, at - 18, &[7]);
        }),
        ("is not the module 2", |h| {
            let at = find(h, b"hello.wasm");
            put(h, at - 18, &[2]);
        }),
        ("is not the module 1", |h| {
            let at = find(h, b"hello.wasm");
            put(h, at - 16, &[15]);
        }),
        ("cut off in its header", |h| {
            let at = find(h, b"data/large.bin");
            put(h, at - 16 + 7, &[0x7f]);
        }),
        ("stored in", |h| {
            let at = find(h, b"data/large.bin") + 14;
            put(h, at, &[0xff; 4]);
        }),
        ("files section declares", |h| {
            let at = record(h, 3);
            put(h, at + 16, &[0xee]);
        }),
        ("files section declares", |h| {
            let at = record(h, 3);
            put(h, at + 24, &[0xee]);
        }),
        ("not zero in its files section record", |h| {
            let at = record(h, 3);
            put(h, at + 32, &[1]);
        }),
        ("SBOM section begins", |h| {
            let at = record(h, 4);
            put(h, at + 8 + 7, &[0xff]);
        }),
        ("is damaged: chunk 0", |h| {
            let at = record(h, 1) + SECTION_RECORD_BYTES + 10 + 4;
            put(h, at, &[0; 32]);
        }),
        ("the module `hello.wasm` does not have its hash", |h| {
            let at = record(h, 1);
            put(h, at + 32, &[0; 32]);
        }),
        ("not of the kind", |h| {
            let at = record(h, 1);
            put(h, at + 4, &[2]);
        }),
        ("has 40 bytes", |h| put(h, 12, &[39, 0, 0, 0])),
        ("too much in its header", |h| put(h, 12, &[0xff; 4])),
        ("header has", |h| {
            let length = h.len() as u32 + 1;
            put(h, 12, &length.to_le_bytes());
            h.push(0);
        }),
        ("cut off in its header", |h| {
            let length = h.len() as u32 - 1;
            put(h, 12, &length.to_le_bytes());
            h.pop();
        }),
    ];
    for (expected, change) in cases {
        let text = refusal(&with_header(&bytes, change)).to_string();
        assert!(text.contains(expected), "`{text}` instead of `{expected}`");
    }
}

#[test]
fn swapped_sections_and_files_are_refused() {
    let bytes = sample(&[]);
    let mut swapped = bytes.clone();
    for count in [8, 4096] {
        put(&mut swapped, 8192, &bytes[12288..][..count]);
        put(&mut swapped, 12288, &bytes[8192..][..count]);
        assert!(matches!(refusal(&swapped), Error::ChunkDamaged { .. } | Error::NotZero { .. }));
    }
    let mut padded = bytes.clone();
    padded[8191] = 1;
    assert_eq!(refusal(&padded), Error::NotZero { what: "padding" });
}

#[test]
fn what_is_no_wasm_is_neither_packed_nor_read() {
    let mut writer = Writer::new(APP.to_vec());
    writer.module("a.wasm", Input::bytes(b"\x7fELF....")).unwrap();
    let result = writer.write(&mut Cursor::new(Vec::new()), &[]);
    assert!(matches!(result, Err(WriteError::Refused(Error::NotWasm { .. }))), "{result:?}");

    let bytes = sample(&[]);
    let fake = *b"\x7fELF\x01\0\0\0\0\x06\x04test\x07";
    let mut changed = with_header(&bytes, |h| {
        let at = record(h, 1);
        put(h, at + 32, blake3::hash(&fake).as_bytes());
        put(h, at + SECTION_RECORD_BYTES + 10 + 4, blake3::hash(&fake).as_bytes());
    });
    put(&mut changed, 8192, &fake);
    assert_eq!(refusal(&changed), Error::NotWasm { name: "hello.wasm".into() });
}

#[test]
fn a_frame_that_lies_is_refused_after_its_hash_was_right() {
    let bytes = sample(&[]);
    let bundle = Bundle::open(&bytes).unwrap();
    let text = find(bundle.header(), b"data/large.bin") + 14;
    let stored = u32::from_le_bytes(bundle.header()[text..text + 4].try_into().unwrap()) as usize;
    let at = 16384;
    for (expected, change) in [
        ("frame header", [(0, 0x29_u8)]),
        ("frame header", [(4, 0xa4)]),
        ("declares another size", [(5, 1)]),
        ("blocks do not fill", [(9, 0xff)]),
        ("decompress", [(12, 0xff)]),
    ] {
        let mut frame = bytes[at..at + stored].to_vec();
        change.iter().for_each(|(offset, byte)| frame[*offset] = *byte);
        let mut changed = with_header(&bytes, |h| put(h, text + 4, blake3::hash(&frame).as_bytes()));
        put(&mut changed, at, &frame);
        let error = refusal(&changed).to_string();
        assert!(error.contains(expected), "`{error}` instead of `{expected}`");
    }
}

#[test]
fn odd_inputs_are_not_packed() {
    let mut writer = Writer::new(APP.to_vec());
    assert!(matches!(writer.file("../up", 0, Input::bytes(b"")), Err(Error::Path { .. })));
    assert!(matches!(writer.module("/a.wasm", Input::bytes(CORE)), Err(Error::Path { .. })));
    assert_eq!(writer.module_file("a", 0, 0), Err(Error::NoSuchEntry));
    let write = |paths: &[&str], size: u64| {
        let mut writer = Writer::new(APP.to_vec());
        for path in paths {
            writer.file(path, 0, Input::reader(size, || Ok(&b"four"[..]))).unwrap();
        }
        writer.write(&mut Cursor::new(Vec::new()), &[]).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(write(&["a", "b"], 4), Ok(()));
    for (paths, size, expected) in [
        (&["a", "a"][..], 4, "twice"),
        (&["a", "a/b"], 4, "as a file and as a folder"),
        (&["a"], 3, "changed meanwhile"),
        (&["a"], 5, "changed meanwhile"),
        (&["a"], u64::MAX, "too much in its header"),
    ] {
        let error = write(paths, size).unwrap_err();
        assert!(error.contains(expected), "`{error}` instead of `{expected}`");
    }
    let (one, two) = (key(1), key(1));
    let twice = Writer::new(APP.to_vec()).write(&mut Cursor::new(Vec::new()), &[&one, &two]);
    assert!(matches!(twice, Err(WriteError::Refused(Error::DuplicateSignature { .. }))));
}

#[test]
fn the_order_of_packing_does_not_matter() {
    let write = |paths: [&str; 3]| {
        let mut writer = Writer::new(APP.to_vec());
        for path in paths {
            writer.file(path, 7, Input::bytes(path.as_bytes())).unwrap();
        }
        let mut output = Cursor::new(Vec::new());
        writer.write(&mut output, &[&key(1)]).unwrap();
        output.into_inner()
    };
    assert_eq!(write(["a", "b/c", "b-"]), write(["b-", "a", "b/c"]));
    assert_eq!(sample(&[&key(3)]), sample(&[&key(3)]));
}

#[cfg(feature = "yaml")]
#[test]
fn the_app_and_the_files_must_agree() {
    let file = |path: &str, content: &[u8]| crate::app::PackagedFile {
        path: path.parse().unwrap(),
        size: content.len() as u64,
        blake3: crate::app::Hash::of(content),
    };
    let pack = |listed: &[(&str, &[u8])], packed: &[(&str, &[u8])]| {
        let manifest = crate::Manifest::from_yaml("name: a\nentrypoint: a.wasm\n", "a.qyv").unwrap();
        let app =
            manifest.resolve(listed.iter().map(|(path, content)| file(path, content)).collect()).unwrap();
        let mut writer = Writer::new(app.to_json());
        for (path, content) in packed {
            if path.ends_with(".wasm") {
                let module = writer.module(path, Input::bytes(content)).unwrap();
                writer.module_file(path, 0, module).unwrap();
            } else {
                writer.file(path, 0, Input::bytes(content)).unwrap();
            }
        }
        let mut output = Cursor::new(Vec::new());
        writer.write(&mut output, &[]).unwrap();
        let bundle = Bundle::open(output.into_inner()).unwrap();
        bundle.app().map(|app| (bundle.entrypoint_module(&app), app.name.to_string()))
    };
    let differs = |path: &str| Err(Error::AppFile { path: path.into() });
    let both: [(&str, &[u8]); 2] = [("a.wasm", CORE), ("b", b"1")];
    assert_eq!(pack(&both, &both), Ok((Ok(0), "a".into())));
    assert_eq!(pack(&both, &both[..1]), differs("b"));
    assert_eq!(pack(&both[..1], &both), differs("b"));
    assert_eq!(pack(&both, &[("a.wasm", CORE), ("b", b"12")]), differs("b"));
    assert_eq!(
        pack(&both, &[("a.wasm", b"\0asm\x01\0\0\0\0\x06\x04tost\x07"), ("b", b"1")]),
        differs("a.wasm")
    );
    let no_app = Bundle::open(sample(&[])).unwrap().app().unwrap_err().to_string();
    assert!(no_app.starts_with("the bundle's App cannot be read: "), "{no_app}");
}
