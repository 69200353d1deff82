//! The names of a simulated disk: those on the platter, and those that are seen.

use std::collections::BTreeMap;
use std::io;

use super::Random;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(usize),
    Folder(usize),
}

#[derive(Clone, Debug, Default)]
struct Folder {
    platter: BTreeMap<String, Node>,
    seen: BTreeMap<String, Node>,
    unsynced: Vec<Change>,
}

/// A change of a folder's names that happens whole or not at all.
#[derive(Clone, Debug)]
enum Change {
    Link(String, Node),
    Unlink(String),
    Rename { from: String, to: String, node: Node },
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The first is the root.
    folders: Vec<Folder>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { folders: vec![Folder::default()] }
    }

    pub(super) fn find(&self, path: &str) -> Option<Node> {
        let mut node = Node::Folder(0);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Node::Folder(id) = node else { return None };
            node = *self.folders[id].seen.get(name)?;
        }
        Some(node)
    }

    fn folder<'a>(&mut self, path: &'a str) -> io::Result<(&mut Folder, &'a str)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        match self.find(folder) {
            Some(Node::Folder(id)) => Ok((&mut self.folders[id], name)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn create(&mut self, path: &str, node: Node) -> io::Result<()> {
        let (folder, name) = self.folder(path)?;
        if folder.seen.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        folder.change(Change::Link(name.to_owned(), node));
        Ok(())
    }

    pub(super) fn create_folder(&mut self, path: &str) -> io::Result<()> {
        let id = self.folders.len();
        self.create(path, Node::Folder(id))?;
        self.folders.push(Folder::default());
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let same =
            from.rsplit_once('/').map(|(folder, _)| folder) == to.rsplit_once('/').map(|(folder, _)| folder);
        assert!(same, "`{from}` and `{to}` are not in one folder");
        let (folder, from) = self.folder(from)?;
        let node = *folder.seen.get(from).ok_or(io::ErrorKind::NotFound)?;
        let to = to.rsplit_once('/').map_or(to, |(_, name)| name).to_owned();
        folder.change(Change::Rename { from: from.to_owned(), to, node });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        let (folder, name) = self.folder(path)?;
        if !folder.seen.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        folder.change(Change::Unlink(name.to_owned()));
        Ok(())
    }

    pub(super) fn list(&self, path: &str) -> BTreeMap<String, Node> {
        match self.find(path) {
            Some(Node::Folder(id)) => self.folders[id].seen.clone(),
            _ => BTreeMap::new(),
        }
    }

    pub(super) fn sync(&mut self, path: &str) -> io::Result<()> {
        let Some(Node::Folder(id)) = self.find(path) else { return Err(io::ErrorKind::NotFound.into()) };
        let folder = &mut self.folders[id];
        for change in folder.unsynced.drain(..) {
            apply(&mut folder.platter, change);
        }
        Ok(())
    }

    /// Keeps about `kept_of_8` eighths of what was not synced.
    pub(super) fn lose(&mut self, random: &mut Random, kept_of_8: usize) {
        for folder in &mut self.folders {
            for change in std::mem::take(&mut folder.unsynced) {
                if random.below(8) < kept_of_8 {
                    apply(&mut folder.platter, change);
                }
            }
            folder.seen.clone_from(&folder.platter);
        }
    }
}

impl Folder {
    fn change(&mut self, change: Change) {
        apply(&mut self.seen, change.clone());
        self.unsynced.push(change);
    }
}

fn apply(names: &mut BTreeMap<String, Node>, change: Change) {
    match change {
        Change::Link(name, node) => {
            names.insert(name, node);
        }
        Change::Unlink(name) => {
            names.remove(&name);
        }
        Change::Rename { from, to, node } => {
            names.remove(&from);
            names.insert(to, node);
        }
    }
}
