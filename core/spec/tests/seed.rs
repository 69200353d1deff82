//! Goal: the five fragments of the vision parse and resolve as they were written.
//! Method: each stands here verbatim; what a fragment leaves out (a name, a program) is put around it, never into it.
#![cfg(feature = "yaml")]

use qyv_spec::app::{App, HostFeatures};
use qyv_spec::manifest::{Kind, MountKind, OwnFiles, SchedulerMode, SchedulerPolicy};
use qyv_spec::{Manifest, app};

const CLASSIFIER: &str = "\
name: classifier-ia
entrypoint: models/image_classifier.wasm
runtime: wasi
permissions:
  fs: read-only
  net: false
  ai: true
env:
  MODEL_PATH: /models/resnet.onnx
language: julia
";
const NETFS: &str = "\
fs:
  type: netfs
  source: https://myserver.io/data/
  cache: true
";
const CAPABILITIES: &str = "\
permissions:
  fs: read-write
  net: false
  exec: false
";
const SCHEDULER: &str = "\
scheduler:
  mode: ai
  policy: fair + predictive
";
const GUI: &str = "\
type: gui
entrypoint: ui.wasm
permissions:
  gfx: true
";

fn resolved(text: &str, files: &[&str]) -> App {
    let manifest = Manifest::from_yaml(text, "fragment.qyv").unwrap_or_else(|errors| panic!("{errors}"));
    let file = |path: &&str| app::PackagedFile {
        path: path.parse().unwrap_or_else(|error| panic!("{error}")),
        size: 3,
        blake3: app::Hash::of(b"qyv"),
    };
    manifest.resolve(files.iter().map(file).collect()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn completed(fragment: &str) -> App {
    resolved(&format!("name: fragment\nentrypoint: app.wasm\n{fragment}"), &["app.wasm"])
}

fn missing(app: &App) -> Vec<String> {
    app.unavailable(&HostFeatures::default()).iter().map(ToString::to_string).collect()
}

#[test]
fn the_classifier() {
    let app = resolved(CLASSIFIER, &["models/image_classifier.wasm", "models/resnet.onnx"]);
    assert_eq!((app.permissions.fs, app.permissions.net.anywhere), (OwnFiles::ReadOnly, false));
    assert!(app.permissions.ai.is_some());
    assert_eq!(missing(&app), ["`permissions.ai`: inference: not available here yet"]);
    // The model that `env` names by guest path is packaged with the program, and nothing else.
    let selection = Manifest::from_yaml(CLASSIFIER, "a.qyv").unwrap_or_else(|e| panic!("{e}")).selection();
    let takes = |path: &str| path.parse().is_ok_and(|path| selection.takes(&path));
    assert!(takes("models/resnet.onnx") && takes("models/image_classifier.wasm"));
    assert!(!takes("models/other.onnx") && !takes("classifier.qyv"));
}

#[test]
fn the_file_system() {
    let app = completed(NETFS);
    assert_eq!((app.fs[0].kind, app.fs[0].mount.as_str(), app.fs[0].cache), (MountKind::Netfs, "/", true));
    assert_eq!(missing(&app), ["`fs[0]`: files of a server (`netfs`): not available here yet"]);
}

#[test]
fn the_capabilities() {
    let app = completed(CAPABILITIES);
    assert_eq!(app.permissions.fs, OwnFiles::ReadWrite);
    assert!(!app.permissions.exec.own && app.permissions.exec.run.is_empty());
    assert!(missing(&app).iter().all(|line| line.contains("private volume")));
}

#[test]
fn the_scheduler() {
    let app = completed(SCHEDULER);
    assert_eq!(
        (app.scheduler.mode, app.scheduler.policy),
        (SchedulerMode::Ai, SchedulerPolicy::FairPredictive)
    );
    assert_eq!(missing(&app), ["`scheduler`: a scheduler that predicts: not available here yet"]);
}

#[test]
fn the_window() {
    let app = resolved(&format!("name: fragment\n{GUI}"), &["ui.wasm"]);
    assert_eq!((app.kind, app.permissions.gfx), (Kind::Gui, true));
    assert_eq!(missing(&app).len(), 2, "{:?}", missing(&app));
}

#[test]
fn a_resolved_fragment_reads_back_from_its_one_spelling() {
    for app in [
        completed(CAPABILITIES),
        completed(NETFS),
        completed(SCHEDULER),
        resolved(CLASSIFIER, &["models/image_classifier.wasm"]),
    ] {
        assert_eq!(App::from_json(&app.to_json()), Ok(app));
    }
}
