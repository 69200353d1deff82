//! Mounts in mounts.

use std::boxed::Box;
use std::vec::Vec;

use super::support::{Watch, Watched, World, list, mem};
use crate::{Access, DirEntry, Error, OpenOptions, Vfs};

/// `/` with `d/e`, and mounts at `/d/m`, `/d/m/n`, `/x/y/z` and `/t`. Each has a file `here`.
fn nested(paths: bool) -> World {
    let mut world = World::new(paths);
    world.check("mkdir d\nmkdir d/e\nmkdir d/m\nwrite d/m/hidden 1\nwrite here root\nwrite t file");
    for (path, text) in [("/d/m", "m"), ("/d/m/n", "n"), ("/x/y/z", "z"), ("/t", "t")] {
        let fs = Watched::over(mem(), &world.watch, paths);
        world.vfs.mount(path, fs, Access::ReadWrite).unwrap();
        let base = core::mem::replace(&mut world.base, world.vfs.open_root(path).unwrap());
        world.check(&std::format!("write here {text}"));
        world.base = base;
    }
    world
}

#[test]
fn paths_go_down_into_mounts_and_never_up() {
    for paths in [false, true] {
        let mut world = nested(paths);
        world.check(
            "
            cat here => root
            cat d/m/here => m
            cat d/m/n/here => n
            cat x/y/z/here => z
            cat t/here => t
            cat d/e/../m/here => m
            stat d/m/hidden => NOENT
            stat d/m/.. => NOTCAPABLE
            stat d/m/../e => NOTCAPABLE
            stat x/.. => NOTCAPABLE
            stat t/../here => NOTCAPABLE
            mkdir d/m/sub
            stat d/m/sub/../../e => NOTCAPABLE
            cat d/m/sub/../here => m
            cat d/m/sub/../n/here => n
            symlink ../here d/m/sub/l
            cat d/m/sub/l => m
            symlink ../../here d/m/sub/out
            stat d/m/sub/out => NOTCAPABLE
            symlink m/sub/l d/lm
            cat d/lm => m
            symlink m/n d/ln
            cat d/ln/here => n
            cat d/ln//here => n
            stat d/ln/ => dir
            stat d/ln/.. => NOTCAPABLE
            open c d/m => ISDIR
            open cx d/m => EXIST
            open r d/m => dir
            open r d/m/ => dir
            open r d/m/. => dir
            lstat t => dir
            linkf d/lm d/m/linked
            cat d/m/linked => m
            utime d/m
            utime d/lm
            ",
        );
    }
}

#[test]
fn mount_points_are_listed_once_and_hide_what_is_there() {
    let mut world = nested(false);
    world.check(
        "
        ls . => d,here,t,x
        ls d => e,m
        ls d/m => here,n
        ls x => y
        ls x/y => z
        ls x/y/z => here
        stat x => dir
        mkdir x/new => ROFS
        mkdir x/y => EXIST
        open cw x/y/new => ROFS
        utime x => ROFS
        ",
    );
    // One at a time, going on from each cookie.
    let mut seen = Vec::new();
    let mut cookie = 0;
    loop {
        let mut entry: Option<DirEntry> = None;
        let base = world.base;
        world
            .vfs
            .read_dir(base, cookie, &mut |next| {
                entry = Some(next);
                false
            })
            .unwrap();
        let Some(entry) = entry else { break };
        assert_ne!(entry.next, 0);
        cookie = entry.next;
        seen.push(entry.name);
    }
    seen.sort();
    assert_eq!(seen, ["d", "here", "t", "x"]);
}

#[test]
fn what_holds_a_mount_stays_where_it_is() {
    for paths in [false, true] {
        let mut world = nested(paths);
        world.check(
            "
            rmdir d/m => BUSY
            rmdir d => BUSY
            rmdir x => BUSY
            rmdir x/y => BUSY
            rmdir x/y/z => BUSY
            rmdir t => BUSY
            unlink t => ISDIR
            unlink d/m => ISDIR
            rename d/m d/k => BUSY
            rename d k => BUSY
            rename d/e d/m => BUSY
            rename d/e t => BUSY
            mkdir k
            rename k d => BUSY
            rename here t => BUSY
            rename k x => BUSY
            mkdir d/m => EXIST
            symlink k t => EXIST
            link here t => EXIST
            link t k2 => PERM
            link here d/m/k => XDEV
            rename here d/m/k => XDEV
            rename d/m/here k2 => XDEV
            rename d/e d/f
            rename d/f d/e
            rmdir k
            ",
        );
    }
}

#[test]
fn tables_are_mounted_outside_in() {
    let mut vfs = Vfs::new();
    let mut mount = |path: &str| vfs.mount(path, mem(), Access::ReadWrite);
    for path in ["", "a", "a/b", "/a/", "//", "/a//b", "/a/../b", "/./a", "/a\0"] {
        assert_eq!(mount(path), Err(Error::INVAL), "{path:?}");
    }
    assert_eq!(mount("/a/b"), Ok(()));
    assert_eq!(mount("/a/b"), Err(Error::BUSY));
    assert_eq!(mount("/a"), Err(Error::INVAL));
    assert_eq!(mount("/"), Err(Error::INVAL));
    assert_eq!(mount("/ab"), Ok(()));
    assert_eq!(mount("/a/b/c/d"), Ok(()));
    assert_eq!(mount("/a/b/c"), Err(Error::BUSY));
    assert_eq!(vfs.open_root("/none"), Err(Error::NOENT));
    let root = vfs.open_root("/a/b").unwrap();
    assert_eq!(list(&mut vfs, root).unwrap(), ["c"]);
}

#[test]
fn every_mount_has_its_own_device() {
    let mut world = nested(false);
    let mut devices = Vec::new();
    for path in [".", "d/m", "d/m/n", "x", "x/y", "x/y/z", "t"] {
        devices.push(world.vfs.attributes_at(world.base, path, true).unwrap().device);
        let inside = world.vfs.attributes_at(world.base, &std::format!("{path}/here"), true);
        assert!(inside.is_err() || inside.unwrap().device == devices[devices.len() - 1]);
    }
    devices.sort_unstable();
    devices.dedup();
    assert_eq!(devices.len(), 7);
    let (node, _) = world.vfs.open(world.base, "d/m/here", true, &OpenOptions::default()).unwrap();
    let (by_node, by_path) =
        (world.vfs.attributes(node).unwrap(), world.vfs.attributes_at(world.base, "d/m/here", true).unwrap());
    assert_eq!(by_node, by_path);
}

#[test]
fn a_failed_mount_leaves_no_handle() {
    for calls in 0..9 {
        let watch = Watch::new();
        let mut world = World::with(Access::ReadWrite, Watched::over(mem(), &watch, false));
        world.check("mkdir a\nmkdir a/b");
        watch.fail_after(calls);
        let mounted = world.vfs.mount("/a/b/c", Box::new(crate::PackedFs::empty()), Access::ReadOnly);
        watch.fail_after(i64::MAX);
        // A mount point's directory stays open.
        assert_eq!(watch.open(), i64::from(mounted.is_ok()), "{calls}");
        assert_eq!(mounted.is_ok(), world.run("stat a/b/c").is_ok());
    }
}
