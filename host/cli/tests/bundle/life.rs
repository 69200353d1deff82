//! The way of an app from nothing to a trusted bundle, and out of it again.

use crate::desk::{Desk, HELLO};

#[test]
fn an_app_is_made_built_packed_signed_trusted_run_and_unpacked() {
    let desk = Desk::new();
    desk.ok(&["new", "greeter"]);
    desk.ok(&["build", "greeter"]);
    assert_eq!(desk.ok(&["run", "greeter", "--", "you"]), "Hello, you!\n");
    desk.ok(&["pack", "greeter"]);
    desk.ok(&["keygen"]);
    desk.ok(&["sign", "greeter.qyvbin"]);
    desk.ok(&["trust", "add", "greeter.qyvbin", "--name", "greeter"]);
    assert!(desk.ok(&["verify", "greeter.qyvbin"]).ends_with("whole and trusted\n"));
    assert_eq!(desk.ok(&["run", "greeter.qyvbin", "--", "all"]), "Hello, all!\n");
    assert!(desk.ok(&["inspect", "greeter.qyvbin"]).contains("\nreaches for nothing\n"));
    desk.ok(&["unpack", "greeter.qyvbin", "-C", "out"]);
    assert_eq!(desk.read("work/out/greeter.wasm"), desk.read("work/greeter/greeter.wasm"));
    assert_eq!(desk.names("work/out"), [".app.json", "greeter.wasm"]);
    assert_eq!(desk.ok(&["run", "out/greeter.wasm"]), "Hello, world!\n");
}

#[test]
fn new_overwrites_nothing_and_wants_a_name() {
    let desk = Desk::new();
    desk.write("work/full/file", "mine");
    desk.fails(
        &["new", "full"],
        126,
        "error: `full` exists and is not empty\nhint: name a folder that does not exist yet\n",
    );
    assert_eq!(desk.names("work/full"), ["file"]);
    std::fs::create_dir(desk.path("work/empty")).unwrap();
    desk.ok(&["new", "empty"]);
    assert_eq!(desk.names("work/empty"), [".gitignore", "Cargo.toml", "README.md", "empty.qyv", "src"]);
    for bad in ["Big", "a_b", "..", "a/..", "-x"] {
        assert_eq!(desk.qyvol(&["new", "--", bad]).code, 2, "{bad}");
    }
    assert_eq!(desk.names("work"), ["empty", "full"]);
}

#[test]
fn build_says_what_is_missing() {
    let desk = Desk::with_app();
    desk.fails(
        &["build"],
        126,
        "error: the entrypoint `main.wat` is not compiled\nhint: `qyvol run ./hello.qyv` runs it as it is\n",
    );
    desk.write("work/hello.qyv", "name: hello\nentrypoint: main.wasm\n");
    let said = desk.qyvol(&["build"]);
    assert_eq!(said.code, 126);
    assert!(said.err.starts_with("error: `.` holds no sources that are known\nhint: "), "{}", said.err);
    desk.write("work/Cargo.toml", "");
    let said = desk.command(crate::desk::qyvol()).arg("build").env("PATH", "").output().unwrap();
    assert_eq!(said.status.code(), Some(127));
    let text = "error: Rust cannot be built here\n\
                hint: `cargo` (1.82 or newer) is not installed: install Rust: https://rustup.rs\n\
                hint: `wasm32-wasip1` is not installed: `rustup target add wasm32-wasip1`\n\
                hint: `qyvol toolchain install rust` installs what it can\n";
    assert_eq!(String::from_utf8_lossy(&said.stderr), text);
}

#[test]
fn a_program_that_does_not_compile_is_found_and_leaves_the_old_one() {
    let desk = Desk::new();
    desk.ok(&["new", "broken"]);
    desk.write("work/broken/src/main.rs", "fn main() { nonsense }");
    desk.write("work/broken/broken.wasm", "old");
    let said = desk.qyvol(&["build", "broken"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("cannot find value `nonsense`"), "{}", said.err);
    // The compiler has said everything: qyvol adds the command that it ran, and nothing.
    assert!(said.err.starts_with("$ cargo build --release --target wasm32-wasip1 "), "{}", said.err);
    assert!(!said.err.contains("hint: "), "{}", said.err);
    assert_eq!(desk.read("work/broken/broken.wasm"), b"old");
}

#[test]
fn the_same_files_make_the_same_bundle() {
    let desk = Desk::with_app();
    desk.ok(&["pack", "hello.qyv", "-o", "one.qyvbin"]);
    // A copy elsewhere, of another time.
    desk.write("work/copy/data/deep/numbers.bin", desk.read("work/data/deep/numbers.bin"));
    for name in ["hello.qyv", "main.wat", "data/text.txt"] {
        desk.write(&format!("work/copy/{name}"), desk.read(&format!("work/{name}")));
    }
    desk.ok(&["pack", "copy", "-o", "two.qyvbin"]);
    assert_eq!(desk.read("work/one.qyvbin"), desk.read("work/two.qyvbin"));
}

#[test]
fn a_text_program_is_packed_as_the_module_it_is() {
    let desk = Desk::with_app();
    let list = desk.ok(&["pack", "hello.qyv", "--list"]);
    let names: Vec<_> = list.lines().map(|line| line.trim_start().split_once("  ").unwrap().1).collect();
    assert_eq!(names, ["data/deep/numbers.bin", "data/text.txt", "main.wasm"]);
    assert_eq!(desk.names("work"), ["data", "hello.qyv", "main.wat"], "`--list` writes nothing");
    desk.ok(&["pack", "hello.qyv"]);
    assert_eq!(desk.ok(&["run", "hello.qyvbin", "--allow-unsigned"]), "hello\n");
    desk.ok(&["unpack", "hello.qyvbin"]);
    assert!(desk.read("work/hello/main.wasm").starts_with(b"\0asm"));
    assert_eq!(desk.ok(&["run", "hello/main.wasm"]), "hello\n");

    desk.write("work/hello.qyv", "name: hello\nentrypoint: main.wat\nfiles: [\"*.wat\"]\n");
    desk.ok(&["pack", "hello.qyv", "-o", "with-text.qyvbin"]);
    desk.ok(&["unpack", "with-text.qyvbin"]);
    assert_eq!(desk.names("work/with-text"), [".app.json", "main.wasm", "main.wat"]);
    assert_eq!(desk.read("work/with-text/main.wat"), HELLO.as_bytes());

    desk.write("work/main.wasm", "something else");
    desk.write("work/hello.qyv", "name: hello\nentrypoint: main.wat\nfiles: [\"*.wasm\"]\n");
    desk.fails(
        &["pack", "hello.qyv", "-o", "both.qyvbin"],
        126,
        "error: `main.wat` would be packed as `main.wasm`, and there is such a file\n\
         hint: leave it out of `files`, or name it as the entrypoint in place of `main.wat`\n",
    );
}

#[test]
fn reports_are_json() {
    let desk = Desk::with_trusted_bundle();
    let report = |arguments: &[&str]| desk.qyvol(arguments).json();
    assert_eq!(report(&["pack", ".", "--json"])["files"], 3);
    assert_eq!(report(&["pack", ".", "--list", "--json"])["files"][1]["path"], "data/text.txt");
    assert_eq!(report(&["sign", "hello.qyvbin", "--json"])["name"], "hello");
    let verified = report(&["verify", "hello.qyvbin", "--json"]);
    assert_eq!((&verified["ok"], &verified["verdict"]), (&true.into(), &"trusted".into()));
    let inspected = report(&["inspect", "hello.qyvbin", "--json"]);
    assert_eq!((&inspected["kind"], &inspected["app"]["name"]), (&"bundle".into(), &"hello".into()));
    assert_eq!(inspected["id"], verified["id"]);
    assert_eq!(report(&["inspect", ".", "--json"])["kind"], "project");
    assert_eq!(report(&["inspect", "main.wat", "--json"])["kind"], "module");
    assert_eq!(report(&["trust", "ls", "--json"])["keys"][0]["names"][0], "hello");
    assert_eq!(report(&["unpack", "hello.qyvbin", "--json"])["files"], 3);
    assert_eq!(report(&["keygen", "--out", "other", "--json"])["id"].as_str().unwrap().len(), 16);
    assert_eq!(report(&["new", "made", "--json"])["name"], "made");
}

#[test]
fn a_bundle_is_encrypted_and_decrypted() {
    let desk = Desk::with_trusted_bundle();
    let secret = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    let identity: qyv_spec::bundle::encrypt::Identity = secret.parse().unwrap();
    let recipient = identity.to_public().to_string();
    desk.write("work/id.txt", format!("# mine\n{secret}\n"));
    let plain = desk.read("work/hello.qyvbin");
    std::fs::remove_file(desk.path("work/hello.qyvbin")).unwrap();
    desk.ok(&["pack", ".", "--sign", "default", "--encrypt-to", &recipient]);
    for command in ["run", "unpack"] {
        let said = desk.qyvol(&[command, "hello.qyvbin.age"]);
        assert_eq!(said.code, 126);
        assert!(
            said.err.starts_with("error: `hello.qyvbin.age` is encrypted\nhint: decrypt it first: "),
            "{said:?}"
        );
    }
    desk.ok(&["unpack", "--decrypt", "hello.qyvbin.age", "--identity", "id.txt"]);
    assert_eq!(desk.read("work/hello.qyvbin"), plain);
    assert_eq!(desk.qyvol(&["unpack", "--decrypt", "hello.qyvbin.age", "--identity", "id.txt"]).code, 125);
    assert_eq!(desk.ok(&["run", "hello.qyvbin"]), "hello\n");

    assert_eq!(
        desk.qyvol_with("open sesame\n", &["pack", ".", "--passphrase", "-o", "p.qyvbin.age"]).code,
        0
    );
    let open = ["unpack", "--decrypt", "p.qyvbin.age", "--passphrase"];
    let wrong = desk.qyvol_with("open barley\n", &open);
    let text = "error: `p.qyvbin.age` cannot be decrypted: the encrypted bundle does not open with this key or passphrase\n";
    assert_eq!((wrong.err.as_str(), wrong.code), (text, 126));
    assert_eq!(desk.qyvol_with("open sesame\n", &open).code, 0);
    assert_eq!(desk.qyvol(&["inspect", "p.qyvbin"]).code, 0);
}
