//! Calls on paths. Each path is relative to a directory descriptor; where it may lead is decided by [`Vfs`].

use qyv_vfs::{Error, FileType, Node, OpenOptions, Result, Vfs};

use crate::abi::{self, SYMLINK_FOLLOW, fdflags, oflags, rights};
use crate::calls::Call;
use crate::file::times;
use crate::memory::{self, Span};
use crate::origin::Origin;
use crate::outcome::{Step, Stop};
use crate::services::{self, Entry};
use crate::table::{Descriptor, Kind};
use crate::{Host, Interest, Memory, Process, Source};

/// A directory that a path starts from.
#[derive(Clone, Copy)]
struct Base {
    fd: u32,
    start: Start,
}

#[derive(Clone, Copy)]
enum Start {
    Files(Node),
    ClosedRoot,
    Services,
}

/// Where a path leads from there.
enum Place<'a> {
    Files(Node),
    Services(Entry<'a>),
}

impl Process {
    /// `BADF` when it is not open, `NOTDIR` when it is no directory, `NOTCAPABLE` without the right.
    fn base(&self, fd: u32, right: u64) -> Result<Base> {
        let descriptor = self.table.get(fd)?;
        let start = match descriptor.kind {
            Kind::Directory { node, .. } => Start::Files(node),
            Kind::ClosedRoot { .. } => Start::ClosedRoot,
            Kind::Services { .. } => Start::Services,
            Kind::Source(_) | Kind::File { .. } | Kind::Info { .. } => return Err(Error::NOTDIR),
        };
        descriptor.require(right).map_err(|_| Error::NOTCAPABLE)?;
        Ok(Base { fd, start })
    }

    /// The directory that a path starts from, or what it names among the services; `ACCES` when nothing was granted
    /// there. Recorded as a denial.
    fn enter<'a, H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        call: &'static str,
        base: Base,
        path: &'a str,
    ) -> Result<Place<'a>> {
        let origin = self.table.get(base.fd)?.origin().ok_or(Error::NOTDIR)?;
        if !self.services {
            self.denials.refuse_service(call, origin, path)?;
        } else if origin.is_root()
            && let Some(within) = services::from_root(path)
        {
            return self.find_service(host, call, path, within).map(Place::Services);
        }
        match base.start {
            Start::Files(node) => Ok(Place::Files(node)),
            Start::ClosedRoot => Err(self.denials.refuse_files(call, path)),
            Start::Services => self.find_in_services(host, call, path).map(Place::Services),
        }
    }

    /// As [`enter`](Self::enter) for a change, which services do not allow: `ROFS`.
    fn enter_files<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        call: &'static str,
        base: Base,
        path: &str,
    ) -> Result<Node> {
        match self.enter(host, call, base, path)? {
            Place::Files(node) => Ok(node),
            Place::Services(_) => Err(Error::ROFS),
        }
    }

    /// Records that a read-only mount refused a change, at a path or, when that is empty, of an open file or directory.
    pub(crate) fn denied_write(&mut self, call: &'static str, fd: u32, path: &str) {
        if let Some(origin) = self.table.get(fd).ok().and_then(Descriptor::origin) {
            self.denials.refuse_write(call, &mut self.vfs, origin, path);
        }
    }

    /// Whether a path lies in a read-only mount by its text.
    fn is_read_only(&mut self, fd: u32, path: &str) -> bool {
        let origin = self.table.get(fd).ok().and_then(Descriptor::origin);
        origin.is_some_and(|origin| origin.is_read_only(&mut self.vfs, path))
    }
}

/// Whether a last link is followed. `INVAL` for an unknown flag.
fn follows(flags: u32) -> Result<bool> {
    Ok(abi::flags(flags, SYMLINK_FOLLOW)? != 0)
}

impl<M: Memory + ?Sized, H: Host + ?Sized> Call<'_, M, H> {
    /// Changes something at a path. Among the services that is `ROFS`.
    fn at<R>(
        &mut self,
        name: &'static str,
        base: Base,
        path: Span,
        operate: impl FnOnce(&mut Vfs, Node, &str) -> Result<R>,
    ) -> Result<R> {
        self.at_or(name, base, path, |_, _, _| Err(Error::ROFS), operate)
    }

    /// Does something with a path, or something else with a service.
    fn at_or<R>(
        &mut self,
        name: &'static str,
        base: Base,
        path: Span,
        service: impl FnOnce(&mut Process, &mut H, Entry<'_>) -> Result<R>,
        operate: impl FnOnce(&mut Vfs, Node, &str) -> Result<R>,
    ) -> Result<R> {
        let (process, host) = (&mut *self.process, &mut *self.host);
        memory::with_paths(self.memory, [path], |[path]| match process.enter(host, name, base, path)? {
            Place::Services(entry) => service(process, host, entry),
            Place::Files(dir) => {
                let result = operate(&mut process.vfs, dir, path);
                if let Err(Error::ROFS) = result {
                    process.denied_write(name, base.fd, path);
                }
                result
            }
        })
    }

    /// Changes something at two paths.
    fn at_both(
        &mut self,
        name: &'static str,
        (from, from_path): (Base, Span),
        (to, to_path): (Base, Span),
        operate: impl FnOnce(&mut Vfs, (Node, &str), (Node, &str)) -> Result<()>,
    ) -> Result<()> {
        let (process, host) = (&mut *self.process, &mut *self.host);
        memory::with_paths(self.memory, [from_path, to_path], |[from_path, to_path]| {
            let from_dir = process.enter_files(host, name, from, from_path)?;
            let to_dir = process.enter_files(host, name, to, to_path)?;
            let result = operate(&mut process.vfs, (from_dir, from_path), (to_dir, to_path));
            if result == Err(Error::ROFS) {
                let from_refused = process.is_read_only(from.fd, from_path);
                let (dir, path) = if from_refused { (from, from_path) } else { (to, to_path) };
                process.denied_write(name, dir.fd, path);
            }
            result
        })
    }
}

/// Opens. `FD_READ` and `FD_WRITE` among the rights asked for decide how, as in other hosts; what else the directory
/// passes on comes with it, asked for or not, because many a libc asks for too little. A service is dialled; neither of
/// the two means both ways.
#[expect(clippy::too_many_arguments, reason = "the ABI decides")]
pub(crate) fn path_open<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    dirflags: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    base: u64,
    _inheriting: u64,
    fdflags: u32,
    opened_fd: u32,
) -> Step<()> {
    memory::check(call.memory, Span::new(opened_fd, 4))?;
    let flags = abi::flags(oflags, oflags::ALL)?;
    let dir = call.process.base(fd, rights::PATH_OPEN | needed(flags))?;
    let (follow, flags, fdflags) = (follows(dirflags)?, flags, abi::flags(fdflags, fdflags::ALL)?);
    let inherited = call.process.table.get(fd)?.inheriting;
    let asked = base & (rights::FD_READ | rights::FD_WRITE);
    if asked & !inherited != 0 {
        return Err(Error::NOTCAPABLE.into());
    }
    let options = OpenOptions {
        read: asked & rights::FD_READ != 0,
        write: asked & rights::FD_WRITE != 0,
        create: flags & oflags::CREAT != 0,
        exclusive: flags & oflags::EXCL != 0,
        truncate: flags & oflags::TRUNC != 0,
        directory: flags & oflags::DIRECTORY != 0,
    };
    if options.create && options.directory {
        return Err(Error::INVAL.into());
    }
    // First the number, so that nothing is created that cannot be given.
    call.process.table.reserve()?;
    let ways = if asked == 0 { inherited & (rights::FD_READ | rights::FD_WRITE) } else { asked };
    let opened = call.at_or(
        "path_open",
        dir,
        Span::new(path, path_len),
        |process, host, entry| process.open_service(host, entry, &options, ways).map(Opened::Service),
        |vfs, dir, path| {
            let (node, kind) = vfs.open(dir, path, follow, &options)?;
            Ok(Opened::File(node, kind))
        },
    );
    let process = &mut *call.process;
    if opened.is_err() {
        process.table.release();
    }
    let opened = opened?;
    let origin = process.table.get(fd)?.origin().ok_or(Error::BADF)?;
    let descriptor = match opened {
        Opened::File(node, FileType::Directory) => {
            let kind = Kind::Directory { node, origin: origin.opened() };
            Descriptor::new(kind, inherited & rights::DIRECTORY, inherited, fdflags)
        }
        Opened::File(node, _) => {
            let access = if options.write { asked | rights::FILE_WRITE } else { asked };
            let kind = Kind::File { node, offset: 0, origin: origin.opened() };
            Descriptor::new(kind, inherited & (rights::FILE | access), 0, fdflags)
        }
        Opened::Service(services::Opened::Directory) => {
            let kind = Kind::Services { origin: Origin::preopen(services::PATH).opened() };
            Descriptor::new(kind, inherited & rights::DIRECTORY, inherited, fdflags)
        }
        Opened::Service(services::Opened::Info(info)) => {
            let kind = Kind::Info { info, offset: 0 };
            Descriptor::new(kind, inherited & rights::INFO & !rights::FD_READ | asked, 0, fdflags)
        }
        Opened::Service(services::Opened::Dialling(socket)) if fdflags & fdflags::NONBLOCK == 0 => {
            let sources = [(Source::Socket(socket), Interest::Write)];
            return Err(Stop::Wait(process.wait_for(None, sources)));
        }
        Opened::Service(services::Opened::Connection(socket) | services::Opened::Dialling(socket)) => {
            process.resume = None;
            let kind = Kind::Source(Source::Socket(socket));
            Descriptor::new(kind, inherited & rights::SOCKET | ways, 0, fdflags & fdflags::SOCKET)
        }
    };
    let opened = process.table.insert(descriptor)?;
    Ok(memory::put_u32(call.memory, opened_fd, opened)?)
}

/// What `path_open` found.
enum Opened {
    File(Node, FileType),
    Service(services::Opened),
}

/// What a directory needs for these `oflags`.
fn needed(flags: u16) -> u64 {
    let create = if flags & oflags::CREAT != 0 { rights::PATH_CREATE_FILE } else { 0 };
    let truncate = if flags & oflags::TRUNC != 0 { rights::PATH_FILESTAT_SET_SIZE } else { 0 };
    create | truncate
}

pub(crate) fn path_create_directory<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<()> {
    let dir = call.process.base(fd, rights::PATH_CREATE_DIRECTORY)?;
    call.at("path_create_directory", dir, Span::new(path, path_len), Vfs::create_dir)
}

pub(crate) fn path_remove_directory<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<()> {
    let dir = call.process.base(fd, rights::PATH_REMOVE_DIRECTORY)?;
    call.at("path_remove_directory", dir, Span::new(path, path_len), Vfs::remove_dir)
}

pub(crate) fn path_unlink_file<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<()> {
    let dir = call.process.base(fd, rights::PATH_UNLINK_FILE)?;
    call.at("path_unlink_file", dir, Span::new(path, path_len), Vfs::unlink)
}

pub(crate) fn path_filestat_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Result<()> {
    let dir = call.process.base(fd, rights::PATH_FILESTAT_GET)?;
    let follow = follows(flags)?;
    let attributes = call.at_or(
        "path_filestat_get",
        dir,
        Span::new(path, path_len),
        Process::service_filestat,
        |vfs, dir, path| Ok(abi::filestat(&vfs.attributes_at(dir, path, follow)?)),
    )?;
    call.memory.write(stat, &attributes)
}

#[expect(clippy::too_many_arguments, reason = "the ABI decides")]
pub(crate) fn path_filestat_set_times<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Result<()> {
    let dir = call.process.base(fd, rights::PATH_FILESTAT_SET_TIMES)?;
    let follow = follows(flags)?;
    let (accessed, modified) = times(atim, mtim, fst_flags)?;
    call.at("path_filestat_set_times", dir, Span::new(path, path_len), |vfs, dir, path| {
        vfs.set_times_at(dir, path, follow, accessed, modified)
    })
}

/// What does not fit into the buffer is left out, without an error.
pub(crate) fn path_readlink<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    bufused: u32,
) -> Result<()> {
    memory::check(call.memory, Span::new(bufused, 4))?;
    let dir = call.process.base(fd, rights::PATH_READLINK)?;
    let no_link = |_: &mut _, _: &mut _, _: Entry<'_>| Err(Error::INVAL);
    let target = call.at_or("path_readlink", dir, Span::new(path, path_len), no_link, Vfs::read_link)?;
    let target = target.as_bytes();
    let used = target.get(..buf_len as usize).unwrap_or(target);
    call.memory.write(buf, used)?;
    memory::put_u32(call.memory, bufused, used.len() as u32)
}

pub(crate) fn path_rename<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<()> {
    let from = (call.process.base(fd, rights::PATH_RENAME_SOURCE)?, Span::new(old_path, old_path_len));
    let to = (call.process.base(new_fd, rights::PATH_RENAME_TARGET)?, Span::new(new_path, new_path_len));
    call.at_both("path_rename", from, to, |vfs, from, to| vfs.rename(from.0, from.1, to.0, to.1))
}

#[expect(clippy::too_many_arguments, reason = "the ABI decides")]
pub(crate) fn path_link<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<()> {
    let from = (call.process.base(old_fd, rights::PATH_LINK_SOURCE)?, Span::new(old_path, old_path_len));
    let to = (call.process.base(new_fd, rights::PATH_LINK_TARGET)?, Span::new(new_path, new_path_len));
    let follow = follows(old_flags)?;
    call.at_both("path_link", from, to, |vfs, from, to| vfs.link(from.0, from.1, follow, to.0, to.1))
}

/// A target that begins with `/` is `NOTCAPABLE`: no lookup would follow it.
pub(crate) fn path_symlink<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    old_path: u32,
    old_path_len: u32,
    fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<()> {
    let dir = call.process.base(fd, rights::PATH_SYMLINK)?;
    let (target, path) = (Span::new(old_path, old_path_len), Span::new(new_path, new_path_len));
    let (process, host) = (&mut *call.process, &mut *call.host);
    memory::with_paths(call.memory, [target, path], |[target, path]| {
        let node = process.enter_files(host, "path_symlink", dir, path)?;
        if target.starts_with('/') {
            return Err(Error::NOTCAPABLE);
        }
        let result = process.vfs.symlink(target, node, path);
        if result == Err(Error::ROFS) {
            process.denied_write("path_symlink", fd, path);
        }
        result
    })
}
