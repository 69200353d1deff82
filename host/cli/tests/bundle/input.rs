//! Apps that are none, and bundles that ask for what a bundle may not have.

use std::io::Cursor;

use qyv_spec::app::{Hash, PackagedFile};
use qyv_spec::bundle::{Input, Writer};
use qyv_spec::{App, Manifest};

use crate::desk::Desk;

const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The bytes of a bundle with this App, which nobody checked.
fn bundle(app: Vec<u8>) -> Vec<u8> {
    let mut writer = Writer::new(app);
    let module = writer.module("main.wasm", Input::bytes(MODULE)).unwrap();
    writer.module_file("main.wasm", 0, module).unwrap();
    let mut output = Cursor::new(Vec::new());
    writer.write(&mut output, &[]).unwrap();
    output.into_inner()
}

fn app(manifest: &str) -> App {
    let manifest = Manifest::from_yaml(manifest, "test.qyv").unwrap();
    let program = PackagedFile {
        path: "main.wasm".parse().unwrap(),
        size: MODULE.len() as u64,
        blake3: Hash::of(MODULE),
    };
    manifest.resolve(vec![program]).unwrap()
}

const WITH_SLOT: &str = "name: taker
entrypoint: main.wasm
fs: { type: diskfs, mount: /in, source: \"slot:inbox\" }
";

#[test]
fn a_bundle_that_names_a_path_of_the_host_is_refused() {
    let desk = Desk::new();
    let beside = app(&WITH_SLOT.replace("slot:inbox", "inbox"));
    let slot = String::from_utf8(app(WITH_SLOT).to_json()).unwrap();
    assert!(slot.contains("slot:inbox"), "{slot}");
    let apps = [
        beside.to_json(),
        slot.replace("slot:inbox", "/etc").into_bytes(),
        slot.replace("slot:inbox", "../..").into_bytes(),
    ];
    for app in apps {
        desk.write("work/taker.qyvbin", bundle(app));
        for arguments in [
            &["run", "taker.qyvbin", "--allow-unsigned"][..],
            &["run", "taker.qyvbin", "--allow-unsigned", "--grant", "all", "--bind", "inbox=/etc"],
            &["verify", "taker.qyvbin"],
            &["inspect", "taker.qyvbin"],
            &["unpack", "taker.qyvbin"],
        ] {
            let said = desk.qyvol(arguments);
            assert_eq!((said.code, said.out.as_str()), (126, ""), "{arguments:?}: {said:?}");
            assert!(said.err.contains("App cannot be read"), "{}", said.err);
        }
    }
    // Nor can one be packed.
    desk.write("work/main.wasm", MODULE);
    desk.write("work/taker.qyv", WITH_SLOT.replace("slot:inbox", "inbox"));
    let said = desk.qyvol(&["pack", "taker.qyv"]);
    assert_eq!(said.code, 126, "{said:?}");
    assert!(said.err.starts_with("error: `taker` cannot be packed: "), "{}", said.err);
    assert!(said.err.contains("slot"), "it tells how to mend it: {}", said.err);
}

#[test]
fn a_slot_must_be_bound() {
    let desk = Desk::new();
    desk.write("work/taker.qyvbin", bundle(app(WITH_SLOT).to_json()));
    for more in [&[][..], &["--grant", "all"]] {
        let arguments = [&["run", "taker.qyvbin", "--allow-unsigned"], more].concat();
        let said = desk.qyvol(&arguments);
        assert_eq!(said.code, 126, "{said:?}");
        assert!(said.err.contains("--bind inbox="), "{}", said.err);
    }
}

#[test]
fn a_bundle_whose_app_and_files_differ_is_refused() {
    let desk = Desk::new();
    let honest = app("name: liar\nentrypoint: main.wasm\n");
    let mut wrong_hash = honest.clone();
    wrong_hash.files[0].blake3 = Hash::of(b"other");
    let mut wrong_size = honest.clone();
    wrong_size.files[0].size += 1;
    for liar in [wrong_hash, wrong_size] {
        desk.write("work/liar.qyvbin", bundle(liar.to_json()));
        let text = "error: `liar.qyvbin` cannot be used: the bundle's App and its files do not agree about `main.wasm`\n\
                    hint: fetch it again from where it came from; a bundle that was changed is never used\n";
        desk.fails(&["run", "liar.qyvbin", "--allow-unsigned"], 126, text);
        desk.fails(&["verify", "liar.qyvbin"], 126, text);
    }
}

#[test]
fn a_file_with_another_hash_than_the_app_says_does_not_verify() {
    let desk = Desk::new();
    let mut app = app("name: liar\nentrypoint: main.wasm\n");
    let data = PackagedFile { path: "data".parse().unwrap(), size: 4, blake3: Hash::of(b"true") };
    app.files.insert(0, data);
    let mut writer = Writer::new(app.to_json());
    let module = writer.module("main.wasm", Input::bytes(MODULE)).unwrap();
    writer.module_file("main.wasm", 0, module).unwrap();
    writer.file("data", 0, Input::bytes(b"lies")).unwrap();
    let mut output = Cursor::new(Vec::new());
    writer.write(&mut output, &[]).unwrap();
    desk.write("work/liar.qyvbin", output.into_inner());
    desk.ok(&["keygen"]);
    for arguments in [&["verify", "liar.qyvbin"], &["sign", "liar.qyvbin"], &["unpack", "liar.qyvbin"]] {
        let said = desk.qyvol(arguments);
        assert_eq!(said.code, 126, "{said:?}");
        assert!(said.err.contains("do not agree about `data`"), "{}", said.err);
    }
}

#[test]
fn native_code_is_no_app() {
    let desk = Desk::new();
    let elf = std::fs::read(crate::desk::qyvol()).unwrap();
    for name in ["native.cwasm", "native.qyvbin", "native.wasm", "native.qyv", "native"] {
        desk.write(&format!("work/{name}"), &elf[..1 << 16]);
        for command in ["run", "inspect", "pack"] {
            let said = desk.qyvol(&[command, name]);
            assert_eq!((said.code, said.out.as_str()), (126, ""), "{command} {name}: {said:?}");
            assert!(said.err.starts_with("error: "), "{command} {name}: {}", said.err);
        }
    }
    desk.fails(
        &["run", "native.cwasm"],
        126,
        "error: `native.cwasm` is native code\n\
         hint: native code is never loaded from outside; run the `.wasm` it was made from\n",
    );
}

#[test]
fn what_is_not_there_is_127() {
    let desk = Desk::new();
    for command in ["run", "pack", "sign", "verify", "inspect", "unpack", "build"] {
        if command == "sign" {
            desk.ok(&["keygen"]);
        }
        let said = desk.qyvol(&[command, "nothing.qyvbin"]);
        assert_eq!(said.code, 127, "{command}: {said:?}");
        assert!(said.err.contains("`nothing.qyvbin`"), "{command}: {}", said.err);
    }
    desk.write("work/x.qyv", "name: x\nentrypoint: missing.wasm\n");
    let said = desk.qyvol(&["pack", "x.qyv"]);
    assert!(said.err.contains("`missing.wasm` does not exist"), "{said:?}");
    desk.fails(
        &["sign", "x.qyvbin", "--key", "none"],
        127,
        &format!(
            "error: there is no key `{}`\nhint: `qyvol keygen --out NAME` makes one\n",
            desk.path("config/keys/none.key").display()
        ),
    );
}
