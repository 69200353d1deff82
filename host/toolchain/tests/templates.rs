//! Goal: what `template` writes is recognised and built, in each language whose tools are here, with and without `release`.
//! Method: the real compilers, in a fresh folder. What is missing is said; in CI that is a failure. That the programs run is
//! shown by the tests of the command.

use std::fs;
use std::time::Duration;

use qyvol_toolchain::{
    Host, Language, Observer, Part, Project, build, missing, optimise, recognise, template,
};

/// Shows what failed, when a test does.
struct Printed;

impl Observer for Printed {
    fn runs(&mut self, line: &str) {
        println!("$ {line}");
    }

    fn waits(&mut self, _: Duration) {}

    fn printed(&mut self, bytes: &[u8]) {
        println!("{}", String::from_utf8_lossy(bytes));
    }

    fn notes(&mut self, text: &str) {
        println!("{text}");
    }
}

#[track_caller]
fn is_built(language: Language) {
    let (host, folder) = (Host::of_process(), tempfile::tempdir().unwrap());
    let parts = missing(language, &host, folder.path());
    if !parts.is_empty() {
        let lacking: Vec<_> = parts.iter().filter_map(Part::trouble).collect();
        let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!is_ci, "CI leaves nothing out: {lacking:?}");
        eprintln!("left out: {language}, as {}", lacking.join(", "));
        return;
    }
    for file in template(language, "hello") {
        let path = folder.path().join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.text).unwrap();
    }
    assert_eq!(recognise(folder.path(), None).unwrap(), language);
    let mut project = Project {
        folder: folder.path().to_owned(),
        name: "hello".to_owned(),
        release: false,
        component: false,
        colours: false,
    };
    let daily = build(language, &project, &host, &mut Printed).unwrap();
    project.release = true;
    let built = build(language, &project, &host, &mut Printed).unwrap();
    let small = optimise(&built, folder.path(), &host, &mut Printed).unwrap();
    let sizes = [daily.len(), built.len(), small.bytes.len()];
    println!("{language}: daily, built, small {sizes:?} {:?}", small.without);
    assert!(small.bytes.len() <= built.len() && small.bytes.starts_with(b"\0asm"));
}

#[test]
fn rust() {
    is_built(Language::Rust);
}

#[test]
fn c() {
    is_built(Language::C);
}

#[test]
fn nim() {
    is_built(Language::Nim);
}

#[test]
fn kotlin() {
    is_built(Language::Kotlin);
}

#[test]
fn go() {
    is_built(Language::Go);
}
