//! `/svc`: what can be dialled, and how it looks as a directory.

use qyv_vfs::Vfs;
use qyv_wasi::{Direction, Error, Interest, Outcome, ProcessBuilder, Right, Socket, Source};

use crate::directories::{entries, list};
use crate::network::Service;
use crate::refusals::denials;
use crate::support::*;
use crate::{at, call};

/// `path_open` of a path from `/svc`, which may wait.
fn try_dial(guest: &mut Guest, path: &str, fdflags: i32) -> Outcome {
    let len = guest.path(path);
    let Guest { process, memory, host, .. } = guest;
    process.path_open(memory, host, SVC, 1, TEXT, len, 0, BOTH, 0, fdflags, RESULT)
}

/// File type and size of a path.
fn stat_at(guest: &mut Guest, dir: i32, path: &str) -> Result<(u8, u64), Error> {
    let len = guest.path(path);
    call!(guest, path_filestat_get, dir, 1, TEXT, len, RESULT)?;
    Ok((guest.bytes(RESULT + 16, 1)[0], guest.u64(RESULT + 32)))
}

#[test]
fn it_is_the_last_preopen() {
    both_networked(|guest| {
        call!(guest, fd_prestat_get, SVC, RESULT).unwrap();
        call!(guest, fd_prestat_dir_name, SVC, RESULT, 4).unwrap();
        assert_eq!(guest.bytes(RESULT, 4), b"/svc");
        assert_eq!(call!(guest, fd_prestat_get, LISTENER, RESULT), Err(Error::BADF));
        assert_eq!(guest.fdstat(SVC).unwrap().0, 3);
        guest.stat(SVC).unwrap();
        assert_eq!(guest.bytes(RESULT + 16, 1), [3]);
    });
}

#[test]
fn without_a_grant_it_is_not_there() {
    both(|guest| assert_eq!(call!(guest, fd_prestat_get, SVC, RESULT), Err(Error::BADF)));
}

#[test]
fn a_path_is_a_dial() {
    both_networked(|guest| {
        let paths = ["logger", "./logger", "logger/80", "logger//65535"];
        for path in paths {
            let fd = guest.dial(path).unwrap();
            assert_eq!(guest.fdstat(fd).unwrap().0, 6, "a stream socket");
            guest.stat(fd).unwrap();
            assert_eq!(guest.bytes(RESULT + 16, 1), [6]);
        }
        // From the preopened `/` too, and from a directory that was opened.
        guest.open("svc/logger", 0, BOTH).unwrap();
        guest.open("./svc//logger/1", 0, BOTH).unwrap();
        for dir in [guest.open("svc", DIRECTORY, 0).unwrap(), guest.open_with(SVC, ".", 0, 0, 0).unwrap()] {
            guest.open_with(dir, "logger", 0, BOTH, 0).unwrap();
            assert_eq!(call!(guest, fd_prestat_get, dir, RESULT), Err(Error::BADF));
        }
        let ports: Vec<_> = guest.host.network.dials.iter().map(|dial| dial.1).collect();
        assert_eq!(ports, [None, None, Some(80), Some(65_535), None, Some(1), None, None]);
    });
}

#[test]
fn an_app_without_files_can_dial() {
    let mut guest = Guest::networked(true);
    let builder = ProcessBuilder::new().vfs(Vfs::new()).deny_root().services(true);
    guest.process = builder.build().unwrap();
    guest.open_with(3, "svc/logger", 0, BOTH, 0).unwrap();
    guest.open_with(4, "logger", 0, BOTH, 0).unwrap();
    assert_eq!(guest.open_with(3, "svcs/logger", 0, BOTH, 0), Err(Error::ACCES));
    assert_eq!(denials(&guest), [("path_open", "/svcs/logger", Right::Files, 1)]);
}

#[test]
fn what_asks_for_a_file_gets_a_connection() {
    both_networked(|guest| {
        // C's `fopen` with "r", "w", "w+", "a" and "wx".
        let ways = [
            (0, FD_READ, 0, Direction::Receive),
            (CREAT | TRUNC, FD_WRITE, 0, Direction::Send),
            (CREAT | TRUNC, BOTH, 0, Direction::Both),
            (CREAT, FD_WRITE, APPEND, Direction::Send),
            (CREAT | EXCL, FD_WRITE, 0, Direction::Send),
            (0, 0, 0, Direction::Both),
            (0, -1, 0, Direction::Both),
        ];
        for (oflags, rights, fdflags, direction) in ways {
            let fd = guest.open_with(SVC, "logger", oflags, rights, fdflags).unwrap();
            assert_eq!(guest.host.network.dials.pop().unwrap(), ("logger".into(), None, direction));
            let (_, flags, base, _) = guest.fdstat(fd).unwrap();
            assert_eq!(flags, 0, "appending means nothing");
            assert_eq!(base & FD_READ != 0, direction != Direction::Send);
            assert_eq!(base & FD_WRITE != 0, direction != Direction::Receive);
            let number = guest.host.network.connections.len() as u32 - 1;
            guest.peer(number).ended = true;
            let cannot = |refused: bool| if refused { Err(Error::BADF) } else { Ok(()) };
            assert_eq!(guest.read(fd, &[4]).map(drop), cannot(direction == Direction::Send));
            assert_eq!(guest.write(fd, &[b"x"]).map(drop), cannot(direction == Direction::Receive));
        }
    });
}

#[test]
fn a_right_that_was_given_up_is_not_dialled_with() {
    both_networked(|guest| {
        let (_, _, base, inheriting) = guest.fdstat(SVC).unwrap();
        call!(guest, fd_fdstat_set_rights, SVC, base, inheriting & !FD_WRITE).unwrap();
        assert_eq!(guest.dial("logger"), Err(Error::NOTCAPABLE));
        guest.open_with(SVC, "logger", 0, 0, 0).unwrap();
        assert_eq!(guest.host.network.dials, [("logger".into(), None, Direction::Receive)]);
        call!(guest, fd_fdstat_set_rights, SVC, base, inheriting & !BOTH).unwrap();
        assert_eq!(guest.open_with(SVC, "logger", 0, 0, 0), Err(Error::NOTCAPABLE));
        assert_eq!(guest.host.network.dials.len(), 1);
    });
}

#[test]
fn the_grant_comes_first_and_a_refusal_is_recorded() {
    both_networked(|guest| {
        for name in ["secret", "unknown"] {
            for path in
                [name.to_string(), format!("{name}/80"), format!("{name}/.info"), format!("{name}/x/y")]
            {
                assert_eq!(guest.dial(&path), Err(Error::ACCES), "{path}");
                assert_eq!(stat_at(guest, SVC, &path), Err(Error::ACCES), "{path}");
                assert_eq!(guest.open(&format!("svc/{path}"), CREAT, BOTH), Err(Error::ACCES), "{path}");
                assert_eq!(at!(guest, path_unlink_file, SVC, &path), Err(Error::ACCES), "{path}");
            }
        }
        let dial = |name: &str| Right::Dial(name.into());
        let what = |name: &str| format!("/svc/{name}");
        let expected: Vec<_> = ["secret", "unknown"]
            .into_iter()
            .flat_map(|name| {
                [("path_open", 8), ("path_filestat_get", 4), ("path_unlink_file", 4)]
                    .map(|(call, times)| (call, what(name), dial(name), times))
            })
            .collect();
        let found: Vec<_> = denials(guest).into_iter().map(|d| (d.0, d.1.to_string(), d.2, d.3)).collect();
        assert_eq!(found, expected);
        assert!(guest.host.network.dials.is_empty());
    });
}

#[test]
fn a_host_outside_is_a_name_with_a_port() {
    both_networked(|guest| {
        let good = ["db.example.org:5432", "192.0.2.1:80", "[2001:db8::1]:80"];
        for name in good {
            guest.host.network.granted.push(name);
            guest.host.network.services.insert(name, Service::default());
            assert!(guest.dial(name).is_ok(), "{name}");
        }
        assert!(denials(guest).is_empty());
        assert_eq!(guest.dial("db.example.org:5433"), Err(Error::ACCES));
        let connect = |url: &str| Right::Connect(url.into());
        let refused = ("path_open", "/svc/db.example.org:5433", connect("tcp://db.example.org:5433"), 1);
        assert_eq!(denials(guest), std::slice::from_ref(&refused));
        // Its name stands for an address that was not granted, as it turns out.
        guest.host.network.missing = Some("tcp://127.0.0.1:5432");
        guest.host.network.services.get_mut(good[0]).unwrap().slow = true;
        let outcome = try_dial(guest, good[0], 0);
        guest.wait(outcome);
        let number = guest.host.network.connections.len() as u32 - 1;
        guest.peer(number).failure = Some(Error::ACCES);
        assert_eq!(done(try_dial(guest, good[0], 0)), Err(Error::ACCES));
        let late = ("path_open", "/svc/db.example.org:5432", connect("tcp://127.0.0.1:5432"), 1);
        assert_eq!(denials(guest), [refused, late]);
    });
}

#[test]
fn what_is_granted_tells_why_it_fails() {
    both_networked(|guest| {
        assert_eq!(guest.dial("ghost"), Err(Error::NOENT));
        assert_eq!(stat_at(guest, SVC, "ghost"), Err(Error::NOENT));
        assert_eq!(stat_at(guest, SVC, "ghost/.info"), Err(Error::NOENT));
        for error in [Error::CONNREFUSED, Error::NOENT, Error::CONNABORTED] {
            guest.host.network.services.get_mut("logger").unwrap().refuses = Some(error);
            assert_eq!(guest.dial("logger"), Err(error));
        }
        assert!(denials(guest).is_empty());
        // The grant went away between two questions.
        guest.host.network.services.get_mut("logger").unwrap().refuses = Some(Error::ACCES);
        assert_eq!(guest.dial("logger"), Err(Error::ACCES));
        assert_eq!(denials(guest), [("path_open", "/svc/logger", Right::Dial("logger".into()), 1)]);
    });
}

#[test]
fn paths_that_name_nothing() {
    both_networked(|guest| {
        for (path, error) in [
            ("", Error::NOENT),
            ("..", Error::NOTCAPABLE),
            ("../file", Error::NOTCAPABLE),
            ("/logger", Error::NOTCAPABLE),
            ("/", Error::NOTCAPABLE),
            ("logger/", Error::NOTDIR),
            ("logger/.", Error::NOTDIR),
            ("logger/..", Error::NOTDIR),
            ("logger/80/", Error::NOTDIR),
            ("logger/.info/", Error::NOTDIR),
            ("logger/http", Error::NOENT),
            ("logger/0", Error::NOENT),
            ("logger/65536", Error::NOENT),
            ("logger/80/81", Error::NOENT),
            ("logger/.info/x", Error::NOENT),
        ] {
            assert_eq!(guest.dial(path), Err(error), "{path:?}");
            assert_eq!(stat_at(guest, SVC, path), Err(error), "{path:?}");
        }
        assert_eq!(guest.open("svc/..", 0, 0), Err(Error::NOTCAPABLE));
        for path in ["logger", "logger/80", "logger/.info"] {
            assert_eq!(guest.open_with(SVC, path, DIRECTORY, FD_READ, 0), Err(Error::NOTDIR));
        }
        assert_eq!(guest.open_with(SVC, ".", 0, FD_WRITE, 0), Err(Error::ISDIR));
        assert_eq!(guest.open_with(SVC, ".", CREAT | EXCL, 0, 0), Err(Error::EXIST));
        assert_eq!(guest.open_with(SVC, "logger", CREAT | DIRECTORY, 0, 0), Err(Error::INVAL));
        assert!(guest.host.network.dials.is_empty());
    });
}

#[test]
fn looking_does_not_dial() {
    both_networked(|guest| {
        assert_eq!(stat_at(guest, SVC, "."), Ok((3, 0)));
        assert_eq!(stat_at(guest, ROOT, "svc"), Ok((3, 0)));
        for path in ["logger", "logger/80"] {
            assert_eq!(stat_at(guest, SVC, path), Ok((6, 0)));
        }
        assert_eq!(stat_at(guest, SVC, "logger/.info"), Ok((4, 17)));
        guest.host.network.services.get_mut("logger").unwrap().refuses = Some(Error::CONNREFUSED);
        assert_eq!(stat_at(guest, ROOT, "svc/logger"), Ok((6, 0)));
        let len = guest.path("logger");
        assert_eq!(call!(guest, path_readlink, SVC, TEXT, len, DATA, 9, RESULT), Err(Error::INVAL));
        assert!(guest.host.network.dials.is_empty());
    });
}

#[test]
fn listing_gives_the_granted_names() {
    both_networked(|guest| {
        guest.host.network.granted.push("store");
        guest.host.network.services.insert("store", Service::default());
        let names = |entries: Vec<(u64, u64, u8, String)>| -> Vec<_> {
            entries.into_iter().map(|(next, _, kind, name)| (next, kind, name)).collect()
        };
        let all: Vec<(u64, u8, String)> =
            vec![(1, 3, ".".into()), (2, 3, "..".into()), (3, 6, "logger".into()), (4, 6, "store".into())];
        let dir = guest.open("svc", DIRECTORY, 0).unwrap();
        for fd in [SVC, dir] {
            for from in 0..6 {
                let found = names(entries(&list(guest, fd, 1000, from)));
                assert_eq!(found, all[all.len().min(from as usize)..]);
            }
            assert!(list(guest, fd, 1000, -1).is_empty());
            // Cut where the buffer ends.
            assert_eq!(list(guest, fd, 60, 0).len(), 60);
        }
        assert_eq!(call!(guest, fd_readdir, SVC, DATA, -1, 0, RESULT), Err(Error::FAULT));
    });
}

#[test]
fn a_description_is_a_small_file() {
    both_networked(|guest| {
        let text = br#"{"name":"logger"}"#;
        let before = guest.budget.used();
        let fd = guest.open_with(SVC, "logger/.info", 0, FD_READ, 0).unwrap();
        assert_eq!(guest.budget.used(), before + text.len() as u64, "not charged");
        assert_eq!((guest.fdstat(fd).unwrap().0, guest.stat(fd).unwrap().2), (4, 17));
        assert_eq!(guest.read(fd, &[5, 0, 3]).unwrap(), text[..8]);
        assert_eq!((guest.seek(fd, 0, 1), guest.seek(fd, -1, 2)), (Ok(8), Ok(16)));
        assert_eq!(guest.read(fd, &[100]).unwrap(), b"}");
        assert_eq!(guest.read(fd, &[100]).unwrap(), b"");
        assert_eq!(guest.seek(fd, -1, 0), Err(Error::INVAL));
        guest.seek(fd, 1, 0).unwrap();
        call!(guest, fd_tell, fd, RESULT).unwrap();
        assert_eq!(guest.u64(RESULT), 1);
        let count = guest.vector(&[4]);
        call!(guest, fd_pread, fd, RESULT + 64, count, 2, RESULT).unwrap();
        assert_eq!((guest.u32(RESULT), guest.bytes(DATA, 4)), (4, &text[2..6]));
        assert_eq!(call!(guest, fd_pread, fd, RESULT + 64, count, -1, RESULT), Err(Error::INVAL));
        assert_eq!(guest.write(fd, &[b"x"]), Err(Error::BADF));
        assert_eq!(call!(guest, fd_filestat_set_size, fd, 0), Err(Error::BADF));
        assert_eq!(call!(guest, sock_shutdown, fd, 1), Err(Error::NOTSOCK));
        assert_eq!(call!(guest, fd_readdir, fd, DATA, 9, 0, RESULT), Err(Error::NOTDIR));
        assert_eq!(guest.open_with(fd, "x", 0, 0, 0), Err(Error::NOTDIR));
        guest.close(fd).unwrap();
        assert_eq!(guest.budget.used(), before);

        for (oflags, rights, error) in
            [(0, FD_WRITE, Error::ROFS), (TRUNC, 0, Error::ROFS), (CREAT | EXCL, FD_READ, Error::EXIST)]
        {
            assert_eq!(guest.open_with(SVC, "logger/.info", oflags, rights, 0), Err(error));
        }
        guest.open_with(SVC, "logger/.info", CREAT, FD_READ, 0).unwrap();
        assert!(denials(guest).is_empty() && guest.host.network.dials.is_empty());
    });
}

#[test]
fn nothing_in_it_can_be_changed() {
    both_networked(|guest| {
        guest.create("file", b"");
        for (dir, path) in
            [(SVC, "logger"), (SVC, "."), (SVC, "logger/.info"), (ROOT, "svc/logger"), (ROOT, "svc")]
        {
            assert_eq!(at!(guest, path_create_directory, dir, path), Err(Error::ROFS));
            assert_eq!(at!(guest, path_remove_directory, dir, path), Err(Error::ROFS));
            assert_eq!(at!(guest, path_unlink_file, dir, path), Err(Error::ROFS));
            let len = guest.path(path);
            guest.put(MORE_TEXT, b"file");
            assert_eq!(call!(guest, path_filestat_set_times, dir, 1, TEXT, len, 1, 1, 5), Err(Error::ROFS));
            assert_eq!(call!(guest, path_rename, dir, TEXT, len, ROOT, MORE_TEXT, 4), Err(Error::ROFS));
            assert_eq!(call!(guest, path_rename, ROOT, MORE_TEXT, 4, dir, TEXT, len), Err(Error::ROFS));
            assert_eq!(call!(guest, path_link, dir, 0, TEXT, len, ROOT, MORE_TEXT, 4), Err(Error::ROFS));
            assert_eq!(call!(guest, path_link, ROOT, 0, MORE_TEXT, 4, dir, TEXT, len), Err(Error::ROFS));
            assert_eq!(call!(guest, path_symlink, MORE_TEXT, 4, dir, TEXT, len), Err(Error::ROFS));
        }
        // No grant would allow it, so there is nothing to tell.
        assert!(denials(guest).is_empty());
    });
}

#[test]
fn a_dial_that_takes_time_is_waited_for() {
    both_networked(|guest| {
        guest.host.network.services.get_mut("logger").unwrap().slow = true;
        for failure in [None, Some(Error::CONNREFUSED)] {
            let number = guest.host.network.connections.len() as u32;
            for _ in 0..3 {
                let outcome = try_dial(guest, "logger/80", 0);
                let wait = guest.wait(outcome);
                assert_eq!(wait.sources(), [(Source::Socket(Socket(number)), Interest::Write)]);
                assert_eq!(guest.host.network.connections.len() as u32, number + 1, "dialled again");
            }
            guest.peer(number).failure = failure;
            let result = done(try_dial(guest, "logger/80", 0));
            assert_eq!(result, failure.map_or(Ok(()), Err));
            assert_eq!(guest.host.network.held(), 1, "only the one that succeeded");
        }
    });
}

#[test]
fn a_dial_that_nobody_asks_for_again_is_closed() {
    both_networked(|guest| {
        guest.host.network.services.get_mut("logger").unwrap().slow = true;
        let _first = try_dial(guest, "logger", 0);
        let _another = try_dial(guest, "logger/80", 0);
        assert_eq!((guest.host.network.dials.len(), guest.host.network.held()), (2, 1));
        call!(guest, sched_yield).unwrap();
        assert_eq!(guest.host.network.held(), 0);
        let _last = try_dial(guest, "logger", 0);
        assert_eq!(guest.host.network.held(), 1);
        // The rest is for the end of `both_networked`.
    });
}

#[test]
fn a_non_blocking_dial_gives_its_descriptor_at_once() {
    both_networked(|guest| {
        guest.host.network.services.get_mut("logger").unwrap().slow = true;
        for (number, failure) in [(0, None), (1, Some(Error::CONNREFUSED))] {
            done(try_dial(guest, "logger", NONBLOCK)).unwrap();
            let fd = guest.u32(RESULT) as i32;
            assert_eq!(guest.fdstat(fd).unwrap().1, NONBLOCK as u16);
            assert_eq!(guest.write(fd, &[b"x"]), Err(Error::AGAIN));
            assert_eq!(guest.read(fd, &[1]), Err(Error::AGAIN));
            guest.peer(number).failure = failure;
            assert_eq!(guest.write(fd, &[b"x"]), failure.map_or(Ok(1), Err));
            guest.close(fd).unwrap();
        }
        assert_eq!(guest.host.network.dials.len(), 2);
    });
}

#[test]
fn nothing_is_dialled_that_cannot_be_held() {
    let guest = &mut Guest::networked(true);
    while guest.open(".", 0, 0).is_ok() {}
    assert_eq!(guest.dial("logger"), Err(Error::MFILE));
    guest.put(TEXT, b"logger");
    assert_eq!(call!(guest, path_open, SVC, 0, TEXT, 6, 0, BOTH, 0, 0, SIZE as i32 - 3), Err(Error::FAULT));
    assert!(guest.host.network.dials.is_empty());
}

#[test]
fn a_folder_where_the_services_are_is_refused() {
    for path in ["/svc", "/svc/logger"] {
        let mut vfs = Vfs::new();
        vfs.mount("/", memory_files(&qyv_vfs::Budget::new(9)), qyv_vfs::Access::ReadWrite).unwrap();
        let node = vfs.open_root("/").unwrap();
        let builder = ProcessBuilder::new().vfs(vfs).preopen(path, node).services(true);
        assert_eq!(builder.build().err(), Some(Error::INVAL));
    }
}
