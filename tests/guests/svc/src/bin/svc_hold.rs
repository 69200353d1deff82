//! Holds connections open and uses each of them again and again, for ever: `svc_hold ADDRESS CONNECTIONS MILLISECONDS`, the
//! last being the pause between two rounds. It ends when a connection breaks, and as a failure.

use std::time::Duration;

use guests_svc::{argument, check, message, number, same};
use qyv::net::try_connect;
use qyv::task::sleep;

fn main() {
    let (address, count, pause) = (argument(1), number(2), number(3));
    qyv::block_on(async {
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(check("connect", try_connect(&address).await));
        }
        println!("holding");
        for round in 0.. {
            for conn in &held {
                let sent = message(round, 100);
                check("send", conn.send(&sent).await);
                same("echo", &check("receive", conn.recv_text().await), &Some(sent));
            }
            sleep(Duration::from_millis(pause as u64)).await;
        }
    });
}
