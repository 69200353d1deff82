//! Quotas are exact, and what a guest can take is bounded however it asks.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::support::{Dice, options};
use crate::{Budget, Error, FileSystem, Handle, MemFs, MemFsOptions, OpenOptions};

const FILE: OpenOptions = OpenOptions {
    read: true,
    write: true,
    create: true,
    exclusive: false,
    truncate: false,
    directory: false,
};

fn limited(bytes: u64, inodes: u64, memory: u64) -> (MemFs, MemFsOptions) {
    let (bytes, inodes, memory) = (Budget::new(bytes), Budget::new(inodes), Budget::new(memory));
    let options = MemFsOptions { bytes, inodes, memory, ..options() };
    (MemFs::new(options.clone()), options)
}

fn new_file(fs: &mut MemFs, name: &str) -> Handle {
    let root = fs.root();
    fs.open(root, name, &FILE).unwrap().handle
}

#[test]
fn a_write_takes_what_is_left_to_the_byte() {
    let (mut fs, options) = limited(100_000, 10, 1 << 20);
    let f = new_file(&mut fs, "f");
    assert_eq!(fs.write_at(f, 0, &[&[1; 60_000], &[2; 30_000]]), Ok(90_000));
    assert_eq!(fs.append(f, &[&[3; 4_000], &[4; 30_000]]), Ok((10_000, 100_000)));
    assert_eq!((fs.append(f, &[b"x"]), options.bytes.used()), (Err(Error::NOSPC), 100_000));
    // What is stored may be written over, holes may be made, and the tail given back.
    assert_eq!(fs.write_at(f, 99_999, &[b"y"]), Ok(1));
    assert_eq!(fs.write_at(f, 99_999, &[b"yy"]), Ok(1));
    fs.set_size(f, 1 << 30).unwrap();
    assert_eq!(fs.write_at(f, 1 << 29, &[b"z"]), Err(Error::NOSPC));
    assert_eq!(fs.allocate(f, 0, 100_001), Err(Error::NOSPC));
    assert_eq!(options.bytes.used(), 100_000);
    fs.set_size(f, 99_999).unwrap();
    assert_eq!((fs.append(f, &[b"ab"]), options.bytes.used()), (Ok((1, 100_000)), 100_000));
    assert_eq!(fs.allocate(f, 0, 100_000), Ok(()));
    let root = fs.root();
    fs.unlink(root, "f").unwrap();
    fs.close(f);
    assert_eq!((options.bytes.used(), options.memory.used(), options.inodes.used()), (0, 0, 0));
}

#[test]
fn a_gap_that_does_not_fit_leaves_no_trace() {
    let (mut fs, options) = limited(100, 10, 1 << 20);
    let f = new_file(&mut fs, "f");
    let memory = options.memory.used();
    // The zeros up to byte 100 would be stored.
    assert_eq!(fs.write_at(f, 100, &[b"x"]), Err(Error::NOSPC));
    assert_eq!((options.bytes.used(), options.memory.used(), fs.attributes(f).unwrap().size), (0, memory, 0));
    assert_eq!(fs.write_at(f, 99, &[b"xy"]), Ok(1));
    assert_eq!((options.bytes.used(), fs.attributes(f).unwrap().size), (100, 100));
}

#[test]
fn the_memory_counter_bounds_everything() {
    let (mut fs, options) = limited(u64::MAX, u64::MAX, 1 << 20);
    let root = fs.root();
    let name = |number: u64| format!("{number:0>255}");
    let mut ways: Vec<(&str, Error)> = Vec::new();
    let mut fill = |fs: &mut MemFs, way, make: &mut dyn FnMut(&mut MemFs, u64) -> crate::Result<()>| {
        let mut made = 0;
        let error = loop {
            match make(fs, made) {
                Ok(()) => made += 1,
                Err(error) => break error,
            }
            assert!(made < 20_000, "{way} are not bounded");
        };
        assert!(options.memory.used() <= 1 << 20);
        ways.push((way, error));
        for number in 0..made {
            let _ = fs.unlink(root, &name(number)).or_else(|_| fs.remove_dir(root, &name(number)));
        }
    };
    fill(&mut fs, "files", &mut |fs, number| {
        let file = fs.open(root, &name(number), &FILE)?.handle;
        fs.close(file);
        Ok(())
    });
    fill(&mut fs, "directories", &mut |fs, number| fs.create_dir(root, &name(number)));
    fill(&mut fs, "links", &mut |fs, number| fs.symlink(&"t".repeat(4095), root, &name(number)));
    fill(&mut fs, "names", &mut |fs, number| {
        if number == 0 {
            fs.symlink("t", root, &name(0))
        } else {
            fs.link(root, &name(0), root, &name(number))
        }
    });
    assert_eq!(options.memory.used(), 0);
    let f = new_file(&mut fs, "sparse");
    fill(&mut fs, "chunks", &mut |fs, number| fs.write_at(f, number << 16, &[b"x"]).map(|_| ()));
    fs.set_size(f, 0).unwrap();
    fill(&mut fs, "bytes", &mut |fs, _| fs.append(f, &[&[0; 1000]]).map(|_| ()));
    fs.set_size(f, 0).unwrap();
    fill(&mut fs, "allocations", &mut |fs, number| fs.allocate(f, 0, (number + 1) << 16));
    for (way, error) in ways {
        assert_eq!(error, Error::NOMEM, "{way}");
    }
    fs.unlink(root, "sparse").unwrap();
    fs.close(f);
    assert_eq!(options.memory.used(), 0);
}

#[test]
fn inodes_are_counted() {
    let (mut fs, options) = limited(1 << 20, 3, 1 << 20);
    let root = fs.root();
    let f = new_file(&mut fs, "f");
    fs.create_dir(root, "d").unwrap();
    fs.symlink("f", root, "l").unwrap();
    assert_eq!(fs.create_dir(root, "x"), Err(Error::NOSPC));
    assert_eq!(fs.symlink("f", root, "x"), Err(Error::NOSPC));
    assert_eq!(fs.open(root, "x", &FILE).err(), Some(Error::NOSPC));
    // A further name is one more, which goes with whichever name goes first.
    assert_eq!(fs.link(root, "f", root, "hard"), Err(Error::NOSPC));
    fs.unlink(root, "l").unwrap();
    fs.link(root, "f", root, "hard").unwrap();
    assert_eq!(options.inodes.used(), 3);
    fs.unlink(root, "f").unwrap();
    assert_eq!(options.inodes.used(), 2);
    fs.symlink("f", root, "l").unwrap();
    fs.unlink(root, "hard").unwrap();
    assert_eq!(options.inodes.used(), 3);
    fs.close(f);
    assert_eq!(options.inodes.used(), 2);
    drop(fs);
    assert_eq!((options.inodes.used(), options.memory.used()), (0, 0));
}

/// A file as the model sees it, and its handle.
type Model = BTreeMap<String, (Vec<u8>, Handle)>;

#[test]
fn random_operations_keep_contents_and_counters() {
    let steps = std::env::var("QYV_VFS_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(3000);
    for seed in 1..=3 {
        let mut dice = Dice::new(seed);
        // Small enough that both budgets run out now and then.
        let (mut fs, options) = limited(600_000, 12, 630_000);
        let mut model = Model::new();
        for _ in 0..steps {
            step(&mut fs, &mut model, &mut dice);
            assert!(options.bytes.used() <= 600_000 && options.memory.used() <= 630_000);
        }
        for (name, (bytes, handle)) in &model {
            let mut found = vec![9; bytes.len() + 1];
            assert_eq!(fs.read_at(*handle, 0, &mut [&mut found]), Ok(bytes.len()), "{name}");
            assert!(found[..bytes.len()] == bytes[..], "{name} differs, seed {seed}");
        }
        let refused = [&options.bytes, &options.memory, &options.inodes].map(Budget::refused);
        assert!(refused.iter().all(|&times| times > 0), "{refused:?}");
        let root = fs.root();
        for (name, (_, handle)) in model {
            fs.unlink(root, &name).unwrap();
            fs.close(handle);
        }
        assert_eq!((options.bytes.used(), options.memory.used(), options.inodes.used()), (0, 0, 0));
    }
}

fn step(fs: &mut MemFs, model: &mut Model, dice: &mut Dice) {
    let root = fs.root();
    let name = format!("{}", dice.below(16));
    let Some((bytes, handle)) = model.get_mut(&name) else {
        if let Ok(opened) = fs.open(root, &name, &FILE) {
            model.insert(name, (Vec::new(), opened.handle));
        }
        return;
    };
    let (at, length) = (dice.below(200_000) as usize, dice.below(90_000) as usize);
    match dice.below(12) {
        0 => {
            fs.unlink(root, &name).unwrap();
            fs.close(*handle);
            model.remove(&name);
        }
        1 => {
            fs.set_size(*handle, at as u64).unwrap();
            bytes.resize(at, 0);
        }
        2 => {
            let fits = fs.allocate(*handle, at as u64, length as u64 + 1).is_ok();
            if fits && bytes.len() <= at + length {
                bytes.resize(at + length + 1, 0);
            }
        }
        3 => {
            let to = format!("{}", dice.below(16));
            if fs.rename(root, &name, root, &to).is_ok() && to != name {
                let moved = model.remove(&name).unwrap();
                if let Some((_, replaced)) = model.insert(to, moved) {
                    fs.close(replaced);
                }
            }
        }
        choice => {
            let at = if choice < 7 { bytes.len() } else { at };
            let salt = dice.below(256);
            let data: Vec<u8> = (0..length).map(|byte| (byte as u64 ^ salt) as u8).collect();
            let (first, second) = data.split_at(length / 3);
            let written = if choice < 7 {
                fs.append(*handle, &[first, second]).map(|(written, end)| {
                    assert_eq!(end as usize, at + written);
                    written
                })
            } else {
                fs.write_at(*handle, at as u64, &[first, second])
            };
            let written = written.unwrap_or(0);
            if written > 0 {
                bytes.resize(bytes.len().max(at + written), 0);
                bytes[at..at + written].copy_from_slice(&data[..written]);
            }
        }
    }
}
