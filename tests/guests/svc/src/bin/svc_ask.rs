//! Asks a service of lines: `svc_ask ADDRESS LINE...` sends each line, prints each answer, and closes. A service that is not
//! up yet is tried again for a while.

use std::time::Duration;

use guests_svc::{argument, check, fail};
use qyv::ErrorKind;
use qyv::net::{Connection, try_connect};

/// How often a service that is down is tried.
const TRIES: usize = 1000;
/// How long is waited between two tries.
const PAUSE: Duration = Duration::from_millis(20);

fn main() {
    qyv::block_on(async {
        let service = dial(&argument(1)).await;
        for line in std::env::args().skip(2) {
            check("send", service.send(line).await);
            match check("receive", service.recv_text().await) {
                Some(answer) => println!("{answer}"),
                None => fail("receive", "the connection ended"),
            }
        }
    });
}

async fn dial(address: &str) -> Connection {
    for _ in 0..TRIES {
        match try_connect(address).await {
            Err(error) if error.kind() == ErrorKind::Down => qyv::task::sleep(PAUSE).await,
            dialled => return check("dial", dialled),
        }
    }
    fail("dial", "the service stays down")
}
