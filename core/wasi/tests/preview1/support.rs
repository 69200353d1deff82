//! The world that the tests stand in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use qyv_vfs::{Access, Budget, MemFs, MemFsOptions, Vfs};
use qyv_wasi::{
    Clock, Direction, Errno, Error, Host, Interest, Limits, Listener, Memory, Outcome, Process,
    ProcessBuilder, Readiness, Result, Socket, Source, Stream, StreamKind, Wait,
};

use crate::network::{Connection, Network, Service};

pub(crate) const FD_READ: i64 = 1 << 1;
pub(crate) const FD_WRITE: i64 = 1 << 6;
pub(crate) const BOTH: i64 = FD_READ | FD_WRITE;
pub(crate) const CREAT: i32 = 1;
pub(crate) const DIRECTORY: i32 = 2;
pub(crate) const EXCL: i32 = 4;
pub(crate) const TRUNC: i32 = 8;
pub(crate) const APPEND: i32 = 1;
pub(crate) const NONBLOCK: i32 = 4;

/// The first preopen: `/`, in memory.
pub(crate) const ROOT: i32 = 3;
/// The second preopen: `/ro`, the same kind, read-only.
pub(crate) const READ_ONLY: i32 = 4;

/// `/svc`, and the listener `web` after it, in [`Guest::networked`].
pub(crate) const SVC: i32 = 5;
pub(crate) const LISTENER: i32 = 6;
pub(crate) const WEB: Listener = Listener(7);

/// Where results are written, and where strings and buffers go.
pub(crate) const RESULT: i32 = 16;
pub(crate) const TEXT: i32 = 1024;
pub(crate) const MORE_TEXT: i32 = 8192;
pub(crate) const DATA: i32 = 16_384;

/// A guest's memory in the middle of a larger vector, so that a write outside of it would be seen.
pub(crate) struct Flat {
    storage: Vec<u8>,
    lend: bool,
}

const GUARD: usize = 4096;
pub(crate) const SIZE: usize = 65_536;

impl Flat {
    pub(crate) fn new(lend: bool) -> Self {
        let mut storage = vec![0xA5; GUARD + SIZE + GUARD];
        storage[GUARD..GUARD + SIZE].fill(0);
        Self { storage, lend }
    }

    pub(crate) fn inside(&self) -> &[u8] {
        &self.storage[GUARD..GUARD + SIZE]
    }

    pub(crate) fn inside_mut(&mut self) -> &mut [u8] {
        &mut self.storage[GUARD..GUARD + SIZE]
    }

    pub(crate) fn assert_guards(&self) {
        assert!(self.storage[..GUARD].iter().chain(&self.storage[GUARD + SIZE..]).all(|&byte| byte == 0xA5));
    }

    fn range(at: u32, len: usize) -> Result<core::ops::Range<usize>> {
        let end = (at as usize).checked_add(len).filter(|&end| end <= SIZE).ok_or(Error::FAULT)?;
        Ok(GUARD + at as usize..GUARD + end)
    }
}

impl Memory for Flat {
    fn size(&self) -> u64 {
        SIZE as u64
    }

    fn read(&self, at: u32, into: &mut [u8]) -> Result<()> {
        into.copy_from_slice(&self.storage[Self::range(at, into.len())?]);
        Ok(())
    }

    fn write(&mut self, at: u32, from: &[u8]) -> Result<()> {
        self.storage[Self::range(at, from.len())?].copy_from_slice(from);
        Ok(())
    }

    fn bytes(&mut self) -> Option<&mut [u8]> {
        self.lend.then(|| &mut self.storage[GUARD..GUARD + SIZE])
    }
}

/// A host that does what the test laid out.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) realtime: u64,
    pub(crate) monotonic: u64,
    /// What stdin gives, one piece a read; empty: nothing yet.
    pub(crate) stdin: VecDeque<Vec<u8>>,
    pub(crate) stdin_ended: bool,
    pub(crate) stdout: Vec<u8>,
    /// How much stdout takes before it is full.
    pub(crate) stdout_room: usize,
    pub(crate) stdout_closed: bool,
    pub(crate) reads: u32,
    pub(crate) yields: u32,
    pub(crate) random_calls: u32,
    pub(crate) network: Network,
}

impl Host for Script {
    fn clock_now(&mut self, clock: Clock) -> Result<u64> {
        match clock {
            Clock::Realtime => Ok(self.realtime),
            Clock::Monotonic => Ok(self.monotonic),
            Clock::ProcessCpu => Ok(7),
            Clock::ThreadCpu => Err(Error::INVAL),
        }
    }

    fn clock_resolution(&mut self, _clock: Clock) -> Result<u64> {
        Ok(1)
    }

    fn random(&mut self, into: &mut [u8]) -> Result<()> {
        self.random_calls += 1;
        into.fill(0x5A);
        Ok(())
    }

    fn stream_read(&mut self, _stream: Stream, into: &mut [u8]) -> Result<usize> {
        assert!(!into.is_empty());
        self.reads += 1;
        let Some(piece) = self.stdin.front_mut() else {
            return if self.stdin_ended { Ok(0) } else { Err(Error::AGAIN) };
        };
        let count = piece.len().min(into.len());
        into[..count].copy_from_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            self.stdin.pop_front();
        }
        Ok(count)
    }

    fn stream_write(&mut self, _stream: Stream, from: &[u8]) -> Result<usize> {
        assert!(!from.is_empty());
        if self.stdout_closed {
            return Err(Error::PIPE);
        }
        let count = self.stdout_room.min(from.len());
        if count == 0 {
            return Err(Error::AGAIN);
        }
        self.stdout_room -= count;
        self.stdout.extend_from_slice(&from[..count]);
        Ok(count)
    }

    fn stream_kind(&self, stream: Stream) -> StreamKind {
        if stream == Stream::Stdin { StreamKind::Terminal } else { StreamKind::Pipe }
    }

    fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness> {
        if !matches!(source, Source::Stream(_)) {
            return self.network.ready(source, interest);
        }
        match interest {
            Interest::Read => match self.stdin.front() {
                Some(piece) => Some(Readiness { bytes: piece.len() as u64, hangup: false }),
                None => self.stdin_ended.then_some(Readiness { bytes: 0, hangup: true }),
            },
            Interest::Write => {
                (self.stdout_room > 0).then_some(Readiness { bytes: self.stdout_room as u64, hangup: false })
            }
        }
    }

    fn yield_now(&mut self) {
        self.yields += 1;
    }

    fn service(&mut self, name: &str, _port: Option<u16>) -> Result<()> {
        self.network.service(name).map(drop)
    }

    fn services(&mut self) -> Vec<String> {
        self.network.names()
    }

    fn service_info(&mut self, name: &str) -> Result<String> {
        self.network.service(name).map(|_| format!(r#"{{"name":"{name}"}}"#))
    }

    fn missing(&mut self, _: Socket) -> Option<String> {
        self.network.missing.map(str::to_owned)
    }

    fn dial(&mut self, name: &str, port: Option<u16>, direction: Direction) -> Result<Socket> {
        self.network.dial(name, port, direction)
    }

    fn connected(&mut self, socket: Socket) -> Result<()> {
        self.network.open(socket.0).failure.map_or(Ok(()), Err)
    }

    fn accept(&mut self, listener: Listener) -> Result<Socket> {
        self.network.accept(listener)
    }

    fn receive(&mut self, socket: Socket, into: &mut [u8], peek: bool) -> Result<usize> {
        self.network.receive(socket, into, peek)
    }

    fn send(&mut self, socket: Socket, from: &[u8]) -> Result<usize> {
        self.network.send(socket, from)
    }

    fn shutdown(&mut self, socket: Socket, direction: Direction) -> Result<()> {
        self.network.open(socket.0).shut.push(direction);
        Ok(())
    }

    fn close(&mut self, source: Source) {
        self.network.close(source);
    }
}

struct Ticks(AtomicU64);

impl qyv_vfs::Clock for Ticks {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A guest with a root in memory and a read-only mount.
pub(crate) struct Guest {
    pub(crate) process: Process,
    pub(crate) memory: Flat,
    pub(crate) host: Script,
    /// Counts what exists in the root, files without a name included.
    pub(crate) inodes: Budget,
    /// What the process holds.
    pub(crate) budget: Budget,
}

/// A file system in memory that charges its inodes to this budget.
pub(crate) fn memory_files(inodes: &Budget) -> Box<MemFs> {
    Box::new(MemFs::new(MemFsOptions {
        bytes: Budget::new(1 << 20),
        inodes: inodes.clone(),
        memory: Budget::unlimited(),
        clock: Arc::new(Ticks(1000.into())),
        max_file: 1 << 40,
    }))
}

impl Guest {
    pub(crate) fn new(lend: bool) -> Self {
        Self::with(lend, 64, |builder| builder.arg("prog").arg("one").env("KEY", "value"))
    }

    pub(crate) fn with(lend: bool, fds: u32, more: impl FnOnce(ProcessBuilder) -> ProcessBuilder) -> Self {
        let inodes = Budget::new(1000);
        let budget = Budget::new(1 << 20);
        let mut vfs = Vfs::new();
        vfs.mount("/", memory_files(&inodes), Access::ReadWrite).unwrap();
        vfs.mount("/ro", memory_files(&Budget::new(10)), Access::ReadOnly).unwrap();
        let (root, read_only) = (vfs.open_root("/").unwrap(), vfs.open_root("/ro").unwrap());
        let builder = ProcessBuilder::new().vfs(vfs).preopen("/", root).preopen("/ro", read_only);
        let builder = more(builder).limits(Limits::with_fds(fds)).memory_budget(budget.clone());
        let host = Script { stdout_room: usize::MAX, ..Script::default() };
        Self { process: builder.build().unwrap(), memory: Flat::new(lend), host, inodes, budget }
    }

    /// With the services `logger` (granted) and `secret` (not), a grant for `ghost`, which is unknown, and a listener.
    pub(crate) fn networked(lend: bool) -> Self {
        let mut guest = Self::with(lend, 64, |builder| builder.services(true).listener("web", WEB));
        let network = &mut guest.host.network;
        network.granted = vec!["ghost", "logger"];
        network.services.insert("logger", Service::default());
        network.services.insert("secret", Service::default());
        guest
    }

    /// Dials both ways.
    pub(crate) fn dial(&mut self, path: &str) -> Result<i32> {
        self.open_with(SVC, path, 0, BOTH, 0)
    }

    /// Connection `number` as the other side has it.
    pub(crate) fn peer(&mut self, number: u32) -> &mut Connection {
        self.host.network.open(number)
    }

    pub(crate) fn put(&mut self, at: i32, bytes: &[u8]) {
        self.memory.inside_mut()[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn bytes(&self, at: i32, len: usize) -> &[u8] {
        &self.memory.inside()[at as usize..][..len]
    }

    pub(crate) fn u16(&self, at: i32) -> u16 {
        u16::from_le_bytes(self.bytes(at, 2).try_into().unwrap())
    }

    pub(crate) fn u32(&self, at: i32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: i32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Puts a path where the calls below read it, and returns its length.
    pub(crate) fn path(&mut self, path: &str) -> i32 {
        self.put(TEXT, path.as_bytes());
        path.len() as i32
    }

    pub(crate) fn open_with(
        &mut self,
        dir: i32,
        path: &str,
        oflags: i32,
        rights: i64,
        fdflags: i32,
    ) -> Result<i32> {
        let len = self.path(path);
        let Self { process, memory, host, .. } = self;
        done(process.path_open(memory, host, dir, 1, TEXT, len, oflags, rights, 0, fdflags, RESULT))?;
        Ok(self.u32(RESULT) as i32)
    }

    pub(crate) fn open(&mut self, path: &str, oflags: i32, rights: i64) -> Result<i32> {
        self.open_with(ROOT, path, oflags, rights, 0)
    }

    /// Creates a file with these contents.
    pub(crate) fn create(&mut self, path: &str, contents: &[u8]) {
        let fd = self.open(path, CREAT | TRUNC, FD_WRITE).unwrap();
        assert_eq!(self.write(fd, &[contents]), Ok(contents.len()));
        self.close(fd).unwrap();
    }

    pub(crate) fn close(&mut self, fd: i32) -> Result<()> {
        let Self { process, memory, host, .. } = self;
        checked(process.fd_close(memory, host, fd))
    }

    /// Lays the buffers out with gaps, writes their vector before [`DATA`], and returns how many there are.
    pub(crate) fn vector(&mut self, buffers: &[usize]) -> i32 {
        let mut at = DATA;
        for (index, len) in buffers.iter().enumerate() {
            let entry = RESULT + 64 + 8 * index as i32;
            self.put(entry, &at.to_le_bytes());
            self.put(entry + 4, &(*len as u32).to_le_bytes());
            at += *len as i32 + 3;
        }
        buffers.len() as i32
    }

    pub(crate) fn try_write(&mut self, fd: i32, buffers: &[&[u8]]) -> Outcome {
        let mut at = DATA;
        for buffer in buffers {
            self.put(at, buffer);
            at += buffer.len() as i32 + 3;
        }
        let count = self.vector(&buffers.iter().map(|buffer| buffer.len()).collect::<Vec<_>>());
        let Self { process, memory, host, .. } = self;
        process.fd_write(memory, host, fd, RESULT + 64, count, RESULT)
    }

    pub(crate) fn write(&mut self, fd: i32, buffers: &[&[u8]]) -> Result<usize> {
        done(self.try_write(fd, buffers))?;
        Ok(self.u32(RESULT) as usize)
    }

    pub(crate) fn try_read(&mut self, fd: i32, buffers: &[usize]) -> Outcome {
        let count = self.vector(buffers);
        let Self { process, memory, host, .. } = self;
        process.fd_read(memory, host, fd, RESULT + 64, count, RESULT)
    }

    /// Reads into buffers of these sizes and returns what they got, one after the other.
    pub(crate) fn read(&mut self, fd: i32, buffers: &[usize]) -> Result<Vec<u8>> {
        done(self.try_read(fd, buffers))?;
        let mut left = self.u32(RESULT) as usize;
        let (mut got, mut at) = (Vec::new(), DATA);
        for len in buffers {
            let here = left.min(*len);
            got.extend_from_slice(self.bytes(at, here));
            left -= here;
            at += *len as i32 + 3;
        }
        assert_eq!(left, 0, "more was counted than the buffers hold");
        Ok(got)
    }

    pub(crate) fn seek(&mut self, fd: i32, offset: i64, whence: i32) -> Result<u64> {
        let Self { process, memory, host, .. } = self;
        checked(process.fd_seek(memory, host, fd, offset, whence, RESULT))?;
        Ok(self.u64(RESULT))
    }

    /// `filestat` lies at [`RESULT`]: device, inode, type, links, size, times.
    pub(crate) fn stat(&mut self, fd: i32) -> Result<(u64, u64, u64)> {
        let Self { process, memory, host, .. } = self;
        checked(process.fd_filestat_get(memory, host, fd, RESULT))?;
        Ok((self.u64(RESULT), self.u64(RESULT + 8), self.u64(RESULT + 32)))
    }

    /// File type, flags, rights and inheriting rights.
    pub(crate) fn fdstat(&mut self, fd: i32) -> Result<(u8, u16, i64, i64)> {
        let Self { process, memory, host, .. } = self;
        checked(process.fd_fdstat_get(memory, host, fd, RESULT))?;
        let (base, inheriting) = (self.u64(RESULT + 8) as i64, self.u64(RESULT + 16) as i64);
        Ok((self.bytes(RESULT, 1)[0], self.u16(RESULT + 2), base, inheriting))
    }

    pub(crate) fn wait(&self, outcome: Outcome) -> Wait {
        match outcome {
            Outcome::Wait(token) => self.process.wait(token).clone(),
            Outcome::Done(errno) => panic!("did not wait: {errno}"),
        }
    }
}

/// Makes a call that takes one path: `at!(guest, path_unlink_file, ROOT, "name")`, further arguments last.
#[macro_export]
macro_rules! at {
    ($guest:expr, $name:ident, $dir:expr, $path:expr $(, $more:expr)*) => {{
        let len = $guest.path($path);
        let $crate::support::Guest { process, memory, host, .. } = &mut *$guest;
        $crate::support::checked(process.$name(memory, host, $dir, $crate::support::TEXT, len $(, $more)*))
    }};
}

/// Makes a call with plain arguments.
#[macro_export]
macro_rules! call {
    ($guest:expr, $name:ident $(, $argument:expr)*) => {{
        let $crate::support::Guest { process, memory, host, .. } = &mut *$guest;
        $crate::support::checked(process.$name(memory, host $(, $argument)*))
    }};
}

/// What a method returns, as a result.
pub(crate) trait Returned {
    fn errno(self) -> Errno;
}

impl Returned for Errno {
    fn errno(self) -> Errno {
        self
    }
}

impl Returned for Outcome {
    fn errno(self) -> Errno {
        match self {
            Self::Done(errno) => errno,
            Self::Wait(_) => panic!("waits"),
        }
    }
}

pub(crate) fn checked(returned: impl Returned) -> Result<()> {
    let errno = returned.errno();
    let known = [
        Error::ACCES,
        Error::AGAIN,
        Error::BADF,
        Error::CONNABORTED,
        Error::CONNREFUSED,
        Error::CONNRESET,
        Error::EXIST,
        Error::FAULT,
        Error::FBIG,
        Error::ILSEQ,
        Error::INVAL,
        Error::ISDIR,
        Error::LOOP,
        Error::MFILE,
        Error::NAMETOOLONG,
        Error::NOENT,
        Error::NOMEM,
        Error::NOSPC,
        Error::NOSYS,
        Error::NOTDIR,
        Error::NOTEMPTY,
        Error::NOTSOCK,
        Error::NOTSUP,
        Error::PERM,
        Error::PIPE,
        Error::ROFS,
        Error::SPIPE,
        Error::XDEV,
        Error::NOTCAPABLE,
        Error::BUSY,
        Error::OVERFLOW,
    ];
    match known.into_iter().find(|error| Errno::from(*error) == errno) {
        Some(error) => Err(error),
        None => {
            assert_eq!(errno, Errno::SUCCESS);
            Ok(())
        }
    }
}

pub(crate) fn done(outcome: Outcome) -> Result<()> {
    checked(outcome)
}

/// Runs a test with the memory lent and copied.
pub(crate) fn both(test: impl Fn(&mut Guest)) {
    for lend in [true, false] {
        let mut guest = Guest::new(lend);
        test(&mut guest);
        guest.memory.assert_guards();
    }
}

/// As [`both`], with services and a listener.
pub(crate) fn both_networked(test: impl Fn(&mut Guest)) {
    for lend in [true, false] {
        let mut guest = Guest::networked(lend);
        test(&mut guest);
        guest.memory.assert_guards();
        guest.process.close_all(&mut guest.host);
        assert_eq!(guest.host.network.held(), 0, "a connection stayed open");
    }
}

/// Small random numbers, the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.bits() >> 11) % limit
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// How many seeds the random tests try: `QYV_WASI_SEEDS`, default 200.
pub(crate) fn seeds() -> u64 {
    std::env::var("QYV_WASI_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}
