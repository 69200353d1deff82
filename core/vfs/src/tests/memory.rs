//! What a memory file system keeps: files without names, times, listings, links.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::support::{mem, options};
use crate::{Error, FileSystem, FileType, Handle, MemFs, OpenOptions, SetTime};

const FILE: OpenOptions = OpenOptions {
    read: true,
    write: true,
    create: true,
    exclusive: false,
    truncate: false,
    directory: false,
};

fn file(fs: &mut MemFs, name: &str) -> Handle {
    let root = fs.root();
    fs.open(root, name, &FILE).unwrap().handle
}

fn names(fs: &mut MemFs, dir: Handle) -> Vec<String> {
    let mut names = Vec::new();
    fs.read_dir(dir, 0, &mut |entry| {
        names.push(entry.name);
        true
    })
    .unwrap();
    names
}

#[test]
fn a_file_without_a_name_lives_until_its_last_handle() {
    let options = options();
    let mut fs = MemFs::new(options.clone());
    let root = fs.root();
    let first = file(&mut fs, "f");
    let second = file(&mut fs, "f");
    fs.write_at(first, 0, &[b"kept"]).unwrap();
    fs.unlink(root, "f").unwrap();
    assert_eq!(fs.lookup(root, "f"), Err(Error::NOENT));
    assert_eq!(fs.attributes(second).unwrap().links, 0);
    fs.close(first);
    assert_eq!(fs.write_at(first, 0, &[b"x"]), Err(Error::BADF));
    let mut bytes = [0; 4];
    fs.read_at(second, 0, &mut [&mut bytes]).unwrap();
    assert_eq!(&bytes, b"kept");
    assert_eq!((options.bytes.used(), options.inodes.used()), (4, 1));
    fs.close(second);
    assert_eq!((options.bytes.used(), options.inodes.used(), options.memory.used()), (0, 0, 0));
    // The same for what a rename replaces.
    let old = file(&mut fs, "old");
    fs.write_at(old, 0, &[b"old"]).unwrap();
    let new = file(&mut fs, "new");
    fs.rename(root, "new", root, "old").unwrap();
    assert_eq!((fs.attributes(old).unwrap().links, options.inodes.used()), (0, 2));
    fs.close(old);
    assert_eq!((fs.attributes(new).unwrap().links, options.inodes.used()), (1, 1));
}

#[test]
fn a_removed_directory_takes_nothing_new() {
    let mut fs = mem();
    let root = fs.root();
    file(&mut fs, "f");
    fs.create_dir(root, "d").unwrap();
    fs.create_dir(root, "mover").unwrap();
    let dir = fs.open(root, "d", &OpenOptions::default()).unwrap().handle;
    fs.create_dir(dir, "sub").unwrap();
    let sub = fs.lookup(dir, "sub").unwrap();
    fs.remove_dir(dir, "sub").unwrap();
    fs.remove_dir(root, "d").unwrap();
    for gone in [dir, sub] {
        assert_eq!(fs.attributes(gone).unwrap().links, 0);
        assert_eq!(fs.open(gone, "x", &FILE).err(), Some(Error::NOENT));
        assert_eq!(fs.create_dir(gone, "x"), Err(Error::NOENT));
        assert_eq!(fs.symlink("x", gone, "x"), Err(Error::NOENT));
        assert_eq!(fs.link(root, "f", gone, "x"), Err(Error::NOENT));
        assert_eq!(fs.rename(root, "f", gone, "x"), Err(Error::NOENT));
        assert_eq!(fs.rename(root, "mover", gone, "x"), Err(Error::NOENT));
        assert_eq!(fs.lookup(gone, "x"), Err(Error::NOENT));
        assert!(names(&mut fs, gone).is_empty());
        assert!(fs.set_times(gone, SetTime::Now, SetTime::Now).is_ok());
    }
    // Its parent is gone from the table, which nothing may ask for.
    fs.close(dir);
    assert_eq!(fs.rename(root, "mover", sub, "x"), Err(Error::NOENT));
}

#[test]
fn listings_go_on_where_they_were() {
    let mut fs = mem();
    let root = fs.root();
    for number in 0..10 {
        let handle = file(&mut fs, &format!("{number}"));
        fs.close(handle);
    }
    let (mut seen, mut cookie) = (Vec::new(), 0);
    for step in 0.. {
        let mut entry = None;
        fs.read_dir(root, cookie, &mut |next| {
            entry = Some(next);
            false
        })
        .unwrap();
        let Some(entry) = entry else { break };
        cookie = entry.next;
        seen.push(entry.name);
        match step {
            // The one seen last, one seen before, one that is still to come; one is replaced in its place.
            2 => {
                fs.unlink(root, "2").unwrap();
                fs.unlink(root, "0").unwrap();
                fs.unlink(root, "5").unwrap();
                fs.rename(root, "9", root, "1").unwrap();
                fs.rename(root, "4", root, "8").unwrap();
            }
            3 => drop(file(&mut fs, "new")),
            _ => {}
        }
    }
    assert_eq!(seen, ["0", "1", "2", "3", "6", "7", "8", "new"]);
    assert_eq!(names(&mut fs, root), ["1", "3", "6", "7", "8", "new"]);
    fs.read_dir(root, u64::MAX, &mut |_| panic!("nothing lies behind the end")).unwrap();
}

#[test]
fn sizes_and_ranges_have_ends() {
    let options = crate::MemFsOptions { max_file: 1 << 20, ..options() };
    let mut fs = MemFs::new(options.clone());
    let f = file(&mut fs, "f");
    let max = i64::MAX as u64;
    assert_eq!(fs.write_at(f, (1 << 20) - 1, &[b"ab"]), Err(Error::FBIG));
    assert_eq!(fs.write_at(f, (1 << 20) - 1, &[b"a"]), Ok(1));
    assert_eq!(fs.append(f, &[b"a"]), Err(Error::FBIG));
    assert_eq!(fs.append(f, &[b"", b""]), Ok((0, 1 << 20)));
    assert_eq!(fs.write_at(f, max, &[b""]), Ok(0));
    assert_eq!(fs.write_at(f, max, &[b"a"]), Err(Error::INVAL));
    assert_eq!(fs.write_at(f, max - 1, &[b"a"]), Err(Error::FBIG));
    assert_eq!(fs.write_at(f, u64::MAX, &[b"a"]), Err(Error::INVAL));
    assert_eq!(fs.set_size(f, 1 << 20), Ok(()));
    assert_eq!(fs.set_size(f, (1 << 20) + 1), Err(Error::FBIG));
    assert_eq!(fs.set_size(f, u64::MAX), Err(Error::INVAL));
    assert_eq!(fs.allocate(f, 0, (1 << 20) + 1), Err(Error::FBIG));
    assert_eq!(fs.allocate(f, 1, max), Err(Error::FBIG));
    assert_eq!(fs.allocate(f, max, max), Err(Error::FBIG));
    assert_eq!(fs.allocate(f, 1, u64::MAX), Err(Error::INVAL));
    assert_eq!(fs.read_at(f, max, &mut [&mut [0]]), Err(Error::INVAL));
    assert_eq!(fs.read_at(f, 1 << 20, &mut [&mut [0]]), Ok(0));
    assert!(options.bytes.used() <= 64 * 1024, "a hole is not stored");
}

#[test]
fn times_move_as_on_linux() {
    let mut fs = mem();
    let root = fs.root();
    let f = file(&mut fs, "f");
    let times = |fs: &mut MemFs, handle| fs.attributes(handle).unwrap().times;
    let (root_before, before) = (times(&mut fs, root), times(&mut fs, f));
    fs.write_at(f, 0, &[b"x"]).unwrap();
    let written = times(&mut fs, f);
    assert!(written.modified > before.modified && written.changed == written.modified);
    assert_eq!((written.accessed, times(&mut fs, root)), (before.accessed, root_before));
    fs.write_at(f, 0, &[]).unwrap();
    assert_eq!(times(&mut fs, f), written);
    fs.read_at(f, 0, &mut [&mut [0]]).unwrap();
    let read = times(&mut fs, f);
    assert!(read.accessed > written.modified && read.modified == written.modified);
    fs.read_at(f, 0, &mut [&mut [0]]).unwrap();
    assert_eq!(times(&mut fs, f), read);
    fs.set_times(f, SetTime::At(5), SetTime::Keep).unwrap();
    let set = times(&mut fs, f);
    assert!(set.accessed == 5 && set.modified == read.modified && set.changed > read.changed);
    fs.link(root, "f", root, "g").unwrap();
    assert!(times(&mut fs, f).changed > set.changed && times(&mut fs, f).modified == set.modified);
    assert!(times(&mut fs, root).modified > root_before.modified);
    fs.symlink("f", root, "l").unwrap();
    fs.set_times_at(root, "l", SetTime::At(1), SetTime::At(2)).unwrap();
    let link = fs.attributes_at(root, "l").unwrap();
    assert_eq!(
        (link.kind, link.size, link.times.accessed, link.times.modified),
        (FileType::Symlink, 1, 1, 2)
    );
    assert_ne!(times(&mut fs, f).modified, 2);
}

#[test]
fn a_file_has_at_most_65000_names() {
    let mut fs = mem();
    let root = fs.root();
    file(&mut fs, "0");
    for number in 1..65_000 {
        fs.link(root, "0", root, &format!("{number}")).unwrap();
    }
    assert_eq!(fs.link(root, "0", root, "more"), Err(Error::MLINK));
    fs.unlink(root, "0").unwrap();
    assert_eq!(fs.link(root, "1", root, "more"), Ok(()));
}

#[test]
fn numbers_that_were_not_given_are_refused() {
    let mut fs = mem();
    for number in [0, 2, 77, 1 << 32 | 1, u64::MAX] {
        let handle = Handle(number);
        fs.close(handle);
        assert_eq!(fs.attributes(handle).err(), Some(Error::BADF));
        assert_eq!(fs.lookup(handle, "x"), Err(Error::BADF));
        assert_eq!(fs.write_at(handle, 0, &[b"x"]), Err(Error::BADF));
    }
    let root = fs.root();
    fs.close(root);
    assert!(fs.attributes(root).is_ok());
}
