//! What the daemon tells a worker at its start.

use std::path::PathBuf;

/// The arguments of a worker's process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Its name.
    pub(crate) name: String,
    /// The folder of compiled code.
    pub(crate) cache: PathBuf,
    /// `limits.stack` of its guests, in bytes.
    pub(crate) stack: usize,
    /// Whether its apps may connect to hosts.
    pub(crate) outside: bool,
    /// Folders that it may read.
    pub(crate) read: Vec<PathBuf>,
    /// Folders that it may change.
    pub(crate) write: Vec<PathBuf>,
}

impl Arguments {
    /// Reads `--name NAME --cache DIR --stack BYTES [--outside] [--read DIR]… [--write DIR]…`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut rest = arguments.iter();
        while let Some(key) = rest.next() {
            if key == "--outside" {
                parsed.outside = true;
                continue;
            }
            let value = rest.next().ok_or_else(|| format!("`{key}` has no value"))?;
            match key.as_str() {
                "--name" => parsed.name.clone_from(value),
                "--cache" => parsed.cache = value.into(),
                "--stack" => parsed.stack = value.parse().map_err(|_| format!("`{value}` is no size"))?,
                "--read" => parsed.read.push(value.into()),
                "--write" => parsed.write.push(value.into()),
                _ => return Err(format!("`{key}` is not known")),
            }
        }
        if parsed.name.is_empty() || parsed.cache.as_os_str().is_empty() || parsed.stack == 0 {
            return Err("`--name`, `--cache` and `--stack` are needed".into());
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_read_back() {
        let parse =
            |text: &str| Arguments::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let parsed =
            parse("--name w1 --cache /c --stack 65536 --outside --read /a --write /b --write /d").unwrap();
        assert_eq!((parsed.name.as_str(), parsed.stack), ("w1", 65536));
        assert_eq!((parsed.read.len(), parsed.write.len(), parsed.outside), (1, 2, true));
        for bad in [
            "",
            "--name w1",
            "--name w1 --cache /c --stack x",
            "--name w1 --cache /c --stack 1 --more 2",
            "--name",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
