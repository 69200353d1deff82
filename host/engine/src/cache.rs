//! Native code, kept from one start to the next.
//!
//! A folder of the user's own (mode 0700) with a file a program:
//!
//! ```text
//! host.key                32 random bytes, mode 0600: entries of other hosts do not verify
//! <key>.native            native code, then its record and a MAC (see `entry`)
//! <key>.lock              held while one process compiles, so that the others wait instead
//! .<key>.<pid>.partial    being written; renamed when complete
//! ```
//!
//! `<key>` is the BLAKE3 of everything that decides the code: the module, the engine, the settings that change code,
//! the target and the features of the processor. What does not verify is compiled again, never loaded.

pub(crate) mod entry;
mod folder;
mod manage;

use std::fs::File;
use std::time::Duration;

use crate::compile::{Compiler, Progress};
use crate::config::{ENGINE_VERSION, Settings};
use crate::interrupt::Interrupt;
use crate::{Error, Result};

pub use entry::{Kind, Record};
pub use folder::Cache;
pub(crate) use folder::Partial;
pub use manage::{Listed, Pruned, Verified};

/// How often a process looks whether another has finished compiling what it waits for.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// A program that is to be loaded: its hash is known, its bytes may be far away.
pub struct Source<'a> {
    /// BLAKE3 of the portable bytes.
    pub hash: [u8; 32],
    /// Gives the portable bytes; called only when they must be compiled.
    pub bytes: &'a dyn Fn() -> Result<Vec<u8>>,
}

/// The key of an entry.
pub(crate) fn key_of(hash: &[u8; 32], settings: &Settings) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("qyvol compile cache 1");
    for part in [ENGINE_VERSION, settings.code_flavour(), target(), &processor_features()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(hash);
    *hasher.finalize().as_bytes()
}

/// The target that this process was built for, in which guests run too.
pub(crate) const fn target() -> &'static str {
    concat!(env!("QYVOL_TARGET"))
}

/// The features of this processor that the compiler may use, separated by commas.
#[must_use]
pub fn processor_features() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! detect {
            ($($feature:tt)*) => {
                [$(($feature, std::arch::is_x86_feature_detected!($feature))),*]
            };
        }
        let features = detect!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "avx" "avx2" "fma" "bmi1" "bmi2" "lzcnt"
            "avx512bitalg" "avx512dq" "avx512f" "avx512vl" "avx512vbmi" "cmpxchg16b");
        let present: Vec<_> =
            features.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect();
        present.join(",")
    }
    #[cfg(target_arch = "aarch64")]
    {
        let features = [
            ("lse", std::arch::is_aarch64_feature_detected!("lse")),
            ("paca", std::arch::is_aarch64_feature_detected!("paca")),
            ("fp16", std::arch::is_aarch64_feature_detected!("fp16")),
        ];
        let present: Vec<_> =
            features.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect();
        present.join(",")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    String::new()
}

impl Cache {
    /// The native code of a program: from the cache, or compiled now and kept. Of several processes that ask for the
    /// same code at once, one compiles and the others wait.
    ///
    /// # Errors
    ///
    /// When the program cannot be compiled, or the cache folder is not one to trust.
    pub fn get(
        &self,
        source: &Source<'_>,
        settings: &Settings,
        compiler: &Compiler,
        interrupt: &Interrupt,
        progress: &mut dyn Progress,
    ) -> Result<(File, Record)> {
        let key = key_of(&source.hash, settings);
        if let Some(found) = self.find(&key)? {
            return Ok(found);
        }
        let _lock =
            self.lock(&key, || match interrupt.wait(&[], Some(std::time::Instant::now() + LOCK_POLL)) {
                Ok(()) => Ok(()),
                Err(reason) => Err(Error::Stopped(reason)),
            })?;
        // Another process may have finished it while this one waited.
        if let Some(found) = self.find(&key)? {
            return Ok(found);
        }
        let bytes = (source.bytes)()?;
        // Whoever names a hash and gives other bytes would plant code under a stranger's name.
        if *blake3::hash(&bytes).as_bytes() != source.hash {
            return Err(Error::Invalid("its bytes are not those that its hash names".into()));
        }
        let partial = self.partial(&key)?;
        let (kind, instance_bytes) = compiler.compile(&bytes, settings, &partial, interrupt, progress)?;
        let mut record = Record::new(&key, &source.hash, bytes.len() as u64, kind, settings);
        record.instance_bytes = instance_bytes;
        drop(bytes);
        self.publish(partial, record)
    }
}
