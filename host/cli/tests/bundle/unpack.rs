//! What `unpack` may not do: write elsewhere, write over, follow links.

use std::os::unix::fs::symlink;

use crate::desk::Desk;

#[test]
fn nothing_is_written_over() {
    let desk = Desk::with_trusted_bundle();
    desk.write("work/out/mine", "mine");
    desk.fails(
        &["unpack", "hello.qyvbin", "-C", "out"],
        126,
        "error: `out` exists and is not empty\n\
         hint: name another folder with `-C DIR`, or write over what is there with `--force`\n",
    );
    assert_eq!(desk.names("work/out"), ["mine"]);
    desk.write("work/out/data/text.txt", "old");
    desk.ok(&["unpack", "hello.qyvbin", "-C", "out", "--force"]);
    assert_eq!(desk.names("work/out"), [".app.json", "data", "main.wasm", "mine"]);
    assert_eq!(desk.read("work/out/data/text.txt"), b"some words\n");
    assert_eq!(desk.read("work/out/data/deep/numbers.bin"), desk.read("work/data/deep/numbers.bin"));
    // An empty folder is as good as none, also the one that one stands in.
    std::fs::create_dir(desk.path("work/empty")).unwrap();
    let mut command = desk.command(crate::desk::qyvol());
    command.args(["unpack", "../hello.qyvbin", "-C", "."]).current_dir(desk.path("work/empty"));
    let said = command.output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(desk.names("work/empty"), [".app.json", "data", "main.wasm"]);
}

#[test]
fn links_in_the_folder_are_not_followed() {
    let desk = Desk::with_trusted_bundle();
    std::fs::create_dir_all(desk.path("elsewhere/deep")).unwrap();
    desk.write("elsewhere/deep/numbers.bin", "theirs");
    desk.write("elsewhere/file", "theirs");
    std::fs::create_dir(desk.path("work/out")).unwrap();
    symlink(desk.path("elsewhere"), desk.path("work/out/data")).unwrap();
    let said = desk.qyvol(&["unpack", "hello.qyvbin", "-C", "out", "--force"]);
    assert_eq!(said.code, 125, "{said:?}");
    assert!(said.err.contains("`data` is a link or a file, not a folder"), "{}", said.err);
    std::fs::remove_file(desk.path("work/out/data")).unwrap();
    // A link in the place of a file.
    symlink(desk.path("elsewhere/file"), desk.path("work/out/main.wasm")).unwrap();
    let said = desk.qyvol(&["unpack", "hello.qyvbin", "-C", "out", "--force"]);
    assert_eq!(said.code, 125, "{said:?}");
    assert!(said.err.contains("what is there is not a regular file"), "{}", said.err);
    assert_eq!(desk.read("elsewhere/deep/numbers.bin"), b"theirs");
    assert_eq!(desk.read("elsewhere/file"), b"theirs");
    assert_eq!(desk.names("elsewhere"), ["deep", "file"]);
}

#[test]
fn what_a_killed_unpack_left_is_no_obstacle() {
    let desk = Desk::with_trusted_bundle();
    desk.write("work/hello/.qyvol-0123456789abcdef/data/text.txt", "half");
    desk.ok(&["unpack", "hello.qyvbin", "-C", "hello"]);
    assert_eq!(desk.names("work/hello"), [".app.json", "data", "main.wasm"]);
    // Beside something of the user's own it is not touched.
    desk.write("work/own/.qyvol-0123456789abcdef/text.txt", "half");
    desk.write("work/own/mine", "mine");
    assert_eq!(desk.qyvol(&["unpack", "hello.qyvbin", "-C", "own"]).code, 126);
    assert_eq!(desk.names("work/own"), [".qyvol-0123456789abcdef", "mine"]);
}

/// `ulimit -f` ends a process by a signal, unless it looks.
#[test]
fn a_limit_of_file_sizes_is_told_with_the_name() {
    let desk = Desk::with_trusted_bundle();
    let mut command = desk.command("sh");
    let line = "ulimit -f 100; exec \"$0\" pack hello.qyv -o large.qyvbin";
    let said = command.args(["-c", line]).arg(crate::desk::qyvol()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(125), "{text}");
    assert!(text.contains("cannot write `large.qyvbin`") && text.contains("too large"), "{text}");
    assert_eq!(
        desk.names("work").iter().filter(|name| name.contains("large") || name.starts_with('.')).count(),
        0
    );
}
