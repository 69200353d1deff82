//! Random bytes: they differ, fill the buffer exactly, and a size beyond memory is refused.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(differ, exact, large, bad_pointers);

static mut LARGE: [u8; 300_000] = [0; 300_000];

fn differ() {
    let (mut one, mut two) = ([0_u8; 32], [0_u8; 32]);
    assert_eq!(random_get(&mut one), Ok(()));
    assert_eq!(random_get(&mut two), Ok(()));
    assert_ne!(one, two);
    assert_ne!(one, [0; 32]);
}

fn exact() {
    // Eight tries, because one random byte is 0xaa now and then.
    let mut changed = [false; 3];
    for _ in 0..8 {
        let mut buffer = [0xaa_u8; 3];
        assert_eq!(random_get(&mut buffer[1..2]), Ok(()));
        for (seen, byte) in changed.iter_mut().zip(buffer) {
            *seen |= byte != 0xaa;
        }
    }
    assert_eq!(changed, [false, true, false]);
    assert_eq!(random_get(&mut []), Ok(()));
}

fn large() {
    // SAFETY: the only use of the buffer, and there is one thread.
    let buffer = unsafe { (&raw mut LARGE).as_mut().unwrap() };
    assert_eq!(random_get(buffer), Ok(()));
    assert!(buffer[buffer.len() - 64..].iter().any(|&byte| byte != 0));
}

fn bad_pointers() {
    // SAFETY: the host must not write anywhere.
    unsafe {
        assert_eq!(done(raw::random_get(BAD_POINTER, 1_000)), Err(FAULT));
        assert_eq!(done(raw::random_get(0, u32::MAX)), Err(FAULT));
        assert_eq!(done(raw::random_get(BAD_POINTER, u32::MAX)), Err(FAULT));
    }
}
