//! What the operator wrote for all apps: the policy and the trust store.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use qyv_spec::bundle::TrustStore;
use qyv_spec::grants::Policy;

use crate::Options;
use crate::fault::Fault;

/// The most bytes of a policy or trust store.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// The policy in force and the keys that are trusted, as they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) policy: Policy,
    pub(crate) trust: TrustStore,
}

impl Sources {
    /// Reads both. One that is missing is the empty one; one that cannot be read lets nothing through.
    pub(crate) fn read(options: &Options) -> Result<Self, Fault> {
        let mut policy = Policy::default();
        for path in &options.policies {
            if let Some(bytes) = read(path)? {
                policy = Policy::from_yaml_bytes(&bytes, &path.display().to_string()).map_err(|errors| {
                    Fault::refused(format!("the policy `{}` cannot be used: {errors}", path.display()))
                })?;
                break;
            }
        }
        let mut trust = TrustStore::default();
        if let Some(bytes) = read(&options.trust)? {
            let text = String::from_utf8(bytes).map_err(|error| error.to_string());
            let store = text.and_then(|text| TrustStore::from_text(&text).map_err(|error| error.to_string()));
            trust = store.map_err(|error| {
                let path = options.trust.display();
                Fault::refused(format!("the trust store `{path}` cannot be used: {error}"))
            })?;
        }
        Ok(Self { policy, trust })
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let failed = |error| Fault::refused(format!("cannot read `{}`: {error}", path.display()));
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(Fault::refused(format!("`{}` is larger than {TEXT_BYTES_MAX} bytes", path.display())));
    }
    Ok(Some(bytes))
}
