//! Sends bytes and compares what comes back, wherever it is cut: `svc_stream_client ADDRESS BYTES`, for a service without
//! messages.

use std::rc::Rc;

use guests_svc::{argument, check, message, number, same};
use qyv::net::{Framing, try_connect};

fn main() {
    let (address, bytes) = (argument(1), number(2));
    qyv::block_on(async {
        let conn = Rc::new(check("connect", try_connect(&address).await));
        same("the protocol is known", &conn.framing(), &Framing::Stream);
        let (sender, sent) = (conn.clone(), message(0, bytes));
        let sending = qyv::spawn({
            let sent = sent.clone();
            async move {
                for piece in sent.as_bytes().chunks(10_000) {
                    check("send", sender.send(piece).await);
                }
                check("finish", sender.finish().await);
            }
        });
        let mut came = Vec::new();
        while let Some(piece) = check("receive", conn.recv().await) {
            came.extend(piece);
        }
        sending.await;
        same("what came back", &(came == sent.as_bytes()), &true);
    });
    println!("{bytes} bytes came back");
}
