//! `wasi:filesystem` over the file tree.

use std::sync::Arc;

use qyv_vfs::{Error, FileType, Node, SyncKind, Vfs};
use qyv_wasi::{Denials, Origin};
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::bindings::{preopens, types};
use super::convert;
use super::descriptor::{Descriptor, EntryStream};
use super::error::{FsError, code_of};
use super::limits::MAX_READ;
use super::open::{Open, Tree};
use super::streams::{FileInput, FileOutput};

type FsResult<T> = Result<T, FsError>;
type Fd = Resource<Descriptor>;

/// The file tree of a component and the directories that it starts with.
pub(super) struct Files {
    pub(super) tree: Tree,
    /// By guest path; `None` is the closed root of an app that was granted no files.
    pub(super) preopens: Vec<(String, Option<Arc<Open>>)>,
}

/// Names [`FilesView`] to the linker.
pub(super) struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = FilesView<'a>;
}

/// What a call of `wasi:filesystem` works on.
pub(super) struct FilesView<'a> {
    pub(super) files: &'a Files,
    pub(super) table: &'a mut ResourceTable,
    pub(super) denials: &'a mut Denials,
}

impl FilesView<'_> {
    /// Does something with a path from the directory `fd`. What is refused for want of a grant is recorded.
    fn at<R>(
        &mut self,
        call: &'static str,
        fd: &Fd,
        path: &str,
        operate: impl FnOnce(&Tree, Node) -> qyv_vfs::Result<R>,
    ) -> FsResult<R> {
        let tree = &self.files.tree;
        let from = self.table.get(fd)?;
        let dir = from.enter(self.denials, call, path)?;
        let result = operate(tree, dir.node());
        if let Err(Error::ROFS) = result {
            self.denials.refuse_write(call, &mut tree.lock(), &from.origin, path);
        }
        Ok(result?)
    }

    /// Does something with two paths.
    fn at_both(
        &mut self,
        call: &'static str,
        (fd, path): (&Fd, &str),
        (new_fd, new_path): (&Fd, &str),
        operate: impl FnOnce(&mut Vfs, Node, Node) -> qyv_vfs::Result<()>,
    ) -> FsResult<()> {
        let (from, to) = (self.table.get(fd)?, self.table.get(new_fd)?);
        let from_dir = from.enter(self.denials, call, path)?;
        let to_dir = to.enter(self.denials, call, new_path)?;
        let vfs = &mut self.files.tree.lock();
        let result = operate(vfs, from_dir.node(), to_dir.node());
        if result == Err(Error::ROFS) {
            let from_refused = from.origin.is_read_only(vfs, path);
            let (dir, path) = if from_refused { (from, path) } else { (to, new_path) };
            self.denials.refuse_write(call, vfs, &dir.origin, path);
        }
        Ok(result?)
    }

    /// Changes the open file or directory `fd`. A read-only mount's refusal is recorded.
    fn change(
        &mut self,
        call: &'static str,
        fd: &Fd,
        change: impl FnOnce(&mut Vfs, Node) -> qyv_vfs::Result<()>,
    ) -> FsResult<()> {
        let descriptor = self.table.get(fd)?;
        let result = descriptor.open()?.with(change);
        if result == Err(Error::ROFS) {
            self.denials.refuse_write(call, &mut self.files.tree.lock(), &descriptor.origin, "");
        }
        Ok(result?)
    }
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let files = self.files;
        let push = |(path, node): &(String, Option<Arc<Open>>)| {
            let descriptor = Descriptor::directory(node.clone(), Origin::preopen(path));
            Ok((self.table.push(descriptor)?, path.clone()))
        };
        files.preopens.iter().map(push).collect()
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<types::ErrorCode> {
        match error {
            FsError::Code(code) => Ok(code),
            FsError::Trap(error) => Err(error),
        }
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<types::ErrorCode>> {
        Ok(code_of(self.table.get(&error)?))
    }
}

impl types::HostDescriptor for FilesView<'_> {
    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let open = self.table.get(&fd)?.readable()?.clone();
        let stream: DynInputStream = Box::new(FileInput { open, offset });
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let descriptor = self.table.get(&fd)?;
        let open = descriptor.writable()?.clone();
        let stream: DynOutputStream =
            Box::new(FileOutput { open, offset: Some(offset), sync: descriptor.sync });
        Ok(self.table.push(stream)?)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let descriptor = self.table.get(&fd)?;
        let open = descriptor.writable()?.clone();
        let stream: DynOutputStream = Box::new(FileOutput { open, offset: None, sync: descriptor.sync });
        Ok(self.table.push(stream)?)
    }

    fn advise(&mut self, fd: Fd, offset: u64, length: u64, advice: types::Advice) -> FsResult<()> {
        let descriptor = self.table.get(&fd)?;
        if descriptor.kind == FileType::Directory {
            return Err(Error::BADF.into());
        }
        Ok(descriptor.open()?.with(|vfs, node| vfs.advise(node, offset, length, convert::advice(advice)))?)
    }

    fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        Ok(self.table.get(&fd)?.open()?.with(|vfs, node| vfs.sync(node, SyncKind::Data))?)
    }

    fn get_flags(&mut self, fd: Fd) -> FsResult<types::DescriptorFlags> {
        use types::DescriptorFlags as Flags;
        let descriptor = self.table.get(&fd)?;
        let flags = [
            (descriptor.read, Flags::READ),
            (descriptor.write, Flags::WRITE),
            (descriptor.sync == Some(SyncKind::All), Flags::FILE_INTEGRITY_SYNC),
            (descriptor.sync == Some(SyncKind::Data), Flags::DATA_INTEGRITY_SYNC),
            (descriptor.changes_entries(), Flags::MUTATE_DIRECTORY),
        ];
        Ok(flags.into_iter().filter(|(set, _)| *set).fold(Flags::empty(), |all, (_, flag)| all | flag))
    }

    fn get_type(&mut self, fd: Fd) -> FsResult<types::DescriptorType> {
        Ok(convert::kind(self.table.get(&fd)?.kind))
    }

    fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        self.change("set-size", &fd, |vfs, node| vfs.set_size(node, size))
    }

    fn set_times(
        &mut self,
        fd: Fd,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let (accessed, modified) = (convert::time(accessed)?, convert::time(modified)?);
        self.change("set-times", &fd, |vfs, node| vfs.set_times(node, accessed, modified))
    }

    fn read(&mut self, fd: Fd, length: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let length = usize::try_from(length).unwrap_or(MAX_READ).min(MAX_READ);
        let bytes = self.table.get(&fd)?.readable()?.read(offset, length)?;
        let ended = bytes.is_empty() && length > 0;
        Ok((bytes, ended))
    }

    fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let descriptor = self.table.get(&fd)?;
        Ok(descriptor.writable()?.write(Some(offset), &bytes, descriptor.sync)? as u64)
    }

    fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<EntryStream>> {
        let open = self.table.get(&fd)?.enter(self.denials, "read-directory", "")?.clone();
        let stream = EntryStream::new(open);
        Ok(self.table.push(stream)?)
    }

    fn sync(&mut self, fd: Fd) -> FsResult<()> {
        Ok(self.table.get(&fd)?.open()?.with(|vfs, node| vfs.sync(node, SyncKind::All))?)
    }

    fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.at("create-directory-at", &fd, &path, |tree, dir| tree.lock().create_dir(dir, &path))
    }

    fn stat(&mut self, fd: Fd) -> FsResult<types::DescriptorStat> {
        let attributes = self.table.get(&fd)?.attributes()?;
        Ok(convert::stat(&attributes))
    }

    fn stat_at(&mut self, fd: Fd, flags: types::PathFlags, path: String) -> FsResult<types::DescriptorStat> {
        let follow = convert::follow(flags);
        let attributes =
            self.at("stat-at", &fd, &path, |tree, dir| tree.lock().attributes_at(dir, &path, follow))?;
        Ok(convert::stat(&attributes))
    }

    fn set_times_at(
        &mut self,
        fd: Fd,
        flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let (accessed, modified) = (convert::time(accessed)?, convert::time(modified)?);
        let follow = convert::follow(flags);
        self.at("set-times-at", &fd, &path, |tree, dir| {
            tree.lock().set_times_at(dir, &path, follow, accessed, modified)
        })
    }

    fn link_at(
        &mut self,
        fd: Fd,
        flags: types::PathFlags,
        old: String,
        new_dir: Fd,
        new: String,
    ) -> FsResult<()> {
        let follow = convert::follow(flags);
        self.at_both("link-at", (&fd, &old), (&new_dir, &new), |vfs, from, to| {
            vfs.link(from, &old, follow, to, &new)
        })
    }

    fn open_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Fd> {
        let options = convert::options(open_flags, flags)?;
        let origin = self.table.get(&fd)?.origin.opened();
        let descriptor = self.at("open-at", &fd, &path, |tree, dir| {
            let (open, kind) =
                tree.open(|vfs| vfs.open(dir, &path, convert::follow(path_flags), &options))?;
            if kind != FileType::Directory {
                return Ok(Descriptor::file(open, origin, kind, &options, convert::sync(flags)));
            }
            let directory = Descriptor::directory(Some(open), origin);
            let changes = flags.contains(types::DescriptorFlags::MUTATE_DIRECTORY);
            if changes && !directory.changes_entries() { Err(Error::ROFS) } else { Ok(directory) }
        })?;
        Ok(self.table.push(descriptor)?)
    }

    fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.at("readlink-at", &fd, &path, |tree, dir| tree.lock().read_link(dir, &path))
    }

    fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.at("remove-directory-at", &fd, &path, |tree, dir| tree.lock().remove_dir(dir, &path))
    }

    fn rename_at(&mut self, fd: Fd, old: String, new_dir: Fd, new: String) -> FsResult<()> {
        self.at_both("rename-at", (&fd, &old), (&new_dir, &new), |vfs, from, to| {
            vfs.rename(from, &old, to, &new)
        })
    }

    fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        self.at("symlink-at", &fd, &path, |tree, dir| tree.lock().symlink(&target, dir, &path))
    }

    fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.at("unlink-file-at", &fd, &path, |tree, dir| tree.lock().unlink(dir, &path))
    }

    fn is_same_object(&mut self, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        // The answer has no room for an error; a file that cannot be asked is not known to be the same.
        let file = |fd: &Fd| -> wasmtime::Result<Option<(u64, u64)>> {
            let attributes = self.table.get(fd)?.attributes();
            Ok(attributes.ok().map(|attributes| (attributes.device, attributes.inode)))
        };
        let (one, other) = (file(&fd)?, file(&other)?);
        Ok(one.is_some() && one == other)
    }

    fn metadata_hash(&mut self, fd: Fd) -> FsResult<types::MetadataHashValue> {
        let attributes = self.table.get(&fd)?.attributes()?;
        Ok(convert::identity(&attributes))
    }

    fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        let follow = convert::follow(flags);
        let attributes = self
            .at("metadata-hash-at", &fd, &path, |tree, dir| tree.lock().attributes_at(dir, &path, follow))?;
        Ok(convert::identity(&attributes))
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

impl types::HostDirectoryEntryStream for FilesView<'_> {
    fn read_directory_entry(
        &mut self,
        stream: Resource<EntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        let entry = self.table.get_mut(&stream)?.next()?;
        Ok(entry.map(|entry| types::DirectoryEntry { type_: convert::kind(entry.kind), name: entry.name }))
    }

    fn drop(&mut self, stream: Resource<EntryStream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
