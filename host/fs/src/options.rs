//! What the owner of a folder decides about it.

use qyv_vfs::Budget;

/// How a folder is served. The default limits nothing beyond what the host does.
#[derive(Clone, Debug)]
pub struct DiskFsOptions {
    /// The largest size of a file in bytes; growing past it is `FBIG`. At most 2^63 - 1, the default.
    pub max_file: u64,
    /// Limits the folder's growth; for private volumes. `None` by default: one system call fewer for each write.
    pub quota: Option<DiskQuota>,
}

impl Default for DiskFsOptions {
    fn default() -> Self {
        Self { max_file: i64::MAX.unsigned_abs(), quota: None }
    }
}

/// What a private volume may hold.
///
/// Usage is the sum of the **sizes** of its regular files (a hole counts as if it were stored; a file with several
/// names counts once) and the number of its **names**: files, directories and links, and each further name of a file,
/// since a name takes room in a directory as an inode does in its table. What is there at the start is counted by a
/// walk, and held even when it passes the limit, so that an app can always open its volume and delete. Growth is
/// charged before it happens. A file that was removed while open counts until its last handle is closed.
///
/// What other processes change in the folder meanwhile is not noticed before the next start. Everything is given back
/// when the file system is dropped.
#[derive(Clone, Debug)]
pub struct DiskQuota {
    /// Bytes.
    pub bytes: Budget,
    /// Names of files, directories and links, without the root; and files that are open without a name.
    pub inodes: Budget,
}
