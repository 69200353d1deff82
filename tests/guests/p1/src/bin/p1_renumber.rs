//! Moving descriptors onto others.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(moves, wrong, preopens);

fn moves() {
    put(ROOT, "one", b"1");
    put(ROOT, "two", b"22");
    let one = open(ROOT, "one", 0, rights::READ).unwrap();
    let two = open(ROOT, "two", 0, rights::READ).unwrap();
    assert_eq!(fd_renumber(one, two), Ok(()));
    assert_eq!(fd_fdstat_get(one), Err(BADF), "the old number is free");
    assert_eq!(fd_filestat_get(two).unwrap().size, 1);
    assert_eq!(fd_renumber(two, two), Ok(()));
    assert_eq!(fd_filestat_get(two).unwrap().size, 1);
    assert_eq!(fd_close(two), Ok(()));
    // Nothing leaks: far more moves than descriptors may be open.
    for _ in 0..5_000 {
        let one = open(ROOT, "one", 0, rights::READ).unwrap();
        let two = open(ROOT, "two", 0, rights::READ).unwrap();
        assert_eq!(fd_renumber(one, two), Ok(()));
        assert_eq!(fd_close(two), Ok(()));
    }
}

fn wrong() {
    let one = open(ROOT, "one", 0, rights::READ).unwrap();
    assert_eq!(fd_renumber(NO_FD, one), Err(BADF));
    assert_eq!(fd_renumber(NO_FD, NO_FD), Err(BADF));
    // Numbers are given by opening alone, so a guest cannot make the table huge.
    for to in [NO_FD, 1 << 30, u32::MAX] {
        assert_eq!(fd_renumber(one, to), Err(BADF));
    }
    assert_eq!(fd_filestat_get(one).unwrap().size, 1, "a refused move changes nothing");
    assert_eq!(fd_close(one), Ok(()));
}

fn preopens() {
    // libc never does it, but a guest may.
    let one = open(ROOT, "one", 0, rights::READ).unwrap();
    match fd_renumber(one, ROOT) {
        Ok(()) => assert_eq!(fd_filestat_get(ROOT).unwrap().size, 1),
        refused => assert!(matches!(refused, Err(NOTSUP | BADF)), "{refused:?}"),
    }
}
