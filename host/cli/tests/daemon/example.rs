//! `examples/logger`, deployed as its page says.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::bench::Bench;
use crate::guests;
use crate::sandbox::{Ran, wait_until};

/// What a page says.
fn page(address: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
    let mut text = String::new();
    let asked = write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let _ = asked.and_then(|()| stream.read_to_string(&mut text));
    text
}

#[test]
fn the_three_apps_of_the_example_are_deployed_by_one_command_and_talk() {
    let mut bench = Bench::new();
    let folder = bench.sandbox.path("logger");
    let release = folder.join("target/wasm32-wasip1/release");
    fs::create_dir_all(&release).unwrap();
    for name in ["producer", "logger", "front"] {
        let wasm = format!("{name}.wasm");
        fs::copy(guests::logger().join(&wasm), release.join(&wasm)).unwrap();
    }
    // Of this process alone: no other test or program takes it.
    let process = std::process::id();
    let address = format!("127.7.{}.{}:8080", process % 250 + 1, process / 250 % 250 + 1);
    for name in ["producer.qyv", "logger.qyv", "front.qyv"] {
        let manifest = fs::read_to_string(guests::repository("examples/logger").join(name)).unwrap();
        let manifest = manifest.replace("127.0.0.1:8080", &address).replace("[\"1000\"]", "[\"20\"]");
        fs::write(folder.join(name), manifest).unwrap();
    }
    let run = |arguments: &[&str]| Ran::of(bench.command().args(arguments).output().unwrap());
    // Nothing of it runs before its rights were granted.
    run(&["deploy", "logger"]).expect(126, &["--grant", &address]);
    run(&["deploy", "logger", "--grant", "all"])
        .expect(0, &["producer: ready", "logger: ready", "front: ready"]);
    let listed = run(&["ps"]).expect(0, &[]).stdout;
    assert!(listed.contains(&format!("tcp://{address}")), "{listed}");
    wait_until("the page shows what the producer sent", || page(&address).contains("mensaje de prueba 2"));

    // As its page says: the daemon's death changes nothing, and that of the logger is noticed and mended.
    bench.crash();
    assert!(page(&address).contains("mensaje de prueba"));
    bench.start();
    bench.post("/v1/apps/logger/restart", &serde_json::json!({})).expect(200);
    wait_until("a new logger has lines again", || page(&address).contains("mensaje de prueba"));
    let run = |arguments: &[&str]| Ran::of(bench.command().args(arguments).output().unwrap());
    run(&["rm", "front", "logger", "producer", "--force"]).expect(0, &["removed"]);
    assert_eq!(bench.get("/v1/apps").expect(200).body, "[]");
}
