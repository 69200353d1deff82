use std::fs;
use std::path::Path;
use std::sync::Arc;

use qyv_vfs::{Access, Budget, MemFs, MemFsOptions};
use qyvol_fs::{DiskFs, DiskFsOptions, DiskQuota};
use tar::{Builder, EntryType};

use super::pack::header;
use super::*;

fn disk(folder: &Path, bytes: u64) -> Vfs {
    let quota = DiskQuota { bytes: Budget::new(bytes), inodes: Budget::new(100) };
    let options = DiskFsOptions { quota: Some(quota), ..DiskFsOptions::default() };
    let mut vfs = Vfs::new();
    let packaged = MemFsOptions {
        bytes: Budget::new(0),
        inodes: Budget::new(10),
        memory: Budget::new(1 << 20),
        clock: Arc::new(crate::SystemClock),
        max_file: 0,
    };
    vfs.mount("/", Box::new(MemFs::new(packaged)), Access::ReadOnly).unwrap();
    vfs.mount("/data", Box::new(DiskFs::open(folder, options).unwrap()), Access::ReadWrite).unwrap();
    vfs
}

fn archive(build: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    build(&mut builder);
    builder.into_inner().unwrap()
}

/// An entry whose name is not looked at by who writes it.
fn raw(builder: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, target: &str) {
    let mut header = header(kind, 0o644, 0, 0);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    builder.append(&header, io::empty()).unwrap();
}

#[test]
fn a_folder_goes_into_an_archive_and_out_again() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(from.path().join("a/b")).unwrap();
    let long = "n".repeat(200);
    fs::write(from.path().join("a/b").join(&long), vec![7; 200_000]).unwrap();
    for number in 0..60 {
        fs::write(from.path().join(format!("a/{number}")), "x").unwrap();
    }
    std::os::unix::fs::symlink("../1", from.path().join("a/b/link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", from.path().join("a/out")).unwrap();
    std::os::unix::fs::symlink("../b", from.path().join("a/beside")).unwrap();
    let mut bytes = Vec::new();
    let packed = pack(&mut disk(from.path(), 1 << 20), "data/a", "a", &mut bytes).unwrap();
    assert_eq!((packed.files, packed.bytes, packed.skipped.len()), (61, 200_060, 2), "{:?}", packed.skipped);
    let mut target = disk(to.path(), 1 << 20);
    // A name in place of its own, over what is there.
    fs::create_dir(to.path().join("c")).unwrap();
    fs::write(to.path().join("outside"), "as before").unwrap();
    std::os::unix::fs::symlink("../outside", to.path().join("c/1")).unwrap();
    let unpacked = unpack(&mut target, "data", Some("c"), &mut &bytes[..]).unwrap();
    assert_eq!((unpacked.files, unpacked.bytes), (61, 200_060));
    assert_eq!(fs::read(to.path().join("c/b").join(&long)).unwrap(), vec![7; 200_000]);
    assert_eq!(fs::read(to.path().join("c/1")).unwrap(), b"x");
    assert_eq!(fs::read(to.path().join("outside")).unwrap(), b"as before", "not through the link");
    assert_eq!(fs::read_link(to.path().join("c/b/link")).unwrap(), Path::new("../1"));
}

#[test]
fn what_an_archive_must_not_do_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut vfs = disk(folder.path(), 1000);
    let mut refused = |bytes: Vec<u8>, words: &str| {
        let error = unpack(&mut vfs, "data", None, &mut &bytes[..]).unwrap_err().to_string();
        assert!(error.contains(words), "`{words}` is missing in {error}");
    };
    let entry = |name: &'static str, kind, target: &'static str| archive(|tar| raw(tar, name, kind, target));
    refused(entry("../up", EntryType::Regular, ""), "`..`");
    refused(entry("/etc/x", EntryType::Regular, ""), "absolute");
    refused(entry("l", EntryType::Symlink, "/etc"), "lead out");
    refused(entry("d/l", EntryType::Symlink, "../../x"), "lead out");
    refused(entry("d/l", EntryType::Symlink, "a/../../.."), "lead out");
    refused(entry("h", EntryType::Link, "x"), "hard link");
    refused(entry("f", EntryType::Fifo, ""), "neither");
    refused(entry("c", EntryType::Char, ""), "neither");
    let large = archive(|tar| {
        let mut header = header(EntryType::Regular, 0o644, 2000, 0);
        tar.append_data(&mut header, "large", io::repeat(1).take(2000)).unwrap();
    });
    refused(large, "large");
    assert!(!folder.path().join("large").exists(), "a part of it is left");
    // A name that would fill the memory.
    let name = archive(|tar| {
        let mut header = header(EntryType::GNULongName, 0o644, 8 << 20, 0);
        header.set_cksum();
        tar.append(&header, io::repeat(b'x').take(8 << 20)).unwrap();
    });
    refused(name, "1 MiB");
    assert!(unpack(&mut vfs, "", None, &mut &entry("x", EntryType::Regular, "")[..]).is_err(), "read-only");
    let cut = &archive(|tar| {
        let mut header = header(EntryType::Regular, 0o644, 900, 0);
        tar.append_data(&mut header, "cut", io::repeat(1).take(900)).unwrap();
    })[..700];
    assert!(unpack(&mut vfs, "data", None, &mut &cut[..]).is_err());
}

#[test]
fn a_path_is_one_beneath_the_root() {
    for (path, found) in [("/", Some("")), ("//data/./x/", Some("data/x")), ("/a/../b", None), ("data", None)]
    {
        assert_eq!(beneath_root(path).as_deref(), found, "{path}");
    }
}
