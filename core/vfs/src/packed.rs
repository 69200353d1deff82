//! The files of a bundle, read where they lie.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::resolve::{NAME_MAX, PATH_MAX};
use crate::slab::Slab;
use crate::{
    Attributes, DirEntry, Error, FileSystem, FileType, Handle, OpenOptions, Opened, ReadDir, Result, SetTime,
    SyncKind, Times,
};

/// A list of files with their contents, such as a bundle.
pub trait PackedFiles: Send + Sync {
    /// How many files there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file at `index`, below [`len`](Self::len). Always the same.
    fn file(&self, index: usize) -> PackedFile<'_>;

    /// Reads the file at `index` from `offset`, which lies within it, up to its end at most. Returns the bytes read;
    /// 0 where the file has more is taken as its end.
    ///
    /// # Errors
    ///
    /// `IO` when the stored bytes cannot be read or are damaged.
    fn read_at(&self, index: usize, offset: u64, into: &mut [u8]) -> Result<usize>;
}

/// A file in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedFile<'a> {
    /// Where it lies: names between single slashes, none of them `.` or `..`, no slash at either end.
    pub path: &'a str,
    /// Its length in bytes.
    pub size: u64,
    /// When it was changed, in nanoseconds since 1970-01-01T00:00:00Z.
    pub modified: u64,
}

/// A read-only tree over a list of files. Directories are made from the paths.
pub struct PackedFs {
    files: Option<Arc<dyn PackedFiles>>,
    /// The root first. An inode number is the index plus one.
    inodes: Vec<Inode>,
    opened: Slab<Open>,
    root: Handle,
}

struct Inode {
    modified: u64,
    body: Body,
}

enum Body {
    File {
        index: usize,
        size: u64,
    },
    /// By name. The cookie of an entry is its index plus one.
    Directory {
        entries: Vec<(Box<str>, usize)>,
        directories: u64,
    },
}

#[derive(Clone, Copy)]
struct Open {
    inode: usize,
    read: bool,
}

impl PackedFs {
    /// The tree of these files.
    ///
    /// # Errors
    ///
    /// `INVAL` for a path that is not as [`PackedFile::path`] says, that is there twice, or that is also a directory
    /// of others.
    pub fn new(files: Arc<dyn PackedFiles>) -> Result<Self> {
        let mut tree = Tree { inodes: Vec::new() };
        tree.inodes.push(Growing::directory());
        for index in 0..files.len() {
            tree.add(index, files.file(index))?;
        }
        Ok(Self::over(Some(files), tree.inodes.into_iter().map(Growing::done).collect()))
    }

    /// A directory with nothing in it.
    pub(crate) fn empty() -> Self {
        Self::over(None, Vec::from([Growing::directory().done()]))
    }

    fn over(files: Option<Arc<dyn PackedFiles>>, inodes: Vec<Inode>) -> Self {
        let mut opened = Slab::new();
        let root = Handle(opened.insert(Open { inode: 0, read: true }).unwrap_or(0));
        Self { files, inodes, opened, root }
    }

    fn opened(&self, handle: Handle) -> Result<Open> {
        self.opened.get(handle.0).copied().ok_or(Error::BADF)
    }

    fn inode(&self, index: usize) -> Result<&Inode> {
        self.inodes.get(index).ok_or(Error::BADF)
    }

    fn entries(&self, dir: Handle) -> Result<&[(Box<str>, usize)]> {
        match &self.inode(self.opened(dir)?.inode)?.body {
            Body::Directory { entries, .. } => Ok(entries),
            Body::File { .. } => Err(Error::NOTDIR),
        }
    }

    fn find(&self, dir: Handle, name: &str) -> Result<usize> {
        let entries = self.entries(dir)?;
        let at = entries.binary_search_by(|(other, _)| (**other).cmp(name)).map_err(|_| Error::NOENT)?;
        Ok(entries[at].1)
    }

    fn open_inode(&mut self, inode: usize, read: bool) -> Result<Handle> {
        self.opened.insert(Open { inode, read }).map(Handle)
    }

    fn attributes_of(&self, index: usize) -> Result<Attributes> {
        let inode = self.inode(index)?;
        let (links, size) = match inode.body {
            Body::File { size, .. } => (1, size),
            Body::Directory { directories, .. } => (2 + directories, 0),
        };
        let times = Times { accessed: inode.modified, modified: inode.modified, changed: inode.modified };
        Ok(Attributes { device: 0, inode: index as u64 + 1, kind: inode.kind(), links, size, times })
    }
}

impl Inode {
    fn kind(&self) -> FileType {
        match self.body {
            Body::File { .. } => FileType::Regular,
            Body::Directory { .. } => FileType::Directory,
        }
    }
}

/// The tree while it is built.
struct Tree {
    inodes: Vec<Growing>,
}

struct Growing {
    modified: u64,
    body: GrowingBody,
}

enum GrowingBody {
    File { index: usize, size: u64 },
    Directory(BTreeMap<Box<str>, usize>, u64),
}

impl Tree {
    fn add(&mut self, index: usize, file: PackedFile<'_>) -> Result<()> {
        if file.path.len() > PATH_MAX || file.size > i64::MAX as u64 {
            return Err(Error::INVAL);
        }
        let mut dir = 0;
        let mut names = file.path.split('/').peekable();
        while let Some(name) = names.next() {
            if matches!(name, "" | "." | "..") || name.len() > NAME_MAX || name.contains('\0') {
                return Err(Error::INVAL);
            }
            let new = self.inodes.len();
            let here = self.inodes.get_mut(dir).ok_or(Error::INVAL)?;
            // A directory is as new as the newest file beneath it.
            here.modified = here.modified.max(file.modified);
            let GrowingBody::Directory(entries, directories) = &mut here.body else {
                return Err(Error::INVAL);
            };
            let last = names.peek().is_none();
            match entries.get(name) {
                Some(_) if last => return Err(Error::INVAL),
                Some(&inner) => dir = inner,
                None => {
                    entries.insert(name.into(), new);
                    *directories += u64::from(!last);
                    self.inodes.push(if last { Growing::file(index, file) } else { Growing::directory() });
                    dir = new;
                }
            }
        }
        Ok(())
    }
}

impl Growing {
    fn directory() -> Self {
        Self { modified: 0, body: GrowingBody::Directory(BTreeMap::new(), 0) }
    }

    fn file(index: usize, file: PackedFile<'_>) -> Self {
        Self { modified: file.modified, body: GrowingBody::File { index, size: file.size } }
    }

    fn done(self) -> Inode {
        let body = match self.body {
            GrowingBody::File { index, size } => Body::File { index, size },
            GrowingBody::Directory(entries, directories) => {
                Body::Directory { entries: entries.into_iter().collect(), directories }
            }
        };
        Inode { modified: self.modified, body }
    }
}

impl FileSystem for PackedFs {
    fn root(&self) -> Handle {
        self.root
    }

    fn lookup(&mut self, dir: Handle, name: &str) -> Result<Handle> {
        let inode = self.find(dir, name)?;
        self.open_inode(inode, false)
    }

    fn close(&mut self, handle: Handle) {
        if handle != self.root {
            self.opened.remove(handle.0);
        }
    }

    fn attributes(&mut self, handle: Handle) -> Result<Attributes> {
        self.attributes_of(self.opened(handle)?.inode)
    }

    fn attributes_at(&mut self, dir: Handle, name: &str) -> Result<Attributes> {
        self.attributes_of(self.find(dir, name)?)
    }

    fn read_link(&mut self, dir: Handle, name: &str) -> Result<String> {
        self.find(dir, name).and(Err(Error::INVAL))
    }

    fn open(&mut self, dir: Handle, name: &str, options: &OpenOptions) -> Result<Opened> {
        let inode = match self.find(dir, name) {
            Ok(_) if options.create && options.exclusive => return Err(Error::EXIST),
            Err(Error::NOENT) if options.create => return Err(Error::ROFS),
            found => found?,
        };
        let kind = self.inode(inode)?.kind();
        match kind {
            FileType::Directory if options.mutates() => return Err(Error::ISDIR),
            FileType::Regular if options.directory => return Err(Error::NOTDIR),
            _ if options.write || options.truncate => return Err(Error::ROFS),
            _ => {}
        }
        Ok(Opened { handle: self.open_inode(inode, options.read)?, kind })
    }

    fn reopen_dir(&mut self, dir: Handle) -> Result<Handle> {
        self.entries(dir)?;
        let inode = self.opened(dir)?.inode;
        self.open_inode(inode, true)
    }

    fn read_at(&mut self, file: Handle, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
        let open = self.opened(file)?;
        let Body::File { index, size } = self.inode(open.inode)?.body else {
            return Err(Error::ISDIR);
        };
        let files = self.files.as_ref().filter(|_| open.read).ok_or(Error::BADF)?;
        if offset > i64::MAX as u64 {
            return Err(Error::INVAL);
        }
        let mut at = offset;
        for buffer in buffers {
            let left = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
            let length = buffer.len().min(left);
            let mut into = &mut buffer[..length];
            while !into.is_empty() {
                match files.read_at(index, at, into) {
                    // What was read before an error is given out; the next call meets the error again.
                    Err(error) if at == offset => return Err(error),
                    Ok(0) | Err(_) => return Ok((at - offset) as usize),
                    Ok(read) => {
                        let read = read.min(into.len());
                        at += read as u64;
                        into = &mut into[read..];
                    }
                }
            }
        }
        Ok((at - offset) as usize)
    }

    fn write_at(&mut self, file: Handle, _offset: u64, _buffers: &[&[u8]]) -> Result<usize> {
        self.opened(file).and(Err(Error::BADF))
    }

    fn append(&mut self, file: Handle, _buffers: &[&[u8]]) -> Result<(usize, u64)> {
        self.opened(file).and(Err(Error::BADF))
    }

    fn set_size(&mut self, file: Handle, _size: u64) -> Result<()> {
        self.opened(file).and(Err(Error::BADF))
    }

    fn allocate(&mut self, file: Handle, _offset: u64, _length: u64) -> Result<()> {
        self.opened(file).and(Err(Error::BADF))
    }

    fn sync(&mut self, handle: Handle, _what: SyncKind) -> Result<()> {
        self.opened(handle).map(|_| ())
    }

    fn set_times(&mut self, handle: Handle, _accessed: SetTime, _modified: SetTime) -> Result<()> {
        self.opened(handle).and(Err(Error::ROFS))
    }

    fn set_times_at(
        &mut self,
        dir: Handle,
        name: &str,
        _accessed: SetTime,
        _modified: SetTime,
    ) -> Result<()> {
        self.find(dir, name).and(Err(Error::ROFS))
    }

    fn read_dir(&mut self, dir: Handle, cookie: u64, sink: ReadDir<'_>) -> Result<()> {
        let seen = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (at, (name, index)) in self.entries(dir)?.iter().enumerate().skip(seen) {
            let (next, inode, kind) = (at as u64 + 1, *index as u64 + 1, self.inode(*index)?.kind());
            if !sink(DirEntry { next, inode, kind, name: String::from(&**name) }) {
                break;
            }
        }
        Ok(())
    }

    fn create_dir(&mut self, dir: Handle, name: &str) -> Result<()> {
        self.refuse_new(dir, name)
    }

    fn remove_dir(&mut self, dir: Handle, _name: &str) -> Result<()> {
        self.entries(dir).and(Err(Error::ROFS))
    }

    fn unlink(&mut self, dir: Handle, _name: &str) -> Result<()> {
        self.entries(dir).and(Err(Error::ROFS))
    }

    fn rename(&mut self, from_dir: Handle, _from: &str, to_dir: Handle, _to: &str) -> Result<()> {
        self.entries(from_dir)?;
        self.entries(to_dir).and(Err(Error::ROFS))
    }

    fn link(&mut self, from_dir: Handle, from: &str, to_dir: Handle, to: &str) -> Result<()> {
        self.find(from_dir, from)?;
        self.refuse_new(to_dir, to)
    }

    fn symlink(&mut self, _target: &str, dir: Handle, name: &str) -> Result<()> {
        self.refuse_new(dir, name)
    }
}

impl PackedFs {
    fn refuse_new(&self, dir: Handle, name: &str) -> Result<()> {
        match self.find(dir, name) {
            Ok(_) => Err(Error::EXIST),
            Err(Error::NOENT) => Err(Error::ROFS),
            Err(error) => Err(error),
        }
    }
}
