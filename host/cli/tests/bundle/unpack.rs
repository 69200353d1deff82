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
