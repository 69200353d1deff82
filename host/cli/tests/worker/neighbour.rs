//! An app that is to go on whatever another one does.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use qyv_spec::manifest::Kind;

use crate::bench::{Bench, Daemon, Process, manifest};
use crate::sandbox::PATIENCE;
use crate::services::{OFFERS, SERVER};

/// An app that answers, and a connection to it.
pub(crate) fn neighbour(bench: &Bench, worker: &Process, daemon: &mut Daemon) -> UnixStream {
    let mut app = bench.app(&manifest("neighbour", Kind::Service, OFFERS), SERVER);
    app.instance.generation = 1000;
    daemon.start(&app, &[]);
    daemon.started(&app);
    dial(worker, "echo")
}

/// Dials a service as another worker does.
#[track_caller]
pub(crate) fn dial(worker: &Process, service: &str) -> UnixStream {
    let mut stream = UnixStream::connect(&worker.services).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{{\"service\":\"{service}\",\"port\":null}}\n").as_bytes()).unwrap();
    let mut taken = [1];
    stream.read_exact(&mut taken).unwrap();
    assert_eq!(taken, [0]);
    stream
}

/// Asks and is answered, so many times.
#[track_caller]
pub(crate) fn answers(stream: &mut UnixStream, times: u32) {
    for round in 0..times {
        let asked = round.to_ne_bytes();
        stream.write_all(&asked).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, asked);
    }
}
