//! A read-only mount is attacked with every call that changes something.

use std::string::String;
use std::vec::Vec;

use super::support::{Watched, World, mem};
use crate::{Access, Error, FileSystem, FileType, Node, OpenOptions, Result, SetTime, Vfs};

/// `/ro` and `/rw`, with the same tree.
fn world(paths: bool) -> World {
    let mut world = World::new(false);
    for (path, access) in [("/ro", Access::ReadOnly), ("/rw", Access::ReadWrite)] {
        let mut fs = mem();
        fill(&mut *fs).unwrap();
        world.vfs.mount(path, Watched::over(fs, &world.watch, paths), access).unwrap();
    }
    world
}

fn fill(fs: &mut dyn FileSystem) -> Result<()> {
    let root = fs.root();
    fs.create_dir(root, "d")?;
    let d = fs.lookup(root, "d")?;
    fs.create_dir(d, "e")?;
    let new = OpenOptions { create: true, write: true, ..OpenOptions::default() };
    for (dir, name, text) in [(root, "f", "text"), (d, "g", "inner")] {
        let file = fs.open(dir, name, &new)?.handle;
        fs.write_at(file, 0, &[text.as_bytes()])?;
        fs.close(file);
    }
    fs.close(d);
    for (target, name) in [("f", "lf"), ("new", "ln"), ("d", "ld")] {
        fs.symlink(target, root, name)?;
    }
    Ok(())
}

/// Everything that can be seen of a tree.
fn tree(vfs: &mut Vfs, dir: Node, path: &str, seen: &mut Vec<String>) {
    let (node, _) =
        vfs.open(dir, path, false, &OpenOptions { directory: true, ..Default::default() }).unwrap();
    let mut entries = Vec::new();
    vfs.read_dir(node, 0, &mut |entry| {
        entries.push(entry);
        true
    })
    .unwrap();
    for entry in entries {
        let attributes = vfs.attributes_at(node, &entry.name, false).unwrap();
        seen.push(std::format!("{path}/{} {attributes:?}", entry.name));
        if attributes.kind == FileType::Directory {
            tree(vfs, dir, &std::format!("{path}/{}", entry.name), seen);
        }
    }
    vfs.close(node);
}

#[test]
fn no_path_changes_it() {
    for paths in [false, true] {
        let mut world = world(paths);
        let mut before = Vec::new();
        tree(&mut world.vfs, world.base, "ro", &mut before);
        world.check(
            "
            open w ro/f => ROFS
            open rw ro/lf => ROFS
            open t ro/f => ROFS
            open rt ro/f => ROFS
            open rt ro/lf => ROFS
            open c ro/new => ROFS
            open cw ro/ln => ROFS
            open cx ro/new => ROFS
            open cx ro/f => EXIST
            open cw ro/f => ROFS
            open ct ro/f => ROFS
            # As on Linux, what exists opens.
            open cr ro/f => file
            open cr ro/lf => file
            open c ro/d => ISDIR
            open w ro/d => ISDIR
            open t ro/d => ISDIR
            open c ro/f/ => ISDIR
            open c ro/no/x => NOENT
            open cw ro/f/x => NOTDIR
            open cw ro/../rw/f => NOTCAPABLE
            open cw ro/d/../.. => NOTCAPABLE
            open r ro/f => file
            open cn ro/lf => LOOP
            mkdir ro/new => ROFS
            mkdir ro/d => EXIST
            mkdir ro/ld => EXIST
            rmdir ro/d/e => ROFS
            rmdir ro/no => ROFS
            unlink ro/f => ROFS
            unlink ro/lf => ROFS
            symlink x ro/new => ROFS
            symlink x ro/f => EXIST
            rename ro/f ro/new => ROFS
            rename ro/f ro/f => ROFS
            rename ro/f rw/new => ROFS
            rename rw/f ro/new => ROFS
            rename rw/f ro/f => ROFS
            rename rw/f ro/d/g => ROFS
            link ro/f ro/new => ROFS
            link ro/f rw/new => ROFS
            linkf ro/lf rw/new => ROFS
            link rw/f ro/new => ROFS
            link rw/f ro/f => EXIST
            utime ro/f => ROFS
            utime ro/lf => ROFS
            lutime ro/lf => ROFS
            utime ro/d => ROFS
            utime ro/. => ROFS
            utime ro => ROFS
            utime ro/no => NOENT
            rmdir ro => BUSY
            rename ro rw/ro => BUSY
            cat ro/f => text
            stat rw/f => file
            ",
        );
        let mut after = Vec::new();
        tree(&mut world.vfs, world.base, "ro", &mut after);
        assert_eq!(before.len(), 7);
        // Reading has marked one file as read; that is not the guest's change, and the only one.
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert!(changed <= 1 && before.len() == after.len(), "{before:#?} {after:#?}");
    }
}

#[test]
fn no_handle_changes_it() {
    for paths in [false, true] {
        let mut world = world(paths);
        let vfs = &mut world.vfs;
        let options = OpenOptions { read: true, create: true, ..OpenOptions::default() };
        let (file, _) = vfs.open(world.base, "ro/f", true, &options).unwrap();
        assert_eq!(vfs.access(file), Access::ReadOnly);
        let rofs = Err(Error::ROFS);
        assert_eq!(vfs.write_at(file, 0, &[b"x"]), rofs.map(|()| 0));
        assert_eq!(vfs.append(file, &[b"x"]), rofs.map(|()| (0, 0)));
        assert_eq!(vfs.set_size(file, 0), rofs);
        assert_eq!(vfs.allocate(file, 0, 100), rofs);
        assert_eq!(vfs.set_times(file, SetTime::Now, SetTime::At(5)), rofs);
        let root = vfs.open_root("/ro").unwrap();
        assert_eq!(vfs.set_times(root, SetTime::Now, SetTime::Keep), rofs);
        let mut bytes = [0; 9];
        assert_eq!(vfs.read_at(file, 0, &mut [&mut bytes]), Ok(4));
        vfs.close(file);
    }
}

#[test]
fn a_handle_that_is_not_open_for_writing_writes_nothing() {
    let mut world = world(false);
    let vfs = &mut world.vfs;
    let (file, _) =
        vfs.open(world.base, "rw/f", true, &OpenOptions { read: true, ..Default::default() }).unwrap();
    assert_eq!(vfs.write_at(file, 0, &[b"x"]), Err(Error::BADF));
    assert_eq!(vfs.append(file, &[b"x"]), Err(Error::BADF));
    assert_eq!(vfs.set_size(file, 0), Err(Error::BADF));
    assert_eq!(vfs.allocate(file, 0, 9), Err(Error::BADF));
    assert_eq!(vfs.allocate(file, 0, 0), Err(Error::INVAL));
    let (file, _) =
        vfs.open(world.base, "rw/f", true, &OpenOptions { write: true, ..Default::default() }).unwrap();
    assert_eq!(vfs.read_at(file, 0, &mut [&mut [0]]), Err(Error::BADF));
    let (dir, _) =
        vfs.open(world.base, "rw/d", true, &OpenOptions { read: true, ..Default::default() }).unwrap();
    assert_eq!(vfs.read_at(dir, 0, &mut [&mut [0]]), Err(Error::ISDIR));
    assert_eq!(vfs.write_at(dir, 0, &[b"x"]), Err(Error::BADF));
    vfs.close(dir);
    assert_eq!(vfs.attributes(dir).err(), Some(Error::BADF));
}
