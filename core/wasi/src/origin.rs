//! Where a thing that a guest holds open lies, in the guest's own words: for messages, and for what is refused by name.

use alloc::string::String;
use alloc::sync::Arc;

use qyv_vfs::{Access, Vfs};

/// The preopened directory that something is, or was opened through.
#[derive(Clone, Debug)]
pub struct Origin {
    path: Arc<str>,
    preopen: bool,
}

impl Origin {
    /// The preopened directory at this guest path.
    #[must_use]
    pub fn preopen(path: &str) -> Self {
        Self { path: Arc::from(path), preopen: true }
    }

    /// Something that was opened from here.
    #[must_use]
    pub fn opened(&self) -> Self {
        Self { path: Arc::clone(&self.path), preopen: false }
    }

    /// The guest path of the preopened directory.
    #[must_use]
    pub fn preopened(&self) -> &str {
        &self.path
    }

    /// Whether it is a preopened directory itself.
    pub(crate) fn is_preopen(&self) -> bool {
        self.preopen
    }

    /// Whether it is the preopened `/`.
    pub(crate) fn is_root(&self) -> bool {
        self.preopen && &*self.path == "/"
    }

    /// The guest path of `path` from here. What lies between the preopen and a directory that was opened in it is not
    /// remembered.
    #[must_use]
    pub fn absolute(&self, path: &str) -> String {
        let between = if self.preopen { "/" } else { "/…/" };
        let path = if path == "." { "" } else { path.trim_start_matches("./") };
        [self.path.trim_end_matches('/'), between, path].concat()
    }

    /// Whether `path` from here lies in a read-only mount, by its text alone.
    #[must_use]
    pub fn is_read_only(&self, vfs: &mut Vfs, path: &str) -> bool {
        let mount = mount_of(vfs, &self.absolute(path));
        vfs.open_root(&mount).is_ok_and(|root| vfs.access(root) == Access::ReadOnly)
    }
}

/// The mount in which a guest path lies by its text alone.
pub(crate) fn mount_of(vfs: &mut Vfs, path: &str) -> String {
    let mut mount = path.trim_end_matches('/');
    while !mount.is_empty() && vfs.open_root(mount).is_err() {
        mount = mount.rfind('/').and_then(|slash| mount.get(..slash)).unwrap_or_default();
    }
    if mount.is_empty() { "/".into() } else { mount.into() }
}
