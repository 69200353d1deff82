//! The files of a guest, and a file system around another that does one thing wrong.

use std::sync::Arc;

use anyhow::{Context as _, Result as Anyhow};
use qyv_vfs::{
    Access, Attributes, Budget, Clock, DirEntry, Error, FileSystem, Handle, MemFs, MemFsOptions, OpenOptions,
    Opened, PackedFile, PackedFiles, PackedFs, ReadDir, Result, SetTime, SyncKind,
};
use qyvol_engine::system;

use crate::expected::FIXED;
use crate::mutants::Wrong;

/// How much the volume may hold: more than any check writes.
const VOLUME_BYTES: u64 = 64 << 20;
const VOLUME_INODES: u64 = 1000;
/// One read in so many is cut, the first among them.
const CUT_EVERY: u64 = 100;

/// The packaged files.
pub(super) fn package(wrong: Option<Wrong>) -> Anyhow<(Box<dyn FileSystem>, Access)> {
    if wrong == Some(Wrong::WritablePackage) {
        return Ok((Box::new(writable().context("make the package")?), Access::ReadWrite));
    }
    let packed = PackedFs::new(Arc::new(Packed)).context("make the package")?;
    Ok((Box::new(packed), Access::ReadOnly))
}

/// The private volume.
pub(super) fn volume(wrong: Option<Wrong>) -> Box<dyn FileSystem> {
    let volume = memory();
    match wrong {
        Some(wrong) => Box::new(Wrapped { inner: volume, wrong, reads: 0 }),
        None => Box::new(volume),
    }
}

struct Packed;

impl PackedFiles for Packed {
    fn len(&self) -> usize {
        1
    }

    fn file(&self, _: usize) -> PackedFile<'_> {
        PackedFile { path: "texts/fixed.txt", size: FIXED.len() as u64, modified: 0 }
    }

    fn read_at(&self, _: usize, offset: u64, into: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(offset).ok().and_then(|offset| FIXED.get(offset..)).unwrap_or_default();
        let length = left.len().min(into.len());
        into[..length].copy_from_slice(&left[..length]);
        Ok(length)
    }
}

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> u64 {
        system::clock_now(qyv_wasi::Clock::Realtime).unwrap_or_default()
    }
}

fn memory() -> MemFs {
    MemFs::new(MemFsOptions {
        bytes: Budget::new(VOLUME_BYTES),
        inodes: Budget::new(VOLUME_INODES),
        memory: Budget::unlimited(),
        clock: Arc::new(WallClock),
        max_file: VOLUME_BYTES,
    })
}

/// The packaged files where everything may be written.
fn writable() -> Result<MemFs> {
    let mut fs = memory();
    let root = fs.root();
    fs.create_dir(root, "texts")?;
    let texts = fs.lookup(root, "texts")?;
    let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
    let file = fs.open(texts, "fixed.txt", &options)?.handle;
    fs.write_at(file, 0, &[FIXED])?;
    fs.close(file);
    fs.close(texts);
    Ok(fs)
}

/// A file system that does one thing wrong.
struct Wrapped {
    inner: MemFs,
    wrong: Wrong,
    reads: u64,
}

impl Wrapped {
    fn missing<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match (self.wrong, error) {
            (Wrong::AccessForMissing, Error::NOENT) => Error::ACCES,
            (_, error) => error,
        })
    }
}

impl FileSystem for Wrapped {
    fn root(&self) -> Handle {
        self.inner.root()
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let found = self.inner.lookup(dir, name);
        self.missing(found)
    }

    fn close(&mut self, handle: Handle) {
        self.inner.close(handle);
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.inner.attributes(handle)
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        self.inner.read_link(dir, name)
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let opened = self.inner.open(dir, name, options);
        self.missing(opened)
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        self.inner.reopen_dir(dir)
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        let read = self.inner.read_at(file, offset, buffers)?;
        if self.wrong == Wrong::ShortReads {
            if self.reads.is_multiple_of(CUT_EVERY) {
                let all = buffers.iter_mut().flat_map(|buffer| buffer.iter_mut());
                all.take(read).skip(read / 2).for_each(|byte| *byte = 0);
            }
            self.reads += 1;
        }
        Ok(read)
    }

    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        // Some languages append by writing at the end that they have asked for.
        let at_end = offset > 0 && self.inner.attributes(file)?.size == offset;
        let offset = if self.wrong == Wrong::AppendFirst && at_end { 0 } else { offset };
        self.inner.write_at(file, offset, buffers)
    }

    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        if self.wrong == Wrong::AppendFirst {
            let written = self.inner.write_at(file, 0, buffers)?;
            return Ok((written, self.inner.attributes(file)?.size));
        }
        self.inner.append(file, buffers)
    }

    fn set_size(&mut self, file: Handle, size: u64) -> Result<()> {
        self.inner.set_size(file, size)
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        self.inner.allocate(file, offset, length)
    }

    fn sync(&mut self, handle: Handle, what: SyncKind) -> Result<()> {
        self.inner.sync(handle, what)
    }

    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.inner.set_times(handle, accessed, modified)
    }

    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.inner.set_times_at(dir, name, accessed, modified)
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        let wrong = self.wrong;
        self.inner.read_dir(dir, cookie, &mut |entry: DirEntry| {
            (wrong == Wrong::ShortListing && entry.name == "c") || sink(entry)
        })
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.inner.create_dir(dir, name)
    }

    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.inner.remove_dir(dir, name)
    }

    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.inner.unlink(dir, name)
    }

    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        if self.wrong == Wrong::ForgetRename {
            return Ok(());
        }
        self.inner.rename(from_dir, from, to_dir, to)
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.inner.link(from_dir, from, to_dir, to)
    }

    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        self.inner.symlink(target, dir, name)
    }
}
