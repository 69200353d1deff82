//! The host's errors in the guest's words.

use std::io::{self, ErrorKind};

use qyv_vfs::{Error, Result};

use super::host;

/// The guest's name of an error: by the host's number where it has one that is known, otherwise by its kind.
pub(super) fn error(error: &io::Error) -> Error {
    host::known(error).unwrap_or_else(|| by_kind(error.kind()))
}

fn by_kind(kind: ErrorKind) -> Error {
    match kind {
        ErrorKind::AlreadyExists => Error::EXIST,
        ErrorKind::CrossesDevices => Error::XDEV,
        ErrorKind::DirectoryNotEmpty => Error::NOTEMPTY,
        ErrorKind::ExecutableFileBusy | ErrorKind::ResourceBusy => Error::BUSY,
        ErrorKind::FileTooLarge => Error::FBIG,
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => Error::INVAL,
        ErrorKind::IsADirectory => Error::ISDIR,
        ErrorKind::NotADirectory => Error::NOTDIR,
        ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle => Error::NOENT,
        ErrorKind::OutOfMemory => Error::NOMEM,
        ErrorKind::PermissionDenied => Error::ACCES,
        ErrorKind::ReadOnlyFilesystem => Error::ROFS,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::NOSPC,
        ErrorKind::TooManyLinks => Error::MLINK,
        ErrorKind::Unsupported => Error::NOTSUP,
        _ => Error::IO,
    }
}

/// Makes the call again as long as a signal interrupts it.
pub(super) fn call<T>(mut call: impl FnMut() -> io::Result<T>) -> Result<T> {
    loop {
        match call() {
            Ok(value) => return Ok(value),
            Err(interrupted) if interrupted.kind() == ErrorKind::Interrupted => {}
            Err(other) => return Err(error(&other)),
        }
    }
}
