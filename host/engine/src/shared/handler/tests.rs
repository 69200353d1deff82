//! Handlers in text, that do nothing good with what they are given.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use qyv_wasi::ProcessBuilder;

use super::*;
use crate::shared::tests::TestHost;
use crate::{Ending, Limit};

/// A body that was never anything.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

/// A handler whose `handle` is this core function, over so many pages of memory.
fn handler(pages: u32, code: &str) -> (Engine, Arc<SharedHandler<TestHost>>) {
    let text = format!(
        r#"(component
        (import "wasi:http/types@0.2.0" (instance $types
            (export "incoming-request" (type (sub resource)))
            (export "response-outparam" (type (sub resource)))))
        (alias export $types "incoming-request" (type $request))
        (alias export $types "response-outparam" (type $out))
        (core module $m
            (memory {pages})
            (func (export "handle") (param i32 i32) {code}))
        (core instance $i (instantiate $m))
        (func $handle (param "request" (own $request)) (param "response-out" (own $out))
            (canon lift (core func $i "handle")))
        (instance $handler (export "handle" (func $handle)))
        (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    );
    let engine = config::compiler(&Settings::default()).unwrap();
    let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    assert!(component::is_handler(&component) && !component::is_program(&component));
    let proxy = prepare(&engine, &component).unwrap();
    (engine.clone(), Arc::new(SharedHandler { engine, proxy, instance_bytes: 1000 }))
}

fn start(memory: &Budget) -> SharedStart<TestHost> {
    let process = ProcessBuilder::new().deny_root().memory_budget(memory.clone()).build().unwrap();
    SharedStart { process, host: TestHost::default(), memory: memory.clone() }
}

fn request() -> Request<Nothing> {
    Request::get("/").header("host", "a").body(Nothing).unwrap()
}

/// Why a request has no answer. All that it held is given back.
#[track_caller]
fn failed(pages: u32, code: &str) -> Failed {
    let memory = Budget::new(1 << 20);
    let (_, handler) = handler(pages, code);
    let mut handling = handler.handle(request(), start(&memory));
    let answer = Pin::new(&mut handling).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(failed)) = answer else { panic!("it has an answer, or waits") };
    drop(handling);
    assert_eq!(memory.used(), 0);
    failed
}

#[test]
fn who_traps_or_says_nothing_has_no_answer() {
    let Failed::Ended(end) = failed(1, "unreachable") else { panic!() };
    assert_eq!(end.ending, Ending::Trapped);
    assert!(Failed::Ended(end).to_string().contains("unreachable"));
    assert!(matches!(failed(1, ""), Failed::NoAnswer));
}

#[test]
fn memory_is_that_of_the_app() {
    let grow = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let Failed::Ended(end) = failed(1, grow) else { panic!() };
    assert_eq!(end.ending, Ending::Limit(Limit::Memory));
    // What other requests hold is no fault of this one.
    assert!(matches!(failed(16, ""), Failed::NoRoom));
}

#[test]
fn a_loop_gives_up_its_thread_and_ends_when_it_is_dropped() {
    let memory = Budget::new(1 << 20);
    let (engine, handler) = handler(1, "(loop (br 0))");
    let start = start(&memory);
    let host = start.host.clone();
    let mut handling = handler.handle(request(), start);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                engine.increment_epoch();
                std::thread::yield_now();
            }
        });
        for _ in 0..3 {
            assert!(Pin::new(&mut handling).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(!host.has_ended());
    drop(handling);
    assert!(host.has_ended());
    assert_eq!(memory.used(), 0);
}

#[test]
fn a_request_to_nobody_is_none() {
    let memory = Budget::new(1 << 20);
    let (_, handler) = handler(1, "unreachable");
    let request = Request::get("/").body(Nothing).unwrap();
    let mut handling = handler.handle(request, start(&memory));
    let answer = Pin::new(&mut handling).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(answer, Poll::Ready(Err(Failed::BadRequest(_)))));
}
