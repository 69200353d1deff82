//! Yields, fails to raise a signal, and exits with 7.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(yields, signals, exits);

fn yields() {
    for _ in 0..1_000 {
        assert_eq!(sched_yield(), Ok(()));
    }
}

fn signals() {
    // Preview 1 dropped signals; a host may say that it does not know the call, but it must come back.
    for signal in [0, 6, 15, 200] {
        // SAFETY: the call takes a number.
        let result = done(unsafe { raw::proc_raise(signal) });
        assert!(matches!(result, Err(NOSYS | NOTSUP | INVAL)), "{result:?}");
    }
}

fn exits() {
    say!("before");
    // SAFETY: the call takes a number and does not return.
    unsafe { raw::proc_exit(7) };
    say!("after");
}
