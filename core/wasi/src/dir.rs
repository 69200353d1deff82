//! Listing a directory.

use qyv_vfs::{DirEntry, Error, Result};

use crate::abi::{self, filetype, rights};
use crate::calls::Call;
use crate::memory::{self, Span};
use crate::table::Kind;
use crate::{Host, Memory};

/// Cookies below this one belong to `.` and `..`, which no file system hands out. Those of the file system follow, each
/// moved by so much; its 0 (the first entry) is the cookie after `..`.
const FIRST: u64 = 2;

/// Writes entries until the buffer is full. The last one is cut where the buffer ends, even within its fixed part: a
/// listing that does not fill its buffer is at its end, and that is the only sign of it.
pub(crate) fn fd_readdir<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    bufused: u32,
) -> Result<()> {
    let process = &mut *call.process;
    let descriptor = process.table.get(fd)?;
    let node = match descriptor.kind {
        Kind::Directory { node, .. } => Some(node),
        Kind::ClosedRoot { .. } => return Err(process.denials.refuse_files("fd_readdir", "")),
        Kind::Services { .. } => None,
        Kind::File { .. } | Kind::Info { .. } => return Err(Error::NOTDIR),
        Kind::Source(_) => return Err(Error::BADF),
    };
    descriptor.require(rights::FD_READDIR)?;
    memory::check(call.memory, Span::new(buf, buf_len))?;
    memory::check(call.memory, Span::new(bufused, 4))?;

    let mut listing = Listing { memory: &mut *call.memory, at: buf, left: buf_len, failed: None };
    let mut going = true;
    if cookie < FIRST {
        let inode = node.map_or(Ok(0), |node| process.vfs.attributes(node).map(|found| found.inode))?;
        for (next, name) in [(1, "."), (FIRST, "..")] {
            // The parent may lie outside of what the guest may know, so `..` has the directory's own number.
            going = going && (next <= cookie || listing.add(next, inode, filetype::DIRECTORY, name));
        }
    }
    let start = cookie.saturating_sub(FIRST);
    match node {
        Some(node) if going => {
            process.vfs.read_dir(
                node,
                start,
                &mut |entry: DirEntry| match entry.next.checked_add(FIRST) {
                    Some(next) => listing.add(next, entry.inode, abi::file_type(entry.kind), &entry.name),
                    None => listing.fail(Error::OVERFLOW),
                },
            )?;
        }
        None if going => {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            for (name, next) in call.host.services().iter().zip(FIRST + 1..).skip(start) {
                if !listing.add(next, 0, filetype::SOCKET_STREAM, name) {
                    break;
                }
            }
        }
        _ => {}
    }
    let (left, failed) = (listing.left, listing.failed);
    failed.map_or(Ok(()), Err)?;
    memory::put_u32(call.memory, bufused, buf_len - left)
}

/// The part of the buffer that is still empty.
struct Listing<'a, M: ?Sized> {
    memory: &'a mut M,
    at: u32,
    left: u32,
    failed: Option<Error>,
}

impl<M: Memory + ?Sized> Listing<'_, M> {
    /// Adds an entry, and says whether there is room for more.
    fn add(&mut self, next: u64, inode: u64, kind: u8, name: &str) -> bool {
        let head = abi::dirent(next, inode, name.len() as u32, kind);
        self.put(&head) && self.put(name.as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.get(..self.left as usize).unwrap_or(bytes);
        if let Err(error) = self.memory.write(self.at, fits) {
            return self.fail(error);
        }
        // The whole buffer lies in memory; its end alone may be 2^32, and nothing is written there.
        self.at = self.at.saturating_add(fits.len() as u32);
        self.left -= fits.len() as u32;
        self.left != 0
    }

    fn fail(&mut self, error: Error) -> bool {
        self.failed = Some(error);
        false
    }
}
