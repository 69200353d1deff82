//! The thread that watches a guest from outside: signals, wall-clock and processor time, processor share.
//!
//! It asks first, through [`Interrupt`]. A guest that cannot notice (a long bulk operation, a call blocked in the
//! host's file system, code compiled without interruption points) ends together with the process, after
//! [`GRACE`]: the process has no other guest.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::interrupt::{Interrupt, Reason};

/// How long a guest has to notice that it must stop before its process is ended.
pub const GRACE: Duration = Duration::from_millis(500);

/// How long the last words of a process may take.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// The period over which a processor share is held, as the CPU controller of Linux does.
const SHARE_PERIOD: Duration = Duration::from_millis(100);

/// What to hold a guest to. Nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// The wall-clock time it may run.
    pub wall: Option<Duration>,
    /// The processor time it may use.
    pub cpu_time: Option<Duration>,
    /// The part of one processor it may use, in thousandths; 1000 and more is no limit for a guest of one thread.
    pub cpu_share_milli: Option<u32>,
}

/// Stops being a watchdog when dropped.
#[derive(Debug)]
pub struct Watchdog {
    control: Arc<OwnedFd>,
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
    share: Option<Arc<Share>>,
}

/// What the watchdog's thread is told.
#[derive(Debug)]
enum Order {
    Hold(Watch, Instant, Option<Arc<Share>>),
    Finish,
}

/// When a guest that used up its share may go on.
#[derive(Debug)]
pub(crate) struct Share {
    start: Instant,
    /// Nanoseconds after `start`; 0 while it may run.
    resume_after: AtomicU64,
}

impl Share {
    /// Until when the guest must pause, if it must.
    pub(crate) fn pause_until(&self) -> Option<Instant> {
        let nanoseconds = self.resume_after.load(Ordering::Acquire);
        (nanoseconds > 0).then(|| self.start + Duration::from_nanos(nanoseconds))
    }
}

/// Turns SIGINT and SIGTERM into requests to stop, for as long as the returned value lives.
///
/// # Errors
///
/// When the process has no file descriptor left.
pub fn catch_signals() -> std::io::Result<Signals> {
    let unwatched = Arc::new(AtomicBool::new(false));
    let catch = |signal| {
        let (receiver, sender) = UnixStream::pair()?;
        // First, as actions run in the order in which they are registered: once the other one has woken the watchdog,
        // everything may be over before this one has looked.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&unwatched))?;
        signal_hook::low_level::pipe::register(signal, sender)?;
        receiver.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(receiver)
    };
    Ok(Signals {
        interrupt: catch(signal_hook::consts::SIGINT)?,
        terminate: catch(signal_hook::consts::SIGTERM)?,
        unwatched,
    })
}

/// The signals that ask a process to stop.
#[derive(Debug)]
pub struct Signals {
    interrupt: UnixStream,
    terminate: UnixStream,
    /// Once set, a signal ends the process as if it had never been caught.
    unwatched: Arc<AtomicBool>,
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.unwatched.store(true, Ordering::Release);
    }
}

impl Watchdog {
    /// Begins to watch for signals. `last_words` is called with the reason right before the process is ended because
    /// the guest did not stop by itself; it should leave the terminal and the status file in order, and be quick.
    ///
    /// # Errors
    ///
    /// When the process has no thread or file descriptor left.
    pub fn start(
        signals: Signals,
        interrupt: Interrupt,
        last_words: impl FnOnce(Reason) + Send + 'static,
    ) -> std::io::Result<Self> {
        let control = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, received) = channel();
        let patrol = Patrol {
            deadline: None,
            cpu_end: None,
            share: None,
            signals,
            interrupt,
            control: Arc::clone(&control),
            orders: received,
        };
        let thread = std::thread::Builder::new()
            .name("watchdog".into())
            .stack_size(128 << 10)
            .spawn(move || patrol.run(last_words))?;
        Ok(Self { control, orders, thread: Some(thread), share: None })
    }

    /// Holds the guest to `watch`, from now on.
    pub fn hold(&mut self, watch: Watch) {
        let now = Instant::now();
        let limited = watch.cpu_share_milli.is_some_and(|milli| milli < 1000);
        self.share = limited.then(|| Arc::new(Share { start: now, resume_after: AtomicU64::new(0) }));
        self.order(Order::Hold(watch, now, self.share.clone()));
    }

    pub(crate) fn share(&self) -> Option<Arc<Share>> {
        self.share.clone()
    }

    fn order(&self, order: Order) {
        // A thread that is gone has ended the process or is about to.
        let _ = self.orders.send(order);
        let _ = rustix::io::write(&*self.control, &1u64.to_ne_bytes());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.order(Order::Finish);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Patrol {
    deadline: Option<Instant>,
    cpu_end: Option<Duration>,
    share: Option<(Arc<Share>, u32)>,
    signals: Signals,
    interrupt: Interrupt,
    control: Arc<OwnedFd>,
    orders: Receiver<Order>,
}

enum Event {
    /// There are orders.
    Told,
    Stop(Reason),
    Look,
}

impl Patrol {
    fn run(mut self, last_words: impl FnOnce(Reason) + Send + 'static) {
        let mut period = Period::begin();
        let reason = loop {
            match self.sleep(self.next_look(&period)) {
                Event::Told if self.take_orders(&mut period) => return,
                Event::Told => {}
                Event::Stop(reason) => break reason,
                Event::Look => {}
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break Reason::Timeout;
            }
            if self.cpu_end.is_some_and(|end| process_cpu_time() >= end) {
                break Reason::CpuTime;
            }
            if let Some((share, milli)) = &self.share {
                self.hold_share(share, *milli, &mut period);
            }
        };
        self.interrupt.raise(reason);
        let end = Instant::now() + GRACE;
        loop {
            match self.sleep(Some(end.saturating_duration_since(Instant::now()))) {
                Event::Told if self.take_orders(&mut period) => return,
                Event::Told => {}
                // A second signal means: at once.
                Event::Stop(_) => break,
                Event::Look if Instant::now() >= end => break,
                Event::Look => {}
            }
        }
        // On a thread of its own: where nobody reads what is said, or the disk hangs, the process ends all the same.
        let (sender, said) = channel();
        let speaker = std::thread::Builder::new().spawn(move || {
            last_words(reason);
            let _ = sender.send(());
        });
        if speaker.is_ok() {
            let _ = said.recv_timeout(LAST_WORDS);
        }
        exit_now(i32::from(reason.ending().exit_code()));
    }

    /// Takes what was ordered; says whether that was to finish.
    fn take_orders(&mut self, period: &mut Period) -> bool {
        let _ = rustix::io::read(&*self.control, &mut [0; 8]);
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Finish => return true,
                Order::Hold(watch, start, share) => {
                    self.deadline = watch.wall.and_then(|wall| start.checked_add(wall));
                    self.cpu_end = watch.cpu_time.map(|cpu_time| process_cpu_time().saturating_add(cpu_time));
                    self.share = share.zip(watch.cpu_share_milli);
                    *period = Period::begin();
                }
            }
        }
        false
    }

    /// How long nothing can happen that nobody tells of. Processor time cannot pass faster than the clock.
    fn next_look(&self, period: &Period) -> Option<Duration> {
        let wall = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let cpu = self.cpu_end.map(|end| end.saturating_sub(process_cpu_time()));
        let share = self.share.as_ref().map(|(_, milli)| period.next_look(*milli));
        // Never in a hurry: a look costs some microseconds.
        [wall, cpu, share].into_iter().flatten().min().map(|time| time.max(Duration::from_millis(1)))
    }

    fn hold_share(&self, share: &Share, milli: u32, period: &mut Period) {
        if period.is_over() {
            share.resume_after.store(0, Ordering::Release);
            *period = Period::begin();
        } else if !period.paused && period.is_used_up(milli) {
            period.paused = true;
            let resume = period.end().saturating_duration_since(share.start).as_nanos();
            share.resume_after.store(u64::try_from(resume).unwrap_or(u64::MAX), Ordering::Release);
            self.interrupt.bump();
        }
    }

    fn sleep(&self, time: Option<Duration>) -> Event {
        let timeout = time.map(|time| time.min(Duration::from_secs(1 << 30)));
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        let mut descriptors = [
            PollFd::new(&*self.control, PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.interrupt.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.terminate.as_fd(), PollFlags::IN),
        ];
        if poll(&mut descriptors, timeout.as_ref()).is_err() {
            return Event::Look;
        }
        let [told, interrupt, terminate] = descriptors.map(|fd| !fd.revents().is_empty());
        if told {
            return Event::Told;
        }
        let mut seen = [0; 16];
        if interrupt {
            let _ = rustix::io::read(&self.signals.interrupt, &mut seen);
            return Event::Stop(Reason::Interrupt);
        }
        if terminate {
            let _ = rustix::io::read(&self.signals.terminate, &mut seen);
            return Event::Stop(Reason::Terminate);
        }
        Event::Look
    }
}

/// One period of a processor share.
struct Period {
    start: Instant,
    cpu_start: Duration,
    paused: bool,
}

impl Period {
    fn begin() -> Self {
        Self { start: Instant::now(), cpu_start: process_cpu_time(), paused: false }
    }

    fn end(&self) -> Instant {
        self.start + SHARE_PERIOD
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end()
    }

    fn left(&self, milli: u32) -> Duration {
        (SHARE_PERIOD * milli / 1000).saturating_sub(process_cpu_time().saturating_sub(self.cpu_start))
    }

    fn is_used_up(&self, milli: u32) -> bool {
        self.left(milli).is_zero()
    }

    fn next_look(&self, milli: u32) -> Duration {
        let rest = self.end().saturating_duration_since(Instant::now());
        if self.paused { rest } else { self.left(milli).min(rest) }
    }
}

fn process_cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Ends the process without running anything else: another thread is stuck in the middle of something.
fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions; it runs no destructors and no handlers, which is what is wanted here.
    unsafe { libc::_exit(code) }
}
