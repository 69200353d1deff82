//! Single attempts to leave the folder, or to reach what is not served.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use super::{CREATE, DIRECTORY, Paths, READ, WRITE, make_fifo, serve};
use qyv_vfs::{Error, FileSystem as _, FileType, OpenOptions};

use crate::DiskFs;

const EXCLUSIVE: OpenOptions = OpenOptions { exclusive: true, ..CREATE };

#[test]
fn dots_and_absolute_links_do_not_leave() {
    let mut served = serve();
    let path = served.path();
    std::fs::create_dir(path.join("d")).unwrap();
    symlink("../secret", path.join("up")).unwrap();
    symlink(served.outside.path(), path.join("absolute")).unwrap();
    symlink("/", path.join("root")).unwrap();
    symlink("d/../../secret", path.join("winding")).unwrap();
    for out in [
        "..",
        "../secret",
        "d/../../secret",
        "d/../..",
        "up",
        "absolute",
        "absolute/secret",
        "root/etc/passwd",
        "winding",
        "./../secret",
        "d/./../.././secret",
        "../served/d",
    ] {
        assert_eq!(served.refusal(out), Error::NOTCAPABLE, "{out}");
        assert_eq!(served.paths.open(out, true, &CREATE), Err(Error::NOTCAPABLE), "{out}");
    }
    for inside in ["d/..", "d/../d", ".", "./d", "d/."] {
        assert!(served.paths.attributes(inside, true).is_ok(), "{inside}");
    }
    assert_eq!(served.refusal("missing/../../secret"), Error::NOENT);
}

/// RUSTSEC-2026-0269: with a slash behind a link, the link was followed out of the folder.
#[test]
fn a_trailing_slash_does_not_leave() {
    let mut served = serve();
    let path = served.path();
    std::fs::create_dir(served.outside.path().join("private")).unwrap();
    std::fs::write(path.join("file"), "").unwrap();
    symlink("../private", path.join("up")).unwrap();
    symlink("/", path.join("root")).unwrap();
    symlink("up/", path.join("to_up")).unwrap();
    for out in ["up/", "up//", "up/.", "root/", "root//", "to_up", "to_up/", "../", "up/../"] {
        for follow in [false, true] {
            let open = served.paths.open(out, follow, &DIRECTORY);
            // Without a slash and without following, the link itself is what is refused.
            let expected = if !follow && out == "to_up" { Error::NOTDIR } else { Error::NOTCAPABLE };
            assert_eq!(open.unwrap_err(), expected, "{out} {follow}");
            if out.ends_with(['/', '.']) {
                let found = served.paths.attributes(out, follow);
                assert_eq!(found, Err(Error::NOTCAPABLE), "{out} {follow}");
            }
        }
    }
    assert_eq!(served.refusal("file/"), Error::NOTDIR);
}

#[test]
fn names_are_one_component() {
    let mut served = serve();
    let root = served.fs.root();
    std::fs::create_dir(served.path().join("d")).unwrap();
    for name in ["", ".", "..", "../secret", "/etc/passwd", "d/", "d/..", "a\0b"] {
        assert_eq!(served.fs.lookup(root, name), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.attributes_at(root, name), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.open(root, name, &CREATE), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.create_dir(root, name), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.remove_dir(root, name), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.unlink(root, name), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.read_link(root, name), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.symlink("x", root, name), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.rename(root, name, root, "x"), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.rename(root, "d", root, name), Err(Error::INVAL), "{name:?}");
        assert_eq!(served.fs.link(root, name, root, "x"), Err(Error::INVAL), "{name:?}");
    }
}

#[test]
fn names_do_not_follow_links() {
    let mut served = serve();
    let root = served.fs.root();
    symlink("../secret", served.path().join("up")).unwrap();
    symlink("new", served.path().join("dangling")).unwrap();
    for link in ["up", "dangling"] {
        assert_eq!(served.fs.attributes_at(root, link).unwrap().kind, FileType::Symlink);
        for options in [READ, WRITE, CREATE] {
            assert_eq!(served.fs.open(root, link, &options), Err(Error::LOOP), "{link} {options:?}");
        }
        assert_eq!(served.fs.open(root, link, &EXCLUSIVE), Err(Error::EXIST));
        assert_eq!(served.fs.open(root, link, &DIRECTORY), Err(Error::NOTDIR));
        let handle = served.fs.lookup(root, link).unwrap();
        assert_eq!(served.fs.attributes(handle).unwrap().kind, FileType::Symlink);
        assert!(served.fs.attributes_at(handle, "x").is_err());
    }
    assert!(!served.path().join("new").exists());
    served.fs.link(root, "up", root, "up2").unwrap();
    assert_eq!(served.fs.read_link(root, "up2").unwrap(), "../secret");
    // Through a path that may follow, the missing target inside is created, as on Linux.
    assert!(served.paths.open("dangling", true, &CREATE).is_ok());
    assert!(served.path().join("new").is_file());
}

#[test]
fn magic_links_are_not_followed() {
    let mut proc = Paths::new("/proc".as_ref());
    for path in ["self/root/etc/passwd", "self/cwd", "self/exe", "thread-self/root/", "self/fd/0"] {
        let refused = proc.open(path, true, &READ).unwrap_err();
        assert!(matches!(refused, Error::LOOP | Error::NOTCAPABLE), "{path}: {refused}");
        let refused = proc.attributes(path, true).unwrap_err();
        assert!(matches!(refused, Error::LOOP | Error::NOTCAPABLE), "{path}: {refused}");
    }
    assert!(proc.open("self/status", true, &READ).is_ok());
}

#[test]
fn links_in_a_circle_end() {
    let mut served = serve();
    symlink("b", served.path().join("a")).unwrap();
    symlink("a", served.path().join("b")).unwrap();
    assert_eq!(served.refusal("a"), Error::LOOP);
    assert_eq!(served.refusal("a/x"), Error::LOOP);
}

#[test]
fn fifos_sockets_and_devices_are_refused_at_once() {
    let mut served = serve();
    let (root, path) = (served.fs.root(), served.path());
    make_fifo(&path.join("fifo"));
    let _socket = UnixListener::bind(path.join("socket")).unwrap();
    let started = Instant::now();
    for name in ["fifo", "socket"] {
        assert_eq!(served.refusal(name), Error::PERM, "{name}");
        assert_eq!(served.refusal(&format!("./{name}")), Error::PERM, "{name}");
        for options in [READ, WRITE, CREATE, OpenOptions { truncate: true, ..CREATE }] {
            assert_eq!(served.fs.open(root, name, &options), Err(Error::PERM), "{name} {options:?}");
        }
        assert_eq!(served.fs.open(root, name, &EXCLUSIVE), Err(Error::EXIST));
        assert_eq!(served.fs.open(root, name, &DIRECTORY), Err(Error::NOTDIR));
        let handle = served.fs.lookup(root, name).unwrap();
        assert_eq!(served.fs.attributes(handle), Err(Error::PERM));
        assert_eq!(served.fs.read_at(handle, 0, &mut [&mut [0]]), Err(Error::BADF));
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(served.names(root), [""; 0]);
    served.fs.unlink(root, "fifo").unwrap();
    assert!(!path.join("fifo").exists());

    let mut devices = DiskFs::open("/dev".as_ref(), qyvol_fs::DiskFsOptions::default()).unwrap();
    let root = devices.root();
    for name in ["null", "zero", "tty"] {
        for options in [READ, WRITE, CREATE, OpenOptions { truncate: true, ..WRITE }] {
            let refused = devices.open(root, name, &options).unwrap_err();
            assert!(matches!(refused, Error::PERM | Error::ACCES), "{name} {options:?} {refused}");
        }
    }
}

#[test]
fn a_waiting_writer_of_a_fifo_is_not_answered_by_a_guest_that_writes() {
    let mut served = serve();
    let root = served.fs.root();
    make_fifo(&served.path().join("fifo"));
    // A host process reads: opening for writing would succeed at the kernel, and the guest could speak to it.
    let reader = rustix::fs::open(
        served.path().join("fifo"),
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    assert_eq!(served.fs.open(root, "fifo", &WRITE), Err(Error::PERM));
    drop(reader);
}

#[test]
fn hard_links_stay_inside() {
    let mut served = serve();
    let root = served.fs.root();
    served.create("a", b"text");
    served.fs.create_dir(root, "d").unwrap();
    let dir = served.fs.lookup(root, "d").unwrap();
    served.fs.link(root, "a", dir, "b").unwrap();
    assert_eq!(served.fs.attributes_at(dir, "b").unwrap().links, 2);
    assert_eq!(
        served.fs.attributes_at(dir, "b").unwrap().inode,
        served.fs.attributes_at(root, "a").unwrap().inode
    );
    assert_eq!(served.fs.link(root, "d", root, "d2"), Err(Error::PERM));
    assert_eq!(served.fs.link(root, "a", dir, "b"), Err(Error::EXIST));
}

#[test]
fn a_renamed_folder_is_still_the_one_served() {
    let mut served = serve();
    let root = served.fs.root();
    let away = served.outside.path().join("away");
    std::fs::rename(served.path(), &away).unwrap();
    symlink("/etc", served.path()).unwrap();
    served.create("file", b"text");
    assert_eq!(std::fs::read(away.join("file")).unwrap(), b"text");
    assert_eq!(served.fs.attributes_at(root, "passwd"), Err(Error::NOENT));
    assert_eq!(served.refusal("../secret"), Error::NOTCAPABLE);
}
