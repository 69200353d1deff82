//! Secrets that the operator gave to this app: files in `/run/secrets`.

use std::fs;
use std::io;

/// Where secrets are.
const FOLDER: &str = "/run/secrets";

/// Reads a secret, as bytes and as it is: no line break at its end is taken away.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) when the app was given none of this name, or the name is no name of a file.
///
/// ```no_run
/// let key = qyv::secrets::get("api-key")?;
/// # std::io::Result::Ok(())
/// ```
pub fn get(name: &str) -> io::Result<Vec<u8>> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("`{name}` is not the name of a secret")));
    }
    let path = format!("{FOLDER}/{name}");
    fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("read secret `{path}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::get;

    #[test]
    fn a_name_does_not_leave_the_folder() {
        for name in ["", ".", "..", "../../etc/passwd", "a/b", "a\0b"] {
            let error = get(name).unwrap_err();
            assert!(error.to_string().ends_with("is not the name of a secret"), "{error}");
        }
    }
}
