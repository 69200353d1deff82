//! The operations of the overlay, as the mount table calls them.

use alloc::string::String;

use super::files::end_of;
use super::node::Kind;
use super::{OFFSET_MAX, Open, Overlay, ROOT_HANDLE, TARGET_BYTES_MAX};
use crate::{
    Attributes, Error, FileSystem, FileType, Handle, OpenOptions, Opened, ReadDir, Result, SetTime, SyncKind,
};

impl FileSystem for Overlay {
    fn root(&self) -> Handle {
        ROOT_HANDLE
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let dir = self.dir(dir)?;
        let node = self.find(dir, name)?;
        Ok(self.hand_out(Open::plain(node)))
    }

    fn close(&mut self, handle: Handle) {
        if handle != ROOT_HANDLE
            && let Some(open) = self.open.remove(&handle)
        {
            self.release(open.node);
        }
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.node_attributes(self.opened(handle)?)
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        let dir = self.dir(dir)?;
        let id = self.find(dir, name)?;
        let target = match &self.node(id)?.kind {
            Kind::Symlink(target) => Ok(String::from(&**target)),
            _ => Err(Error::INVAL),
        };
        self.release(id);
        target
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let dir = self.dir(dir)?;
        if options.create && options.directory {
            return Err(Error::INVAL);
        }
        let id = match self.find_any(dir, name)? {
            Some(id) => id,
            None if options.create => {
                let id = self.create_file(dir, name)?;
                let open = Open { read: options.read, write: options.write, ..Open::plain(id) };
                return Ok(Opened { handle: self.hand_out(open), kind: FileType::Regular });
            }
            None => return Err(Error::NOENT),
        };
        let opened = self.open_found(id, options);
        if opened.is_err() {
            self.release(id);
        }
        opened
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        let node = self.dir(dir)?;
        self.node_mut(node)?.users += 1;
        Ok(self.hand_out(Open::plain(node)))
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        let open = self.opened(file)?;
        if self.node(open.node)?.is_directory() {
            return Err(Error::ISDIR);
        }
        if !open.read {
            return Err(Error::BADF);
        }
        end_of(offset, buffers.iter().map(|buffer| buffer.len()))?;
        if open.lower {
            let handle = self.lower_readable(open.node)?.ok_or(Error::IO)?;
            return self.lower.read_at(handle, offset, buffers);
        }
        self.with_content(open.node, |content, lower| {
            let mut done = 0;
            for buffer in buffers {
                let count = content.read(lower, offset + done as u64, buffer)?;
                done += count;
                if count < buffer.len() {
                    break;
                }
            }
            Ok(done)
        })
    }

    fn write_at(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let id = self.writable(file)?;
        self.write_node(id, offset, buffers)
    }

    fn append(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        let id = self.writable(file)?;
        let Kind::Regular(content) = &self.node(id)?.kind else { return Err(Error::BADF) };
        let end = content.size();
        let count = self.write_node(id, end, buffers)?;
        Ok((count, end + count as u64))
    }

    fn set_size(&mut self, file: Handle, size: u64) -> Result<()> {
        let id = self.writable(file)?;
        self.cut(id, size)
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        if length == 0 || offset > OFFSET_MAX || length > OFFSET_MAX {
            return Err(Error::INVAL);
        }
        let id = self.writable(file)?;
        let end = Some(offset + length).filter(|&end| end <= self.file_bytes_max).ok_or(Error::FBIG)?;
        self.change_content(id, |content, lower| content.allocate(lower, offset, end))
    }

    fn sync(&mut self, handle: Handle, _what: SyncKind) -> Result<()> {
        self.opened(handle).map(|_| ())
    }

    fn set_times(&mut self, handle: Handle, accessed: SetTime, modified: SetTime) -> Result<()> {
        let id = self.opened(handle)?.node;
        self.set_node_times(id, accessed, modified)
    }

    fn set_times_at(&mut self, dir: Handle, name: &str, accessed: SetTime, modified: SetTime) -> Result<()> {
        let dir = self.dir(dir)?;
        let id = self.find(dir, name)?;
        let set = self.set_node_times(id, accessed, modified);
        self.release(id);
        set
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        self.list(dir, cookie, sink)
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        let dir = self.dir(dir)?;
        self.create_directory(dir, name)
    }

    fn remove_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        let dir = self.dir(dir)?;
        self.remove(dir, name, true)
    }

    fn unlink(&mut self, dir: Handle, name: &str) -> Result<()> {
        let dir = self.dir(dir)?;
        self.remove(dir, name, false)
    }

    fn rename(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_dir, to_dir) = (self.dir(from_dir)?, self.dir(to_dir)?);
        self.move_name(from_dir, from, to_dir, to)
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        let (from_dir, to_dir) = (self.dir(from_dir)?, self.dir(to_dir)?);
        self.link_name(from_dir, from, to_dir, to)
    }

    fn symlink(&mut self, target: &str, dir: Handle, name: &str) -> Result<()> {
        let dir = self.dir(dir)?;
        match target.len() {
            0 => return Err(Error::NOENT),
            1..=TARGET_BYTES_MAX => {}
            _ => return Err(Error::NAMETOOLONG),
        }
        let id = self.create_named(dir, name, Kind::Symlink(target.into()))?;
        self.release(id);
        Ok(())
    }
}
