//! Writes the seeds of the fuzz targets into `corpus/<target>/` of the folder that it is started in.
//!
//! It has the shape of a target, though it tries nothing: what is compiled for fuzzing only links with libFuzzer.
#![no_main]

use std::io::Cursor;
use std::path::Path;
use std::{fs, io};

use libfuzzer_sys::fuzz_target;
use qyv_spec::bundle::{Input, SecretKey, Writer};
use zeroize::Zeroizing;

fuzz_target!(init: write().expect("the seeds can be written"), |_input: &[u8]| {});

fn write() -> io::Result<()> {
    let corpus = Path::new("corpus");
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let put = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(corpus.join(target))?;
        fs::write(corpus.join(target).join(name), bytes)
    };

    let key = SecretKey::from_seed(&Zeroizing::new([1; 32]), None).expect("no note to refuse");
    let text = "a line that repeats itself\n".repeat(100);
    for (name, files) in [("empty", 0), ("small", 3)] {
        let mut writer = Writer::new(b"{\"name\":\"seed\"}".to_vec());
        let module = writer.module("seed.wasm", Input::bytes(b"\0asm\x01\0\0\0")).expect("a sound name");
        writer.module_file("seed.wasm", 0, module).expect("a sound path");
        for number in 0..files {
            writer.file(&format!("d/{number}"), 7, Input::bytes(text.as_bytes())).expect("a sound path");
        }
        let mut output = Cursor::new(Vec::new());
        writer.write(&mut output, &[]).map_err(io::Error::other)?;
        put("bundle", name, output.get_ref())?;
    }
    put("bundle", "golden", &fs::read(spec.join("tests/golden/v1.qyvbin"))?)?;

    for level in [3, 9, 19] {
        let frame = zstd::bulk::compress(text.as_bytes(), level)?;
        put("frames", &format!("frame-{level}"), &[&[0], &frame[..]].concat())?;
        put("frames", &format!("text-{level}"), &[&[1], text.as_bytes()].concat())?;
    }

    let public = key.public();
    let store =
        format!("qyvol-trust 1\n\nkey {public}\nname acme/*\nname a-*\ngrants net\ncomment words\nrevoked\n");
    put("trust", "store", store.as_bytes())?;
    put("trust", "public", public.to_text(Some("note")).map_err(io::Error::other)?.as_bytes())?;
    put("trust", "secret", key.to_text().as_bytes())?;

    put("app", "every-key", fs::read(spec.join("tests/every-key.json"))?.trim_ascii())?;
    put("manifest", "every-key", &fs::read(spec.join("tests/every-key.qyv"))?)?;
    put("manifest", "small", b"name: a\nentrypoint: a.wasm\n")
}
