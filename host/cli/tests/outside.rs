//! `qyvol run` of apps that reach out.

mod dialler;
mod sandbox;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

use sandbox::{Ran, Sandbox};

fn app(sandbox: &Sandbox, target: &str, connect: &[&str]) {
    let net = format!("permissions: {{ net: {{ connect: {connect:?} }} }}\n");
    sandbox.write("app.qyv", format!("name: app\nentrypoint: main.wasm\n{net}"));
    // Descriptor 3 is the closed root.
    sandbox.module("main.wasm", &dialler::dialler(target, 4));
}

#[test]
fn an_app_connects_to_what_it_was_granted() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let url = format!("tcp://{address}");
    app(&sandbox, &address, &[&url]);
    sandbox.run(&["run", "app.qyv"]).expect(126, &[&format!("--grant {url}")]);
    for grant in [url.as_str(), "net"] {
        let mut command = sandbox.command();
        command.args(["run", "app.qyv", "--grant", grant]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = command.spawn().unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut said = [0; 6];
        peer.read_exact(&mut said).unwrap();
        // The guest waits, and is woken by what comes.
        std::thread::sleep(std::time::Duration::from_millis(20));
        peer.write_all(b"world\n").unwrap();
        let ran = Ran::of(run.wait_with_output().unwrap()).expect(0, &[]);
        assert_eq!(ran.stdout, "world\n");
    }
}

#[test]
fn what_was_not_granted_is_refused_with_the_line_that_asks_for_it() {
    let sandbox = Sandbox::new();
    app(&sandbox, "192.0.2.1:80", &["tcp://192.0.2.1:81"]);
    let line = "permissions: { net: { connect: [\"tcp://192.0.2.1:80\"] } }";
    sandbox.run(&["run", "app.qyv", "--grant", "net"]).expect(2, &["/svc/192.0.2.1:80", line]);
    app(&sandbox, "localhost:80", &["tcp://localhost:80"]);
    let line = "permissions: { net: { connect: [\"tcp://";
    let ran = sandbox.run(&["run", "app.qyv", "--grant", "net"]).expect(2, &["/svc/localhost:80", line]);
    assert!(ran.stderr.contains("127.0.0.1:80") || ran.stderr.contains("[::1]:80"), "{}", ran.stderr);
    app(&sandbox, "192.0.2.1:80", &[]);
    sandbox.run(&["run", "app.qyv"]).expect(8, &[]);
}

#[test]
fn a_connection_that_hangs_ends_with_the_time() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    app(&sandbox, &address, &[&format!("tcp://{address}")]);
    sandbox.run(&["run", "app.qyv", "--grant", "net", "--timeout", "300ms"]).expect(124, &[]);
}
