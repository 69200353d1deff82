//! Files as the guest expects them: reading, writing, opening, listing.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::{BOTH, CREATE, DIRECTORY, READ, WRITE, serve, serve_with};
use qyv_vfs::{Advice, Error, FileSystem as _, FileType, Handle, OpenOptions, SetTime, SyncKind};
use qyvol_fs::DiskFsOptions;

const EXCLUSIVE: OpenOptions = OpenOptions { exclusive: true, ..CREATE };

#[test]
fn reads_and_writes_any_number_of_buffers_in_order() {
    let mut served = serve();
    let file = served.create("file", b"");
    let text: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
    let pieces: Vec<&[u8]> = text.chunks(7).collect();
    assert!(pieces.len() > 128);
    assert_eq!(served.fs.write_at(file, 3, &pieces), Ok(text.len()));
    assert_eq!(served.fs.append(file, &pieces), Ok((text.len(), 3 + 2 * text.len() as u64)));

    let mut back = vec![0; text.len() * 2 + 10];
    let mut buffers: Vec<&mut [u8]> = back.chunks_mut(11).collect();
    assert_eq!(served.fs.read_at(file, 3, &mut buffers), Ok(2 * text.len()));
    assert_eq!(back[..2 * text.len()], [&text[..], &text[..]].concat());

    let size = 3 + 2 * text.len() as u64;
    assert_eq!(served.fs.read_at(file, size, &mut [&mut [0; 4]]), Ok(0));
    assert_eq!(served.fs.append(file, &[]), Ok((0, size)));
    assert_eq!(served.fs.write_at(file, size + 1, &[b""]), Ok(0));
    assert_eq!(served.fs.read_at(file, 0, &mut []), Ok(0));
}

#[test]
fn appends_behind_what_others_wrote() {
    let mut served = serve();
    let (root, first) = (served.fs.root(), served.create("log", b"1"));
    let second = served.fs.open(root, "log", &WRITE).unwrap().handle;
    assert_eq!(served.fs.append(second, &[b"22"]), Ok((2, 3)));
    assert_eq!(served.fs.append(first, &[b"3", b"33"]), Ok((3, 6)));
    assert_eq!(served.fs.write_at(first, 0, &[b"0"]), Ok(1));
    assert_eq!(std::fs::read(served.path().join("log")).unwrap(), b"022333");
}

#[test]
fn a_handle_does_only_what_it_was_opened_for() {
    let mut served = serve();
    let root = served.fs.root();
    served.create("file", b"text");
    served.fs.create_dir(root, "d").unwrap();
    let reader = served.fs.open(root, "file", &READ).unwrap().handle;
    let writer = served.fs.open(root, "file", &WRITE).unwrap().handle;
    let looker = served.fs.open(root, "file", &OpenOptions::default()).unwrap().handle;
    let found = served.fs.lookup(root, "file").unwrap();
    let dir = served.fs.open(root, "d", &READ).unwrap();
    assert_eq!(dir.kind, FileType::Directory);
    for handle in [writer, looker, found] {
        assert_eq!(served.fs.read_at(handle, 0, &mut [&mut [0]]), Err(Error::BADF));
    }
    for handle in [reader, looker, found, dir.handle, root] {
        assert_eq!(served.fs.write_at(handle, 0, &[b"x"]), Err(Error::BADF));
        assert_eq!(served.fs.append(handle, &[b"x"]), Err(Error::BADF));
        assert_eq!(served.fs.set_size(handle, 0), Err(Error::BADF));
        assert_eq!(served.fs.allocate(handle, 0, 1), Err(Error::BADF));
    }
    for handle in [dir.handle, root, served.fs.lookup(root, "d").unwrap()] {
        assert_eq!(served.fs.read_at(handle, 0, &mut [&mut [0]]), Err(Error::ISDIR));
        assert_eq!(served.fs.sync(handle, SyncKind::All), Ok(()));
    }
    for handle in [reader, writer, looker, found, root, dir.handle] {
        assert!(served.fs.attributes(handle).is_ok());
        served.fs.set_times(handle, SetTime::Keep, SetTime::At(5_000_000_007)).unwrap();
        assert_eq!(served.fs.attributes(handle).unwrap().times.modified, 5_000_000_007);
        assert_eq!(served.fs.advise(handle, 0, u64::MAX, Advice::WillNeed), Ok(()));
    }
    assert_eq!(served.fs.sync(writer, SyncKind::Data), Ok(()));
    served.fs.close(reader);
    assert_eq!(served.fs.read_at(reader, 0, &mut [&mut [0]]), Err(Error::BADF));
    assert_eq!(served.fs.read_at(Handle(u64::MAX), 0, &mut [&mut [0]]), Err(Error::BADF));
    served.fs.close(root);
    assert!(served.fs.attributes(root).is_ok());
}

#[test]
fn opening_creates_and_truncates_as_asked() {
    let mut served = serve();
    let root = served.fs.root();
    served.fs.create_dir(root, "d").unwrap();
    assert_eq!(served.fs.open(root, "file", &BOTH), Err(Error::NOENT));
    assert!(served.fs.open(root, "file", &EXCLUSIVE).is_ok());
    assert_eq!(served.fs.open(root, "file", &EXCLUSIVE), Err(Error::EXIST));
    served.create("file", b"text");
    let truncate = OpenOptions { truncate: true, ..OpenOptions::default() };
    let emptied = served.fs.open(root, "file", &truncate).unwrap().handle;
    assert_eq!(served.fs.attributes(emptied).unwrap().size, 0);
    assert_eq!(served.fs.write_at(emptied, 0, &[b"x"]), Err(Error::BADF));
    for options in [WRITE, CREATE, truncate, OpenOptions { truncate: true, ..DIRECTORY }] {
        assert_eq!(served.fs.open(root, "d", &options), Err(Error::ISDIR), "{options:?}");
        assert_eq!(served.paths.open("./d/", true, &options), Err(Error::ISDIR), "{options:?}");
    }
    assert_eq!(served.fs.open(root, "file", &DIRECTORY), Err(Error::NOTDIR));
    assert!(served.paths.open("d/./new", true, &CREATE).is_ok());
    assert!(served.paths.open("d/new2", false, &EXCLUSIVE).is_ok());
    assert_eq!(served.paths.open("d/none/new", true, &CREATE), Err(Error::NOENT));
    assert_eq!(served.paths.open("file/new", true, &CREATE), Err(Error::NOTDIR));
}

#[test]
fn huge_offsets_are_refused_or_sparse() {
    let mut served = serve();
    let file = served.create("file", b"x");
    // The kernel's offsets end at `i64::MAX`: beyond, they make no sense.
    for offset in [u64::MAX, i64::MAX as u64, i64::MAX as u64 + 1] {
        let allocated = if offset == i64::MAX as u64 { Error::FBIG } else { Error::INVAL };
        assert_eq!(served.fs.write_at(file, offset, &[b"x"]), Err(Error::INVAL), "{offset}");
        assert_eq!(served.fs.allocate(file, offset, 1), Err(allocated), "{offset}");
    }
    assert_eq!(served.fs.set_size(file, u64::MAX), Err(Error::INVAL));
    assert_eq!(served.fs.allocate(file, 0, 0), Err(Error::INVAL));
    assert!(served.fs.read_at(file, u64::MAX, &mut [&mut [0]]).is_err());
    assert_eq!(served.fs.write_at(file, 1 << 40, &[b"y"]), Ok(1));
    assert_eq!(served.fs.attributes(file).unwrap().size, (1 << 40) + 1);
    let mut hole = [7; 2];
    assert_eq!(served.fs.read_at(file, 1 << 39, &mut [&mut hole]), Ok(2));
    assert_eq!(hole, [0; 2]);
    served.fs.set_size(file, 1).unwrap();
    served.fs.allocate(file, 0, 5000).unwrap();
    assert_eq!(served.fs.attributes(file).unwrap().size, 5000);
}

#[test]
fn no_file_grows_past_the_largest() {
    let mut served = serve_with(DiskFsOptions { max_file: 10, ..DiskFsOptions::default() });
    let file = served.create("file", b"12345678");
    assert_eq!(served.fs.write_at(file, 8, &[b"123"]), Err(Error::FBIG));
    assert_eq!(served.fs.append(file, &[b"123"]), Err(Error::FBIG));
    assert_eq!(served.fs.set_size(file, 11), Err(Error::FBIG));
    assert_eq!(served.fs.allocate(file, 10, 1), Err(Error::FBIG));
    assert_eq!(served.fs.append(file, &[b"12"]), Ok((2, 10)));
    assert_eq!(served.fs.attributes(file).unwrap().size, 10);
}

#[test]
fn odd_names_are_names() {
    let mut served = serve();
    let root = served.fs.root();
    let odd = ["a\nb", "…", " ", "-rf", "*", "a\\b", "...", "\u{1b}[2J"];
    for name in odd {
        served.create(name, name.as_bytes());
    }
    std::fs::write(served.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
    let expected: BTreeSet<&str> = odd.into();
    assert_eq!(served.names(root), expected.into_iter().collect::<Vec<_>>());
    assert_eq!(served.fs.open(root, &"n".repeat(256), &CREATE), Err(Error::NAMETOOLONG));
    assert!(served.fs.open(root, &"n".repeat(255), &CREATE).is_ok());
}

#[test]
fn directory_entries_change_as_on_linux() {
    let mut served = serve();
    let root = served.fs.root();
    served.create("a", b"1");
    served.create("b", b"2");
    for dir in ["d", "full"] {
        served.fs.create_dir(root, dir).unwrap();
        assert_eq!(served.fs.create_dir(root, dir), Err(Error::EXIST));
    }
    let full = served.fs.lookup(root, "full").unwrap();
    served.fs.symlink("../a", full, "link").unwrap();
    assert_eq!(served.fs.read_link(full, "link").unwrap(), "../a");
    assert_eq!(served.fs.read_link(root, "a"), Err(Error::INVAL));
    assert_eq!(served.fs.remove_dir(root, "full"), Err(Error::NOTEMPTY));
    assert_eq!(served.fs.remove_dir(root, "a"), Err(Error::NOTDIR));
    assert_eq!(served.fs.unlink(root, "d"), Err(Error::ISDIR));
    assert_eq!(served.fs.rename(root, "d", root, "full"), Err(Error::NOTEMPTY));
    assert_eq!(served.fs.rename(root, "full", full, "in"), Err(Error::INVAL));
    assert_eq!(served.fs.rename(root, "a", root, "d"), Err(Error::ISDIR));
    assert_eq!(served.fs.rename(root, "d", root, "a"), Err(Error::NOTDIR));
    assert_eq!(served.fs.rename(root, "none", root, "a"), Err(Error::NOENT));
    served.fs.rename(root, "a", root, "b").unwrap();
    assert_eq!(std::fs::read(served.path().join("b")).unwrap(), b"1");
    served.fs.rename(root, "full", root, "d").unwrap();
    served.fs.set_times_at(full, "link", SetTime::At(1), SetTime::Now).unwrap();
    let link = served.fs.attributes_at(full, "link").unwrap();
    assert!(
        link.kind == FileType::Symlink
            && link.times.accessed == 1
            && link.times.modified > 1
            && link.size == 4
    );
    served.fs.unlink(full, "link").unwrap();
    served.fs.remove_dir(root, "d").unwrap();
    assert_eq!(served.fs.create_dir(full, "x"), Err(Error::NOENT));
    assert_eq!(served.names(full), [""; 0]);
}

/// Reads a directory as a guest with a small buffer does, removing what it has seen.
#[test]
fn attributes_through_a_link_are_those_of_what_it_leads_to() {
    let mut served = serve();
    let root = served.fs.root();
    let long = "n".repeat(255);
    for name in ["file", &long] {
        let file = served.create(name, b"hello");
        served.fs.close(file);
    }
    served.fs.create_dir(root, "dir").unwrap();
    let links = [
        ("to-file", "file"),
        ("to-long", long.as_str()),
        ("to-link", "to-file"),
        ("to-dir", "dir"),
        ("with-slash", "dir/"),
        ("down-and-up", "dir/../file"),
        ("to-here", "."),
    ];
    for (link, target) in links {
        served.fs.symlink(target, root, link).unwrap();
        let found = served.paths.attributes(link, true).unwrap();
        assert_eq!(found, served.paths.attributes(target, true).unwrap(), "{link}");
        assert_eq!(served.paths.attributes(link, false).unwrap().kind, FileType::Symlink, "{link}");
    }
    let longer = "n".repeat(256);
    let refused = [
        ("to-nothing", "missing", Error::NOENT),
        ("file-with-slash", "file/", Error::NOTDIR),
        ("to-itself", "to-itself", Error::LOOP),
        ("to-above", "..", Error::NOTCAPABLE),
        ("to-longer", longer.as_str(), Error::NAMETOOLONG),
    ];
    for (link, target, error) in refused {
        served.fs.symlink(target, root, link).unwrap();
        assert_eq!(served.refusal(link), error, "{link}");
    }
}

#[test]
fn a_listing_survives_removal_and_asking_again() {
    let mut served = serve();
    let root = served.fs.root();
    let all: BTreeSet<String> = (0..700).map(|number| format!("file-with-a-long-name-{number}")).collect();
    for name in &all {
        std::fs::write(served.path().join(name), "").unwrap();
    }
    let mut seen = Vec::new();
    let mut cookie = 0;
    let dir = served.fs.reopen_dir(root).unwrap();
    loop {
        let mut page = Vec::new();
        // The fourth entry does not fit: it is asked for again, with the cookie of the third.
        served
            .fs
            .read_dir(dir, cookie, &mut |entry| {
                assert_ne!(entry.next, 0);
                page.push(entry);
                page.len() < 4
            })
            .unwrap();
        let last = page.len() < 4;
        page.truncate(3);
        for entry in page {
            cookie = entry.next;
            assert_eq!(entry.kind, FileType::Regular);
            served.fs.unlink(root, &entry.name).unwrap();
            seen.push(entry.name);
        }
        if last {
            break;
        }
    }
    assert_eq!(seen.len(), all.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all);
    assert_eq!(served.names(dir), [""; 0]);
    let file = served.create("file", b"");
    assert_eq!(served.fs.read_dir(file, 0, &mut |_| true), Err(Error::NOTDIR));
    assert_eq!(served.names(dir), ["file"]);
}

#[test]
fn a_listing_goes_on_from_any_cookie() {
    let mut served = serve();
    let root = served.fs.root();
    for number in 0..100 {
        std::fs::write(served.path().join(number.to_string()), "").unwrap();
    }
    let mut entries = Vec::new();
    let mut all = |entry| {
        entries.push(entry);
        true
    };
    served.fs.read_dir(root, 0, &mut all).unwrap();
    for at in [50, 3, 98, 99, 0] {
        let mut rest = Vec::new();
        let collect = &mut |entry: qyv_vfs::DirEntry| {
            rest.push(entry.name);
            true
        };
        served.fs.read_dir(root, entries[at].next, collect).unwrap();
        let expected: Vec<_> = entries[at + 1..].iter().map(|entry| entry.name.clone()).collect();
        assert_eq!(rest, expected, "after {at}");
    }
    let _ = served.fs.read_dir(root, u64::MAX, &mut |_| true);
    let _ = served.fs.read_dir(root, 12345, &mut |_| true);
}

#[test]
fn a_removed_file_lives_until_it_is_closed() {
    let mut served = serve();
    let root = served.fs.root();
    let file = served.create("file", b"text");
    served.fs.unlink(root, "file").unwrap();
    assert_eq!(served.fs.attributes(file).unwrap().links, 0);
    let mut text = [0; 4];
    assert_eq!(served.fs.read_at(file, 0, &mut [&mut text]), Ok(4));
    assert_eq!(served.fs.open(root, "file", &READ), Err(Error::NOENT));
}
