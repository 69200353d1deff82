//! Path resolution: names, links, `..` and mount points, left to right.
//!
//! A walk opens each directory that it goes through and keeps it open: `..` is answered from this stack, never by
//! the file system, so nothing that happens to the tree meanwhile can lead a walk out of where it started.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Error, FileType, Node, Result, Vfs};

/// The most bytes of a path.
pub(crate) const PATH_MAX: usize = 4096;
/// The most bytes of a name.
pub(crate) const NAME_MAX: usize = 255;
/// The most links that are followed on one way.
const LINKS_MAX: u8 = 40;
/// The most directories that a walk holds open: as many as the longest path has names.
const DEPTH_MAX: usize = PATH_MAX / 2;

/// Where a walk has come to.
pub(crate) enum Stop<'p> {
    /// At a directory whose file system takes the rest of the path, which is not empty, in one call.
    Rest(Node, Cow<'p, str>),
    /// At the last name, or at a directory that the path ends with without naming it in another.
    Last(Last<'p>),
}

/// The end of a path.
pub(crate) enum Last<'p> {
    /// A name, with the directory in which to look for it.
    Name(Place<'p>),
    /// A directory itself.
    Dir(Node, End),
}

/// How a path ended at a directory itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With `.`.
    Dot,
    /// With `..`.
    DotDot,
    /// With the name of a mount point.
    Mount,
}

/// A name in a directory that the walk holds open.
pub(crate) struct Place<'p> {
    pub(crate) dir: Node,
    pub(crate) name: Cow<'p, str>,
    /// Whether slashes followed the name.
    pub(crate) slash: bool,
}

/// One resolution. To be [closed](Self::close) whatever came of it.
pub(crate) struct Walk<'p> {
    base: Node,
    /// The directories below `base` that are held open, the deepest last.
    inner: Vec<Node>,
    /// How many of them `..` cannot leave: those up to the root of the mount that was entered last.
    floor: usize,
    /// Whether a file system may take the rest of the path.
    lane: bool,
    path: &'p str,
    /// The rests of the links that are being followed, the innermost last. They come before the rest of the path.
    targets: Vec<(String, usize)>,
    links: u8,
}

impl<'p> Walk<'p> {
    pub(crate) fn new(base: Node, path: &'p str, lane: bool) -> Result<Self> {
        if path.len() > PATH_MAX {
            return Err(Error::NAMETOOLONG);
        }
        if path.is_empty() {
            return Err(Error::NOENT);
        }
        if path.contains('\0') {
            return Err(Error::INVAL);
        }
        if path.starts_with('/') {
            return Err(Error::NOTCAPABLE);
        }
        Ok(Self { base, inner: Vec::new(), floor: 0, lane, path, targets: Vec::new(), links: 0 })
    }

    pub(crate) fn close(self, vfs: &mut Vfs) {
        for node in self.inner {
            vfs.close(node);
        }
    }

    /// Goes on to the next stop: the last name, unless links or a faster file system come before.
    pub(crate) fn run(&mut self, vfs: &mut Vfs) -> Result<Stop<'p>> {
        loop {
            let here = self.here();
            if self.lane && self.inner.len() == self.floor && vfs.is_fast(here) {
                let rest = self.rest();
                return Ok(if rest.is_empty() {
                    Stop::Last(Last::Dir(here, End::Mount))
                } else {
                    Stop::Rest(here, rest)
                });
            }
            // A path that is not empty has a last name, and the walk stops there.
            let (name, last, slash) = self.next_name().ok_or(Error::NOENT)?;
            match &*name {
                "." if last => return Ok(Stop::Last(Last::Dir(here, End::Dot))),
                "." => continue,
                ".." => {
                    self.leave(vfs)?;
                    if last {
                        return Ok(Stop::Last(Last::Dir(self.here(), End::DotDot)));
                    }
                    continue;
                }
                _ => {}
            }
            if name.len() > NAME_MAX {
                return Err(Error::NAMETOOLONG);
            }
            if let Some(root) = vfs.graft_at(here, &name)? {
                self.enter(root)?;
                self.floor = self.inner.len();
                if last {
                    return Ok(Stop::Last(Last::Dir(root, End::Mount)));
                }
            } else if last {
                return Ok(Stop::Last(Last::Name(Place { dir: here, name, slash })));
            } else {
                self.descend(vfs, here, &name)?;
            }
        }
    }

    /// Leaves nothing more to file systems that resolve paths: goes on by names from the stop that was at a rest.
    pub(crate) fn keep_to_names(&mut self) {
        self.lane = false;
    }

    /// As [`run`](Self::run), for what needs the last name with its directory: a file system that takes whole paths
    /// takes all but the last name, and the walk ends there: after that no link can be followed.
    pub(crate) fn run_to_last(&mut self, vfs: &mut Vfs) -> Result<Last<'p>> {
        let (base, rest) = match self.run(vfs)? {
            Stop::Last(last) => return Ok(last),
            Stop::Rest(base, rest) => (base, rest),
        };
        let trimmed = rest.trim_end_matches('/');
        let start = trimmed.rfind('/').map_or(0, |slash| slash + 1);
        // With the slash, because it must be a directory.
        let (above, name) = trimmed.split_at(start);
        let end = match name {
            "." => Some(End::Dot),
            ".." => Some(End::DotDot),
            _ => None,
        };
        let above = if end.is_some() { &*rest } else { above };
        let dir = if above.is_empty() {
            base
        } else {
            let handle = vfs.fs(base)?.lookup_path(base.handle, above, true)?;
            let node = Node { handle, ..base };
            self.inner.push(node);
            node
        };
        if let Some(end) = end {
            return Ok(Last::Dir(dir, end));
        }
        if name.len() > NAME_MAX {
            return Err(Error::NAMETOOLONG);
        }
        let slash = trimmed.len() < rest.len();
        let name = match &rest {
            Cow::Borrowed(rest) => Cow::Borrowed(&rest[start..trimmed.len()]),
            Cow::Owned(_) => Cow::Owned(name.into()),
        };
        Ok(Last::Name(Place { dir, name, slash }))
    }

    /// Follows a link that the last name turned out to be: its target comes next.
    pub(crate) fn follow(&mut self, target: String) -> Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Error::LOOP);
        }
        if target.starts_with('/') {
            return Err(Error::NOTCAPABLE);
        }
        if target.is_empty() {
            return Err(Error::NOENT);
        }
        self.targets.push((target, 0));
        Ok(())
    }

    fn here(&self) -> Node {
        self.inner.last().copied().unwrap_or(self.base)
    }

    fn enter(&mut self, node: Node) -> Result<()> {
        if self.inner.len() >= DEPTH_MAX {
            return Err(Error::NAMETOOLONG);
        }
        self.inner.push(node);
        Ok(())
    }

    fn leave(&mut self, vfs: &mut Vfs) -> Result<()> {
        if self.inner.len() <= self.floor {
            return Err(Error::NOTCAPABLE);
        }
        if let Some(node) = self.inner.pop() {
            vfs.close(node);
        }
        Ok(())
    }

    /// Goes into the directory `name`, or follows the link of that name.
    fn descend(&mut self, vfs: &mut Vfs, here: Node, name: &str) -> Result<()> {
        let fs = vfs.fs(here)?;
        let handle = fs.lookup(here.handle, name)?;
        let entered = match fs.attributes(handle).map(|attributes| attributes.kind) {
            Ok(FileType::Directory) => match self.enter(Node { handle, ..here }) {
                Ok(()) => return Ok(()),
                Err(error) => Err(error),
            },
            Ok(FileType::Symlink) => Ok(()),
            Ok(FileType::Regular) => Err(Error::NOTDIR),
            Err(error) => Err(error),
        };
        fs.close(handle);
        entered?;
        let target = fs.read_link(here.handle, name)?;
        self.follow(target)
    }

    /// The next name, whether it is the last one, and whether slashes follow that.
    fn next_name(&mut self) -> Option<(Cow<'p, str>, bool, bool)> {
        let name = loop {
            let Some((target, at)) = self.targets.last_mut() else {
                let (name, rest) = split(self.path)?;
                self.path = rest;
                break Cow::Borrowed(name);
            };
            if let Some((name, rest)) = split(&target[*at..]) {
                *at = target.len() - rest.len();
                break Cow::Owned(name.into());
            }
            self.targets.pop();
        };
        let rests = || self.targets.iter().map(|(target, at)| &target[*at..]).chain([self.path]);
        let last = rests().all(|rest| rest.bytes().all(|byte| byte == b'/'));
        Some((name, last, last && rests().any(|rest| !rest.is_empty())))
    }

    /// Everything that is still to be resolved.
    fn rest(&self) -> Cow<'p, str> {
        let path = self.path.trim_start_matches('/');
        if self.targets.is_empty() {
            return Cow::Borrowed(path);
        }
        let mut rest = String::new();
        for (target, at) in self.targets.iter().rev() {
            rest.push_str(&target[*at..]);
        }
        rest.push_str(self.path);
        Cow::Owned(rest.trim_start_matches('/').into())
    }
}

/// The first name of a path and what follows it, with its slashes.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_start_matches('/');
    let end = path.find('/').unwrap_or(path.len());
    (end > 0).then(|| path.split_at(end))
}
