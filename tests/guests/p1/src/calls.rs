//! The imports with types. Each function does exactly one call.

use crate::raw;
pub use crate::types::Fd;
use crate::types::{Errno, Event, Fdstat, Filestat, Iovec, Result, Subscription, rights};

/// Turns a number into a result.
pub fn done(code: i32) -> Result<()> {
    match u16::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code) => Err(Errno(code)),
        Err(_) => panic!("errno {code} is no 16-bit number"),
    }
}

fn at<T>(place: &mut T) -> u32 {
    core::ptr::from_mut(place) as u32
}

fn start(bytes: &[u8]) -> u32 {
    bytes.as_ptr() as u32
}

// SAFETY, for every call in this file: the addresses and lengths come from live references of the right size.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => { done(unsafe { raw::$name($($argument),*) }) };
    ($name:ident($($argument:expr),* $(,)?) -> $type:ty) => {{
        let mut out = <$type>::default();
        done(unsafe { raw::$name($($argument,)* at(&mut out)) }).map(|()| out)
    }};
}

pub fn fd_close(fd: Fd) -> Result<()> {
    call!(fd_close(fd))
}

pub fn fd_read(fd: Fd, into: &mut [u8]) -> Result<usize> {
    fd_read_vectored(fd, &[Iovec::of_mut(into)])
}

pub fn fd_read_vectored(fd: Fd, into: &[Iovec]) -> Result<usize> {
    call!(fd_read(fd, into.as_ptr() as u32, into.len() as u32) -> u32).map(|n| n as usize)
}

pub fn fd_write(fd: Fd, from: &[u8]) -> Result<usize> {
    fd_write_vectored(fd, &[Iovec::of(from)])
}

pub fn fd_write_vectored(fd: Fd, from: &[Iovec]) -> Result<usize> {
    call!(fd_write(fd, from.as_ptr() as u32, from.len() as u32) -> u32).map(|n| n as usize)
}

pub fn fd_pread(fd: Fd, into: &mut [u8], offset: u64) -> Result<usize> {
    let iovec = Iovec::of_mut(into);
    call!(fd_pread(fd, core::ptr::from_ref(&iovec) as u32, 1, offset) -> u32).map(|n| n as usize)
}

pub fn fd_pwrite(fd: Fd, from: &[u8], offset: u64) -> Result<usize> {
    let iovec = Iovec::of(from);
    call!(fd_pwrite(fd, core::ptr::from_ref(&iovec) as u32, 1, offset) -> u32).map(|n| n as usize)
}

pub fn fd_seek(fd: Fd, offset: i64, whence: u32) -> Result<u64> {
    call!(fd_seek(fd, offset, whence) -> u64)
}

pub fn fd_tell(fd: Fd) -> Result<u64> {
    call!(fd_tell(fd) -> u64)
}

pub fn fd_advise(fd: Fd, offset: u64, length: u64, advice: u32) -> Result<()> {
    call!(fd_advise(fd, offset, length, advice))
}

pub fn fd_allocate(fd: Fd, offset: u64, length: u64) -> Result<()> {
    call!(fd_allocate(fd, offset, length))
}

pub fn fd_datasync(fd: Fd) -> Result<()> {
    call!(fd_datasync(fd))
}

pub fn fd_sync(fd: Fd) -> Result<()> {
    call!(fd_sync(fd))
}

pub fn fd_fdstat_get(fd: Fd) -> Result<Fdstat> {
    call!(fd_fdstat_get(fd) -> Fdstat)
}

pub fn fd_fdstat_set_flags(fd: Fd, flags: u32) -> Result<()> {
    call!(fd_fdstat_set_flags(fd, flags))
}

pub fn fd_fdstat_set_rights(fd: Fd, base: u64, inheriting: u64) -> Result<()> {
    call!(fd_fdstat_set_rights(fd, base, inheriting))
}

pub fn fd_filestat_get(fd: Fd) -> Result<Filestat> {
    call!(fd_filestat_get(fd) -> Filestat)
}

pub fn fd_filestat_set_size(fd: Fd, size: u64) -> Result<()> {
    call!(fd_filestat_set_size(fd, size))
}

pub fn fd_filestat_set_times(fd: Fd, accessed: u64, modified: u64, flags: u32) -> Result<()> {
    call!(fd_filestat_set_times(fd, accessed, modified, flags))
}

/// The length of the name of a preopen.
pub fn fd_prestat_get(fd: Fd) -> Result<u32> {
    let [kind, length] = call!(fd_prestat_get(fd) -> [u32; 2])?;
    assert_eq!(kind & 0xff, 0, "a preopen is a directory");
    Ok(length)
}

pub fn fd_prestat_dir_name(fd: Fd, into: &mut [u8]) -> Result<()> {
    call!(fd_prestat_dir_name(fd, into.as_mut_ptr() as u32, into.len() as u32))
}

pub fn fd_readdir(fd: Fd, into: &mut [u8], cookie: u64) -> Result<usize> {
    call!(fd_readdir(fd, into.as_mut_ptr() as u32, into.len() as u32, cookie) -> u32).map(|n| n as usize)
}

pub fn fd_renumber(fd: Fd, to: Fd) -> Result<()> {
    call!(fd_renumber(fd, to))
}

pub fn path_create_directory(fd: Fd, path: &str) -> Result<()> {
    call!(path_create_directory(fd, start(path.as_bytes()), path.len() as u32))
}

pub fn path_remove_directory(fd: Fd, path: &str) -> Result<()> {
    call!(path_remove_directory(fd, start(path.as_bytes()), path.len() as u32))
}

pub fn path_unlink_file(fd: Fd, path: &str) -> Result<()> {
    call!(path_unlink_file(fd, start(path.as_bytes()), path.len() as u32))
}

pub fn path_filestat_get(fd: Fd, lookup: u32, path: &str) -> Result<Filestat> {
    call!(path_filestat_get(fd, lookup, start(path.as_bytes()), path.len() as u32) -> Filestat)
}

pub fn path_filestat_set_times(
    fd: Fd,
    lookup: u32,
    path: &str,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<()> {
    call!(path_filestat_set_times(
        fd,
        lookup,
        start(path.as_bytes()),
        path.len() as u32,
        accessed,
        modified,
        flags
    ))
}

pub fn path_link(fd: Fd, lookup: u32, path: &str, to_fd: Fd, to: &str) -> Result<()> {
    call!(path_link(
        fd,
        lookup,
        start(path.as_bytes()),
        path.len() as u32,
        to_fd,
        start(to.as_bytes()),
        to.len() as u32
    ))
}

pub fn path_rename(fd: Fd, path: &str, to_fd: Fd, to: &str) -> Result<()> {
    call!(path_rename(
        fd,
        start(path.as_bytes()),
        path.len() as u32,
        to_fd,
        start(to.as_bytes()),
        to.len() as u32
    ))
}

pub fn path_symlink(target: &str, fd: Fd, path: &str) -> Result<()> {
    call!(path_symlink(
        start(target.as_bytes()),
        target.len() as u32,
        fd,
        start(path.as_bytes()),
        path.len() as u32
    ))
}

pub fn path_readlink(fd: Fd, path: &str, into: &mut [u8]) -> Result<usize> {
    call!(path_readlink(
        fd,
        start(path.as_bytes()),
        path.len() as u32,
        into.as_mut_ptr() as u32,
        into.len() as u32
    ) -> u32)
    .map(|n| n as usize)
}

pub fn path_open(
    fd: Fd,
    lookup: u32,
    path: &[u8],
    flags: u32,
    rights: u64,
    inheriting: u64,
    fd_flags: u32,
) -> Result<Fd> {
    call!(path_open(
        fd,
        lookup,
        start(path),
        path.len() as u32,
        flags,
        rights,
        inheriting,
        fd_flags
    ) -> u32)
}

/// Opens without following a last link, with all rights handed down.
pub fn open(fd: Fd, path: &str, flags: u32, rights: u64) -> Result<Fd> {
    path_open(fd, 0, path.as_bytes(), flags, rights, rights, 0)
}

/// Opens a directory as the C library does, asking for everything.
pub fn open_dir(fd: Fd, path: &str) -> Result<Fd> {
    let handed_down = rights::DIRECTORY | rights::BOTH;
    path_open(fd, 0, path.as_bytes(), crate::types::oflags::DIRECTORY, rights::DIRECTORY, handed_down, 0)
}

/// Creates a file that is open for reading and writing.
pub fn create(fd: Fd, path: &str) -> Fd {
    let flags = crate::types::oflags::CREAT | crate::types::oflags::EXCL;
    open(fd, path, flags, rights::BOTH).unwrap_or_else(|error| panic!("create `{path}`: {error:?}"))
}

/// Creates a file with these contents and closes it.
pub fn put(fd: Fd, path: &str, contents: &[u8]) {
    let file = create(fd, path);
    assert_eq!(fd_write(file, contents), Ok(contents.len()));
    assert_eq!(fd_close(file), Ok(()));
}

/// Asserts that a file has these contents (at most 256 bytes).
#[track_caller]
pub fn expect_contents(fd: Fd, path: &str, contents: &[u8]) {
    let file = open(fd, path, 0, rights::READ).unwrap_or_else(|error| panic!("open `{path}`: {error:?}"));
    let mut buffer = [0; 256];
    let count = fd_read(file, &mut buffer).unwrap();
    assert_eq!(&buffer[..count], contents);
    assert_eq!(fd_close(file), Ok(()));
}

pub fn poll_oneoff(subscriptions: &[Subscription], events: &mut [Event]) -> Result<usize> {
    assert!(events.len() >= subscriptions.len());
    call!(poll_oneoff(
        subscriptions.as_ptr() as u32,
        events.as_mut_ptr() as u32,
        subscriptions.len() as u32
    ) -> u32)
    .map(|n| n as usize)
}

pub fn clock_res_get(clock: u32) -> Result<u64> {
    call!(clock_res_get(clock) -> u64)
}

pub fn clock_time_get(clock: u32) -> Result<u64> {
    call!(clock_time_get(clock, 1) -> u64)
}

pub fn random_get(into: &mut [u8]) -> Result<()> {
    call!(random_get(into.as_mut_ptr() as u32, into.len() as u32))
}

pub fn sched_yield() -> Result<()> {
    call!(sched_yield())
}
