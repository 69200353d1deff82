//! The operations of [`Vfs`] that take a path.

use alloc::string::String;

use crate::resolve::{End, Last, PATH_MAX, Place, Stop, Walk};
use crate::{Attributes, Error, FileType, Node, OpenOptions, Result, SetTime, Vfs};

impl Vfs {
    /// Opens what `path` names beneath `dir`, creating or emptying it as asked. A last link is followed when `follow`
    /// is set or slashes come after it, and is `LOOP` otherwise.
    ///
    /// # Errors
    ///
    /// Those of `openat2(2)` with `RESOLVE_BENEATH`, with `NOTCAPABLE` for a path or link that leaves `dir` or the
    /// mount that it has entered. `INVAL` for `create` with `directory`.
    pub fn open(
        &mut self,
        dir: Node,
        path: &str,
        follow: bool,
        options: &OpenOptions,
    ) -> Result<(Node, FileType)> {
        if options.create && options.directory {
            return Err(Error::INVAL);
        }
        let exclusive = options.create && options.exclusive;
        let follow = follow && !exclusive;
        self.walk(dir, path, true, |vfs, walk| {
            loop {
                let place = match walk.run(vfs)? {
                    Stop::Rest(node, _) if options.mutates() && vfs.writable(node).is_err() => {
                        walk.keep_to_names();
                        continue;
                    }
                    Stop::Rest(node, rest) => {
                        let opened = vfs.fs(node)?.open_path(node.handle, &rest, follow, options)?;
                        return Ok((Node { handle: opened.handle, ..node }, opened.kind));
                    }
                    Stop::Last(Last::Dir(..)) if exclusive => return Err(Error::EXIST),
                    Stop::Last(Last::Dir(..)) if options.mutates() => return Err(Error::ISDIR),
                    Stop::Last(Last::Dir(node, _)) => {
                        let handle = vfs.fs(node)?.reopen_dir(node.handle)?;
                        return Ok((Node { handle, ..node }, FileType::Directory));
                    }
                    Stop::Last(Last::Name(place)) => place,
                };
                if options.create && place.slash {
                    return Err(Error::ISDIR);
                }
                let Place { dir, name, slash } = place;
                let opened = vfs.admit(dir, &name, options).and_then(|options| {
                    let options = OpenOptions { directory: options.directory || slash, ..options };
                    vfs.fs(dir)?.open(dir.handle, &name, &options)
                });
                match opened {
                    Ok(opened) => return Ok((Node { handle: opened.handle, ..dir }, opened.kind)),
                    // Links are rare: whether it is one is asked only now.
                    Err(error @ (Error::LOOP | Error::NOTDIR)) if follow || slash => {
                        let target = vfs.fs(dir)?.read_link(dir.handle, &name).map_err(|_| error)?;
                        walk.follow(target)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// What to ask of the file system when `name` is opened. In a read-only mount nothing that changes anything is
    /// passed on: what exists can be opened with `create`, the rest is refused as on Linux.
    fn admit(&mut self, dir: Node, name: &str, options: &OpenOptions) -> Result<OpenOptions> {
        let Some(refused) = self.writable(dir).err().filter(|_| options.mutates()) else {
            return Ok(*options);
        };
        match self.fs(dir)?.attributes_at(dir.handle, name) {
            Err(Error::NOENT) if options.create => Err(refused),
            Err(error) => Err(error),
            Ok(_) if options.create && options.exclusive => Err(Error::EXIST),
            Ok(attributes) => match attributes.kind {
                FileType::Symlink => Err(Error::LOOP),
                FileType::Directory => Err(Error::ISDIR),
                FileType::Regular if options.directory => Err(Error::NOTDIR),
                FileType::Regular if options.write || options.truncate => Err(refused),
                FileType::Regular => Ok(OpenOptions { create: false, exclusive: false, ..*options }),
            },
        }
    }

    /// What is known of what `path` names.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) for the path.
    pub fn attributes_at(&mut self, dir: Node, path: &str, follow: bool) -> Result<Attributes> {
        self.walk(dir, path, true, |vfs, walk| {
            loop {
                let place = match walk.run(vfs)? {
                    Stop::Rest(node, rest) => {
                        let attributes = vfs.fs(node)?.attributes_path(node.handle, &rest, follow)?;
                        return vfs.seen(node, attributes);
                    }
                    Stop::Last(Last::Dir(node, _)) => return vfs.directory_attributes(node),
                    Stop::Last(Last::Name(place)) => place,
                };
                if let Some(attributes) = vfs.look(walk, &place, follow)? {
                    return vfs.seen(place.dir, attributes);
                }
            }
        })
    }

    /// Sets the times of what `path` names.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) for the path; `ROFS`.
    pub fn set_times_at(
        &mut self,
        dir: Node,
        path: &str,
        follow: bool,
        accessed: SetTime,
        modified: SetTime,
    ) -> Result<()> {
        self.walk(dir, path, !follows(path, follow), |vfs, walk| {
            loop {
                let place = match walk.run_to_last(vfs)? {
                    Last::Dir(node, _) => {
                        vfs.directory_attributes(node)?;
                        return vfs.set_times(node, accessed, modified);
                    }
                    Last::Name(place) => place,
                };
                if vfs.look(walk, &place, follow)?.is_some() {
                    vfs.writable(place.dir)?;
                    let fs = vfs.fs(place.dir)?;
                    return fs.set_times_at(place.dir.handle, &place.name, accessed, modified);
                }
            }
        })
    }

    /// The target of a link.
    ///
    /// # Errors
    ///
    /// `INVAL` when it is none; otherwise those of [`open`](Self::open) for the path.
    pub fn read_link(&mut self, dir: Node, path: &str) -> Result<String> {
        if path.ends_with('/') {
            // What slashes follow is a directory, or an error.
            return self.attributes_at(dir, path, true).and(Err(Error::INVAL));
        }
        self.walk(dir, path, true, |vfs, walk| match walk.run_to_last(vfs)? {
            Last::Dir(node, _) => vfs.directory_attributes(node).and(Err(Error::INVAL)),
            Last::Name(place) => vfs.fs(place.dir)?.read_link(place.dir.handle, &place.name),
        })
    }

    /// Creates a directory.
    ///
    /// # Errors
    ///
    /// Those of `mkdirat(2)`.
    pub fn create_dir(&mut self, dir: Node, path: &str) -> Result<()> {
        self.walk(dir, path, true, |vfs, walk| {
            let place = free(walk.run_to_last(vfs)?)?;
            vfs.creatable(&place)?;
            vfs.fs(place.dir)?.create_dir(place.dir.handle, &place.name)
        })
    }

    /// Creates a link with this target, which may name anything: it is checked when it is followed.
    ///
    /// # Errors
    ///
    /// Those of `symlinkat(2)`: `NOENT` for an empty target, `NAMETOOLONG` for one of more than 4095 bytes. `INVAL`
    /// for one with a NUL.
    pub fn symlink(&mut self, target: &str, dir: Node, path: &str) -> Result<()> {
        match target.len() {
            0 => return Err(Error::NOENT),
            PATH_MAX.. => return Err(Error::NAMETOOLONG),
            _ if target.contains('\0') => return Err(Error::INVAL),
            _ => {}
        }
        self.walk(dir, path, true, |vfs, walk| {
            let place = free(walk.run_to_last(vfs)?)?;
            vfs.no_slash(&place)?;
            vfs.creatable(&place)?;
            vfs.fs(place.dir)?.symlink(target, place.dir.handle, &place.name)
        })
    }

    /// Gives a file a second name in the same mount. A last link in `from` is followed when `follow` is set, and
    /// gets the name itself otherwise.
    ///
    /// # Errors
    ///
    /// Those of `linkat(2)`: `XDEV` between mounts, `PERM` for a directory.
    pub fn link(&mut self, from_dir: Node, from: &str, follow: bool, to_dir: Node, to: &str) -> Result<()> {
        self.walk(from_dir, from, !follows(from, follow), |vfs, walk| {
            let source = loop {
                match walk.run_to_last(vfs)? {
                    Last::Dir(..) => break None,
                    Last::Name(place) => {
                        if vfs.look(walk, &place, follow)?.is_some() {
                            break Some(place);
                        }
                    }
                }
            };
            vfs.walk(to_dir, to, true, |vfs, walk| {
                let place = free(walk.run_to_last(vfs)?)?;
                vfs.no_slash(&place)?;
                vfs.creatable(&place)?;
                let Some(source) = source else {
                    let refused = if vfs.exists(&place)? { Error::EXIST } else { Error::PERM };
                    return vfs.alive(place.dir).and(Err(refused));
                };
                vfs.writable(source.dir)?;
                if source.dir.mount != place.dir.mount {
                    return Err(Error::XDEV);
                }
                let fs = vfs.fs(place.dir)?;
                fs.link(source.dir.handle, &source.name, place.dir.handle, &place.name)
            })
        })
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    ///
    /// Those of `unlinkat(2)`.
    pub fn unlink(&mut self, dir: Node, path: &str) -> Result<()> {
        self.walk(dir, path, true, |vfs, walk| {
            let Last::Name(place) = walk.run_to_last(vfs)? else {
                return Err(Error::ISDIR);
            };
            vfs.writable(place.dir)?;
            let fs = vfs.fs(place.dir)?;
            if place.slash && fs.attributes_at(place.dir.handle, &place.name)?.kind != FileType::Directory {
                return Err(Error::NOTDIR);
            }
            fs.unlink(place.dir.handle, &place.name)
        })
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// Those of `unlinkat(2)` with `AT_REMOVEDIR`; `BUSY` for a mount point and for a directory that holds one.
    pub fn remove_dir(&mut self, dir: Node, path: &str) -> Result<()> {
        self.walk(dir, path, true, |vfs, walk| {
            let place = match walk.run_to_last(vfs)? {
                Last::Dir(_, End::Dot) => return Err(Error::INVAL),
                Last::Dir(_, End::DotDot) => return Err(Error::NOTEMPTY),
                Last::Dir(_, End::Mount) => return Err(Error::BUSY),
                Last::Name(place) => place,
            };
            vfs.writable(place.dir)?;
            vfs.not_held(place.dir, &place.name)?;
            vfs.fs(place.dir)?.remove_dir(place.dir.handle, &place.name)
        })
    }

    /// Renames within one mount, replacing what `to` names when it is of the same kind.
    ///
    /// # Errors
    ///
    /// Those of `renameat(2)`: `XDEV` between mounts, `BUSY` for a mount point and for a directory that holds one.
    pub fn rename(&mut self, from_dir: Node, from: &str, to_dir: Node, to: &str) -> Result<()> {
        self.walk(from_dir, from, true, |vfs, walk| {
            let source = walk.run_to_last(vfs)?;
            vfs.walk(to_dir, to, true, |vfs, walk| {
                let (Last::Name(source), Last::Name(place)) = (source, walk.run_to_last(vfs)?) else {
                    return Err(Error::BUSY);
                };
                vfs.writable(source.dir)?;
                vfs.writable(place.dir)?;
                if source.dir.mount != place.dir.mount {
                    return Err(Error::XDEV);
                }
                if source.slash || place.slash {
                    let found = vfs.fs(source.dir)?.attributes_at(source.dir.handle, &source.name)?;
                    if found.kind != FileType::Directory {
                        return vfs.alive(place.dir).and(Err(Error::NOTDIR));
                    }
                }
                vfs.not_held(source.dir, &source.name)?;
                match vfs.not_held(place.dir, &place.name) {
                    Ok(()) | Err(Error::NOENT) => {}
                    Err(error) => return Err(error),
                }
                let fs = vfs.fs(place.dir)?;
                fs.rename(source.dir.handle, &source.name, place.dir.handle, &place.name)
            })
        })
    }

    /// Resolves a path and closes all that was opened on the way, whatever comes of it.
    fn walk<'p, T>(
        &mut self,
        dir: Node,
        path: &'p str,
        lane: bool,
        then: impl FnOnce(&mut Self, &mut Walk<'p>) -> Result<T>,
    ) -> Result<T> {
        let mut walk = Walk::new(dir, path, lane)?;
        let result = then(self, &mut walk);
        walk.close(self);
        result
    }

    /// The attributes at a place that the walk has come to; `None` when it is a link that the walk now follows.
    fn look(&mut self, walk: &mut Walk<'_>, place: &Place<'_>, follow: bool) -> Result<Option<Attributes>> {
        let fs = self.fs(place.dir)?;
        let attributes = fs.attributes_at(place.dir.handle, &place.name)?;
        match attributes.kind {
            FileType::Symlink if follow || place.slash => {
                let target = fs.read_link(place.dir.handle, &place.name)?;
                walk.follow(target)?;
                Ok(None)
            }
            FileType::Regular | FileType::Symlink if place.slash => Err(Error::NOTDIR),
            _ => Ok(Some(attributes)),
        }
    }

    fn directory_attributes(&mut self, node: Node) -> Result<Attributes> {
        let attributes = self.attributes(node)?;
        if attributes.kind == FileType::Directory { Ok(attributes) } else { Err(Error::NOTDIR) }
    }

    /// Whether something new may be made: in a read-only mount `EXIST` for what is there, as on Linux.
    fn creatable(&mut self, place: &Place<'_>) -> Result<()> {
        self.writable(place.dir)
            .or_else(|refused| Err(if self.exists(place)? { Error::EXIST } else { refused }))
    }

    /// A new name that is not a directory's may have no slashes after it.
    fn no_slash(&mut self, place: &Place<'_>) -> Result<()> {
        if !place.slash {
            return Ok(());
        }
        Err(if self.exists(place)? { Error::EXIST } else { Error::NOENT })
    }

    /// `NOENT` for a directory that was removed: on Linux nothing else about a new name in it matters.
    fn alive(&mut self, dir: Node) -> Result<()> {
        if self.attributes(dir)?.links == 0 { Err(Error::NOENT) } else { Ok(()) }
    }

    fn exists(&mut self, place: &Place<'_>) -> Result<bool> {
        match self.fs(place.dir)?.attributes_at(place.dir.handle, &place.name) {
            Ok(_) => Ok(true),
            Err(Error::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether a last link may be followed. It can lead upwards from where it lies, so the walk must hold the directories
/// above it, and cannot leave the way there to a file system.
fn follows(path: &str, follow: bool) -> bool {
    follow || path.ends_with('/')
}

/// The place for something new.
fn free(last: Last<'_>) -> Result<Place<'_>> {
    match last {
        Last::Name(place) => Ok(place),
        Last::Dir(..) => Err(Error::EXIST),
    }
}
