use super::*;

fn scanned(text: &str) -> Scan {
    scan(&wat::parse_str(text).unwrap()).unwrap()
}

fn app(manifest: &str) -> qyv_spec::App {
    let text = format!("name: it\nentrypoint: it.wasm\n{manifest}");
    let manifest = qyv_spec::Manifest::from_yaml(&text, "it.qyv").unwrap();
    let entry = crate::target::packaged("it.wasm", 1, [0; 32]).unwrap();
    manifest.resolve(vec![entry]).unwrap()
}

fn preview1(names: &[&str]) -> Scan {
    let imports: Vec<_> =
        names.iter().map(|name| format!(r#"(import "wasi_snapshot_preview1" "{name}" (func))"#)).collect();
    scanned(&format!(r#"(module {} (func (export "_start")))"#, imports.concat()))
}

#[test]
fn each_world_is_named_with_its_sign() {
    let importing = |module: &str, name: &str| format!(r#"(module (import "{module}" "{name}" (func)))"#);
    let cases = [
        (importing("wasi_snapshot_preview1", "fd_write"), World::Preview1),
        (importing("wasi_unstable", "fd_write"), World::Preview0),
        (importing("wasi", "thread-spawn"), World::Threads),
        (importing("wasix_32v1", "fd_dup"), World::Wasix),
        (importing("wbg", "__wbg_log_1"), World::WasmBindgen),
        (importing("__wbindgen_placeholder__", "__wbindgen_throw"), World::WasmBindgen),
        (importing("./app_bg.js", "__wbg_log_1"), World::WasmBindgen),
        (importing("env", "emscripten_resize_heap"), World::Emscripten),
        (importing("a", "b"), World::Emscripten),
        (importing("gojs", "runtime.wasmExit"), World::GoJs),
        (importing("go", "debug"), World::GoJs),
        (importing("env", "abort"), World::AssemblyScript),
        (importing("js_code", "kotlin.x"), World::JavaScript),
        (importing("io", "write_nothing"), World::WasmTarget),
        (
            r#"(module (import "wasm:js-string" "fromCharCodeArray" (func)) (import "io" "write_nothing" (func)))"#
                .to_owned(),
            World::WasmTarget,
        ),
        (importing("wasm:js-string", "length"), World::JavaScript),
        (importing("extism:host/env", "input_length"), World::Extism),
        (importing("env", "proxy_log"), World::Proxy),
        // A host's own function is no world: `run` names it as one that nobody offers.
        (importing("env", "my_function"), World::Preview1),
        (r#"(module (memory 1 2 shared))"#.to_owned(), World::Threads),
        (r#"(module (import "env" "memory" (memory 1 2 shared)))"#.to_owned(), World::Threads),
        (r#"(module (memory 1) (func atomic.fence))"#.to_owned(), World::Threads),
        (r#"(module (func try nop catch_all nop end))"#.to_owned(), World::LegacyExceptions),
        (r#"(module (type (struct)) (func try nop catch_all nop end))"#.to_owned(), World::OldKotlin),
        (
            r#"(module (rec (type (func)) (type (array i8))) (func try nop catch_all nop end))"#.to_owned(),
            World::OldKotlin,
        ),
        (r#"(module (type (struct)) (func nop))"#.to_owned(), World::Preview1),
        (r#"(module (tag) (func (try_table (catch_all 0))))"#.to_owned(), World::Preview1),
        (r#"(component (import "wasi:cli/exit@0.2.3" (instance)))"#.to_owned(), World::Preview2),
        (r#"(component (import "wasi:cli/exit@0.3.0" (instance)))"#.to_owned(), World::Preview3),
        (r#"(component (core module (func try nop catch_all nop end)))"#.to_owned(), World::LegacyExceptions),
        // What is inside a component has imports that it satisfies.
        (
            r#"(component (core module (import "wasi_unstable" "fd_write" (func))))"#.to_owned(),
            World::Preview2,
        ),
    ];
    for (text, world) in cases {
        let verdict = verdict(&scanned(&text));
        assert_eq!(verdict.world, world, "{text}");
        assert_eq!(verdict.sign.is_some(), world.mend().is_some(), "{text}");
    }
}

#[test]
fn needs_name_their_imports_and_whether_the_manifest_asks() {
    let scan = preview1(&["fd_write", "path_open", "path_rename", "sock_accept"]);
    let found = needs(&scan, Some(&app("permissions: { fs: read-only }")));
    let shown: Vec<_> = found.iter().map(|need| (need.imports.join(","), need.asked)).collect();
    assert_eq!(
        shown,
        [
            ("path_open".to_owned(), Some(true)),
            ("path_rename".to_owned(), Some(false)),
            ("sock_accept".to_owned(), Some(false)),
        ]
    );
    assert!(needs(&preview1(&["fd_write", "args_get"]), None).is_empty());
}

#[test]
fn every_line_that_is_suggested_is_one_that_a_manifest_may_have() {
    let scan = scanned(
        r#"(module (import "wasi_snapshot_preview1" "path_open" (func))
            (import "wasi_snapshot_preview1" "path_rename" (func))
            (import "wasi_snapshot_preview1" "sock_accept" (func)) (import "wasi_ephemeral_nn" "load" (func))
            (import "qyvol:gfx" "draw" (func)) (import "wasi:sockets/tcp@0.2.0" "x" (func)))"#,
    );
    let found = needs(&scan, None);
    assert_eq!(found.len(), 6);
    for need in found {
        for line in need.lines {
            let asking = needs(&scan, Some(&app(line)));
            let same = asking.iter().find(|other| other.what == need.what).unwrap();
            assert_eq!(same.asked, Some(true), "{line}");
        }
    }
}

#[test]
fn what_nothing_could_use_is_named() {
    let keys = |scan: &Scan, manifest: &str| -> Vec<&'static str> {
        unused(scan, &app(manifest)).iter().map(|unused| unused.key).collect()
    };
    let hello = preview1(&["fd_write", "proc_exit"]);
    let everything = "permissions:
  fs: read-write
  net: { connect: [\"service://x\"], listen: [\"tcp://127.0.0.1:80\"] }
  ai: true
  exec: true
  gfx: true
  sensors: true
  admin: [stop]
fs: { type: memfs, mount: /tmp }
args: [x]
env: { A: b }
env_from: [C]
";
    assert_eq!(
        keys(&hello, everything),
        [
            "permissions.fs",
            "fs",
            "permissions.net.connect",
            "permissions.net.listen",
            "permissions.ai",
            "permissions.exec",
            "permissions.admin",
            "permissions.gfx",
            "permissions.sensors",
            "args",
            "env",
            "env_from",
        ]
    );
    assert_eq!(keys(&hello, "permissions: { net: true }"), ["permissions.net"]);
    let all = preview1(&["fd_write", "path_open", "sock_accept", "args_get", "environ_get"]);
    assert!(keys(&all, everything).is_empty());
    let reader = preview1(&["fd_read", "path_open"]);
    assert_eq!(unused(&reader, &app("permissions: { fs: read-write }"))[0].key, "permissions.fs");
    assert!(keys(&reader, "permissions: { fs: read-only }").is_empty());
}

#[test]
fn names_cannot_command_a_terminal() {
    let scan = scanned("(module (import \"env\" \"\\1b]0;x\\07\" (func)))");
    let (_, name) = scan.imports.first().unwrap();
    assert!(!name.chars().any(char::is_control), "{name:?}");
}

#[test]
fn broken_bytes_give_an_answer() {
    let whole = wat::parse_str(
        r#"(component (import "wasi:cli/exit@0.2.0" (instance)) (core module (import "a" "b" (func))
        (memory 1 2) (func (export "f") i32.const 1 drop) (tag) (data "x")) (component (core module)))"#,
    )
    .unwrap();
    assert!(scan(&whole).is_ok());
    let module = wat::parse_str(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (memory 1)
        (func (export "_start") (local i64) loop br 0 end) (table 1 funcref) (elem (i32.const 0) 1))"#,
    )
    .unwrap();
    // A small generator is enough, and its seed makes a failure repeatable.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for whole in [&whole, &module] {
        for cut in 0..whole.len() {
            let _ = scan(&whole[..cut]);
        }
        for _ in 0..20_000 {
            let mut broken = whole.clone();
            for _ in 0..=random() % 4 {
                let at = usize::try_from(random()).unwrap() % broken.len();
                broken[at] = random().to_le_bytes()[0];
            }
            if let Ok(scan) = scan(&broken) {
                let _ = (verdict(&scan), needs(&scan, None));
            }
        }
    }
    for length in 0..2000 {
        let mut noise = b"\0asm\x01\0\0\0".to_vec();
        noise.extend((0..length % 97).map(|_| random().to_le_bytes()[0]));
        let _ = scan(&noise);
    }
}

#[test]
fn nesting_is_bounded() {
    let mut bytes = wat::parse_str("(component)").unwrap();
    for _ in 0..200 {
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        let mut size = bytes.len();
        while size >= 0x80 {
            outer.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
            size >>= 7;
        }
        outer.push(u8::try_from(size).unwrap());
        outer.extend(&bytes);
        bytes = outer;
    }
    assert!(scan(&bytes).unwrap_err().contains("too deep"));
}
