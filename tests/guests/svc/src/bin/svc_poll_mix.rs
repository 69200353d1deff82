//! Waits for connections that answer, one that never does, a listener and timers at once: `svc_poll_mix ADDRESS NAME`. The service
//! at `ADDRESS` sends lines back; somebody connects to the socket `NAME`, sends a line and gets it back.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use guests_svc::{argument, check, message, same};
use qyv::net::{listen, try_connect};
use qyv::task::{Either, race, sleep, timeout};

/// How many connections wait at once.
const CONNECTIONS: usize = 8;

fn main() {
    let (address, name) = (argument(1), argument(2));
    let listener = check("listen", listen(name));
    let ticks = Rc::new(Cell::new(0));
    let ticking = ticks.clone();
    drop(qyv::spawn(async move {
        loop {
            sleep(Duration::from_millis(1)).await;
            ticking.set(ticking.get() + 1);
        }
    }));
    qyv::block_on(async {
        let served = qyv::spawn(async move {
            let client = check("accept", listener.accept().await);
            let line = check("receive from the client", client.recv().await).unwrap_or_default();
            check("send to the client", client.send(line).await);
        });
        let talks: Vec<_> = (0..CONNECTIONS).map(|index| qyv::spawn(talk(address.clone(), index))).collect();
        for talk in talks {
            talk.await;
        }

        // Nothing was asked, so nothing comes, and the timer goes on meanwhile.
        let silent = check("connect the silent one", try_connect(&address).await);
        let (before, start) = (ticks.get(), Instant::now());
        same("nothing comes", &timeout(Duration::from_millis(20), silent.recv()).await.is_none(), &true);
        same("it waited so long", &(start.elapsed() >= Duration::from_millis(20)), &true);
        same("the timer went on", &(ticks.get() > before), &true);

        // What was dropped halfway took nothing away.
        check("send late", silent.send("late").await);
        let late = match race(silent.recv_text(), sleep(Duration::MAX)).await {
            Either::First(late) => check("receive late", late),
            Either::Second(()) => None,
        };
        same("late", &late.as_deref(), &Some("late"));
        served.await;
    });
    println!("all were served");
}

async fn talk(address: String, index: usize) {
    let conn = check("connect", try_connect(address).await);
    for round in 0..10 {
        let sent = message(index + round, 100);
        check("send", conn.send(&sent).await);
        same("echo", &check("receive", conn.recv_text().await), &Some(sent));
        sleep(Duration::from_millis(1)).await;
    }
}
