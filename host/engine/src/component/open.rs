//! A node of the file tree for as long as somebody uses it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qyv_vfs::{Budget, Charge, Error, Node, SyncKind, Vfs};

/// The file tree of one component. Its descriptors and streams live in wasmtime's resource table, away from the
/// store's data, so each holds a hand on the tree; they never run at the same time, so the lock is free.
#[derive(Clone)]
pub(super) struct Tree {
    vfs: Arc<Mutex<Vfs>>,
    descriptors: Budget,
}

impl Tree {
    /// Each open node is counted in `descriptors`.
    pub(super) fn new(vfs: Vfs, descriptors: Budget) -> Self {
        Self { vfs: Arc::new(Mutex::new(vfs)), descriptors }
    }

    /// The counter of what is open, for what is open elsewhere.
    pub(super) fn descriptors(&self) -> Budget {
        self.descriptors.clone()
    }

    /// A call that panicked in the middle leaves nothing that the next call could not bear: the guest is gone.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vfs> {
        self.vfs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a node and keeps it. `MFILE` when too many are open.
    pub(super) fn open<K>(
        &self,
        open: impl FnOnce(&mut Vfs) -> qyv_vfs::Result<(Node, K)>,
    ) -> qyv_vfs::Result<(Arc<Open>, K)> {
        let charge = self.descriptors.charge(1).ok_or(Error::MFILE)?;
        let (node, kind) = open(&mut self.lock())?;
        Ok((Arc::new(Open { tree: self.clone(), node, _charge: charge }), kind))
    }
}

/// An open node, closed when the last descriptor and the last stream over it are gone.
pub(super) struct Open {
    tree: Tree,
    node: Node,
    _charge: Charge,
}

impl Open {
    /// The node, to be named in a call of the tree.
    pub(super) fn node(&self) -> Node {
        self.node
    }

    /// Calls the tree. `call` must not drop another [`Open`].
    pub(super) fn with<R>(&self, call: impl FnOnce(&mut Vfs, Node) -> R) -> R {
        call(&mut self.tree.lock(), self.node)
    }

    /// Writes at `offset`, or at the end when it is `None`, and then does the `sync` that the opener asked for.
    /// Returns the bytes written, which may be fewer than given.
    pub(super) fn write(
        &self,
        offset: Option<u64>,
        bytes: &[u8],
        sync: Option<SyncKind>,
    ) -> qyv_vfs::Result<usize> {
        self.with(|vfs, node| {
            let written = match offset {
                Some(offset) => vfs.write_at(node, offset, &[bytes])?,
                None => vfs.append(node, &[bytes])?.0,
            };
            if let Some(what) = sync {
                vfs.sync(node, what)?;
            }
            Ok(written)
        })
    }

    /// Reads at most `length` bytes at `offset`; empty at the end.
    pub(super) fn read(&self, offset: u64, length: usize) -> qyv_vfs::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = self.with(|vfs, node| vfs.read_at(node, offset, &mut [&mut bytes]))?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tree.lock().close(self.node);
    }
}
