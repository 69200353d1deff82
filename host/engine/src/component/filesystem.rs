//! `wasi:filesystem` over the file tree.

use std::sync::Arc;

use qyv_vfs::{Access, Error, FileType, SyncKind, Vfs};
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
    pub(super) preopens: Vec<(String, Arc<Open>)>,
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
}

impl FilesView<'_> {
    /// The directory behind `fd`, to start a path from.
    fn dir(&self, fd: &Fd) -> FsResult<&Open> {
        Ok(self.table.get(fd)?.dir()?)
    }
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let files = self.files;
        let push = |(path, open): &(String, Arc<Open>)| {
            Ok((self.table.push(Descriptor::directory(open.clone()))?, path.clone()))
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
        Ok(descriptor.open.with(|vfs, node| vfs.advise(node, offset, length, convert::advice(advice)))?)
    }

    fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        Ok(self.table.get(&fd)?.open.with(|vfs, node| vfs.sync(node, SyncKind::Data))?)
    }

    fn get_flags(&mut self, fd: Fd) -> FsResult<types::DescriptorFlags> {
        use types::DescriptorFlags as Flags;
        let descriptor = self.table.get(&fd)?;
        let changes_entries = descriptor.kind == FileType::Directory
            && descriptor.open.with(|vfs, node| vfs.access(node)) == Access::ReadWrite;
        let flags = [
            (descriptor.read, Flags::READ),
            (descriptor.write, Flags::WRITE),
            (descriptor.sync == Some(SyncKind::All), Flags::FILE_INTEGRITY_SYNC),
            (descriptor.sync == Some(SyncKind::Data), Flags::DATA_INTEGRITY_SYNC),
            (changes_entries, Flags::MUTATE_DIRECTORY),
        ];
        Ok(flags.into_iter().filter(|(set, _)| *set).fold(Flags::empty(), |all, (_, flag)| all | flag))
    }

    fn get_type(&mut self, fd: Fd) -> FsResult<types::DescriptorType> {
        Ok(convert::kind(self.table.get(&fd)?.kind))
    }

    fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        Ok(self.table.get(&fd)?.open.with(|vfs, node| vfs.set_size(node, size))?)
    }

    fn set_times(
        &mut self,
        fd: Fd,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let (accessed, modified) = (convert::time(accessed)?, convert::time(modified)?);
        Ok(self.table.get(&fd)?.open.with(|vfs, node| vfs.set_times(node, accessed, modified))?)
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
        let stream = EntryStream::new(self.table.get(&fd)?.dir()?.clone());
        Ok(self.table.push(stream)?)
    }

    fn sync(&mut self, fd: Fd) -> FsResult<()> {
        Ok(self.table.get(&fd)?.open.with(|vfs, node| vfs.sync(node, SyncKind::All))?)
    }

    fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.dir(&fd)?.with(|vfs, dir| vfs.create_dir(dir, &path))?)
    }

    fn stat(&mut self, fd: Fd) -> FsResult<types::DescriptorStat> {
        let attributes = self.table.get(&fd)?.open.with(Vfs::attributes)?;
        Ok(convert::stat(&attributes))
    }

    fn stat_at(&mut self, fd: Fd, flags: types::PathFlags, path: String) -> FsResult<types::DescriptorStat> {
        let attributes =
            self.dir(&fd)?.with(|vfs, dir| vfs.attributes_at(dir, &path, convert::follow(flags)))?;
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
        Ok(self.dir(&fd)?.with(|vfs, dir| vfs.set_times_at(dir, &path, follow, accessed, modified))?)
    }

    fn link_at(
        &mut self,
        fd: Fd,
        flags: types::PathFlags,
        old: String,
        new_dir: Fd,
        new: String,
    ) -> FsResult<()> {
        let to_dir = self.dir(&new_dir)?.node();
        let follow = convert::follow(flags);
        Ok(self.dir(&fd)?.with(|vfs, dir| vfs.link(dir, &old, follow, to_dir, &new))?)
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
        let dir = self.dir(&fd)?.node();
        let (open, kind) =
            self.files.tree.open(|vfs| vfs.open(dir, &path, convert::follow(path_flags), &options))?;
        let descriptor = if kind == FileType::Directory {
            let read_only = open.with(|vfs, node| vfs.access(node)) == Access::ReadOnly;
            if read_only && flags.contains(types::DescriptorFlags::MUTATE_DIRECTORY) {
                return Err(Error::ROFS.into());
            }
            Descriptor::directory(open)
        } else {
            Descriptor { open, kind, read: options.read, write: options.write, sync: convert::sync(flags) }
        };
        Ok(self.table.push(descriptor)?)
    }

    fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        Ok(self.dir(&fd)?.with(|vfs, dir| vfs.read_link(dir, &path))?)
    }

    fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.dir(&fd)?.with(|vfs, dir| vfs.remove_dir(dir, &path))?)
    }

    fn rename_at(&mut self, fd: Fd, old: String, new_dir: Fd, new: String) -> FsResult<()> {
        let to_dir = self.dir(&new_dir)?.node();
        Ok(self.dir(&fd)?.with(|vfs, dir| vfs.rename(dir, &old, to_dir, &new))?)
    }

    fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        Ok(self.dir(&fd)?.with(|vfs, dir| vfs.symlink(&target, dir, &path))?)
    }

    fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.dir(&fd)?.with(|vfs, dir| vfs.unlink(dir, &path))?)
    }

    fn is_same_object(&mut self, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        // The answer has no room for an error; a file that cannot be asked is not known to be the same.
        let file = |fd: &Fd| -> wasmtime::Result<Option<(u64, u64)>> {
            let attributes = self.table.get(fd)?.open.with(Vfs::attributes);
            Ok(attributes.ok().map(|attributes| (attributes.device, attributes.inode)))
        };
        let (one, other) = (file(&fd)?, file(&other)?);
        Ok(one.is_some() && one == other)
    }

    fn metadata_hash(&mut self, fd: Fd) -> FsResult<types::MetadataHashValue> {
        let attributes = self.table.get(&fd)?.open.with(Vfs::attributes)?;
        Ok(convert::identity(&attributes))
    }

    fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        let attributes =
            self.dir(&fd)?.with(|vfs, dir| vfs.attributes_at(dir, &path, convert::follow(flags)))?;
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
