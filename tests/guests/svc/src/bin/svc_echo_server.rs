//! Sends every message back: `svc_echo_server NAME PROTOCOL CONNECTIONS`. It ends after so many connections, 0 for never.

use guests_svc::{argument, check, framing, number};
use qyv::net::{Connection, listen};

fn main() {
    let listener = check("listen", listen(argument(1))).framing(framing(2));
    let connections = match number(3) {
        0 => usize::MAX,
        count => count,
    };
    qyv::block_on(async {
        println!("listening");
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = check("accept", listener.accept().await);
            clients.push(qyv::spawn(async move {
                // A client that dies is no failure of the server.
                if let Err(error) = echo(&client).await {
                    println!("client: {:?}", error.kind());
                }
            }));
            clients.retain(|client| !client.is_done());
        }
        for client in clients {
            client.await;
        }
    });
    println!("done");
}

async fn echo(client: &Connection) -> Result<(), qyv::Error> {
    while let Some(message) = client.recv().await? {
        client.send(message).await?;
    }
    Ok(())
}
