//! Volumes: what guests have made of them, and archives that mean ill.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use qyvold_store::{Error, RestoreLimits, Volumes};
use tar::{Builder, EntryType, Header};

const LIMITS: RestoreLimits = RestoreLimits { bytes: 1 << 20, inodes: 1000 };

fn state() -> (tempfile::TempDir, Volumes) {
    let folder = tempfile::tempdir().unwrap();
    let volumes = Volumes::open(folder.path()).unwrap();
    (folder, volumes)
}

#[test]
fn a_volume_comes_back_from_its_backup() {
    let (folder, volumes) = state();
    let path = volumes.create("web").unwrap();
    fs::create_dir_all(path.join("a/b")).unwrap();
    let long = "n".repeat(200);
    fs::write(path.join("a/b").join(&long), b"content").unwrap();
    fs::write(path.join("run"), b"").unwrap();
    fs::set_permissions(path.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../run", path.join("a/link")).unwrap();
    symlink("/etc/passwd", path.join("out")).unwrap();
    symlink("a/../..", path.join("sly")).unwrap();
    let usage = volumes.usage("web").unwrap();
    assert_eq!((usage.bytes, usage.inodes, usage.complete), (7, 7, true));

    let mut archive = Vec::new();
    let backup = volumes.backup("web", &mut archive).unwrap();
    assert_eq!((backup.files, backup.bytes, backup.others), (2, 7, 3));
    assert_eq!(backup.skipped.len(), 2, "{:?}", backup.skipped);
    volumes.restore("copy", &mut &archive[..], LIMITS).unwrap();
    let copy = folder.path().join("volumes/copy");
    assert_eq!(fs::read(copy.join("a/b").join(&long)).unwrap(), b"content");
    assert_eq!(fs::metadata(copy.join("run")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_link(copy.join("a/link")).unwrap(), Path::new("../run"));
    let modified =
        |path: &Path| fs::metadata(path).unwrap().modified().unwrap().elapsed().unwrap().as_secs() / 60;
    assert_eq!(modified(&copy.join("run")), modified(&path.join("run")));
    assert!(copy.join("out").symlink_metadata().is_err());
    assert!(matches!(volumes.restore("copy", &mut &archive[..], LIMITS), Err(Error::Exists(_))));
    // In place of what is there, whole or not at all.
    fs::write(copy.join("later"), b"").unwrap();
    let refused = volumes.replace("copy", &mut &archive[..], LIMITS, || Err(Error::Invalid("no".into())));
    assert!(matches!(refused, Err(Error::Invalid(_))) && copy.join("later").exists());
    assert!(volumes.replace("copy", &mut &archive[..900], LIMITS, || Ok(())).is_err());
    assert!(copy.join("later").exists());
    volumes.replace("copy", &mut &archive[..], LIMITS, || Ok(())).unwrap();
    assert!(!copy.join("later").exists() && copy.join("run").exists());
    volumes.replace("new", &mut &archive[..], LIMITS, || Ok(())).unwrap();
    assert_eq!(volumes.list().unwrap(), ["copy", "new", "web"]);

    volumes.remove("web").unwrap();
    assert!(!path.exists() && matches!(volumes.remove("web"), Err(Error::NotFound(_))));
    assert!(matches!(volumes.usage("web"), Err(Error::NotFound(_))));
    let left = fs::read_dir(folder.path().join("volumes/.trash")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn names_stay_in_the_folder() {
    let (_folder, volumes) = state();
    for name in ["", ".", "..", ".trash", "a/b", "/etc", "a\0b", "é", &"x".repeat(201)] {
        assert!(matches!(volumes.path(name), Err(Error::Invalid(_))), "{name:?}");
        assert!(volumes.remove(name).is_err() && volumes.create(name).is_err());
    }
}

#[test]
fn folders_deeper_than_any_path_are_counted_in_part_and_removed() {
    let (folder, volumes) = state();
    let mut path = volumes.create("deep").unwrap();
    let name = "d".repeat(100);
    // Built from the inside, as no path is long enough.
    for level in 0..300 {
        let outer = folder.path().join(format!("volumes/build-{level}"));
        fs::create_dir(&outer).unwrap();
        fs::write(outer.join("file"), b"x").unwrap();
        if level > 0 {
            fs::rename(folder.path().join(format!("volumes/build-{}", level - 1)), outer.join(&name))
                .unwrap();
        }
    }
    path.push("top");
    fs::rename(folder.path().join("volumes/build-299"), &path).unwrap();
    let usage = volumes.usage("deep").unwrap();
    assert!(!usage.complete && usage.bytes > 100 && usage.bytes < 300, "{usage:?}");
    let backup = volumes.backup("deep", &mut Vec::new()).unwrap();
    assert!(backup.skipped[0].contains("128 folders deep"), "{:?}", backup.skipped);
    volumes.remove("deep").unwrap();
    assert_eq!(fs::read_dir(folder.path().join("volumes/.trash")).unwrap().count(), 0);
}

/// An archive of one entry whose path nobody has looked at.
fn archive(kind: EntryType, path: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o6777);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, content).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn an_archive_that_means_ill_leaves_nothing() {
    let (folder, volumes) = state();
    let attacks = [
        (EntryType::Regular, "/etc/evil", ""),
        (EntryType::Regular, "../evil", ""),
        (EntryType::Regular, "a/../../evil", ""),
        (EntryType::Directory, "..", ""),
        (EntryType::Regular, "", ""),
        (EntryType::Symlink, "link", "/etc"),
        (EntryType::Symlink, "link", ".."),
        (EntryType::Symlink, "a/link", "../../x"),
        (EntryType::Symlink, "a/link", "b/../.."),
        (EntryType::Symlink, "link", ""),
        (EntryType::Link, "hard", "/etc/passwd"),
        (EntryType::Link, "hard", "inside"),
        (EntryType::Fifo, "fifo", ""),
        (EntryType::Char, "null", ""),
        (EntryType::Block, "disk", ""),
    ];
    for (kind, path, link) in attacks {
        let refused = volumes.restore("evil", &mut &archive(kind, path, link, b"")[..], LIMITS);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{path} {link}: {refused:?}");
        assert!(volumes.list().unwrap().is_empty(), "{path} {link}");
    }
    // A link first, and a file through it.
    let mut through = archive(EntryType::Symlink, "a", "b", b"");
    through.truncate(512);
    through.extend(archive(EntryType::Regular, "a/file", "", b"x"));
    assert!(volumes.restore("evil", &mut &through[..], LIMITS).is_err());
    let file = archive(EntryType::Regular, "file", "", &[1; 2000]);
    let small = RestoreLimits { bytes: 1999, ..LIMITS };
    assert!(matches!(
        volumes.restore("evil", &mut &file[..], small),
        Err(Error::TooLarge { unit: "bytes", .. })
    ));
    let none = RestoreLimits { inodes: 0, ..LIMITS };
    assert!(matches!(
        volumes.restore("evil", &mut &file[..], none),
        Err(Error::TooLarge { unit: "files", .. })
    ));
    assert!(volumes.restore("evil", &mut &file[..1000], LIMITS).is_err(), "cut off");
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader]
    {
        let mut long = archive(kind, "long", "", &vec![b'n'; 2 << 20]);
        long.truncate(long.len() - 1024);
        long.extend(&file);
        let refused = volumes.restore("evil", &mut &long[..], LIMITS).unwrap_err();
        assert!(refused.to_string().contains("more than 1 MiB"), "{refused}");
    }
    assert!(volumes.restore("evil", &mut &[9; 4096][..], LIMITS).is_err());
    assert!(volumes.list().unwrap().is_empty());
    let left: Vec<_> = fs::read_dir(folder.path().join("volumes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [".trash"]);

    volumes.restore("fine", &mut &file[..], LIMITS).unwrap();
    let mode = fs::metadata(folder.path().join("volumes/fine/file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o777, "rights beyond those of files are not restored");
}

#[test]
fn what_was_cut_off_is_cleaned_up_at_the_next_start() {
    let (folder, volumes) = state();
    volumes.create("kept").unwrap();
    drop(volumes);
    for path in [".draft-1-2/a/b", ".trash/1-2/c/d"] {
        fs::create_dir_all(folder.path().join("volumes").join(path)).unwrap();
        fs::write(folder.path().join("volumes").join(path).join("file"), b"x").unwrap();
    }
    let volumes = Volumes::open(folder.path()).unwrap();
    assert_eq!(volumes.list().unwrap(), ["kept"]);
    assert_eq!(fs::read_dir(folder.path().join("volumes/.trash")).unwrap().count(), 0);
    assert!(!folder.path().join("volumes/.draft-1-2").exists());
}
