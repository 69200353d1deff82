use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;

use qyv_wasi::{
    Clock, Error as Errno, Host as _, Interest, ProcessBuilder, Readiness, Source, Stream, StreamKind,
};
use wasmtime::Module;

use super::*;

/// A host with a clock that stands at zero until it is moved, output into memory and input that comes when it is given.
#[derive(Clone, Default)]
pub(super) struct TestHost(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: u64,
    input: VecDeque<u8>,
    output: Vec<u8>,
    waiting: Option<Waker>,
    ended: Option<Vec<Denial>>,
}

impl TestHost {
    /// Whether its guest is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.0.lock().unwrap().ended.is_some()
    }
}

impl qyv_wasi::Host for TestHost {
    fn clock_now(&mut self, _: Clock) -> qyv_wasi::Result<u64> {
        Ok(self.0.lock().unwrap().now)
    }

    fn clock_resolution(&mut self, _: Clock) -> qyv_wasi::Result<u64> {
        Ok(1)
    }

    fn random(&mut self, into: &mut [u8]) -> qyv_wasi::Result<()> {
        into.fill(4);
        Ok(())
    }

    fn stream_read(&mut self, _: Stream, into: &mut [u8]) -> qyv_wasi::Result<usize> {
        let byte = self.0.lock().unwrap().input.pop_front().ok_or(Errno::AGAIN)?;
        into[0] = byte;
        Ok(1)
    }

    fn stream_write(&mut self, _: Stream, from: &[u8]) -> qyv_wasi::Result<usize> {
        self.0.lock().unwrap().output.extend_from_slice(from);
        Ok(from.len())
    }

    fn stream_kind(&self, _: Stream) -> StreamKind {
        StreamKind::Pipe
    }

    fn ready(&mut self, _: Source, interest: Interest) -> Option<Readiness> {
        let bytes = self.0.lock().unwrap().input.len() as u64;
        (interest == Interest::Write || bytes > 0).then_some(Readiness { bytes, hangup: false })
    }

    fn yield_now(&mut self) {}
}

impl SharedHost for TestHost {
    fn poll_wait(&mut self, wait: &Wait, context: &mut Context<'_>) -> Poll<()> {
        let due = wait.deadline().is_some_and(|(_, at)| at <= self.0.lock().unwrap().now);
        let ready = wait.sources().iter().any(|(source, interest)| self.ready(*source, *interest).is_some());
        if due || ready {
            return Poll::Ready(());
        }
        self.0.lock().unwrap().waiting = Some(context.waker().clone());
        Poll::Pending
    }

    fn ended(&mut self, denials: &[Denial]) {
        self.0.lock().unwrap().ended = Some(denials.to_vec());
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Run<'a> = Pin<Box<dyn Future<Output = Result<SharedEnd>> + Send + 'a>>;

struct Bench {
    shared: Shared,
    program: SharedProgram<TestHost>,
    host: TestHost,
    woken: Arc<Woken>,
}

impl Bench {
    fn new(text: &str) -> Self {
        let settings = Settings::default();
        // With a compiler, so that no cache is needed.
        let shared =
            Shared { engine: config::compiler(&settings).unwrap(), settings, handlers: Arc::default() };
        let module = Module::new(&shared.engine, wat::parse_str(text).unwrap()).unwrap();
        let code = SharedCode::Module(preview1::link_shared(&shared.engine, &module).unwrap());
        let program = SharedProgram { engine: shared.engine.clone(), code, instance_bytes: 0 };
        Self { shared, program, host: TestHost::default(), woken: Arc::default() }
    }

    fn start(&self) -> Run<'_> {
        let memory = Budget::new(1 << 20);
        let process = ProcessBuilder::new().deny_root().memory_budget(memory.clone()).build().unwrap();
        let host = self.host.clone();
        Box::pin(self.program.run(SharedStart { process, host, memory }))
    }

    fn poll(&self, run: &mut Run<'_>) -> Poll<Ending> {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        run.as_mut().poll(&mut Context::from_waker(&waker)).map(|end| end.unwrap().ending)
    }
}

const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\01\00\00\00")
    (func (export "_start")
        (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
        (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))))"#;

#[test]
fn a_guest_that_waits_is_suspended_and_goes_on_when_woken() {
    let bench = Bench::new(ECHO);
    let mut run = bench.start();
    assert!(bench.poll(&mut run).is_pending());
    assert!(bench.poll(&mut run).is_pending(), "nothing has come yet");
    let waker = {
        let mut state = bench.host.0.lock().unwrap();
        state.input.push_back(b'x');
        state.waiting.take().unwrap()
    };
    waker.wake();
    assert!(bench.woken.0.load(Ordering::SeqCst));
    assert_eq!(bench.poll(&mut run), Poll::Ready(Ending::Exited(0)));
    assert_eq!(bench.host.0.lock().unwrap().output, b"x");
    drop(run);
    assert_eq!(bench.host.0.lock().unwrap().ended, Some(Vec::new()));
}

#[test]
fn a_sleep_lasts_until_its_deadline() {
    let bench = Bench::new(
        r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 1000))
            (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)) (then unreachable))))"#,
    );
    let mut run = bench.start();
    assert!(bench.poll(&mut run).is_pending());
    bench.host.0.lock().unwrap().now = 999;
    assert!(bench.poll(&mut run).is_pending());
    bench.host.0.lock().unwrap().now = 1000;
    assert_eq!(bench.poll(&mut run), Poll::Ready(Ending::Exited(0)));
}

#[test]
fn a_loop_gives_up_its_thread_when_asked_and_dies_when_dropped() {
    let bench = Bench::new(r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#);
    let mut run = bench.start();
    for _ in 0..3 {
        let shared = bench.shared.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            shared.yield_all();
        });
        assert!(bench.poll(&mut run).is_pending());
        assert!(bench.woken.0.load(Ordering::SeqCst), "it wants to go on");
        thread.join().unwrap();
    }
    drop(run);
    assert!(bench.host.0.lock().unwrap().ended.is_some());
}

#[test]
fn endings_and_denials_are_those_of_a_guest_with_its_own_thread() {
    let trap = Bench::new(r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#);
    assert_eq!(trap.poll(&mut trap.start()), Poll::Ready(Ending::Trapped));
    let exit = Bench::new(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 7))))"#,
    );
    assert_eq!(exit.poll(&mut exit.start()), Poll::Ready(Ending::Exited(7)));
    let greedy = Bench::new(
        r#"(module (memory (export "memory") 1)
        (func (export "_start") (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))))"#,
    );
    assert_eq!(greedy.poll(&mut greedy.start()), Poll::Ready(Ending::Limit(Limit::Memory)));
    let curious = Bench::new(
        r#"(module
        (import "wasi_snapshot_preview1" "path_filestat_get"
            (func $stat (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "secret")
        (func (export "_start")
            (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 64)))))"#,
    );
    assert_eq!(curious.poll(&mut curious.start()), Poll::Ready(Ending::Exited(0)));
    let ended = curious.host.0.lock().unwrap().ended.take().unwrap();
    assert_eq!(ended[0].what, "/secret");
}

#[test]
fn a_guest_that_yields_comes_back_at_once() {
    let bench = Bench::new(
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (memory (export "memory") 1) (func (export "_start") (drop (call $yield)) (drop (call $yield))))"#,
    );
    let mut run = bench.start();
    for _ in 0..2 {
        assert!(bench.poll(&mut run).is_pending());
        assert!(bench.woken.0.load(Ordering::SeqCst));
    }
    assert_eq!(bench.poll(&mut run), Poll::Ready(Ending::Exited(0)));
}

#[test]
fn an_instance_larger_than_the_memory_is_not_made() {
    let mut bench = Bench::new(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    bench.program.instance_bytes = 512 << 10;
    assert_eq!(bench.poll(&mut bench.start()), Poll::Ready(Ending::Exited(0)));
    bench.program.instance_bytes = (1 << 20) + 1;
    assert_eq!(bench.poll(&mut bench.start()), Poll::Ready(Ending::Limit(Limit::Memory)));
    assert!(bench.host.0.lock().unwrap().ended.is_some());

    let component = r#"(component (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m)) (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $out (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $out)))"#;
    let engine = &bench.shared.engine;
    let component = Component::new(engine, wat::parse_str(component).unwrap()).unwrap();
    bench.program.code = SharedCode::Component(prepare(engine, &component).unwrap());
    for (bytes, ending) in [(512 << 10, Ending::Exited(0)), ((1 << 20) + 1, Ending::Limit(Limit::Memory))] {
        bench.program.instance_bytes = bytes;
        assert_eq!(bench.poll(&mut bench.start()), Poll::Ready(ending));
    }
}
