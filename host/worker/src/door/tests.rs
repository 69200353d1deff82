use std::collections::BTreeMap;
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{CHECKS_MAX, Come, Doors, Room, Taken, Taker};

/// How long something may take that happens.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    runtime: Runtime,
    doors: Doors,
    socket: StdListener,
}

impl Bench {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let doors = Doors::new(runtime.handle().clone());
        Self { runtime, doors, socket: StdListener::bind("127.0.0.1:0").unwrap() }
    }

    fn taker(&self, most: usize) -> (Taker, Arc<Room>) {
        self.taker_of(&self.socket, most)
    }

    fn taker_of(&self, socket: &StdListener, most: usize) -> (Taker, Arc<Room>) {
        let (room, copy) = (Room::new(most), OwnedFd::from(socket.try_clone().unwrap()));
        (self.doors.open(&"app".parse().unwrap(), "here", copy, &room).unwrap(), room)
    }

    fn dial(&self) -> StdStream {
        StdStream::connect(self.socket.local_addr().unwrap()).unwrap()
    }

    /// Waits until `count` connections wait for an instance.
    #[track_caller]
    fn wait_for(&self, taker: &Taker, count: usize) {
        let all = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, async {
                while taker.ready(None) != count {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await
        });
        assert!(all.is_ok(), "{} wait and not {count}", taker.ready(None));
    }

    fn next(&self, taker: &Taker) -> Taken {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, taker.next()).await.unwrap() })
    }
}

#[test]
fn instances_take_turns_and_those_that_come_and_go_change_nothing_of_that() {
    let bench = Bench::new();
    let (first, second) = (bench.taker(100), bench.taker(100));
    let mut held: Vec<_> = (0..10).map(|_| bench.dial()).collect();
    bench.wait_for(&first.0, 5);
    bench.wait_for(&second.0, 5);
    let third = bench.taker(100);
    held.extend((0..9).map(|_| bench.dial()));
    for taker in [&first, &second] {
        bench.wait_for(&taker.0, 8);
    }
    bench.wait_for(&third.0, 3);
    // What it has not taken is shared by the others, and given back by it.
    drop(third.0);
    assert_eq!(third.1.occupied(), 0);
    let waiting = [first.0.ready(None), second.0.ready(None)];
    assert_eq!(waiting.iter().sum::<usize>(), 19);
    assert!(waiting[0].abs_diff(waiting[1]) <= 1, "{waiting:?}");
    // Each of them is one that was dialled.
    let mut ports = BTreeMap::new();
    for taker in [&first.0, &second.0] {
        while let Some(Taken { stream, .. }) = taker.take() {
            let Come::Client(stream) = stream else { panic!("nobody checks") };
            *ports.entry(stream.peer_addr().unwrap()).or_insert(0) += 1;
        }
    }
    assert!(held.iter().all(|stream| ports.get(&stream.local_addr().unwrap()) == Some(&1)), "{ports:?}");
    assert_eq!(first.1.occupied() + second.1.occupied(), 0);
    // Alone, it gets back what nobody took.
    drop(second.0);
    let _late = bench.dial();
    bench.wait_for(&first.0, 1);
    assert_eq!(first.0.close().len(), 1);
}

#[test]
fn who_has_no_room_is_passed_over_and_where_nobody_has_the_kernel_keeps_them() {
    let bench = Bench::new();
    let (small, large) = (bench.taker(1), bench.taker(3));
    let held: Vec<_> = (0..6).map(|_| bench.dial()).collect();
    bench.wait_for(&small.0, 1);
    bench.wait_for(&large.0, 3);
    // Taken but still there: it fills its room.
    let taken = bench.next(&small.0);
    assert_eq!(small.0.ready(None), 0);
    drop(taken);
    // That made room for the fifth.
    bench.wait_for(&small.0, 1);
    let taken: Vec<_> = std::iter::from_fn(|| large.0.take()).collect();
    assert_eq!(large.1.occupied(), 3);
    drop(taken);
    bench.wait_for(&large.0, 1);
    drop(held);
}

#[test]
fn who_comes_next_gets_what_came_while_nobody_listened() {
    let bench = Bench::new();
    let (first, _) = bench.taker(9);
    drop(first.close());
    let _early = bench.dial();
    // Another socket of the same address, as after the daemon was replaced.
    let other = StdListener::bind("127.0.0.1:0").unwrap();
    let (second, _) = bench.taker_of(&other, 9);
    drop(bench.next(&second));
    let _late = StdStream::connect(other.local_addr().unwrap()).unwrap();
    drop(bench.next(&second));
    // The last who goes closes the door, and the daemon's own socket stays.
    drop((first, second));
    let _later = bench.dial();
    let (third, _) = bench.taker(9);
    drop(bench.next(&third));
}

#[test]
fn a_check_goes_to_the_instance_that_is_meant_and_to_no_other() {
    let bench = Bench::new();
    let (first, second) = (bench.taker(1), bench.taker(1));
    let held = [bench.dial(), bench.dial()];
    bench.wait_for(&first.0, 1);
    bench.wait_for(&second.0, 1);
    // Full as it is, and behind what came before.
    let bell = second.0.bell();
    let rings: Vec<_> = (0..CHECKS_MAX).map(|_| bell.ring().unwrap()).collect();
    assert_eq!(bell.ring().unwrap_err(), "it accepts no connections");
    assert_eq!((first.0.ready(None), second.0.ready(None)), (1, 1 + CHECKS_MAX));
    assert!(matches!(second.0.take().unwrap().stream, Come::Client(_)));
    assert!(matches!(second.0.take().unwrap().stream, Come::Check(_)));
    // Gone, nobody answers in its place.
    drop(second);
    assert_eq!(first.0.ready(None), 1);
    assert_eq!(bell.ring().unwrap_err(), "it listens no more");
    drop((rings, held));
}
