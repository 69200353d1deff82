//! Where a test works: a folder, and `qyvol` run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder that is removed at the end, with the user's folders in it.
pub(crate) struct Desk(TempDir);

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Writes `hello` to standard output.
pub(crate) const HELLO: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"#;

/// The manifest of an app with that program and two files.
pub(crate) const MANIFEST: &str = "name: hello
version: 1.2.0
entrypoint: main.wat
files: [\"data/**\"]
permissions: { fs: read-only }
";

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        std::fs::create_dir(desk.path("work")).unwrap();
        desk
    }

    /// With a project to pack.
    pub(crate) fn with_app() -> Self {
        let desk = Self::new();
        desk.write("work/hello.qyv", MANIFEST);
        desk.write("work/main.wat", HELLO);
        desk.write("work/data/text.txt", "some words\n");
        desk.write("work/data/deep/numbers.bin", noise(3_000_000));
        desk
    }

    /// With a bundle that is signed by the default key, which is trusted for it.
    pub(crate) fn with_trusted_bundle() -> Self {
        let desk = Self::with_app();
        desk.ok(&["keygen"]);
        desk.ok(&["pack", "hello.qyv", "--sign", "default"]);
        desk.ok(&["trust", "add", "default", "--name", "hello"]);
        desk
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.path(path)).unwrap()
    }

    /// The names in a folder, sorted, hidden ones too.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A command in the folder `work`, with this desk's folders.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path("work"))
            .env("QYVOL_CONFIG_DIR", self.path("config"))
            .env("QYVOL_DATA_DIR", self.path("state"))
            .env("QYVOL_CACHE_DIR", self.path("cache"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn qyvol(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(qyvol()).args(arguments).output().unwrap())
    }

    /// With this on standard input.
    pub(crate) fn qyvol_with(&self, input: &str, arguments: &[&str]) -> Said {
        use std::io::Write as _;
        let mut command = self.command(qyvol());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not want it may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Said::of(child.wait_with_output().unwrap())
    }

    /// It must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let said = self.qyvol(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said.out
    }

    /// It must fail with this code and exactly this text on standard error, and print nothing.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, text: &str) {
        let said = self.qyvol(arguments);
        assert_eq!((said.err.as_str(), said.code), (text, code), "{arguments:?}");
        assert_eq!(said.out, "", "{arguments:?}");
    }
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn qyvol() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_qyvol"))
}

/// Bytes that do not compress, always the same.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}
