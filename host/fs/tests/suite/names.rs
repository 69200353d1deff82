//! What names and links cost: random calls on each file system that has a quota, against a model of what is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{CREATE, READ, WRITE, quota};
use qyv_vfs::{Budget, Clock, Error, FileSystem, Handle, MemFs, MemFsOptions, OpenOptions, Overlay};
use qyvol_fs::DiskFsOptions;

use crate::DiskFs;

/// Bytes are written in whole pages, which every file system charges alike.
const PAGE: usize = 4096;
const BYTES: u64 = 12 * PAGE as u64;
const INODES: u64 = 9;
const NAMES: usize = 6;

struct Still;

impl Clock for Still {
    fn now(&self) -> u64 {
        1
    }
}

/// A file system, its budgets, and what it holds before anything is in it.
struct Limited {
    name: &'static str,
    fs: Box<dyn FileSystem>,
    bytes: Budget,
    inodes: Budget,
    empty: u64,
}

#[derive(Clone, Default)]
struct File {
    names: BTreeSet<usize>,
    handles: Vec<Handle>,
    pages: u64,
}

/// Files by number, and the numbers that names stand for.
#[derive(Default)]
struct Model {
    files: BTreeMap<usize, File>,
    next: usize,
}

impl Model {
    fn at(&self, name: usize) -> Option<usize> {
        self.files.iter().find(|(_, file)| file.names.contains(&name)).map(|(&number, _)| number)
    }

    fn forget(&mut self) {
        self.files.retain(|_, file| !file.names.is_empty() || !file.handles.is_empty());
    }

    fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.pages * PAGE as u64).sum()
    }

    fn inodes(&self) -> u64 {
        self.files.values().map(|file| file.names.len().max(1) as u64).sum()
    }

    /// Takes a name from whatever it stands for.
    fn unname(&mut self, name: usize) {
        for file in self.files.values_mut() {
            file.names.remove(&name);
        }
        self.forget();
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

fn name(number: usize) -> String {
    format!("n{number}")
}

fn step(limited: &mut Limited, model: &mut Model, dice: &mut Dice) {
    let fs = &mut limited.fs;
    let root = fs.root();
    let (one, other) = (dice.below(NAMES), dice.below(NAMES));
    let free = limited.inodes.limit() - limited.empty - model.inodes();
    let found = model.at(one);
    match dice.below(8) {
        // Open, creating; a third of the time emptied.
        0 | 1 => {
            let truncate = dice.below(3) == 0;
            let opened = fs.open(root, &name(one), &OpenOptions { truncate, ..CREATE });
            match (found, opened) {
                (None, Err(Error::NOSPC)) => assert_eq!(free, 0, "{}", limited.name),
                (found, opened) => {
                    let handle = opened.unwrap().handle;
                    let number = found.unwrap_or_else(|| {
                        model.next += 1;
                        model.next
                    });
                    let file = model.files.entry(number).or_default();
                    file.names.insert(one);
                    file.handles.push(handle);
                    if truncate {
                        file.pages = 0;
                    }
                }
            }
        }
        2 | 3 => {
            let linked = fs.link(root, &name(one), root, &name(other));
            match (found, model.at(other)) {
                // With nothing left, either may be found first.
                (None, _) => assert!(matches!(linked, Err(Error::NOENT | Error::NOSPC))),
                (Some(number), None) if free > 0 => {
                    linked.unwrap();
                    model.files.get_mut(&number).unwrap().names.insert(other);
                }
                (Some(_), None) => assert_eq!(linked, Err(Error::NOSPC), "{}", limited.name),
                (Some(_), Some(_)) => assert!(matches!(linked, Err(Error::EXIST | Error::NOSPC))),
            }
        }
        4 => {
            let removed = fs.unlink(root, &name(one));
            assert_eq!(removed.is_ok(), found.is_some(), "{}: {removed:?}", limited.name);
            model.unname(one);
        }
        5 => {
            let moved = fs.rename(root, &name(one), root, &name(other));
            let Some(number) = found else { return assert_eq!(moved, Err(Error::NOENT)) };
            moved.unwrap();
            // Two names of one file: nothing happens.
            if model.at(other) != Some(number) {
                let names = &mut model.files.get_mut(&number).unwrap().names;
                names.remove(&one);
                // Before the replaced file goes: the moved one has a name all the time.
                names.insert(NAMES);
                model.unname(other);
                let names = &mut model.files.get_mut(&number).unwrap().names;
                names.remove(&NAMES);
                names.insert(other);
            }
        }
        6 => {
            // Write a page, or cut one off, through any handle: of a file without a name too.
            let open: Vec<usize> =
                model.files.iter().filter(|(_, f)| !f.handles.is_empty()).map(|(&n, _)| n).collect();
            let Some(&number) = open.get(dice.below(open.len().max(1))) else { return };
            let left = limited.bytes.limit() - model.bytes();
            let file = model.files.get_mut(&number).unwrap();
            let handle = file.handles[dice.below(file.handles.len())];
            if dice.below(4) == 0 {
                file.pages = file.pages.saturating_sub(1);
                fs.set_size(handle, file.pages * PAGE as u64).unwrap();
            } else {
                let written = fs.write_at(handle, file.pages * PAGE as u64, &[&[7; PAGE]]);
                assert_eq!(written, if left > 0 { Ok(PAGE) } else { Err(Error::NOSPC) }, "{}", limited.name);
                file.pages += u64::from(written.is_ok());
            }
        }
        _ => {
            let open: Vec<usize> =
                model.files.iter().filter(|(_, f)| !f.handles.is_empty()).map(|(&n, _)| n).collect();
            let Some(&number) = open.get(dice.below(open.len().max(1))) else { return };
            let file = model.files.get_mut(&number).unwrap();
            let handle = file.handles.swap_remove(dice.below(file.handles.len()));
            fs.close(handle);
            model.forget();
        }
    }
}

fn check(limited: &Limited, model: &Model) {
    let held = (limited.bytes.used(), limited.inodes.used() - limited.empty);
    assert_eq!(held, (model.bytes(), model.inodes()), "{}: bytes and inodes", limited.name);
}

fn limited(kind: &str, folder: &std::path::Path) -> Limited {
    // The root of an overlay becomes another one with the first change.
    let empty = u64::from(kind == "overlay");
    let (bytes, inodes) = (Budget::new(BYTES), Budget::new(INODES + empty));
    let options = MemFsOptions {
        bytes: bytes.clone(),
        inodes: inodes.clone(),
        memory: Budget::unlimited(),
        clock: Arc::new(Still),
        max_file: 1 << 40,
    };
    let disk = |options| DiskFs::open(folder, options).unwrap();
    let (name, mut fs): (_, Box<dyn FileSystem>) = match kind {
        "memory" => ("memory", Box::new(MemFs::new(options))),
        "overlay" => {
            ("overlay", Box::new(Overlay::new(Box::new(disk(DiskFsOptions::default())), options).unwrap()))
        }
        _ => ("disk", Box::new(disk(quota(&bytes, &inodes)))),
    };
    if empty > 0 {
        let root = fs.root();
        fs.create_dir(root, "d").unwrap();
        fs.remove_dir(root, "d").unwrap();
    }
    Limited { name, fs, bytes, inodes, empty }
}

#[test]
fn names_and_bytes_are_held_once_for_as_long_as_anything_needs_them() {
    let rounds = std::env::var("QYVOL_FS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    for kind in ["memory", "overlay", "disk"] {
        let mut refused = [0; 2];
        for seed in 0..rounds {
            let folder = tempfile::tempdir().unwrap();
            let mut limited = limited(kind, folder.path());
            let (mut model, mut dice) = (Model::default(), Dice(seed));
            for _ in 0..400 {
                step(&mut limited, &mut model, &mut dice);
                check(&limited, &model);
            }
            for (sum, budget) in refused.iter_mut().zip([&limited.bytes, &limited.inodes]) {
                *sum += budget.refused();
            }
            // A crash: what had no name is gone, what has one is counted again.
            if kind == "disk" {
                drop(limited);
                model.files.values_mut().for_each(|file| file.handles.clear());
                model.forget();
                limited = self::limited(kind, folder.path());
                check(&limited, &model);
            }
            let root = limited.fs.root();
            for file in std::mem::take(&mut model.files).into_values() {
                file.names.iter().for_each(|&number| limited.fs.unlink(root, &name(number)).unwrap());
                file.handles.iter().for_each(|&handle| limited.fs.close(handle));
            }
            check(&limited, &model);
        }
        assert!(refused.iter().all(|&times| times > 0), "{kind} refused {refused:?}");
    }
}

#[test]
fn a_name_of_what_lies_below_an_overlay_is_paid_for_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("n0"), "below").unwrap();
    let mut limited = limited("overlay", folder.path());
    let root = limited.fs.root();
    let mut inodes_after = |act: &mut dyn FnMut(&mut dyn FileSystem)| {
        act(&mut *limited.fs);
        limited.inodes.used() - limited.empty
    };
    // The changed file with its first new name; then one for each.
    assert_eq!(inodes_after(&mut |fs| fs.link(root, "n0", root, "n1").unwrap()), 1);
    assert_eq!(inodes_after(&mut |fs| fs.link(root, "n0", root, "n2").unwrap()), 2);
    // The lower name becomes a whiteout and a new name.
    assert_eq!(inodes_after(&mut |fs| fs.rename(root, "n0", root, "n3").unwrap()), 4);
    assert_eq!(inodes_after(&mut |fs| fs.rename(root, "n3", root, "n4").unwrap()), 4);
    assert_eq!(inodes_after(&mut |fs| fs.unlink(root, "n1").unwrap()), 3);
    assert_eq!(inodes_after(&mut |fs| fs.unlink(root, "n2").unwrap()), 2);
    let file = limited.fs.open(root, "n4", &READ).unwrap().handle;
    limited.fs.unlink(root, "n4").unwrap();
    limited.fs.close(file);
    // The whiteout alone.
    assert_eq!(limited.inodes.used() - limited.empty, 1);
}

#[test]
fn a_link_is_no_directory_and_is_not_followed() {
    for kind in ["memory", "overlay", "disk"] {
        let folder = tempfile::tempdir().unwrap();
        let mut limited = limited(kind, folder.path());
        let root = limited.fs.root();
        limited.fs.create_dir(root, "d").unwrap();
        limited.fs.symlink("d", root, "l").unwrap();
        let mut opened = |options: OpenOptions| limited.fs.open(root, "l", &options).err();
        assert_eq!(opened(super::DIRECTORY), Some(Error::NOTDIR), "{kind}");
        assert_eq!(opened(OpenOptions { directory: true, ..READ }), Some(Error::NOTDIR), "{kind}");
        for options in [READ, WRITE, CREATE] {
            assert_eq!(opened(options), Some(Error::LOOP), "{kind}");
        }
        assert_eq!(opened(OpenOptions { exclusive: true, ..CREATE }), Some(Error::EXIST), "{kind}");
    }
}
