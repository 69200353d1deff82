//! `cargo xtask demo`: an app from its source to a run from its signed bundle, then a denial and its mending.
//!
//! Everything is written below `target/demo`, the key and the trust store too, and made anew each time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::shell::{cargo, output, program, root, run as start, shown, target_folder};

/// Where the app's private volume, keys and compiled code go, by the variable that says so.
const HOME: [(&str, &str); 3] =
    [("QYVOL_CONFIG_DIR", "config"), ("QYVOL_DATA_DIR", "data"), ("QYVOL_CACHE_DIR", "cache")];

/// The demo.
pub(crate) fn run() -> Result<()> {
    crate::setup::for_demo()?;
    let demo = Demo::build()?;

    title("Pack the app into one file, sign it with a new key, and trust that key for the app's name");
    demo.qyvol(&["keygen", "--out", "demo"], 0)?;
    demo.bundle("words.qyv")?;
    demo.qyvol(&["trust", "add", "demo", "--name", "words"], 0)?;
    demo.qyvol(&["verify", &demo.file("words.qyvbin")], 0)?;

    title("Run it from its bundle over this repository's documentation, which it sees read-only");
    let bundle = demo.file("words.qyvbin");
    let counted = demo.qyvol(&["run", &bundle, "--bind", "texts=docs"], 0)?;
    ensure!(counted.contains("in all"), "the app did not count");

    title(
        "It may not write: asked to save its report, it is refused, and the last lines say how to mend that",
    );
    let save = |path| ["run", &bundle, "--bind", "texts=docs", "--", "--save", path];
    let denied = demo.qyvol(&save("/report.txt"), 1)?;
    ensure!(denied.contains("fs: read-write"), "the denial does not say how to mend it");

    title("So the manifest asks for a volume of its own, as a new version");
    let manifest = demo.folder.join("words.qyv");
    let text = fs::read_to_string(&manifest)?;
    let mended = text.replace("fs: read-only", "fs: read-write").replace("version: 0.1.0", "version: 0.2.0");
    fs::write(&manifest, mended)?;
    println!("  version: 0.2.0\n  permissions:\n    fs: read-write");
    fs::remove_file(demo.folder.join("words.qyvbin"))?;
    demo.bundle("words.qyv")?;
    demo.qyvol(&save("/data/report.txt"), 0)?;
    // The volume bears the app's name and its publisher's key.
    let volumes = demo.folder.join("data/volumes");
    let volume = fs::read_dir(&volumes)?.flatten().next().context("no volume was made")?;
    let report = volume.path().join("report.txt");
    let report = fs::read_to_string(&report).with_context(|| format!("read `{}`", report.display()))?;
    ensure!(report.contains("in all"), "the report is not what the app wrote");
    println!("\nThe demo ran to its end. What it made lies in `{}`.", demo.shown_folder());
    Ok(())
}

struct Demo {
    folder: PathBuf,
    qyvol: PathBuf,
}

impl Demo {
    /// Builds the app and `qyvol`, and lays out the app's folder.
    fn build() -> Result<Self> {
        title(
            "Build the app `words` for WebAssembly, and `qyvol`, whose engine takes some minutes the first time",
        );
        let source = root().join("apps/words");
        let target = target_folder().join("apps");
        start(&mut crate::setup::guest_toolchain()?.build(&source, &target))?;
        start(&mut cargo("build --locked -p qyvol"))?;
        let folder = target_folder().join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove `{}`", folder.display()))?;
        }
        fs::create_dir_all(folder.join("stopwords"))?;
        let copy = |from: &Path, name: &str| {
            fs::copy(from, folder.join(name)).with_context(|| format!("copy `{}`", from.display()))
        };
        copy(&target.join("wasm32-wasip1/release/words.wasm"), "words.wasm")?;
        for name in ["words.qyv", "stopwords/en.txt", "stopwords/es.txt"] {
            copy(&source.join(name), name)?;
        }
        let demo = Self { folder, qyvol: target_folder().join("debug/qyvol") };
        println!("\nThe app, its manifest and all that `qyvol` keeps lie in `{}`, by", demo.shown_folder());
        for (variable, name) in HOME {
            println!("  {variable}={}", demo.file(name));
        }
        Ok(demo)
    }

    /// Packs and signs.
    fn bundle(&self, manifest: &str) -> Result<()> {
        let bundle = self.file("words.qyvbin");
        self.qyvol(&["pack", &self.file(manifest), "--output", &bundle], 0)?;
        self.qyvol(&["sign", &bundle, "--key", "demo"], 0)?;
        Ok(())
    }

    /// Runs `qyvol` as a person would, demands an exit code, and returns all that was printed.
    fn qyvol(&self, arguments: &[&str], code: i32) -> Result<String> {
        let mut command = program(&self.qyvol.to_string_lossy(), "");
        command.args(arguments).envs(HOME.map(|(variable, name)| (variable, self.folder.join(name))));
        println!("\n$ qyvol {}", arguments.join(" "));
        let done = output(&mut command)?;
        let text = [done.stdout, done.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        print!("{text}");
        ensure!(
            done.status.code() == Some(code),
            "`{}` ended with {}, not with exit code {code}",
            shown(&command),
            done.status
        );
        Ok(text)
    }

    /// A file of the demo, as short as it can be typed at the root.
    fn file(&self, name: &str) -> String {
        relative(&self.folder.join(name))
    }

    fn shown_folder(&self) -> String {
        relative(&self.folder)
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn title(text: &str) {
    println!("\n==> {text}");
}
