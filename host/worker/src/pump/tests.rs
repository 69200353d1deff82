use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;

use qyv_vfs::{Budget, Error};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::executor::Look as _;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The guest's end, the task's, its socket, and the far side.
fn pair() -> (End<Shared>, End<Shared>, OwnedFd, UnixStream) {
    let memory = Budget::new(1 << 20);
    let (guest, end) = End::pair(&memory, &memory).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (guest, end, near.into(), far)
}

/// Receives what is there.
fn received(end: &End<Shared>) -> qyv_vfs::Result<Vec<u8>> {
    let mut buffer = [0; 64];
    end.receive(&mut buffer, false).map(|count| buffer[..count].to_vec())
}

#[test]
fn a_message_and_its_answer_need_no_reactor() {
    let runtime = runtime();
    let (guest, end, near, mut far) = pair();
    let _entered = runtime.enter();
    let carried = Carried::new(end, near).unwrap();
    let direct = Waker::from(Arc::new(Direct::new(&carried)));
    let mut task = pin!(carried.carry(&direct));
    let context = &mut Context::from_waker(Waker::noop());
    assert!(task.as_mut().poll(context).is_pending());
    // From here on nobody polls the task, nor the reactor.
    for message in [b"first", b"later"] {
        assert_eq!(guest.send(message), Ok(5));
        let mut there = [0; 5];
        far.read_exact(&mut there).unwrap();
        assert_eq!(&there, message);
        assert!(!carried.look(), "nothing was answered yet");
        far.write_all(b"answer").unwrap();
        assert!(carried.look());
        assert_eq!(received(&guest), Ok(b"answer".to_vec()));
    }
    // What does not fit is the task's, and what comes after it does not overtake it.
    let much = vec![b'm'; 60 << 10];
    let mut sent = 0;
    while let Ok(count) = guest.send(&much) {
        sent += count;
    }
    assert!(sent > much.len() && !lock(&carried.out).waits);
    drop(guest);
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        far.read_to_end(&mut all).map(|_| all.len())
    });
    let _ = runtime.block_on(task);
    assert_eq!(reader.join().unwrap().unwrap(), sent);
}

#[test]
fn what_is_carried_directly_and_by_the_task_stays_in_order() {
    const BYTES: usize = 8 << 20;
    let runtime = runtime();
    let (guest, end, near, mut far) = pair();
    let carried = runtime.block_on(async { Carried::new(end, near).unwrap() });
    let looked = Arc::clone(&carried);
    let direct = Waker::from(Arc::new(Direct::new(&carried)));
    let echo = thread::spawn(move || {
        let mut buffer = [0; 5000];
        while let Ok(count @ 1..) = far.read(&mut buffer) {
            far.write_all(&buffer[..count]).unwrap();
        }
    });
    let app = thread::spawn(move || {
        let at = |place: usize| (place % 251) as u8;
        let (mut sent, mut back) = (0, 0);
        let mut buffer = [0; 3000];
        while back < BYTES {
            // Of all sizes, from a byte to more than is carried at once.
            let size = (sent * 7919 % 20_000 + 1).min(BYTES - sent);
            let bytes: Vec<u8> = (sent..sent + size).map(at).collect();
            match guest.send(&bytes) {
                Ok(count) => sent += count,
                Err(error) => assert_eq!(error, Error::AGAIN),
            }
            looked.look();
            match guest.receive(&mut buffer, false) {
                Ok(count) => {
                    assert!(
                        buffer[..count].iter().enumerate().all(|(index, byte)| *byte == at(back + index))
                    );
                    back += count;
                }
                Err(error) => assert_eq!(error, Error::AGAIN),
            }
        }
    });
    // It ends when the app has closed its end.
    let _ = runtime.block_on(carried.carry(&direct));
    app.join().unwrap();
    drop(carried);
    echo.join().unwrap();
}

#[test]
fn ends_and_failures_are_told_on_either_side() {
    let runtime = runtime();
    let (guest, end, near, mut far) = pair();
    let task = runtime.spawn(pump(end, near));
    assert_eq!(guest.send(b"last"), Ok(4));
    guest.shutdown(Direction::Send);
    let mut all = Vec::new();
    let reader = thread::spawn(move || far.read_to_end(&mut all).map(|_| all));
    let closed = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), task).await.is_ok_and(|ended| ended.is_ok())
    });
    assert!(closed && reader.join().unwrap().unwrap() == b"last");
    assert_eq!(received(&guest), Ok(Vec::new()), "the far side had ended too");

    let (guest, end, near, far) = pair();
    let task = runtime.spawn(pump(end, near));
    assert_eq!(guest.send(b"never read"), Ok(10));
    runtime.block_on(async {
        // The task carries it, and then the far side goes without having read it.
        tokio::task::yield_now().await;
        drop(far);
        tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
    });
    assert_eq!(received(&guest), Err(Error::CONNRESET));
}
