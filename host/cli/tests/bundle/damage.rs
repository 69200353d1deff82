//! Bundles that were changed, cut or made up: refused, with a reason, and never run.

use std::time::{Duration, Instant};

use crate::desk::{Desk, noise};

/// Where the sections of the bundle that the tests make begin and end, as far as they must be hit.
const POSITIONS: usize = 200;

#[test]
fn a_bundle_with_any_byte_changed_is_refused_and_never_runs() {
    let desk = Desk::with_trusted_bundle();
    assert_eq!(desk.ok(&["run", "hello.qyvbin"]), "hello\n", "and its code is in the cache now");
    let bytes = desk.read("work/hello.qyvbin");
    let last = bytes.len() - 1;
    // All of the first bytes and of the trailer, and others evenly.
    let ends = (0..40).chain(last - 60..=last);
    for at in ends.chain((0..POSITIONS).map(|number| 40 + number * (last - 40) / POSITIONS)) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        desk.write("work/changed.qyvbin", &changed);
        for command in ["run", "verify"] {
            let said = desk.qyvol(&[command, "changed.qyvbin"]);
            assert_eq!((said.code, said.out.as_str()), (126, ""), "byte {at}, {command}: {said:?}");
            assert!(said.err.starts_with("error: `changed.qyvbin` "), "byte {at}, {command}: {}", said.err);
            assert!(said.err.contains("\nhint: "), "byte {at}, {command}: {}", said.err);
        }
    }
}

#[test]
fn a_changed_program_is_refused_with_a_warm_cache() {
    let desk = Desk::with_trusted_bundle();
    desk.ok(&["run", "hello.qyvbin"]);
    let mut bytes = desk.read("work/hello.qyvbin");
    let at = bytes.windows(4).position(|four| four == b"\0asm").unwrap();
    bytes[at + 9] ^= 1;
    desk.write("work/hello.qyvbin", &bytes);
    desk.fails(
        &["run", "hello.qyvbin"],
        126,
        "error: `hello.qyvbin` cannot be used: the module `main.wasm` is damaged: chunk 0 does not have its hash\n\
         hint: fetch it again from where it came from; a bundle that was changed is never used\n",
    );
}

#[test]
fn a_cut_empty_random_or_huge_file_is_no_bundle() {
    let desk = Desk::with_trusted_bundle();
    let bytes = desk.read("work/hello.qyvbin");
    for part in 0..40 {
        desk.write("work/cut.qyvbin", &bytes[..bytes.len() * part / 40]);
        for command in ["run", "verify", "inspect", "unpack", "sign"] {
            let said = desk.qyvol(&[command, "cut.qyvbin"]);
            assert_eq!((said.code, said.out.as_str()), (126, ""), "{command} {part}: {said:?}");
        }
    }
    assert!(!desk.path("work/cut").exists());
    desk.write("work/random.qyvbin", noise(100_000));
    desk.write("work/zero.qyvbin", "");
    let huge = std::fs::File::create(desk.path("work/huge.qyvbin")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let begin = Instant::now();
    for name in ["random", "zero", "huge"] {
        let text = format!(
            "error: `{name}.qyvbin` cannot be used: this is not a `.qyvbin` bundle\n\
             hint: fetch it again from where it came from; a bundle that was changed is never used\n"
        );
        desk.fails(&["run", &format!("{name}.qyvbin")], 126, &text);
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let mut longer = bytes;
    longer.extend_from_slice(b"more");
    desk.write("work/longer.qyvbin", longer);
    assert!(desk.qyvol(&["run", "longer.qyvbin"]).err.contains("but "), "bytes after the end");
}

#[test]
fn a_signature_of_another_bundle_does_not_fit() {
    let desk = Desk::with_trusted_bundle();
    let signed = desk.read("work/hello.qyvbin");
    let signature = &signed[signed.len() - 104..];
    desk.write("work/data/text.txt", "other words\n");
    desk.ok(&["pack", "hello.qyv", "-o", "other.qyvbin"]);
    // The trailer ends with the number of signatures and four zeros.
    let mut other = desk.read("work/other.qyvbin");
    let count = other.len() - 8;
    other[count] = 1;
    other.extend_from_slice(signature);
    desk.write("work/other.qyvbin", other);
    let id = desk.qyvol(&["trust", "ls", "--json"]).json()["keys"][0]["id"].as_str().unwrap().to_owned();
    let text = format!(
        "error: `other.qyvbin` was changed after it was signed: a signature of key {id} does not fit\n\
         hint: fetch it again from where it came from\n"
    );
    for command in [&["run", "other.qyvbin"][..], &["verify", "other.qyvbin"], &["unpack", "other.qyvbin"]] {
        desk.fails(command, 126, &text);
    }
    desk.fails(&["run", "other.qyvbin", "--allow-unsigned"], 126, &text);
    assert_eq!(desk.qyvol(&["sign", "other.qyvbin"]).code, 126);
    assert_eq!(desk.qyvol(&["trust", "add", "other.qyvbin", "--name", "hello"]).code, 126);
}
