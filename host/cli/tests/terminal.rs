//! What reaches a terminal: run under `script`, which gives a command a terminal of its own.

mod sandbox;

use std::path::Path;
use std::process::{Command, Stdio};

use sandbox::Sandbox;

/// Writes everything that it is given on its standard input, in pieces of `piece` bytes.
fn copies(piece: u32) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\40\00\00\00")
        (func (export "_start")
            (loop $next
                (i32.store (i32.const 4) (i32.const {piece}))
                (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
                (if (i32.load (i32.const 4)) (then
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                    (br $next))))))"#
    )
}

/// What comes out of a terminal in which `qyvol` runs with these arguments and this input.
fn on_terminal(sandbox: &Sandbox, arguments: &str, input: &Path) -> Vec<u8> {
    on_terminal_of(sandbox, arguments, input, &[("TERM", "xterm-256color")])
}

/// The same with these variables, which say what the terminal can do.
fn on_terminal_of(sandbox: &Sandbox, arguments: &str, input: &Path, variables: &[(&str, &str)]) -> Vec<u8> {
    let plain = sandbox.command();
    let line = format!(
        "stty raw -echo; exec '{}' {arguments} < '{}'",
        plain.get_program().to_str().unwrap(),
        input.display()
    );
    let mut script = Command::new("script");
    script.args(["-qefc", &line, "/dev/null"]).current_dir(sandbox.path("")).stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.envs(variables.iter().copied());
    script.output().expect("`script` of util-linux is there").stdout
}

const HARMLESS: &str =
    "plain\x1b[31mred\x1b[0m \x1b[1;38;5;200mpink\x1b[m\x1b[2K\x1b[3Aup\x1b[10Cright ñ 漢 🦀\r\n\ttab\x08";

const HARMFUL: [&[u8]; 14] = [
    b"\x1b]0;title\x07",
    b"\x1b]52;c;aGVsbG8=\x1b\\",
    b"\x1b]8;;http://example.org\x1b\\",
    b"\x1bPq#0;2;0;0;0\x1b\\",
    b"\x1b_apc\x1b\\",
    b"\x1b^pm\x1b\\",
    b"\x1bXsos\x1b\\",
    b"\x1b[c",
    b"\x1b[6n",
    b"\x1b[?1049h",
    b"\x1b[21t",
    b"\x1bc",
    b"\xc2\x9b6n",
    b"\xc2\x9d0;title\x07",
];

#[test]
fn colours_pass_and_commands_to_the_terminal_do_not() {
    let sandbox = Sandbox::new();
    let mut input = Vec::new();
    for harmful in HARMFUL {
        input.extend(b"<");
        input.extend(harmful);
        input.extend(b">");
    }
    input.extend(HARMLESS.as_bytes());
    let file = sandbox.write("input", &input);
    let wanted = ["<>".repeat(HARMFUL.len()).as_bytes(), HARMLESS.as_bytes()].concat();
    for piece in [1, 3, 4096] {
        sandbox.module("app.wasm", &copies(piece));
        let shown = on_terminal(&sandbox, "run app.wasm", &file);
        assert_eq!(
            String::from_utf8_lossy(&shown),
            String::from_utf8_lossy(&wanted),
            "pieces of {piece} bytes"
        );
    }
    assert_eq!(on_terminal(&sandbox, "run app.wasm --raw", &file), input);
}

#[test]
fn what_is_no_terminal_gets_every_byte() {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", &copies(1000));
    let input = HARMFUL.concat();
    let file = sandbox.write("input", &input);
    let mut command = sandbox.command();
    let output =
        command.args(["run", "app.wasm"]).stdin(std::fs::File::open(file).unwrap()).output().unwrap();
    assert_eq!(output.stdout, input);
}

#[test]
fn names_that_are_shown_cannot_command_the_terminal() {
    let sandbox = Sandbox::new();
    let empty = sandbox.write("input", "");
    let import = "(module (import \"env\" \"\\1b]0;x\\07\" (func)) (func (export \"_start\")))";
    for command in ["run", "caps", "check"] {
        sandbox.module("osc.wasm", import);
        let shown = on_terminal(&sandbox, &format!("{command} osc.wasm"), &empty);
        assert!(!shown.contains(&7), "{:?}", String::from_utf8_lossy(&shown));
    }
    for name in ["a\u{1b}]0;x\u{7}b.txt", "a\u{9b}6nb.txt"] {
        sandbox.write(name, "no program");
        for command in ["run", "caps", "check"] {
            let shown = on_terminal(&sandbox, &format!("{command} '{name}'"), &empty);
            let shown = String::from_utf8_lossy(&shown);
            assert!(shown.contains(".txt"), "{shown:?}");
            assert!(
                !shown.contains("\x1b]") && !shown.contains('\u{9b}') && !shown.contains('\x07'),
                "{shown:?}"
            );
        }
    }
}

#[test]
fn our_own_messages_are_coloured_unless_unwanted() {
    let sandbox = Sandbox::new();
    let empty = sandbox.write("input", "");
    sandbox.write("wrong.qyv", "nom: app\n");
    for (variables, label) in [
        ([("TERM", "linux"), ("COLORTERM", "")], "\x1b[31;1merror\x1b[0m: "),
        ([("TERM", "xterm-256color"), ("COLORTERM", "")], "\x1b[1;38;5;166merror\x1b[0m: "),
        ([("TERM", "xterm"), ("COLORTERM", "truecolor")], "\x1b[1;38;2;217;58;9merror\x1b[0m: "),
        ([("TERM", "xterm"), ("NO_COLOR", "1")], "error: "),
        ([("TERM", "dumb"), ("COLORTERM", "truecolor")], "error: "),
    ] {
        for arguments in ["run absent.wasm", "run wrong.qyv", "check wrong.qyv"] {
            let shown = on_terminal_of(&sandbox, arguments, &empty, &variables);
            let shown = String::from_utf8_lossy(&shown);
            assert!(shown.starts_with(label), "{arguments} with {variables:?}: {shown:?}");
        }
    }
    let ran = sandbox.run(&["run", "absent.wasm"]);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}

#[test]
fn the_version_is_a_line_for_programs_and_has_a_dragon_for_people() {
    let sandbox = Sandbox::new();
    let empty = sandbox.write("input", "");
    let line = concat!("qyvol ", env!("CARGO_PKG_VERSION"));
    assert_eq!(sandbox.run(&["--version"]).stdout, format!("{line}\n"));
    let plain = on_terminal_of(&sandbox, "--version", &empty, &[("TERM", "linux")]);
    assert_eq!(String::from_utf8_lossy(&plain), format!("{line}\n"));
    let shown = on_terminal(&sandbox, "--version", &empty);
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains(line) && shown.contains('▀') && shown.lines().count() == 8, "{shown:?}");
}
