//! The tree over a list of files.

use std::boxed::Box;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use super::support::{Watch, Watched, World};
use crate::{Access, Error, FileSystem, OpenOptions, PackedFile, PackedFiles, PackedFs, Result};

/// Files whose contents are their paths, handed out three bytes at a time. `bad` cannot be read.
struct Paths(Vec<String>);

impl PackedFiles for Paths {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn file(&self, index: usize) -> PackedFile<'_> {
        let path = &self.0[index];
        PackedFile { path, size: path.len() as u64, modified: index as u64 + 1 }
    }
    fn read_at(&self, index: usize, offset: u64, into: &mut [u8]) -> Result<usize> {
        let rest = &self.0[index].as_bytes()[offset as usize..];
        let length = into.len().min(3).min(rest.len());
        into[..length].copy_from_slice(&rest[..length]);
        if self.0[index] == "bad" { Err(Error::IO) } else { Ok(length) }
    }
}

fn packed(paths: &[&str]) -> Result<PackedFs> {
    PackedFs::new(Arc::new(Paths(paths.iter().map(|path| (*path).into()).collect())))
}

#[test]
fn directories_are_made_from_paths() {
    let fs = packed(&["b/c/deep", "a", "b/file", "b/c/d/x", "bad"]).unwrap();
    // Even a writable mount changes nothing.
    let mut world = World::with(Access::ReadWrite, Watched::over(Box::new(fs), &Watch::new(), false));
    world.check(
        "
        ls . => a,b,bad
        ls b => c,file
        ls b/c => d,deep
        cat a => a
        cat b/c/deep => b/c/deep
        cat b/c/../file => b/file
        cat bad => IO
        size b/c/d/x => 7
        links b => 3
        stat b/c => dir
        stat a/b => NOTDIR
        stat b/.. => dir
        stat b/../.. => NOTCAPABLE
        readlink a => INVAL
        open c a => file
        open cx a => EXIST
        open c new => ROFS
        open w a => ROFS
        open t a => ROFS
        open w b => ISDIR
        mkdir b => EXIST
        mkdir new => ROFS
        rmdir b => ROFS
        unlink a => ROFS
        rename a c => ROFS
        link a c => ROFS
        symlink a c => ROFS
        utime a => ROFS
        lutime b => ROFS
        ",
    );
    // A directory is as new as the newest file beneath it, and numbers are those of the list.
    let attributes = |world: &mut World, path| world.vfs.attributes_at(world.base, path, true).unwrap();
    assert_eq!(attributes(&mut world, "b/c").times.modified, 4);
    let inodes = ["b", "b/c", "b/c/deep", "a"].map(|path| attributes(&mut world, path).inode);
    assert_eq!(inodes, [2, 3, 4, 5]);
}

#[test]
fn reads_stay_within_the_file() {
    let mut fs = packed(&["0123456789"]).unwrap();
    let root = fs.root();
    let file = fs.open(root, "0123456789", &OpenOptions { read: true, ..Default::default() }).unwrap().handle;
    let (mut a, mut b) = ([0; 4], [0; 20]);
    assert_eq!(fs.read_at(file, 1, &mut [&mut a, &mut b]), Ok(9));
    assert_eq!((&a, &b[..6]), (b"1234", &b"56789\0"[..]));
    assert_eq!(fs.read_at(file, 10, &mut [&mut a]), Ok(0));
    assert_eq!(fs.read_at(file, u64::MAX >> 1, &mut [&mut a]), Ok(0));
    assert_eq!(fs.read_at(file, u64::MAX, &mut [&mut a]), Err(Error::INVAL));
    assert_eq!(fs.write_at(file, 0, &[b"x"]), Err(Error::BADF));
    fs.close(file);
    assert_eq!(fs.read_at(file, 0, &mut [&mut a]), Err(Error::BADF));
    fs.close(root);
    assert!(fs.attributes(root).is_ok());
}

#[test]
fn lists_that_climb_or_contradict_themselves_are_refused() {
    let long = "n".repeat(256);
    for path in
        ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "../a", "a\0", &long, &"a/".repeat(3000)]
    {
        assert_eq!(packed(&["ok", path]).err(), Some(Error::INVAL), "{path:?}");
    }
    for paths in [["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a/b/c", "a/b"]] {
        assert_eq!(packed(&paths).err(), Some(Error::INVAL), "{paths:?}");
    }
    assert!(packed(&["a/b", "a/c", "A", "ä", "n"]).is_ok());
}
