//! Dials, and says what came of it: `svc_dial ADDRESS...`. A line for each, through the SDK and, for `service://`, as a file.

use std::fs::OpenOptions;

use qyv::Wait;
use qyv::net::try_connect;

fn main() {
    for address in std::env::args().skip(1) {
        match try_connect(&address).wait() {
            Ok(conn) => println!("{address} {:?}", conn.framing()),
            Err(error) => println!("{address} {:?}", error.kind()),
        }
        let Some(place) = address.strip_prefix("service://") else { continue };
        match OpenOptions::new().read(true).write(true).open(format!("/svc/{place}")) {
            Ok(_) => println!("/svc/{place} open"),
            Err(error) => println!("/svc/{place} {:?}", error.kind()),
        }
    }
}
