//! Errors of files and connections on their way to the guest.

use std::io;

use qyv_vfs::Error;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi_io::streams::StreamError;

use super::bindings::sockets::network::ErrorCode as SocketCode;
use super::bindings::types::ErrorCode;

/// Why a call of `wasi:filesystem` failed: with a code for the guest, or by ending the guest.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
#[derive(Debug)]
pub enum FsError {
    /// The guest is told.
    Code(ErrorCode),
    /// The guest broke the rules of the component model (a handle it does not have) and is stopped.
    Trap(wasmtime::Error),
}

impl From<Error> for FsError {
    fn from(error: Error) -> Self {
        Self::Code(code(error))
    }
}

impl From<ErrorCode> for FsError {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<ResourceTableError> for FsError {
    fn from(error: ResourceTableError) -> Self {
        match error {
            // Preview 2 has no "too many open files"; this is its word for a limit that the operator set.
            ResourceTableError::Full => Self::Code(ErrorCode::Quota),
            other => Self::Trap(other.into()),
        }
    }
}

/// An error of a file stream. [`code_of`] gives the guest its code.
pub(super) fn stream_error(error: Error) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::new(error))
}

/// An error of a standard stream, so that [`code_of`] knows it too.
pub(super) fn host_stream_error(error: &io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => StreamError::Closed,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => stream_error(Error::NOSPC),
        io::ErrorKind::IsADirectory => stream_error(Error::ISDIR),
        _ if error.raw_os_error() == Some(libc::EBADF) => stream_error(Error::BADF),
        _ => stream_error(Error::IO),
    }
}

/// The code inside an error of a stream, when the stream was a file's.
pub(super) fn code_of(error: &wasmtime::Error) -> Option<ErrorCode> {
    error.downcast_ref::<Error>().map(|&error| code(error))
}

/// A failure inside an error of a connection's stream.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SocketFailure(Error);

/// An error of a connection's stream. [`socket_code_of`] gives the guest its code.
pub(super) fn socket_stream_error(error: Error) -> StreamError {
    match error {
        Error::PIPE => StreamError::Closed,
        error => StreamError::LastOperationFailed(wasmtime::Error::new(SocketFailure(error))),
    }
}

/// The code inside an error of a stream, when the stream was a connection's.
pub(super) fn socket_code_of(error: &wasmtime::Error) -> Option<SocketCode> {
    error.downcast_ref::<SocketFailure>().map(|failure| socket_code(failure.0))
}

/// The name that `wasi:sockets` has for an error of a connection, or of making one.
pub(super) fn socket_code(error: Error) -> SocketCode {
    match error {
        Error::ACCES => SocketCode::AccessDenied,
        Error::AGAIN => SocketCode::WouldBlock,
        Error::CONNABORTED => SocketCode::ConnectionAborted,
        Error::CONNREFUSED => SocketCode::ConnectionRefused,
        Error::CONNRESET => SocketCode::ConnectionReset,
        Error::HOSTUNREACH => SocketCode::RemoteUnreachable,
        Error::INVAL => SocketCode::InvalidArgument,
        Error::MFILE => SocketCode::NewSocketLimit,
        // The name was found when it was looked up: nobody has it any more, or not with this port.
        Error::NOENT => SocketCode::RemoteUnreachable,
        Error::NOMEM => SocketCode::OutOfMemory,
        Error::NOTSUP => SocketCode::NotSupported,
        Error::TIMEDOUT => SocketCode::Timeout,
        _ => SocketCode::Unknown,
    }
}

/// The name that preview 2 has for an error.
fn code(error: Error) -> ErrorCode {
    match error {
        Error::ACCES => ErrorCode::Access,
        Error::AGAIN => ErrorCode::WouldBlock,
        Error::BADF => ErrorCode::BadDescriptor,
        Error::BUSY => ErrorCode::Busy,
        Error::EXIST => ErrorCode::Exist,
        Error::FBIG => ErrorCode::FileTooLarge,
        Error::ILSEQ => ErrorCode::IllegalByteSequence,
        Error::INTR => ErrorCode::Interrupted,
        Error::INVAL => ErrorCode::Invalid,
        Error::ISDIR => ErrorCode::IsDirectory,
        Error::LOOP => ErrorCode::Loop,
        Error::MFILE => ErrorCode::Quota,
        Error::MLINK => ErrorCode::TooManyLinks,
        Error::NAMETOOLONG => ErrorCode::NameTooLong,
        Error::NOENT => ErrorCode::NoEntry,
        Error::NOMEM => ErrorCode::InsufficientMemory,
        Error::NOSPC => ErrorCode::InsufficientSpace,
        Error::NOSYS | Error::NOTSUP => ErrorCode::Unsupported,
        Error::NOTDIR => ErrorCode::NotDirectory,
        Error::NOTEMPTY => ErrorCode::NotEmpty,
        Error::OVERFLOW => ErrorCode::Overflow,
        // What leaves the sandbox is `not-permitted` in preview 2, which has no capability error.
        Error::PERM | Error::NOTCAPABLE => ErrorCode::NotPermitted,
        Error::PIPE => ErrorCode::Pipe,
        Error::ROFS => ErrorCode::ReadOnly,
        Error::SPIPE => ErrorCode::InvalidSeek,
        Error::XDEV => ErrorCode::CrossDevice,
        // IO, and what only sockets answer.
        _ => ErrorCode::Io,
    }
}
