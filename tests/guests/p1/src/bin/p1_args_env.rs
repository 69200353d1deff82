//! The arguments `one`, `two words`, the empty one and `ü`, the variables `KEY=value` and `EMPTY=`, as they lie in memory.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(arguments, environment, bad_pointers);

const ARGS: [&[u8]; 4] = [b"one\0", b"two words\0", b"\0", "ü\0".as_bytes()];
const VARIABLES: [&[u8]; 2] = [b"KEY=value\0", b"EMPTY=\0"];

/// Checks that each pointer points at its string and that the strings lie one behind the other.
fn expect(pointers: &[u32], buffer: &[u8], mut at: usize, strings: &[&[u8]]) {
    assert_eq!(pointers.len(), strings.len());
    for (pointer, string) in pointers.iter().zip(strings) {
        assert_eq!(*pointer as usize, buffer.as_ptr() as usize + at);
        assert_eq!(&buffer[at..at + string.len()], *string);
        at += string.len();
    }
    assert_eq!(at, buffer.len());
}

fn arguments() {
    let (mut count, mut size) = (0_u32, 0_u32);
    let mut pointers = [0_u32; 8];
    let mut buffer = [0xaa_u8; 256];
    // SAFETY: the addresses are those of the variables above, whose sizes are checked before they are filled.
    unsafe {
        assert_eq!(done(raw::args_sizes_get(&raw mut count as u32, &raw mut size as u32)), Ok(()));
        assert!(count as usize == ARGS.len() + 1 && size < 256, "{count} arguments, {size} bytes");
        assert_eq!(done(raw::args_get(pointers.as_mut_ptr() as u32, buffer.as_mut_ptr() as u32)), Ok(()));
    }
    // The name of the program comes first and is the host's choice, but never empty.
    let name = buffer.iter().position(|&byte| byte == 0).unwrap();
    assert!(name > 0);
    assert_eq!(pointers[0], buffer.as_ptr() as u32);
    expect(&pointers[1..count as usize], &buffer[..size as usize], name + 1, &ARGS);
    assert_eq!((pointers[count as usize], buffer[size as usize]), (0, 0xaa), "written past the end");
}

fn environment() {
    let (mut count, mut size) = (0_u32, 0_u32);
    let mut pointers = [0_u32; 8];
    let mut buffer = [0xaa_u8; 256];
    // SAFETY: as above.
    unsafe {
        assert_eq!(done(raw::environ_sizes_get(&raw mut count as u32, &raw mut size as u32)), Ok(()));
        assert_eq!(count as usize, VARIABLES.len(), "nothing of the host's environment may show");
        assert!(size < 256);
        assert_eq!(done(raw::environ_get(pointers.as_mut_ptr() as u32, buffer.as_mut_ptr() as u32)), Ok(()));
    }
    expect(&pointers[..count as usize], &buffer[..size as usize], 0, &VARIABLES);
    assert_eq!((pointers[count as usize], buffer[size as usize]), (0, 0xaa), "written past the end");
}

fn bad_pointers() {
    let mut room = [0_u32; 64];
    let good = room.as_mut_ptr() as u32;
    // SAFETY: the good address has room for everything; the host must not write to the bad one.
    unsafe {
        assert_eq!(done(raw::args_sizes_get(BAD_POINTER, good)), Err(FAULT));
        assert_eq!(done(raw::args_sizes_get(good, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::args_get(BAD_POINTER, good)), Err(FAULT));
        assert_eq!(done(raw::args_get(good, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::environ_sizes_get(BAD_POINTER, good)), Err(FAULT));
        assert_eq!(done(raw::environ_sizes_get(good, BAD_POINTER)), Err(FAULT));
        assert_eq!(done(raw::environ_get(BAD_POINTER, good)), Err(FAULT));
        assert_eq!(done(raw::environ_get(good, BAD_POINTER)), Err(FAULT));
    }
}
