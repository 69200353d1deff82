//! What came of a call, and what of it is compared.

use std::collections::{BTreeMap, HashMap};

use qyv_vfs::{Attributes, FileType, Result, Times};

/// What a call that succeeded gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Opened(FileType),
    Bytes(Vec<u8>),
    /// How many bytes, and where the next would go.
    Wrote(usize, u64),
    Attributes(Attributes),
    Target(String),
    Names {
        names: Vec<(String, FileType)>,
        between: Option<Box<Result<Outcome>>>,
    },
}

/// One path of a whole tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) attributes: Attributes,
    pub(crate) bytes: Vec<u8>,
    pub(crate) target: Option<String>,
}

/// Everything that may differ between file systems that are all right, and is therefore **not** compared. `modified`
/// is what the model knows of that time.
pub(crate) fn comparable(seen: Attributes, modified: u64) -> Attributes {
    // * Inode and device numbers: each file system counts as it likes. That a file keeps its own, and that two names
    //   have the same exactly when they are one file, is checked apart.
    // * The size and the link count of a directory: a matter of how it is stored.
    // * When a file was last read: file systems write that down late, or not at all.
    // * When the attributes changed, and when the contents did unless that time was set: the clocks differ.
    // * The order of a listing (sorted by the caller): that of a hash, of creation, of two layers.
    // * What a listing shows of names that appear, vanish or change hands meanwhile (left out by the caller).
    let directory = seen.kind == FileType::Directory;
    Attributes {
        device: 0,
        inode: 0,
        kind: seen.kind,
        links: if directory { 0 } else { seen.links },
        size: if directory { 0 } else { seen.size },
        times: Times { modified: if modified == 0 { 0 } else { seen.times.modified }, ..Times::default() },
    }
}

/// A tree with what is compared of it: for each path also the first path of the same file.
pub(crate) fn comparable_tree(
    tree: &BTreeMap<String, Described>,
    model: &BTreeMap<String, Described>,
) -> BTreeMap<String, (Described, String)> {
    let mut first = HashMap::new();
    let entry = |(path, described): (&String, &Described)| {
        let identity = (described.attributes.device, described.attributes.inode);
        let first = first.entry(identity).or_insert_with(|| path.clone()).clone();
        let modified = model.get(path).map_or(0, |known| known.attributes.times.modified);
        let attributes = comparable(described.attributes, modified);
        (path.clone(), (Described { attributes, ..described.clone() }, first))
    };
    tree.iter().map(entry).collect()
}
