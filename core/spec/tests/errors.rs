//! Goal: a mistake in a manifest is reported at its place, with its mend, in these words.
//! Method: each `bad/*.qyv` is read and must fail with the text beside it; `UPDATE=1` writes the texts.
#![cfg(feature = "yaml")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use miette::Diagnostic;
use qyv_spec::Manifest;
use qyv_spec::yaml::{MANIFEST_BYTES_MAX, ManifestErrors, REPORTED_MAX};

fn rejected(bytes: &[u8], name: &str) -> ManifestErrors {
    Manifest::from_yaml_bytes(bytes, name).expect_err(name)
}

#[test]
fn every_bad_manifest_is_explained_in_these_words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("tests/bad exists") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none_or(|ending| ending != "qyv") {
            continue;
        }
        seen += 1;
        let name = path.file_name().expect("a file name").to_string_lossy().into_owned();
        let text = rejected(&fs::read(&path).expect("a readable file"), &name).to_string() + "\n";
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &text).expect("a writable folder");
        }
        if fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(format!("{name}:\n{text}"));
        }
    }
    assert!(seen >= 25, "only {seen} bad manifests were found");
    assert!(wrong.is_empty(), "not as in tests/bad (write with UPDATE=1):\n{}", wrong.join("\n"));
}

#[test]
fn bytes_that_are_no_text_are_explained() {
    let utf8 = rejected(b"name: a\nentrypoint: \xff.wasm\n", "a.qyv");
    assert!(utf8.errors[0].message.contains("not UTF-8"), "{utf8}");
    assert_eq!((utf8.errors[0].line, utf8.errors[0].column), (2, 13));
    let nul = rejected(b"name: a\nentrypoint: \"a\0.wasm\"\n", "a.qyv");
    assert!(nul.errors[0].message.contains("U+0000"), "{nul}");
    assert_eq!((nul.errors[0].line, nul.errors[0].column), (2, 15));
    let escape = rejected(b"name: a\nentrypoint: \x1b[2J.wasm\n", "a.qyv").to_string();
    assert!(!escape.contains('\x1b'), "{escape:?}");
}

#[test]
fn what_is_too_large_is_refused_at_once() {
    let huge = vec![b'a'; 100 << 20];
    let start = Instant::now();
    let errors = rejected(&huge, "a.qyv");
    assert!(errors.errors[0].message.contains("larger than 1048576 bytes"), "{errors}");
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    // The largest one that is looked at ends soon too, whatever it holds.
    for seed in
        ["a: ", "- ", "[", "{a: ", "&a ", "? ", "\"", "x\n", "a: &b [*b]\n", "# c\n", "!!str ", "|\n "]
    {
        let start = Instant::now();
        rejected(seed.repeat(MANIFEST_BYTES_MAX / seed.len()).as_bytes(), "a.qyv");
        assert!(start.elapsed() < Duration::from_secs(3), "{seed:?} {:?}", start.elapsed());
    }
}

#[test]
fn mistakes_are_reported_together_but_not_without_end() {
    let many: String = (0..100).map(|n| format!("k{n}: 1\n")).collect();
    let errors = rejected(format!("name: a\nentrypoint: a.wasm\n{many}").as_bytes(), "a.qyv");
    assert_eq!(errors.errors.len(), REPORTED_MAX);
}

#[test]
fn the_place_of_a_mistake_is_labelled_for_miette() {
    let text = "name: a\nentrypoint: a.wasm\nfs:\n  type: memfs\n  mount: /svc\n";
    let errors = rejected(text.as_bytes(), "a.qyv");
    let error = &errors.errors[0];
    let label = error.labels().and_then(|mut labels| labels.next()).expect("a label");
    assert_eq!(&text[label.offset()..label.offset() + label.len()], "/svc");
    let shown =
        error.source_code().expect("the text").read_span(label.inner(), 0, 0).expect("inside the text");
    assert_eq!((shown.line(), shown.name()), (4, Some("a.qyv")));
    assert!(error.help().is_some_and(|help| help.to_string().contains("/in")));
}
