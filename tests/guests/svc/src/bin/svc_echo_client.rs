//! Sends messages and compares what comes back: `svc_echo_client ADDRESS COUNT BYTES`, one at a time, then all at once, by a
//! connection each time. For lines and frames.

use std::rc::Rc;

use guests_svc::{argument, check, message, number, same};
use qyv::Wait;
use qyv::net::try_connect;

fn main() {
    let (address, count, bytes) = (argument(1), number(2), number(3));
    let conn = check("connect", try_connect(&address).wait());
    for index in 0..count {
        let sent = message(index, bytes);
        check("send", conn.send(&sent).wait());
        same("echo", &check("receive", conn.recv_text().wait()), &Some(sent));
    }
    drop(conn);
    qyv::block_on(async {
        let conn = Rc::new(check("connect again", try_connect(&address).await));
        let sender = conn.clone();
        let sending = qyv::spawn(async move {
            for index in 0..count {
                check("send many", sender.send(message(index, bytes)).await);
            }
            check("finish", sender.finish().await);
        });
        for index in 0..count {
            let came = check("receive many", conn.recv_text().await);
            same("echo of many", &came, &Some(message(index, bytes)));
        }
        sending.await;
        same("end", &check("receive the end", conn.recv_text().await), &None);
    });
    println!("{} messages came back", 2 * count);
}
