//! The descriptor table against a model of it, and rights.

use std::collections::BTreeMap;

use qyv_wasi::Error;

use crate::call;
use crate::support::*;

const FDS: u32 = 70;

/// Opens, closes and renumbers at random. Every file was unlinked as soon as it was opened, so that the count of inodes
/// tells whether a descriptor that went away was really closed.
#[test]
fn the_table_is_what_a_map_says() {
    for seed in 0..seeds() / 4 {
        let mut random = Random::new(seed);
        let guest = &mut Guest::with(seed.is_multiple_of(2), FDS, |builder| builder);
        let mut model: BTreeMap<i32, u64> = BTreeMap::new();
        let taken = |model: &BTreeMap<i32, u64>, fd: i32| fd < 5 || model.contains_key(&fd);
        for step in 0..300 {
            let any = random.below(u64::from(FDS) + 4) as i32 + 5;
            let other = if random.below(8) == 0 { any } else { random.below(u64::from(FDS)) as i32 + 5 };
            match random.below(5) {
                0..=2 => {
                    let free = (5..FDS as i32).find(|&fd| !taken(&model, fd));
                    let opened = guest.open(&format!("f{step}"), CREAT, BOTH);
                    assert_eq!(opened, free.ok_or(Error::MFILE));
                    let exists = crate::at!(guest, path_unlink_file, ROOT, &format!("f{step}"));
                    assert_eq!(exists.is_ok(), opened.is_ok(), "a file was created that could not be opened");
                    if let Ok(fd) = opened {
                        model.insert(fd, guest.stat(fd).unwrap().1);
                    }
                }
                3 => assert_eq!(guest.close(any), model.remove(&any).map(drop).ok_or(Error::BADF)),
                _ => {
                    let both_open = model.contains_key(&any) && model.contains_key(&other);
                    assert_eq!(
                        call!(guest, fd_renumber, any, other),
                        both_open.then_some(()).ok_or(Error::BADF)
                    );
                    if both_open {
                        let moved = model.remove(&any).unwrap();
                        model.insert(other, moved);
                    }
                }
            }
            assert_eq!(guest.inodes.used(), model.len() as u64, "leaked, or closed too early");
            assert_eq!(guest.process.descriptors().used(), 5 + model.len() as u64);
            for (&fd, &inode) in &model {
                assert_eq!(guest.stat(fd).unwrap().1, inode);
            }
        }
    }
}

#[test]
fn renumbering_moves_everything() {
    both(|guest| {
        // Over a preopen: the name goes with it.
        let dir = guest.open(".", DIRECTORY, 0).unwrap();
        call!(guest, fd_renumber, dir, ROOT).unwrap();
        assert_eq!(call!(guest, fd_prestat_get, ROOT, RESULT), Err(Error::BADF));
        assert_eq!(guest.fdstat(dir), Err(Error::BADF));
        guest.create("still-the-root", b"x");
        // A preopen elsewhere, and over itself.
        call!(guest, fd_renumber, READ_ONLY, 2).unwrap();
        call!(guest, fd_renumber, 2, 2).unwrap();
        call!(guest, fd_prestat_get, 2, RESULT).unwrap();
        assert_eq!(call!(guest, fd_renumber, 2, 60), Err(Error::BADF));
        assert_eq!(call!(guest, fd_renumber, -1, 2), Err(Error::BADF));
        // The offset and the flags.
        let fd = guest.open_with(ROOT, "file", CREAT, BOTH, APPEND).unwrap();
        guest.write(fd, &[b"12345"]).unwrap();
        call!(guest, fd_renumber, fd, 0).unwrap();
        assert_eq!((guest.seek(0, 0, 1), guest.fdstat(0).unwrap().1), (Ok(5), APPEND as u16));
    });
}

#[test]
fn descriptors_cost_memory() {
    let mut guest = Guest::with(true, 60_000, |builder| builder);
    let before = guest.budget.used();
    for _ in 0..1000 {
        guest.open(".", 0, 0).unwrap();
    }
    assert!(guest.budget.used() >= before + 1000 * 32);
    let rest = guest.budget.charge(guest.budget.available()).unwrap();
    let refused = (0..100).find_map(|_| guest.open(".", 0, 0).err());
    assert_eq!(refused, Some(Error::NOMEM));
    drop(rest);
    guest.open(".", 0, 0).unwrap();
}

#[test]
fn rights_follow_the_kind_and_how_it_was_opened() {
    both(|guest| {
        guest.create("file", b"x");
        for (asked, lacks) in [(0, BOTH), (FD_READ, FD_WRITE), (FD_WRITE, FD_READ), (BOTH, 0)] {
            let fd = guest.open("file", 0, asked).unwrap();
            let (kind, _, base, inheriting) = guest.fdstat(fd).unwrap();
            assert_eq!((kind, base & BOTH, base & lacks, inheriting), (4, asked, 0, 0));
            assert_eq!(guest.read(fd, &[1]).err(), (asked & FD_READ == 0).then_some(Error::BADF));
            assert_eq!(guest.write(fd, &[b"y"]).err(), (asked & FD_WRITE == 0).then_some(Error::BADF));
        }
        let (kind, _, base, inheriting) = guest.fdstat(ROOT).unwrap();
        assert_eq!((kind, base & BOTH, inheriting & BOTH), (3, 0, BOTH));
        guest.open_with(ROOT, ".", 0, base, 0).unwrap();
        assert_eq!(guest.open(".", DIRECTORY, BOTH), Err(Error::ISDIR));
        // A terminal has neither `FD_SEEK` nor `FD_TELL`: a libc recognises it by that.
        let (kind, _, base, _) = guest.fdstat(0).unwrap();
        assert_eq!((kind, base & (1 << 2 | 1 << 5)), (2, 0));
        assert_eq!(guest.fdstat(1).unwrap().0, 0);
    });
}

#[test]
fn rights_can_be_given_up_and_not_won_back() {
    both(|guest| {
        let fd = guest.open("file", CREAT, BOTH).unwrap();
        let (_, _, base, _) = guest.fdstat(fd).unwrap();
        call!(guest, fd_fdstat_set_rights, fd, base & !BOTH, 0).unwrap();
        assert_eq!(guest.read(fd, &[1]), Err(Error::NOTCAPABLE));
        assert_eq!(guest.write(fd, &[b"x"]), Err(Error::NOTCAPABLE));
        assert_eq!(call!(guest, fd_fdstat_set_rights, fd, base, 0), Err(Error::NOTCAPABLE));
        assert_eq!(call!(guest, fd_fdstat_set_rights, fd, 0, 1), Err(Error::NOTCAPABLE));
        call!(guest, fd_fdstat_set_rights, fd, 0, 0).unwrap();
        assert_eq!(guest.seek(fd, 0, 0), Err(Error::NOTCAPABLE));
        assert_eq!(guest.stat(fd), Err(Error::NOTCAPABLE));
        guest.close(fd).unwrap();

        // Through a directory: what it may not pass on, nobody gets from it.
        let dir = guest.open(".", DIRECTORY, 0).unwrap();
        let (_, _, base, inheriting) = guest.fdstat(dir).unwrap();
        call!(guest, fd_fdstat_set_rights, dir, base, inheriting & !FD_WRITE).unwrap();
        assert_eq!(guest.open_with(dir, "file", 0, BOTH, 0), Err(Error::NOTCAPABLE));
        let inner = guest.open_with(dir, ".", DIRECTORY, 0, 0).unwrap();
        assert_eq!(guest.open_with(inner, "file", 0, FD_WRITE, 0), Err(Error::NOTCAPABLE));
        guest.open_with(inner, "file", 0, FD_READ, 0).unwrap();
        for (right, oflags) in [(1 << 19, TRUNC), (1 << 10, CREAT), (1 << 13, 0)] {
            let base = guest.fdstat(dir).unwrap().2;
            call!(guest, fd_fdstat_set_rights, dir, base & !right, 0).unwrap();
            assert_eq!(guest.open_with(dir, "file", oflags, 0, 0), Err(Error::NOTCAPABLE));
        }
    });
}

#[test]
fn flags_are_kept_and_reported() {
    both(|guest| {
        for flags in 0..32 {
            let fd = guest.open_with(ROOT, "file", CREAT, BOTH, flags).unwrap();
            assert_eq!(guest.fdstat(fd).unwrap().1, flags as u16);
            call!(guest, fd_fdstat_set_flags, fd, 31 - flags).unwrap();
            assert_eq!(guest.fdstat(fd).unwrap().1, 31 - flags as u16);
            guest.close(fd).unwrap();
        }
        for flags in [32, -1, 65_536] {
            assert_eq!(call!(guest, fd_fdstat_set_flags, 0, flags), Err(Error::INVAL));
            assert_eq!(guest.open_with(ROOT, "file", 0, 0, flags), Err(Error::INVAL));
        }
    });
}
