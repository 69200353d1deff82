//! Calls on paths. Each path is relative to a directory descriptor; where it may lead is decided by [`Vfs`].

use qyv_vfs::{Error, FileType, Node, OpenOptions, Result, Vfs};

use crate::abi::{self, SYMLINK_FOLLOW, fdflags, oflags, rights};
use crate::calls::Call;
use crate::file::times;
use crate::memory::{self, Span};
use crate::outcome::Step;
use crate::table::{Descriptor, Kind};
use crate::{Host, Memory, Process};

/// A directory that a path starts from.
#[derive(Clone, Copy)]
struct Base {
    fd: u32,
    /// `None` for the closed root.
    node: Option<Node>,
}

impl Process {
    /// `BADF` when it is not open, `NOTDIR` when it is no directory, `NOTCAPABLE` without the right.
    fn base(&self, fd: u32, right: u64) -> Result<Base> {
        let descriptor = self.table.get(fd)?;
        let node = match descriptor.kind {
            Kind::Directory { node, .. } => Some(node),
            Kind::ClosedRoot { .. } => None,
            Kind::Source(_) | Kind::File { .. } => return Err(Error::NOTDIR),
        };
        descriptor.require(right).map_err(|_| Error::NOTCAPABLE)?;
        Ok(Base { fd, node })
    }

    /// The directory that a path starts from, or `ACCES` when nothing was granted there. Recorded as a denial.
    fn enter(&mut self, call: &'static str, base: Base, path: &str) -> Result<Node> {
        let origin = self.table.get(base.fd)?.origin().ok_or(Error::NOTDIR)?;
        self.denials.refuse_service(call, origin, path)?;
        base.node.ok_or_else(|| self.denials.refuse_files(call, path))
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

impl<M: Memory + ?Sized, H: ?Sized> Call<'_, M, H> {
    /// Does something with a path.
    fn at<R>(
        &mut self,
        name: &'static str,
        base: Base,
        path: Span,
        operate: impl FnOnce(&mut Vfs, Node, &str) -> Result<R>,
    ) -> Result<R> {
        let process = &mut *self.process;
        memory::with_path(self.memory, path, |path| {
            let dir = process.enter(name, base, path)?;
            let result = operate(&mut process.vfs, dir, path);
            if let Err(Error::ROFS) = result {
                process.denied_write(name, base.fd, path);
            }
            result
        })
    }

    /// Does something with two paths.
    fn at_both(
        &mut self,
        name: &'static str,
        (from, from_path): (Base, Span),
        (to, to_path): (Base, Span),
        operate: impl FnOnce(&mut Vfs, (Node, &str), (Node, &str)) -> Result<()>,
    ) -> Result<()> {
        let process = &mut *self.process;
        memory::with_paths(self.memory, from_path, to_path, |from_path, to_path| {
            let from_dir = process.enter(name, from, from_path)?;
            let to_dir = process.enter(name, to, to_path)?;
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
/// passes on comes with it, asked for or not, because many a libc asks for too little.
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
    let (node, kind) = call.at("path_open", dir, Span::new(path, path_len), |vfs, dir, path| {
        vfs.open(dir, path, follow, &options)
    })?;
    let process = &mut *call.process;
    let origin = match &process.table.get(fd)?.kind {
        Kind::Directory { origin, .. } => origin.opened(),
        _ => return Err(Error::BADF.into()),
    };
    let descriptor = if kind == FileType::Directory {
        Descriptor::new(Kind::Directory { node, origin }, inherited & rights::DIRECTORY, inherited, fdflags)
    } else {
        let access = if options.write { asked | rights::FILE_WRITE } else { asked };
        Descriptor::new(
            Kind::File { node, offset: 0, origin },
            inherited & (rights::FILE | access),
            0,
            fdflags,
        )
    };
    let opened = process.table.insert(descriptor)?;
    Ok(memory::put_u32(call.memory, opened_fd, opened)?)
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
    let attributes = call.at("path_filestat_get", dir, Span::new(path, path_len), |vfs, dir, path| {
        vfs.attributes_at(dir, path, follow)
    })?;
    call.memory.write(stat, &abi::filestat(&attributes))
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
    let target = call.at("path_readlink", dir, Span::new(path, path_len), Vfs::read_link)?;
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
    let process = &mut *call.process;
    memory::with_paths(call.memory, target, path, |target, path| {
        let node = process.enter("path_symlink", dir, path)?;
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
