use std::future::poll_fn;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::channel;

use qyv_sched::{FairQueue, Fifo, Weight};

use super::*;

/// An executor whose tasks look at a counter to learn that they are to give up their thread.
struct Bench {
    executor: Executor,
    epoch: Arc<AtomicU64>,
}

impl Bench {
    fn new(scheduler: Box<dyn Scheduler + Send>, threads: usize) -> Self {
        let epoch = Arc::new(AtomicU64::new(0));
        let bump = Arc::clone(&epoch);
        let executor = Executor::start(
            scheduler,
            threads,
            move || {
                bump.fetch_add(1, Ordering::SeqCst);
            },
            || (),
        )
        .unwrap();
        Self { executor, epoch }
    }

    fn fair(threads: usize) -> Self {
        Self::new(Box::new(FairQueue::new(threads)), threads)
    }

    fn group(&self, weight: u16) -> GroupId {
        self.executor.add_group("app", Share { weight: Weight::new(weight).unwrap(), quota: None }).unwrap()
    }

    /// A task that computes for ever, giving up its thread when asked.
    fn hog(&self, group: GroupId) -> (Task, Arc<Meter>) {
        let (meter, epoch) = (Arc::new(Meter::default()), Arc::clone(&self.epoch));
        let work = poll_fn(move |context| {
            let seen = epoch.load(Ordering::SeqCst);
            while epoch.load(Ordering::SeqCst) == seen {
                std::hint::spin_loop();
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        (self.executor.spawn(group, Arc::clone(&meter), work).unwrap(), meter)
    }
}

/// The shares of processor time that hogs of the weights 1, 2 and 4 got on one thread.
fn shares(scheduler: Box<dyn Scheduler + Send>) -> [f64; 3] {
    let bench = Bench::new(scheduler, 1);
    let hogs = [100, 200, 400].map(|weight| bench.hog(bench.group(weight)));
    std::thread::sleep(Duration::from_millis(700));
    let used = hogs.map(|(_, meter)| meter.used() as f64);
    let sum: f64 = used.iter().sum();
    used.map(|used| used / sum)
}

#[test]
fn weights_share_the_processor_and_a_plain_queue_would_not() {
    let close = |shares: [f64; 3]| {
        shares.iter().zip([1.0, 2.0, 4.0]).all(|(share, weight)| (share - weight / 7.0).abs() < 0.05)
    };
    let fair = shares(Box::new(FairQueue::new(1)));
    assert!(close(fair), "{fair:?}");
    let plain = shares(Box::new(Fifo::new()));
    assert!(!close(plain), "{plain:?}");
}

#[test]
fn a_task_that_is_killed_is_dropped_whether_it_runs_or_waits() {
    let bench = Bench::fair(2);
    let group = bench.group(100);
    let (dropped, drops) = channel();
    let guard = |name: &'static str| {
        struct OnDrop(&'static str, std::sync::mpsc::Sender<&'static str>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                let _ = self.1.send(self.0);
            }
        }
        OnDrop(name, dropped.clone())
    };
    let waits = guard("waits");
    let waiting = bench
        .executor
        .spawn(group, Arc::default(), async move {
            let _held = waits;
            std::future::pending::<()>().await;
        })
        .unwrap();
    let (runs, epoch) = (guard("runs"), Arc::clone(&bench.epoch));
    let running = bench
        .executor
        .spawn(group, Arc::default(), async move {
            let _held = runs;
            poll_fn(|context| {
                let seen = epoch.load(Ordering::SeqCst);
                while epoch.load(Ordering::SeqCst) == seen {}
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            })
            .await;
        })
        .unwrap();
    waiting.kill();
    assert_eq!(drops.recv_timeout(Duration::from_secs(10)), Ok("waits"));
    running.kill();
    assert_eq!(drops.recv_timeout(Duration::from_secs(10)), Ok("runs"));
    // Once more is harmless.
    waiting.kill();
    let held = guard("at the end");
    let last = bench.executor.spawn(group, Arc::default(), async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    drop(bench);
    assert_eq!(drops.recv_timeout(Duration::from_secs(10)), Ok("at the end"));
    drop(last);
}

#[test]
fn no_wake_up_is_lost_between_tasks() {
    let bench = Bench::fair(2);
    let (sender, mut receivers) = (Arc::new(Mutex::new([None::<Waker>, None])), Vec::new());
    // Two tasks that hand a ball to each other, on two threads.
    let ball = Arc::new(AtomicU64::new(0));
    for me in 0..2u64 {
        let (ball, wakers) = (Arc::clone(&ball), Arc::clone(&sender));
        let (done, receiver) = channel();
        receivers.push(receiver);
        let group = bench.group(100);
        let work = poll_fn(move |context| {
            let mut wakers = wakers.lock().unwrap();
            let at = ball.load(Ordering::SeqCst);
            if at >= 20_000 {
                let _ = done.send(());
                if let Some(waker) = wakers[1 - me as usize].take() {
                    waker.wake();
                }
                return Poll::Ready(());
            }
            if at % 2 == me {
                ball.fetch_add(1, Ordering::SeqCst);
                if let Some(waker) = wakers[1 - me as usize].take() {
                    waker.wake();
                }
            }
            wakers[me as usize] = Some(context.waker().clone());
            Poll::Pending
        });
        assert!(bench.executor.spawn(group, Arc::default(), work).is_some());
    }
    for receiver in receivers {
        receiver.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn a_panic_in_one_task_leaves_the_others() {
    let bench = Bench::fair(1);
    let group = bench.group(100);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let broken = bench.executor.spawn(group, Arc::default(), async { panic!("on purpose") });
    let (done, receiver) = channel();
    let sound = bench.executor.spawn(group, Arc::default(), async move {
        let _ = done.send(());
    });
    let heard = receiver.recv_timeout(Duration::from_secs(10));
    std::panic::set_hook(hook);
    assert_eq!(heard, Ok(()));
    assert!(broken.is_some() && sound.is_some());
}

#[test]
fn a_quota_is_held_and_renewed() {
    let bench = Bench::fair(1);
    let share = Share { weight: Weight::new(100).unwrap(), quota: qyv_sched::Quota::thousandths(200) };
    let (_task, meter) = bench.hog(bench.executor.add_group("app", share).unwrap());
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(1050));
    let part = meter.used() as f64 / start.elapsed().as_nanos() as f64;
    // A period may just have begun, a slice may end late, and others may keep the processor busy.
    assert!((0.02..0.3).contains(&part), "{part}");
}

#[test]
fn a_task_that_has_used_its_quota_is_killed_at_once() {
    let bench = Bench::fair(1);
    let share = Share { weight: Weight::new(1).unwrap(), quota: qyv_sched::Quota::thousandths(1) };
    let group = bench.executor.add_group("app", share).unwrap();
    let (done, dropped) = channel::<()>();
    let epoch = Arc::clone(&bench.epoch);
    let task = bench.executor.spawn(group, Arc::default(), async move {
        let _held = done;
        poll_fn(|context| {
            let seen = epoch.load(Ordering::SeqCst);
            while epoch.load(Ordering::SeqCst) == seen {}
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
    });
    // Its first turn takes some milliseconds, which it pays for over seconds.
    std::thread::sleep(Duration::from_millis(100));
    task.unwrap().kill();
    let ended = dropped.recv_timeout(Duration::from_millis(1500));
    assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
}

/// A call that waits until it is let go.
fn hang(gate: &Arc<(Mutex<bool>, Condvar)>) {
    may_wait(|| {
        let mut open = gate.0.lock().unwrap();
        while !*open {
            open = gate.1.wait(open).unwrap();
        }
    });
}

fn let_go(gate: &(Mutex<bool>, Condvar)) {
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
}

/// Lets go at the end of a test, so that one that fails ends.
struct LetGo(Arc<(Mutex<bool>, Condvar)>);

impl Drop for LetGo {
    fn drop(&mut self) {
        let_go(&self.0);
    }
}

#[track_caller]
fn until(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::yield_now();
    }
}

/// Waits until a new task of an app has run `turns` turns.
fn runs(bench: &Bench, app: &str, turns: u32) {
    let share = Share { weight: Weight::new(100).unwrap(), quota: None };
    let group = bench.executor.add_group(app, share).unwrap();
    let (done, receiver) = channel();
    let mut left = turns;
    let work = poll_fn(move |context| {
        if left == 0 {
            let _ = done.send(());
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    });
    let _task = bench.executor.spawn(group, Arc::default(), work).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::from_secs(30)), Ok(()));
}

#[test]
fn calls_that_hang_hold_up_nobody_else_and_an_app_holds_few_threads() {
    let bench = Bench::fair(2);
    let gate: Arc<(Mutex<bool>, Condvar)> = Arc::default();
    let _at_last = LetGo(Arc::clone(&gate));
    let begun = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let count = 3 * lane::LANE_THREADS_MAX;
    let group = bench.group(100);
    for _ in 0..count {
        let (gate, begun, ended) = (Arc::clone(&gate), Arc::clone(&begun), Arc::clone(&ended));
        let work = async move {
            begun.fetch_add(1, Ordering::SeqCst);
            hang(&gate);
            ended.fetch_add(1, Ordering::SeqCst);
        };
        assert!(bench.executor.spawn(group, Arc::default(), work).is_some());
    }
    // Until all that may hang do.
    until(|| begun.load(Ordering::SeqCst) >= lane::LANE_THREADS_MAX);
    runs(&bench, "neighbour", 1000);
    // Each of the two places may have let one in before the app held its most.
    let most = lane::LANE_THREADS_MAX + 2;
    assert!(begun.load(Ordering::SeqCst) <= most, "{begun:?}");
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    let_go(&gate);
    until(|| ended.load(Ordering::SeqCst) == count);
    runs(&bench, "app", 100);
}

#[test]
fn a_task_that_hangs_is_killed_when_its_call_ends_and_the_executor_ends_without_it() {
    struct Gone(std::sync::mpsc::Sender<()>);
    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let bench = Bench::fair(1);
    let gate: Arc<(Mutex<bool>, Condvar)> = Arc::default();
    let _at_last = LetGo(Arc::clone(&gate));
    let (sender, gone) = channel();
    let (held, hangs) = (Gone(sender), Arc::clone(&gate));
    let (begin, begun) = channel();
    let task = bench
        .executor
        .spawn(bench.group(100), Arc::default(), async move {
            let _held = held;
            let _ = begin.send(());
            hang(&hangs);
            std::future::pending::<()>().await;
        })
        .unwrap();
    begun.recv_timeout(Duration::from_secs(10)).unwrap();
    task.kill();
    runs(&bench, "neighbour", 100);
    assert!(gone.try_recv().is_err());
    drop(bench);
    let_go(&gate);
    assert_eq!(gone.recv_timeout(Duration::from_secs(10)), Ok(()));
}

#[test]
fn what_hangs_when_it_is_dropped_hangs_elsewhere() {
    struct Slow(Arc<(Mutex<bool>, Condvar)>, std::sync::mpsc::Sender<()>);
    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.1.send(());
            hang(&self.0);
            let _ = self.1.send(());
        }
    }
    let bench = Bench::fair(1);
    let gate: Arc<(Mutex<bool>, Condvar)> = Arc::default();
    let _at_last = LetGo(Arc::clone(&gate));
    let (sender, events) = channel();
    let slow = Slow(Arc::clone(&gate), sender);
    let (begin, begun) = channel();
    let waits = async move {
        let _slow = slow;
        let _ = begin.send(());
        std::future::pending::<()>().await;
    };
    let task = bench.executor.spawn(bench.group(100), Arc::default(), waits).unwrap();
    begun.recv_timeout(Duration::from_secs(10)).unwrap();
    runs(&bench, "neighbour", 1);
    // Returns although the drop does not.
    task.kill();
    events.recv_timeout(Duration::from_secs(10)).unwrap();
    runs(&bench, "neighbour", 100);
    let_go(&gate);
    events.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn who_waits_most_of_the_time_leaves_the_processor_to_others() {
    let bench = Bench::fair(1);
    let stop = Arc::new(AtomicBool::new(false));
    let epoch = Arc::clone(&bench.epoch);
    let (stopped, turns) = (Arc::clone(&stop), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&turns);
    // As one that syncs a file all the time.
    let syncs = poll_fn(move |context| {
        let seen = epoch.load(Ordering::SeqCst);
        while epoch.load(Ordering::SeqCst) == seen && !stopped.load(Ordering::SeqCst) {
            may_wait(|| std::thread::sleep(Duration::from_micros(300)));
        }
        counted.fetch_add(1, Ordering::SeqCst);
        if stopped.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    });
    let share = || Share { weight: Weight::new(100).unwrap(), quota: None };
    let waits = bench.executor.add_group("syncs", share()).unwrap();
    let task = bench.executor.spawn(waits, Arc::default(), syncs).unwrap();
    let (_hog, meter) = bench.hog(bench.group(100));
    std::thread::sleep(Duration::from_millis(200));
    let (used, turned, start) = (meter.used(), turns.load(Ordering::SeqCst), Instant::now());
    std::thread::sleep(Duration::from_millis(500));
    // Were the place held while the other waits, who is charged so little for that would have it nearly all the time.
    let part = (meter.used() - used) as f64 / start.elapsed().as_nanos() as f64;
    stop.store(true, Ordering::SeqCst);
    drop(task);
    assert!(turns.load(Ordering::SeqCst) > turned + 10);
    assert!(part > 0.15, "{part}");
}
