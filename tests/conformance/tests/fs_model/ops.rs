//! The operations that are tried, and how they are made up.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use qyv_vfs::{OpenOptions, SetTime};

/// How many open nodes a sequence juggles.
pub(crate) const SLOTS: usize = 6;

/// The largest file of every file system here; small, so that sequences hit it.
pub(crate) const FILE_BYTES_MAX: u64 = 48 * 1024;

/// Where a path starts: at the directory in a slot, or else at the root. What is not a directory is never a base: the
/// caller of a mount table knows what its descriptors are.
pub(crate) type Base = Option<usize>;

/// One call of the mount table. A call on an empty slot is left out.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open {
        slot: usize,
        base: Base,
        path: String,
        follow: bool,
        options: OpenOptions,
    },
    Close {
        slot: usize,
    },
    Read {
        slot: usize,
        offset: u64,
        lengths: [usize; 2],
    },
    Write {
        slot: usize,
        offset: u64,
        lengths: [usize; 2],
        byte: u8,
    },
    Append {
        slot: usize,
        lengths: [usize; 2],
        byte: u8,
    },
    SetSize {
        slot: usize,
        size: u64,
    },
    Allocate {
        slot: usize,
        offset: u64,
        length: u64,
    },
    Attributes {
        slot: usize,
    },
    AttributesAt {
        base: Base,
        path: String,
        follow: bool,
    },
    SetTimes {
        slot: usize,
        accessed: SetTime,
        modified: SetTime,
    },
    SetTimesAt {
        base: Base,
        path: String,
        follow: bool,
        accessed: SetTime,
        modified: SetTime,
    },
    ReadLink {
        base: Base,
        path: String,
    },
    CreateDir {
        base: Base,
        path: String,
    },
    RemoveDir {
        base: Base,
        path: String,
    },
    Unlink {
        base: Base,
        path: String,
    },
    Rename {
        from_base: Base,
        from: String,
        to_base: Base,
        to: String,
    },
    Link {
        from_base: Base,
        from: String,
        follow: bool,
        to_base: Base,
        to: String,
    },
    Symlink {
        target: String,
        base: Base,
        path: String,
    },
    /// Lists `first` entries one by one, makes another call, and lists the rest.
    List {
        slot: usize,
        first: usize,
        between: Option<Box<Op>>,
    },
}

/// A sequence of calls.
pub(crate) fn sequence() -> impl Strategy<Value = Vec<Op>> {
    vec(prop_oneof![9 => simple(), 1 => listing()], 1..80)
}

/// Calls that leave a tree behind: what lies below the overlay, and on the others from the start.
pub(crate) fn population() -> impl Strategy<Value = Vec<Op>> {
    let file = (plain_path(), 0..3_usize, any::<u8>()).prop_map(|(path, length, byte)| {
        let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
        let lengths = [[0, 5000, 21_000][length], 1];
        vec![
            Op::Open { slot: 0, base: None, path, follow: true, options },
            Op::Write { slot: 0, offset: 0, lengths, byte },
            Op::Close { slot: 0 },
        ]
    });
    let create_dir = plain_path().prop_map(|path| vec![Op::CreateDir { base: None, path }]);
    let link = (plain_path(), plain_path())
        .prop_map(|(from, to)| vec![Op::Link { from_base: None, from, follow: false, to_base: None, to }]);
    let symlink =
        (path(), plain_path()).prop_map(|(target, path)| vec![Op::Symlink { target, base: None, path }]);
    vec(prop_oneof![4 => file, 4 => create_dir, 1 => link, 1 => symlink], 0..24).prop_map(|ops| ops.concat())
}

fn listing() -> impl Strategy<Value = Op> {
    (0..SLOTS, 0..5_usize, proptest::option::of(simple())).prop_map(|(slot, first, between)| Op::List {
        slot,
        first,
        between: between.map(Box::new),
    })
}

/// Boxed, as the type that lists all the others takes more stack than a test has.
fn simple() -> BoxedStrategy<Op> {
    let slot = || 0..SLOTS;
    let follow = any::<bool>;
    let on_nodes = prop_oneof![
        1 => slot().prop_map(|slot| Op::Close { slot }),
        4 => (slot(), offset(), lengths()).prop_map(|(slot, offset, lengths)| Op::Read { slot, offset, lengths }),
        4 => (slot(), offset(), lengths(), any::<u8>())
            .prop_map(|(slot, offset, lengths, byte)| Op::Write { slot, offset, lengths, byte }),
        2 => (slot(), lengths(), any::<u8>()).prop_map(|(slot, lengths, byte)| Op::Append { slot, lengths, byte }),
        2 => (slot(), offset()).prop_map(|(slot, size)| Op::SetSize { slot, size }),
        1 => (slot(), offset(), offset()).prop_map(|(slot, offset, length)| Op::Allocate { slot, offset, length }),
        2 => slot().prop_map(|slot| Op::Attributes { slot }),
        1 => (slot(), time(), time())
            .prop_map(|(slot, accessed, modified)| Op::SetTimes { slot, accessed, modified }),
    ];
    let on_paths = prop_oneof![
        8 => (slot(), base(), path(), follow(), options())
            .prop_map(|(slot, base, path, follow, options)| Op::Open { slot, base, path, follow, options }),
        2 => (base(), path(), follow()).prop_map(|(base, path, follow)| Op::AttributesAt { base, path, follow }),
        1 => (base(), path(), follow(), time(), time()).prop_map(|(base, path, follow, accessed, modified)| {
            Op::SetTimesAt { base, path, follow, accessed, modified }
        }),
        1 => (base(), path()).prop_map(|(base, path)| Op::ReadLink { base, path }),
        4 => (base(), path()).prop_map(|(base, path)| Op::CreateDir { base, path }),
        2 => (base(), path()).prop_map(|(base, path)| Op::RemoveDir { base, path }),
        2 => (base(), path()).prop_map(|(base, path)| Op::Unlink { base, path }),
        5 => (base(), path(), base(), path())
            .prop_map(|(from_base, from, to_base, to)| Op::Rename { from_base, from, to_base, to }),
        2 => (base(), path(), follow(), base(), path())
            .prop_map(|(from_base, from, follow, to_base, to)| Op::Link { from_base, from, follow, to_base, to }),
        2 => (path(), base(), path()).prop_map(|(target, base, path)| Op::Symlink { target, base, path }),
    ];
    prop_oneof![1 => on_nodes.boxed(), 1 => on_paths.boxed()].boxed()
}

fn base() -> impl Strategy<Value = Base> {
    prop_oneof![3 => Just(None), 1 => (0..SLOTS).prop_map(Some)]
}

fn plain_path() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "c"]), 1..4).prop_map(|names| names.join("/"))
}

/// Few names, so that they collide; now and then what a path must not be.
fn path() -> BoxedStrategy<String> {
    let name =
        prop_oneof![12 => select(vec!["a", "b", "c"]), 1 => Just(".."), 1 => Just("."), 1 => Just("d")];
    let path = (vec(name, 1..4), 0..8)
        .prop_map(|(names, slash)| names.join("/") + if slash == 0 { "/" } else { "" });
    let odd = prop_oneof![
        Just(String::new()),
        Just("/a".into()),
        Just("a\0b".into()),
        Just("a//b".into()),
        Just("n".repeat(256)),
        Just("n".repeat(255)),
        Just("a/".repeat(2048) + "b"),
    ];
    prop_oneof![30 => path, 1 => odd].boxed()
}

fn options() -> impl Strategy<Value = OpenOptions> {
    let often = proptest::bool::weighted(0.6);
    let seldom = || proptest::bool::weighted(0.15);
    (often, any::<bool>(), any::<bool>(), seldom(), seldom(), seldom()).prop_map(
        |(read, write, create, exclusive, truncate, directory)| OpenOptions {
            read,
            write,
            create,
            exclusive,
            truncate,
            directory,
        },
    )
}

/// Around the beginning and end of pages and files; now and then far beyond.
fn offset() -> BoxedStrategy<u64> {
    prop_oneof![
        10 => 0..FILE_BYTES_MAX,
        6 => select(vec![0, 1, 4095, 4096, 5000, 8192, 21_000]),
        2 => FILE_BYTES_MAX - 2..FILE_BYTES_MAX + 2,
        1 => select(vec![i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX]),
    ]
    .boxed()
}

fn lengths() -> impl Strategy<Value = [usize; 2]> {
    let length = || select(vec![0, 1, 100, 4096, 9000]);
    (length(), length()).prop_map(|(first, second)| [first, second])
}

fn time() -> impl Strategy<Value = SetTime> {
    prop_oneof![
        Just(SetTime::Keep),
        Just(SetTime::Now),
        (0..2_000_000_000_000_000_000_u64).prop_map(SetTime::At)
    ]
}
