//! Sends a line to the logger, waits, and begins again: `producer MILLISECONDS`.

use std::time::Duration;

use qyv::task::sleep;

fn main() {
    let pause = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    qyv::block_on(produce(Duration::from_millis(pause)));
}

async fn produce(pause: Duration) {
    let mut number: u64 = 0;
    loop {
        let conn = qyv::net::connect("service://logger").await;
        // The logger may be restarted meanwhile: then a new connection is made, and the line is sent again.
        loop {
            let line = format!("mensaje de prueba {number}");
            if let Err(error) = conn.send(line).await {
                eprintln!("producer: {error}");
                break;
            }
            number += 1;
            sleep(pause).await;
        }
        sleep(pause).await;
    }
}
