//! A file system that is obviously right: a table of inodes, whole files as vectors, everything copied.
//!
//! It shares no code with the file systems under test and resolves paths by itself. Nothing here is fast or bounded.

use std::collections::{BTreeMap, HashMap};

use qyv_vfs::{Attributes, Error, FileType, OpenOptions, Result, SetTime, Times};

use crate::ops::FILE_BYTES_MAX;

pub(crate) type Ino = u64;
const ROOT: Ino = 1;
const OFFSET_MAX: u64 = i64::MAX as u64;

#[derive(Clone)]
pub(crate) enum Body {
    File(Vec<u8>),
    Dir(BTreeMap<String, Ino>),
    Link(String),
}

#[derive(Clone)]
pub(crate) struct Inode {
    pub(crate) body: Body,
    links: u64,
    /// The last change of the contents, when it was set rather than happened.
    modified: Option<u64>,
    /// Lies below the overlay and has its first contents.
    below: bool,
}

/// An open node.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) ino: Ino,
    read: bool,
    write: bool,
    /// What an overlay goes on showing here: the contents below, when they were opened for reading alone.
    below: Option<Vec<u8>>,
}

impl Open {
    pub(crate) fn plain(ino: Ino) -> Self {
        Self { ino, read: false, write: false, below: None }
    }
}

/// What a path leads to.
enum Place {
    /// A directory that was not named: the path ended in `.` or `..`.
    Dir(Ino, &'static str),
    Name {
        dir: Ino,
        name: String,
        slash: bool,
        ino: Option<Ino>,
    },
}

/// Which links at the end of a path are followed.
#[derive(Clone, Copy, PartialEq)]
enum Follow {
    Never,
    /// Only one that slashes come after.
    Slash,
    /// Only one that no slashes come after: those are refused before anything is looked up.
    NoSlash,
    Always,
}

#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) inodes: HashMap<Ino, Inode>,
    next: Ino,
}

impl Model {
    pub(crate) fn new() -> Self {
        let root = Inode { body: Body::Dir(BTreeMap::new()), links: 1, modified: None, below: false };
        Self { inodes: HashMap::from([(ROOT, root)]), next: ROOT + 1 }
    }

    /// From now on, what is there lies below the overlay.
    pub(crate) fn put_below(&mut self) {
        self.inodes.values_mut().for_each(|inode| inode.below = true);
    }

    pub(crate) fn root(&self) -> Open {
        Open::plain(ROOT)
    }

    pub(crate) fn kind(&self, ino: Ino) -> FileType {
        match self.inodes[&ino].body {
            Body::File(_) => FileType::Regular,
            Body::Dir(_) => FileType::Directory,
            Body::Link(_) => FileType::Symlink,
        }
    }

    pub(crate) fn entries(&self, ino: Ino) -> Result<&BTreeMap<String, Ino>> {
        match &self.inodes[&ino].body {
            Body::Dir(entries) => Ok(entries),
            _ => Err(Error::NOTDIR),
        }
    }

    fn entries_mut(&mut self, ino: Ino) -> &mut BTreeMap<String, Ino> {
        match &mut self.inode(ino).body {
            Body::Dir(entries) => entries,
            _ => unreachable!("the model changes entries of directories only"),
        }
    }

    fn inode(&mut self, ino: Ino) -> &mut Inode {
        self.inodes.get_mut(&ino).expect("the model keeps every inode")
    }

    fn is_dir(&self, ino: Ino) -> bool {
        self.kind(ino) == FileType::Directory
    }

    fn resolve(&self, base: &Open, path: &str, follow: Follow) -> Result<Place> {
        match path {
            _ if path.len() > 4096 => return Err(Error::NAMETOOLONG),
            "" => return Err(Error::NOENT),
            _ if path.contains('\0') => return Err(Error::INVAL),
            _ if path.starts_with('/') => return Err(Error::NOTCAPABLE),
            _ => {}
        }
        self.entries(base.ino)?;
        let (mut stack, mut followed) = (vec![base.ino], 0);
        let mut left = path.to_owned();
        loop {
            let here = *stack.last().expect("the base is never left");
            let path = left.trim_start_matches('/').to_owned();
            let end = path.find('/').unwrap_or(path.len());
            let (name, rest) = path.split_at(end);
            let last = rest.chars().all(|c| c == '/');
            match name {
                "." | ".." => {
                    if name == ".." {
                        stack.pop();
                    }
                    let here = *stack.last().ok_or(Error::NOTCAPABLE)?;
                    if last {
                        return Ok(Place::Dir(here, if name == "." { "." } else { ".." }));
                    }
                    left = rest.to_owned();
                    continue;
                }
                _ if name.len() > 255 => return Err(Error::NAMETOOLONG),
                _ => {}
            }
            let ino = self.entries(here)?.get(name).copied();
            let slash = last && !rest.is_empty();
            let target = match ino.map(|ino| &self.inodes[&ino].body) {
                Some(Body::Link(target)) => Some(target),
                _ => None,
            };
            let through = match follow {
                _ if !last => true,
                Follow::Never => false,
                Follow::Slash => slash,
                Follow::NoSlash => !slash,
                Follow::Always => true,
            };
            if let Some(target) = target.filter(|_| through) {
                followed += 1;
                if followed > 40 {
                    return Err(Error::LOOP);
                }
                if target.starts_with('/') {
                    return Err(Error::NOTCAPABLE);
                }
                left = format!("{target}{rest}");
            } else if last {
                return Ok(Place::Name { dir: here, name: name.to_owned(), slash, ino });
            } else {
                let ino = ino.ok_or(Error::NOENT)?;
                self.entries(ino)?;
                stack.push(ino);
                left = rest.to_owned();
            }
        }
    }

    /// What a path leads to, which exists.
    fn find(&self, base: &Open, path: &str, follow: bool) -> Result<Ino> {
        match self.resolve(base, path, if follow { Follow::Always } else { Follow::Slash })? {
            Place::Dir(ino, _) => Ok(ino),
            Place::Name { ino, slash, .. } => {
                let ino = ino.ok_or(Error::NOENT)?;
                if slash && !self.is_dir(ino) { Err(Error::NOTDIR) } else { Ok(ino) }
            }
        }
    }

    pub(crate) fn open(
        &mut self,
        base: &Open,
        path: &str,
        follow: bool,
        options: &OpenOptions,
    ) -> Result<Open> {
        if options.create && options.directory {
            return Err(Error::INVAL);
        }
        let exclusive = options.create && options.exclusive;
        let follow = match (follow && !exclusive, options.create) {
            (true, true) => Follow::NoSlash,
            (true, false) => Follow::Always,
            (false, true) => Follow::Never,
            (false, false) => Follow::Slash,
        };
        let ino = match self.resolve(base, path, follow)? {
            Place::Dir(..) if exclusive => return Err(Error::EXIST),
            Place::Dir(ino, _) => ino,
            Place::Name { slash: true, .. } if options.create => return Err(Error::ISDIR),
            Place::Name { ino: Some(_), .. } if exclusive => return Err(Error::EXIST),
            Place::Name { ino: Some(ino), slash, .. } => {
                match self.kind(ino) {
                    FileType::Symlink if !options.directory => return Err(Error::LOOP),
                    FileType::Symlink => return Err(Error::NOTDIR),
                    FileType::Regular if slash || options.directory => return Err(Error::NOTDIR),
                    _ => {}
                }
                ino
            }
            Place::Name { dir, name, .. } if options.create => {
                self.create(dir, name, Body::File(Vec::new()))?
            }
            Place::Name { .. } => return Err(Error::NOENT),
        };
        if self.is_dir(ino) && options.mutates() {
            return Err(Error::ISDIR);
        }
        if options.truncate {
            self.resize(ino, 0);
            self.inode(ino).modified = None;
        }
        let inode = &self.inodes[&ino];
        let below = match &inode.body {
            Body::File(bytes) if inode.below && options.read && !options.write => Some(bytes.clone()),
            _ => None,
        };
        Ok(Open { ino, read: options.read, write: options.write, below })
    }

    fn create(&mut self, dir: Ino, name: String, body: Body) -> Result<Ino> {
        self.require_named(dir)?;
        let ino = self.next;
        self.next += 1;
        self.inodes.insert(ino, Inode { body, links: 1, modified: None, below: false });
        self.entries_mut(dir).insert(name, ino);
        self.inode(dir).modified = None;
        Ok(ino)
    }

    /// A directory that was removed takes nothing new.
    fn require_named(&self, dir: Ino) -> Result<()> {
        if self.inodes[&dir].links == 0 { Err(Error::NOENT) } else { Ok(()) }
    }

    fn file(&self, open: &Open) -> Result<&Vec<u8>> {
        match &self.inodes[&open.ino].body {
            Body::File(bytes) => Ok(bytes),
            Body::Dir(_) => Err(Error::ISDIR),
            Body::Link(_) => unreachable!("links are never opened"),
        }
    }

    fn resize(&mut self, ino: Ino, size: u64) {
        let inode = self.inode(ino);
        if let Body::File(bytes) = &mut inode.body {
            inode.below &= bytes.len() as u64 == size;
            bytes.resize(size as usize, 0);
        }
    }

    pub(crate) fn read(
        &self,
        open: &Open,
        offset: u64,
        lengths: [usize; 2],
        overlay: bool,
    ) -> Result<Vec<u8>> {
        let mut bytes = self.file(open)?;
        if !open.read {
            return Err(Error::BADF);
        }
        if let Some(below) = open.below.as_ref().filter(|_| overlay) {
            bytes = below;
        }
        let length: usize = lengths.iter().sum();
        if offset.checked_add(length as u64).is_none_or(|end| end > OFFSET_MAX) {
            return Err(Error::INVAL);
        }
        Ok(bytes.iter().skip(offset as usize).take(length).copied().collect())
    }

    /// Writes `length` bytes, which may be fewer than were asked for when a quota ended.
    pub(crate) fn write(
        &mut self,
        open: &Open,
        offset: Option<u64>,
        asked: usize,
        wrote: usize,
        byte: u8,
    ) -> Result<(usize, u64)> {
        if !open.write {
            return Err(Error::BADF);
        }
        let size = self.file(open)?.len() as u64;
        let offset = offset.unwrap_or(size);
        let end = offset.checked_add(asked as u64).filter(|&end| end <= OFFSET_MAX).ok_or(Error::INVAL)?;
        if asked == 0 {
            return Ok((0, offset));
        }
        if end > FILE_BYTES_MAX {
            return Err(Error::FBIG);
        }
        let end = offset + wrote as u64;
        self.resize(open.ino, size.max(end));
        let inode = self.inode(open.ino);
        (inode.modified, inode.below) = (None, false);
        if let Body::File(bytes) = &mut inode.body {
            bytes[offset as usize..end as usize].fill(byte);
        }
        Ok((wrote, end))
    }

    pub(crate) fn set_size(&mut self, open: &Open, size: u64) -> Result<()> {
        if !open.write {
            return Err(Error::BADF);
        }
        match size {
            _ if size > OFFSET_MAX => return Err(Error::INVAL),
            _ if size > FILE_BYTES_MAX => return Err(Error::FBIG),
            _ => {}
        }
        self.resize(open.ino, size);
        self.inode(open.ino).modified = None;
        Ok(())
    }

    pub(crate) fn allocate(&mut self, open: &Open, offset: u64, length: u64) -> Result<()> {
        if length == 0 || offset > OFFSET_MAX || length > OFFSET_MAX {
            return Err(Error::INVAL);
        }
        if !open.write {
            return Err(Error::BADF);
        }
        if offset + length > FILE_BYTES_MAX {
            return Err(Error::FBIG);
        }
        let size = self.file(open)?.len() as u64;
        self.resize(open.ino, size.max(offset + length));
        self.inode(open.ino).modified = None;
        Ok(())
    }

    pub(crate) fn attributes(&self, open: &Open, overlay: bool) -> Attributes {
        let mut attributes = self.inode_attributes(open.ino);
        if let Some(below) = open.below.as_ref().filter(|_| overlay) {
            attributes.size = below.len() as u64;
        }
        attributes
    }

    /// The number is the model's; a time of 0 is not known.
    fn inode_attributes(&self, ino: Ino) -> Attributes {
        let inode = &self.inodes[&ino];
        let size = match &inode.body {
            Body::File(bytes) => bytes.len(),
            Body::Link(target) => target.len(),
            Body::Dir(_) => 0,
        };
        let times = Times { modified: inode.modified.unwrap_or(0), ..Times::default() };
        Attributes {
            device: 0,
            inode: ino,
            kind: self.kind(ino),
            links: inode.links,
            size: size as u64,
            times,
        }
    }

    pub(crate) fn attributes_at(&self, base: &Open, path: &str, follow: bool) -> Result<Attributes> {
        self.find(base, path, follow).map(|ino| self.inode_attributes(ino))
    }

    pub(crate) fn set_times(&mut self, ino: Ino, modified: SetTime) {
        match modified {
            SetTime::Keep => {}
            SetTime::Now => self.inode(ino).modified = None,
            SetTime::At(at) => self.inode(ino).modified = Some(at),
        }
    }

    pub(crate) fn set_times_at(
        &mut self,
        base: &Open,
        path: &str,
        follow: bool,
        modified: SetTime,
    ) -> Result<()> {
        let ino = self.find(base, path, follow)?;
        self.set_times(ino, modified);
        Ok(())
    }

    pub(crate) fn read_link(&self, base: &Open, path: &str) -> Result<String> {
        match &self.inodes[&self.find(base, path, false)?].body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(Error::INVAL),
        }
    }

    pub(crate) fn create_dir(&mut self, base: &Open, path: &str) -> Result<()> {
        match self.resolve(base, path, Follow::Never)? {
            Place::Dir(..) | Place::Name { ino: Some(_), .. } => Err(Error::EXIST),
            Place::Name { dir, name, .. } => self.create(dir, name, Body::Dir(BTreeMap::new())).map(|_| ()),
        }
    }

    pub(crate) fn symlink(&mut self, target: &str, base: &Open, path: &str) -> Result<()> {
        match target {
            "" => return Err(Error::NOENT),
            _ if target.len() > 4095 => return Err(Error::NAMETOOLONG),
            _ if target.contains('\0') => return Err(Error::INVAL),
            _ => {}
        }
        match self.resolve(base, path, Follow::Never)? {
            Place::Dir(..) | Place::Name { ino: Some(_), .. } => Err(Error::EXIST),
            Place::Name { slash: true, .. } => Err(Error::NOENT),
            Place::Name { dir, name, .. } => {
                self.create(dir, name, Body::Link(target.to_owned())).map(|_| ())
            }
        }
    }

    pub(crate) fn link(
        &mut self,
        from_base: &Open,
        from: &str,
        follow: bool,
        to_base: &Open,
        to: &str,
    ) -> Result<()> {
        let ino = self.find(from_base, from, follow)?;
        match self.resolve(to_base, to, Follow::Never)? {
            Place::Dir(..) | Place::Name { ino: Some(_), .. } => Err(Error::EXIST),
            Place::Name { slash: true, .. } => Err(Error::NOENT),
            Place::Name { dir, name, .. } => {
                self.require_named(dir)?;
                if self.is_dir(ino) {
                    return Err(Error::PERM);
                }
                self.entries_mut(dir).insert(name, ino);
                self.inode(dir).modified = None;
                self.inode(ino).links += 1;
                Ok(())
            }
        }
    }

    fn remove(&mut self, dir: Ino, name: &str) {
        if let Some(ino) = self.entries_mut(dir).remove(name) {
            self.inode(ino).links -= 1;
        }
        self.inode(dir).modified = None;
    }

    fn require_empty(&self, ino: Ino) -> Result<()> {
        if self.entries(ino)?.is_empty() { Ok(()) } else { Err(Error::NOTEMPTY) }
    }

    pub(crate) fn unlink(&mut self, base: &Open, path: &str) -> Result<()> {
        match self.resolve(base, path, Follow::Never)? {
            Place::Dir(..) => Err(Error::ISDIR),
            Place::Name { ino: None, .. } => Err(Error::NOENT),
            Place::Name { ino: Some(ino), .. } if self.is_dir(ino) => Err(Error::ISDIR),
            Place::Name { slash: true, .. } => Err(Error::NOTDIR),
            Place::Name { dir, name, .. } => {
                self.remove(dir, &name);
                Ok(())
            }
        }
    }

    pub(crate) fn remove_dir(&mut self, base: &Open, path: &str) -> Result<()> {
        match self.resolve(base, path, Follow::Never)? {
            Place::Dir(_, ".") => Err(Error::INVAL),
            Place::Dir(..) => Err(Error::NOTEMPTY),
            Place::Name { ino: None, .. } => Err(Error::NOENT),
            Place::Name { dir, name, ino: Some(ino), .. } => {
                self.require_empty(ino)?;
                self.remove(dir, &name);
                Ok(())
            }
        }
    }

    pub(crate) fn rename(&mut self, from_base: &Open, from: &str, to_base: &Open, to: &str) -> Result<()> {
        let source = self.resolve(from_base, from, Follow::Never)?;
        let place = self.resolve(to_base, to, Follow::Never)?;
        let (
            Place::Name { dir: from_dir, name: from, slash: from_slash, ino },
            Place::Name { dir: to_dir, name: to, slash: to_slash, ino: replaced },
        ) = (source, place)
        else {
            return Err(Error::BUSY);
        };
        let ino = ino.ok_or(Error::NOENT)?;
        if (from_slash || to_slash) && !self.is_dir(ino) {
            return Err(Error::NOTDIR);
        }
        if self.is_dir(ino) && self.holds(ino, to_dir) {
            return Err(Error::INVAL);
        }
        self.require_named(to_dir)?;
        if let Some(replaced) = replaced {
            if replaced == ino {
                return Ok(());
            }
            match (self.is_dir(ino), self.is_dir(replaced)) {
                (_, true) if self.holds(replaced, from_dir) => return Err(Error::NOTEMPTY),
                (true, false) => return Err(Error::NOTDIR),
                (false, true) => return Err(Error::ISDIR),
                (true, true) => self.require_empty(replaced)?,
                (false, false) => {}
            }
            self.remove(to_dir, &to);
        }
        self.entries_mut(from_dir).remove(&from);
        self.entries_mut(to_dir).insert(to, ino);
        (self.inode(from_dir).modified, self.inode(to_dir).modified) = (None, None);
        Ok(())
    }

    /// Whether `inner` is `outer` or lies beneath it.
    fn holds(&self, outer: Ino, inner: Ino) -> bool {
        outer == inner
            || self.entries(outer).is_ok_and(|entries| entries.values().any(|&ino| self.holds(ino, inner)))
    }
}
