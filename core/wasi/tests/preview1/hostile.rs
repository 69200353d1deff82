//! Every function with arguments that no honest program passes, many times over. Nothing may panic, nothing outside the
//! guest's memory may change, and a call that answers `FAULT` must not have changed the inside either.

use qyv_wasi::{Errno, Error, Outcome};

use crate::support::*;

/// The error number, if the call is over.
trait Ended {
    fn ended(self) -> Option<Errno>;
}

impl Ended for Errno {
    fn ended(self) -> Option<Errno> {
        Some(self)
    }
}

impl Ended for Outcome {
    fn ended(self) -> Option<Errno> {
        match self {
            Self::Done(errno) => Some(errno),
            Self::Wait(_) => None,
        }
    }
}

/// A core type that arguments are made of.
trait Argument {
    fn any(random: &mut Random) -> Self;
}

impl Argument for i32 {
    fn any(random: &mut Random) -> Self {
        let size = SIZE as i32;
        match random.below(4) {
            0 => random.pick(&[
                0,
                1,
                -1,
                Self::MAX,
                Self::MIN,
                size,
                size - 1,
                size + 1,
                size - 8,
                -8,
                1024,
                4096,
            ]),
            1 => random.below(10) as Self,
            2 => random.below(SIZE as u64) as Self,
            _ => random.pick(&[TEXT, MORE_TEXT, DATA, RESULT, RESULT + 64, size - 16, size - 64]),
        }
    }
}

impl Argument for i64 {
    fn any(random: &mut Random) -> Self {
        let any = random.bits() as Self;
        random.pick(&[
            0,
            1,
            2,
            10,
            100,
            -1,
            Self::MAX,
            Self::MIN,
            Self::MAX - 1,
            1 << 32,
            FD_READ,
            BOTH,
            BOTH,
            any,
        ])
    }
}

macro_rules! hostile {
    ($($how:ident $name:ident($($arg:ident: $kind:ident),*);)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        fn one(guest: &mut Guest, name: &str, random: &mut Random) -> Option<Errno> {
            let Guest { process, memory, host, .. } = guest;
            match name {
                $(stringify!($name) => {
                    $(let $arg = <$kind as Argument>::any(random);)*
                    process.$name(memory, host, $($arg),*).ended()
                })*
                _ => unreachable!("not in the list"),
            }
        }
    };
}
qyv_wasi::preview1!(hostile);

#[test]
fn the_list_is_all_of_preview_1() {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!((NAMES.len(), names.len()), (45, 45));
}

#[test]
fn nothing_panics_and_a_fault_changes_nothing() {
    let faults = (0..seeds()).map(attack).sum::<u64>();
    assert!(faults > seeds() * 20, "the arguments are too tame: {faults} faults");
}

/// Makes some hundred calls and returns how many were `FAULT`.
fn attack(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut guest = Guest::networked(seed.is_multiple_of(2));
    guest.host.network.backlog.insert(WEB, 1000);
    guest.host.stdin.push_back(vec![b'x'; 1000]);
    guest.host.stdout_room = 5000;
    let mut faults = 0;
    for round in 0..400 {
        if round % 40 == 0 {
            prepare(&mut guest, &mut random);
        }
        let name = random.pick(NAMES);
        let before = guest.memory.inside().to_vec();
        let errno = one(&mut guest, name, &mut random);
        assert_ne!(errno, Some(Error::NOSYS.into()), "{name} is not there");
        assert!(guest.process.denials().len() <= qyv_wasi::limits::DENIALS_MAX);
        if errno == Some(Error::FAULT.into()) {
            faults += 1;
            assert!(guest.memory.inside() == before, "{name} failed with effects (seed {seed})");
        }
    }
    guest.memory.assert_guards();
    guest.process.close_all(&mut guest.host);
    assert_eq!(guest.host.network.held(), 0, "a connection stayed open (seed {seed})");
    faults
}

/// Fills the memory with what looks like arguments, so that calls get beyond their first check.
fn prepare(guest: &mut Guest, random: &mut Random) {
    for at in (0..SIZE as i32).step_by(4) {
        let word = if random.below(3) == 0 { random.bits() as i32 } else { i32::any(random) };
        guest.put(at, &word.to_le_bytes());
    }
    for (at, name) in [
        (TEXT, "a/b/../c"),
        (MORE_TEXT, "a\0\u{e9}"),
        (DATA, random.pick(&["./svc/x", "logger/8", "svc/logger"])),
    ] {
        guest.put(at, name.as_bytes());
    }
    let name = random.pick(&["a", "b", "a/b", "c"]);
    let _ = guest.open(name, random.pick(&[CREAT, DIRECTORY, CREAT | TRUNC]), BOTH);
    let number = guest.host.network.connections.len() as u32;
    if guest.open_with(SVC, "logger", 0, BOTH, NONBLOCK).is_ok() {
        guest.peer(number).incoming.extend([b'x'; 100]);
        guest.peer(number).room = random.below(100) as usize;
        guest.host.network.services.get_mut("logger").unwrap().slow = random.below(2) == 0;
    }
    let _ = crate::at!(guest, path_create_directory, ROOT, name);
}
