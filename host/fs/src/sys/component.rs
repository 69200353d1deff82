//! The one form of a name that reaches a host.

use qyv_vfs::{Error, Result};

/// The name, if it is one component: the mount table promises it, and an escape must not hang on one promise.
/// `INVAL` otherwise.
pub(super) fn component(name: &str) -> Result<&str> {
    let valid = !matches!(name, "" | "." | "..") && !name.bytes().any(|byte| byte == b'/' || byte == 0);
    if valid { Ok(name) } else { Err(Error::INVAL) }
}
