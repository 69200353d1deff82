//! Kotlin, by its compiler for WebAssembly, without Gradle.

use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::Tools;
use crate::build::Project;
use crate::files::with_endings;
use crate::part::{Mend, Part, State, program};
use crate::run::Run;
use crate::{Error, Host, Language, Observer, Result, Version};

/// The compiler and the library, which must be of one version. The library of 2.4.20 is not in Maven's repository.
const PINNED: &str = "2.4.10";
/// The first Java that runs the compiler.
const JAVA: Version = Version(11, 0, 0);
/// The first Maven whose plug-in for dependencies knows the options below.
const MAVEN: Version = Version(3, 6, 0);
/// The class that compiles.
const COMPILER: &str = "org.jetbrains.kotlin.cli.js.KotlinWasmCompiler";
/// The standard library, and its SHA-256.
const LIBRARY: (&str, &str) = (
    "org/jetbrains/kotlin/kotlin-stdlib-wasm-wasi/2.4.10/kotlin-stdlib-wasm-wasi-2.4.10.klib",
    "cc25c4695b466f65cd5520750b8eb9255e3e04efe67216d9983d99ab68419f93",
);
/// The compiler and what it needs, each with its SHA-256.
const JARS: [(&str, &str); 8] = [
    (
        "org/jetbrains/kotlin/kotlin-compiler-embeddable/2.4.10/kotlin-compiler-embeddable-2.4.10.jar",
        "9309638a2ee03e6bde9ef4b7444055a94b84ab906563675d71ff9aecb64da913",
    ),
    (
        "org/jetbrains/kotlin/kotlin-stdlib/2.4.10/kotlin-stdlib-2.4.10.jar",
        "4ec0293bc3751423b203f1d8493251c57c42e73eb6377a6b8560d0974ff0a6df",
    ),
    (
        "org/jetbrains/kotlin/kotlin-script-runtime/2.4.10/kotlin-script-runtime-2.4.10.jar",
        "f4a5b30c2fdfbe386b097101b7989dbeea3743c06396136664784e08e15c6899",
    ),
    (
        "org/jetbrains/kotlin/kotlin-build-tools-api/2.4.10/kotlin-build-tools-api-2.4.10.jar",
        "3953d283e7710c990672e403a87df393d9726a9bf3e172194ebb5c33e062fcb0",
    ),
    (
        "org/jetbrains/kotlin/kotlin-daemon-embeddable/2.4.10/kotlin-daemon-embeddable-2.4.10.jar",
        "547d969a2eab602fe0bdfd9fcb1b563a5c6d30099d3351394d6427eba8288467",
    ),
    (
        "org/jetbrains/kotlin/kotlin-reflect/1.6.10/kotlin-reflect-1.6.10.jar",
        "3277ac102ae17aad10a55abec75ff5696c8d109790396434b496e75087854203",
    ),
    (
        "org/jetbrains/kotlinx/kotlinx-coroutines-core-jvm/1.8.0/kotlinx-coroutines-core-jvm-1.8.0.jar",
        "9860906a1937490bf5f3b06d2f0e10ef451e65b95b269f22daf68a3d1f5065c5",
    ),
    (
        "org/jetbrains/annotations/13.0/annotations-13.0.jar",
        "ace2a10dc8e2d5fd34925ecac03e4988b2c0f851650c94b8cef49ba1bd111478",
    ),
];

pub(super) struct Kotlin;

impl Tools for Kotlin {
    fn parts(&self, host: &Host, _: &Path) -> Vec<Part> {
        let folder = repository(host);
        let fetched = JARS.iter().chain([&LIBRARY]).all(|(path, _)| folder.join(path).is_file());
        let compiler = if fetched {
            State::Found { path: folder, version: Version::find(PINNED) }
        } else {
            State::Absent
        };
        vec![
            Part {
                name: "java",
                wanted: format!("{} or newer", JAVA.0),
                state: program(host, &["java"], &["-version"], JAVA),
                optional: None,
                mend: Mend::Packages(&["openjdk-17-jre-headless"]),
            },
            Part {
                name: "mvn",
                wanted: format!("{MAVEN} or newer"),
                state: program(host, &["mvn"], &["--batch-mode", "--version"], MAVEN),
                optional: fetched.then_some("fetching the compiler"),
                mend: Mend::Packages(&["maven"]),
            },
            Part {
                name: "kotlin-compiler",
                wanted: PINNED.to_owned(),
                state: compiler,
                optional: None,
                mend: Mend::Jars(Language::Kotlin),
            },
        ]
    }

    fn fetch(&self, host: &Host, observer: &mut dyn Observer) -> Result<()> {
        let Some(maven) = host.find("mvn") else { return Ok(()) };
        let folder = repository(host);
        let get = |observer: &mut dyn Observer, artifact: &str, alone: bool| {
            let mut local = OsString::from("-Dmaven.repo.local=");
            local.push(&folder);
            let mut run = Run::new(host, &maven).arg("--batch-mode");
            // On a terminal it shows what it downloads; a log is better off without.
            if !std::io::stderr().is_terminal() {
                run = run.arg("--quiet");
            }
            run = run.arg("dependency:get").arg(local).arg(format!("-Dartifact={artifact}"));
            if alone {
                run = run.arg("-Dtransitive=false");
            }
            let line = run.line().to_owned();
            run.on_terminal(observer).map_err(|_| Error::Install { line })
        };
        get(observer, &format!("org.jetbrains.kotlin:kotlin-compiler-embeddable:{PINNED}"), false)?;
        get(observer, &format!("org.jetbrains.kotlin:kotlin-stdlib-wasm-wasi:{PINNED}:klib"), true)?;
        JARS.iter().chain([&LIBRARY]).try_for_each(|(path, hash)| check(&folder.join(path), hash))
    }

    fn recognises(&self, folder: &Path) -> bool {
        [folder.join("src"), folder.to_owned()].iter().any(|folder| crate::files::has_ending(folder, "kt"))
    }

    fn build(&self, project: &Project, host: &Host, observer: &mut dyn Observer) -> Result<PathBuf> {
        let sources = sources(&project.folder)?;
        let repository = repository(host);
        let library = repository.join(LIBRARY.0);
        let jars: Vec<PathBuf> = JARS.iter().map(|(path, _)| repository.join(path)).collect();
        let class_path = std::env::join_paths(&jars).map_err(|_| {
            let what = format!("`{}` has a `:` in it, which no class path can have", repository.display());
            Error::sources(what, "choose another folder with `QYVOL_TOOLCHAIN_DIR`")
        })?;
        let (middle, out) = (project.build_file("klib")?, project.build_file("out")?);
        let compiler = |arguments: &[&str]| {
            // A compiler that lives for seconds is faster when it is not optimised for hours.
            let run = Run::new(host, "java").folder(&project.folder);
            run.args(["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
                .arg(&class_path)
                .args([COMPILER, "-Xwasm-target=wasm-wasi", "-libraries"])
                .arg(&library)
                .args(arguments)
                .args(["-ir-output-name", "app", "-ir-output-dir"])
        };
        compiler(&[]).arg(&middle).args(&sources).compile(observer)?;
        let mut include = OsString::from("-Xinclude=");
        include.push(&middle);
        // Without range checks, an index beyond an array is a trap and no exception.
        let names: &[&str] = if project.release { &[] } else { &["-Xwasm-debug-info"] };
        let link = ["-Xir-produce-js", "-Xwasm-enable-array-range-checks", "-main", "call"];
        compiler(&[&link, names].concat()).arg(&out).arg(include).compile(observer)?;
        Ok(out.join("app.wasm"))
    }

    fn template(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("@NAME@.qyv", include_str!("../../templates/manifest.qyv.txt")),
            ("qyv/Descriptor.kt", include_str!("../../../../guest/kotlin/src/Descriptor.kt")),
            ("qyv/Failure.kt", include_str!("../../../../guest/kotlin/src/Failure.kt")),
            ("qyv/Files.kt", include_str!("../../../../guest/kotlin/src/Files.kt")),
            ("qyv/Framing.kt", include_str!("../../../../guest/kotlin/src/Framing.kt")),
            ("qyv/JsonText.kt", include_str!("../../../../guest/kotlin/src/JsonText.kt")),
            ("qyv/Process.kt", include_str!("../../../../guest/kotlin/src/Process.kt")),
            ("qyv/Service.kt", include_str!("../../../../guest/kotlin/src/Service.kt")),
            ("qyv/Wasi.kt", include_str!("../../../../guest/kotlin/src/Wasi.kt")),
            ("src/main.kt", include_str!("../../templates/kotlin/main.kt.txt")),
            (".gitignore", include_str!("../../templates/gitignore.txt")),
            ("README.md", include_str!("../../templates/README.md.txt")),
        ]
    }
}

/// Where Maven puts what it fetches for us: a folder of our own, so that nothing else's files are taken for it.
fn repository(host: &Host) -> PathBuf {
    host.data().join("maven")
}

/// The sources of a project: those of `src` and `qyv`, or without `src` all.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.join("src").is_dir() {
        return with_endings(folder, &["kt"]);
    }
    let mut found = with_endings(&folder.join("src"), &["kt"])?;
    found.extend(with_endings(&folder.join("qyv"), &["kt"])?);
    Ok(found.into_iter().map(|path| path.strip_prefix(folder).map(Path::to_owned).unwrap_or(path)).collect())
}

/// Holds a file against its hash, and removes one that is another.
fn check(path: &Path, wanted: &'static str) -> Result<()> {
    let fail = |error| Error::system("read", path, error);
    let mut file = File::open(path).map_err(fail)?;
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk).map_err(fail)? {
            0 => break,
            length => context.update(&chunk[..length]),
        }
    }
    let found: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == wanted {
        return Ok(());
    }
    // So that no build takes it.
    let _ = std::fs::remove_file(path);
    Err(Error::Hash { path: path.to_owned(), found, wanted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Heard, machine};

    #[test]
    fn a_file_that_is_another_is_refused_and_removed() {
        // A Maven that brings every file, each of them empty.
        let touch: Vec<String> = JARS
            .iter()
            .chain([&LIBRARY])
            .map(|(path, _)| {
                format!("/bin/mkdir -p $r/{0}; : > $r/{path}", Path::new(path).parent().unwrap().display())
            })
            .collect();
        let script = format!(
            "case $* in *--version*) echo Apache Maven 3.8.7; exit;; esac
            for a; do case $a in -Dmaven.repo.local=*) r=${{a#*=}};; esac; done
            {}",
            touch.join("\n")
        );
        let java = "echo 'openjdk version \"17.0.15\"' >&2";
        let (_folder, host) = machine(&[("mvn", &script), ("java", java)]);
        let mut heard = Heard::default();
        let error = crate::install(&[Language::Kotlin], &host, &mut heard).unwrap_err();
        let Error::Hash { path, found, .. } = &error else { panic!("{error}") };
        assert!(found.starts_with("e3b0c442"), "{found}");
        assert!(!path.exists());
        assert_eq!(heard.lines.len(), 2, "{heard:?}");
        let missing = crate::missing(Language::Kotlin, &host, Path::new("."));
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].mend_line(&host), "qyvol toolchain install kotlin");
    }

    #[test]
    fn an_old_java_is_named() {
        let (_folder, host) = machine(&[("java", "echo 'openjdk version \"1.8.0_402\"' >&2")]);
        let missing = crate::missing(Language::Kotlin, &host, Path::new("."));
        assert!(missing[0].trouble().unwrap().contains("is version 1.8; 11 or newer"), "{missing:?}");
    }
}
