//! The table of cases: every guest program, what it is given, and the end it must come to.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::backend::Backend;
use crate::guests::Target;

/// The end that a program must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exits with this code.
    Code(i32),
    /// It traps: 134.
    Trap,
    /// The host ends it when its time is over: 124.
    Timeout,
    /// It fails because memory was refused: 137.
    Memory,
    /// The host refuses to run it: 126 or 125, before any of it runs.
    Refused,
}

impl Ending {
    /// Whether this exit code of the host says so.
    #[must_use]
    pub fn is(self, code: i32) -> bool {
        match self {
            Self::Code(expected) => code == expected,
            Self::Trap => code == 134,
            Self::Timeout => code == 124,
            Self::Memory => code == 137,
            Self::Refused => matches!(code, 125 | 126),
        }
    }
}

/// The files that a program is granted.
#[derive(Clone, Copy, Debug)]
pub enum Files {
    /// None.
    Nothing,
    /// A folder at `/`, filled by this function.
    Folder(fn(&Path) -> io::Result<()>),
    /// The same for reading only.
    ReadOnly(fn(&Path) -> io::Result<()>),
    /// Two empty folders, at `/` and at `/second`.
    Two,
}

/// One program, what it is given, and the end it must come to.
#[derive(Clone, Debug)]
pub struct Case {
    /// The program.
    pub program: &'static str,
    /// What it is built for.
    pub targets: &'static [Target],
    /// Its arguments.
    pub args: Vec<&'static str>,
    /// Its environment.
    pub env: Vec<(&'static str, &'static str)>,
    /// Its standard input.
    pub stdin: &'static [u8],
    /// Its files.
    pub files: Files,
    /// Limits as in a manifest.
    pub limits: Vec<(&'static str, &'static str)>,
    /// The host's time limit.
    pub timeout: Option<&'static str>,
    /// Where it runs.
    pub backends: &'static [Backend],
    /// The end it must come to.
    pub ending: Ending,
    /// The end as a preview-2 component, where it differs.
    pub ending_p2: Option<Ending>,
    /// All of standard output, where it matters.
    pub stdout: Option<&'static str>,
    /// A part of standard error.
    pub stderr_has: Option<&'static str>,
}

/// For programs without files: the file systems would be the same.
const ONCE: &[Backend] = &[Backend::Diskfs, Backend::Node];
const QYVOL_ONCE: &[Backend] = &[Backend::Diskfs];
/// Where a quota on files holds: a disk of the host has its own.
const IN_MEMORY: &[Backend] = &[Backend::Memfs, Backend::Overlay, Backend::Node];

impl Case {
    /// A program that exits with 0. What it is built for follows from its name.
    fn of(program: &'static str) -> Self {
        let targets: &[Target] = if program.starts_with("std_") {
            &[Target::Preview1, Target::Preview2]
        } else if program.starts_with("p1_") {
            &[Target::Preview1]
        } else {
            &[Target::Text]
        };
        Self {
            program,
            targets,
            args: Vec::new(),
            env: Vec::new(),
            stdin: b"",
            files: Files::Nothing,
            limits: Vec::new(),
            timeout: None,
            backends: ONCE,
            ending: Ending::Code(0),
            ending_p2: None,
            stdout: None,
            stderr_has: None,
        }
    }

    /// A text of the engine's tests; not for Node, whose engine decides for itself what it supports.
    fn text(program: &'static str) -> Self {
        Self { backends: QYVOL_ONCE, ..Self::of(program) }
    }

    fn with(mut self, files: Files) -> Self {
        self.files = files;
        self.on(&Backend::ALL)
    }

    fn on(mut self, backends: &'static [Backend]) -> Self {
        self.backends = backends;
        self
    }

    fn args(mut self, args: &[&'static str]) -> Self {
        self.args = args.to_vec();
        self
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    fn stdin(mut self, stdin: &'static [u8]) -> Self {
        self.stdin = stdin;
        self
    }

    fn limit(mut self, name: &'static str, value: &'static str) -> Self {
        self.limits.push((name, value));
        self
    }

    fn timeout(mut self, timeout: &'static str) -> Self {
        self.timeout = Some(timeout);
        self.ends(Ending::Timeout)
    }

    fn ends(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    fn ends_p2(mut self, ending: Ending) -> Self {
        self.ending_p2 = Some(ending);
        self
    }

    fn stdout(mut self, stdout: &'static str) -> Self {
        self.stdout = Some(stdout);
        self
    }

    fn stderr_has(mut self, part: &'static str) -> Self {
        self.stderr_has = Some(part);
        self
    }
}

fn empty(_: &Path) -> io::Result<()> {
    Ok(())
}

fn some_files(root: &Path) -> io::Result<()> {
    fs::write(root.join("file"), "before")?;
    fs::create_dir_all(root.join("dir/empty"))?;
    fs::write(root.join("dir/inner"), "inner")?;
    symlink("file", root.join("link"))
}

fn links_out(root: &Path) -> io::Result<()> {
    symlink("..", root.join("host-up"))?;
    symlink("/", root.join("host-absolute"))?;
    symlink("../secret", root.join("host-secret"))
}

fn links(root: &Path) -> io::Result<()> {
    fs::write(root.join("file"), "linked\n")?;
    symlink("file", root.join("soft"))?;
    symlink("..", root.join("up"))?;
    symlink("absent", root.join("dangling"))
}

fn two_texts(root: &Path) -> io::Result<()> {
    fs::write(root.join("a.txt"), "one two\nthree\n")?;
    fs::write(root.join("b.txt"), "no newline")
}

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = preview1();
    cases.extend(standard_library());
    cases.extend(endings());
    cases.extend(engine());
    cases
}

/// The programs that call preview 1 directly.
fn preview1() -> Vec<Case> {
    let root = Files::Folder(empty);
    vec![
        Case::of("p1_args_env").args(&["one", "two words", "", "ü"]).env("KEY", "value").env("EMPTY", ""),
        Case::of("p1_clocks"),
        Case::of("p1_random"),
        Case::of("p1_poll").with(root),
        Case::of("p1_exit").ends(Ending::Code(7)).stdout("before\n"),
        Case::of("p1_stdio").with(root).stdin(b"input").stdout("one two three\n").stderr_has("to stderr"),
        Case::of("p1_fd_io").with(root),
        Case::of("p1_fd_meta").with(root),
        Case::of("p1_prestat").with(Files::Two),
        Case::of("p1_renumber").with(root),
        Case::of("p1_path_open").with(root),
        Case::of("p1_path_dirs").with(root),
        Case::of("p1_path_links").with(root),
        Case::of("p1_path_rename").with(root),
        Case::of("p1_path_stat").with(root),
        Case::of("p1_readdir").with(root),
        Case::of("p1_sock").with(root),
        Case::of("p1_escape").with(Files::Folder(links_out)),
        Case::of("p1_readonly").with(Files::ReadOnly(some_files)),
        Case::of("p1_denied").stdout("denied, as it should be\n"),
        Case::of("p1_fds").with(root),
        Case::of("p1_fds").with(root).limit("fds", "64"),
        Case::of("p1_fill").with(root).on(IN_MEMORY).limit("disk", "4MiB").limit("inodes", "1000"),
        Case::of("p1_iovecs").with(root),
    ]
}

/// The programs that use the standard library alone.
fn standard_library() -> Vec<Case> {
    let root = Files::Folder(empty);
    vec![
        Case::of("std_env")
            .args(&["a b", "", "--flag", "日本"])
            .env("B", "2")
            .env("A", "x=y")
            .stdout("argument \"a b\"\nargument \"\"\nargument \"--flag\"\nargument \"日本\"\nvariable A=x=y\nvariable B=2\n"),
        Case::of("std_env").stdout(""),
        Case::of("std_echo").stdin("line\r\n\0\x1b[31mübrig".as_bytes()).stdout("line\r\n\0\x1b[31mübrig"),
        Case::of("std_echo").stdin(b"").stdout(""),
        Case::of("std_wc").stdin(b"one two\nthree\n").stdout("2 3 14 -\n"),
        Case::of("std_wc")
            .with(Files::ReadOnly(two_texts))
            .args(&["/a.txt", "b.txt"])
            .stdout("2 3 14 /a.txt\n0 2 10 b.txt\n"),
        Case::of("std_wc").with(root).args(&["absent"]).ends(Ending::Code(1)).stderr_has("absent"),
        Case::of("std_files").with(root),
        Case::of("std_dirs").with(root),
        Case::of("std_links").with(Files::Folder(links)),
        Case::of("std_denied").stdout("nothing to read\n"),
        Case::of("std_clocks"),
        Case::of("std_random"),
        Case::of("std_threads").stdout("no threads\n"),
        Case::of("std_output").args(&["1000"]),
        Case::of("std_sleep").args(&["30"]).stdout("sleeping\nawake\n"),
        Case::of("std_stack").args(&["1000"]).stdout("1000\n"),
    ]
}

/// How programs end: exit codes, traps and limits.
fn endings() -> Vec<Case> {
    // In a component a program says that it failed, not with which code.
    let code = |text: &'static str, code: i32| {
        let failed = Ending::Code(i32::from(code != 0));
        Case::of("std_exit").args(&[text]).ends(Ending::Code(code)).ends_p2(failed)
    };
    vec![
        code("0", 0),
        code("1", 1),
        code("42", 42),
        code("124", 124),
        code("255", 255),
        // Larger ones do not fit a process and must not become a success.
        code("256", 1),
        code("512", 1),
        code("-1", 1),
        Case::of("std_panic").ends(Ending::Trap).stderr_has("on purpose"),
        Case::of("std_stack").ends(Ending::Trap),
        Case::of("std_hog").on(QYVOL_ONCE).limit("memory", "32MiB").ends(Ending::Memory),
        Case::of("std_loop").on(QYVOL_ONCE).timeout("500ms").stdout("looping\n"),
        Case::of("std_sleep").on(QYVOL_ONCE).args(&["3600000"]).timeout("500ms").stdout("sleeping\n"),
        Case::text("infinite_loop").timeout("500ms"),
        Case::text("fill_loop").timeout("500ms"),
        Case::text("unreachable").on(ONCE).ends(Ending::Trap),
        Case::text("stack_overflow").on(ONCE).ends(Ending::Trap),
        Case::text("uncaught_exception").ends(Ending::Trap),
        Case::text("start_section").on(ONCE).ends(Ending::Code(5)),
        Case::text("unknown_import").ends(Ending::Refused),
        Case::text("no_start").ends(Ending::Refused),
        Case::text("grow_memory").limit("memory", "64MiB"),
        Case::text("grow_memory_trap").limit("memory", "64MiB").ends(Ending::Memory),
        Case::text("grow_table").limit("memory", "64MiB"),
        Case::text("fifty_memories").limit("memory", "256MiB"),
        Case::text("gc_churn").limit("memory", "64MiB"),
        Case::text("gc_hoard").limit("memory", "64MiB").ends(Ending::Memory),
    ]
}

/// What the engine supports.
fn engine() -> Vec<Case> {
    vec![
        Case::text("hello").on(ONCE).stdout("hello\n"),
        Case::text("empty").on(ONCE).stdout(""),
        Case::text("end_of_memory").on(ONCE),
        Case::text("no_memory"),
        Case::text("tail_calls"),
        Case::text("exceptions"),
        Case::text("gc"),
        Case::text("multi_memory"),
        Case::text("memory64"),
        Case::text("simd"),
    ]
}
