//! The vision's two lines, as printed: `svc_lost_failure ADDRESS`. Nobody looks at what came of them, so a failure is told on
//! standard error, once.

use guests_svc::argument;

#[expect(unused_must_use, reason = "that is the case")]
fn main() {
    qyv::block_on(async {
        let conn = qyv::net::connect(argument(1)).await;
        conn.send("mensaje de prueba").await;
    });
    println!("done");
}
