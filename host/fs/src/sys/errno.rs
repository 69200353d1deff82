//! A Unix kernel's errors in the guest's words.

use qyv_vfs::Error;
use rustix::io::Errno;

/// The guest's name of a kernel error. What has no counterpart is `IO`.
pub(super) fn error(errno: Errno) -> Error {
    match errno {
        Errno::ACCESS => Error::ACCES,
        Errno::AGAIN => Error::AGAIN,
        Errno::BADF => Error::BADF,
        Errno::BUSY | Errno::TXTBSY => Error::BUSY,
        Errno::EXIST => Error::EXIST,
        Errno::FAULT => Error::FAULT,
        Errno::FBIG => Error::FBIG,
        Errno::ILSEQ => Error::ILSEQ,
        Errno::INTR => Error::INTR,
        Errno::INVAL => Error::INVAL,
        Errno::ISDIR => Error::ISDIR,
        Errno::LOOP => Error::LOOP,
        Errno::MFILE | Errno::NFILE => Error::MFILE,
        Errno::MLINK => Error::MLINK,
        Errno::NAMETOOLONG => Error::NAMETOOLONG,
        // A handle to a file that was removed behind a network file system is as gone as its name.
        Errno::NOENT | Errno::STALE => Error::NOENT,
        Errno::NOMEM => Error::NOMEM,
        Errno::NOSPC | Errno::DQUOT => Error::NOSPC,
        Errno::NOSYS => Error::NOSYS,
        Errno::NOTDIR => Error::NOTDIR,
        Errno::NOTEMPTY => Error::NOTEMPTY,
        Errno::OPNOTSUPP => Error::NOTSUP,
        Errno::OVERFLOW => Error::OVERFLOW,
        // Opening a socket, or a device without a driver, gives NXIO or NODEV: not a kind of file that is served.
        Errno::PERM | Errno::NXIO | Errno::NODEV => Error::PERM,
        Errno::PIPE => Error::PIPE,
        Errno::ROFS => Error::ROFS,
        Errno::SPIPE => Error::SPIPE,
        Errno::XDEV => Error::XDEV,
        _ => Error::IO,
    }
}

/// Makes the call again as long as a signal interrupts it.
#[cfg(target_os = "linux")]
pub(super) fn call<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> qyv_vfs::Result<T> {
    loop {
        match call() {
            Ok(value) => return Ok(value),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(error(errno)),
        }
    }
}
