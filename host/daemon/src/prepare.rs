//! Having programs compiled, by processes that do nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;

use qyv_spec::app::Hash;
use qyvol_protocol::worker::PREPARE_ARGUMENT;

use crate::Options;
use crate::overseer::Message;

/// How many programs are compiled at once: each takes all cores for a while.
pub(crate) const AT_ONCE: usize = 2;

/// The most bytes of what a compiler says that are kept.
const SAID_BYTES_MAX: u64 = 4096;

/// Who waits for which program.
#[derive(Debug, Default)]
pub(crate) struct Preparing {
    waiting: BTreeMap<Hash, BTreeSet<u64>>,
    queue: VecDeque<(Hash, PathBuf)>,
    running: BTreeSet<Hash>,
}

impl Preparing {
    /// Lets the instance `lease` wait for `module` of `bundle`. Many wait for one compilation.
    pub(crate) fn add(&mut self, module: Hash, bundle: PathBuf, lease: u64) {
        let waiting = self.waiting.entry(module).or_default();
        if waiting.is_empty() && !self.running.contains(&module) {
            self.queue.push_back((module, bundle));
        }
        waiting.insert(lease);
    }

    /// Whether the instance waited; it no longer does.
    pub(crate) fn remove(&mut self, lease: u64) -> bool {
        let removed = self.waiting.values_mut().any(|leases| leases.remove(&lease));
        self.waiting.retain(|_, leases| !leases.is_empty());
        self.queue.retain(|(module, _)| self.waiting.contains_key(module));
        removed
    }

    /// What is to be compiled now.
    pub(crate) fn next(&mut self) -> Option<(Hash, PathBuf)> {
        if self.running.len() >= AT_ONCE {
            return None;
        }
        let (module, bundle) = self.queue.pop_front()?;
        self.running.insert(module);
        Some((module, bundle))
    }

    /// Takes note that a compilation is over; tells who waited for it.
    pub(crate) fn finished(&mut self, module: Hash) -> BTreeSet<u64> {
        self.running.remove(&module);
        self.waiting.remove(&module).unwrap_or_default()
    }
}

/// Compiles the program of `bundle` into the cache; says `Prepared` when that is over.
pub(crate) fn spawn(options: &Arc<Options>, module: Hash, bundle: PathBuf, inbox: SyncSender<Message>) {
    let (options, failed) = (Arc::clone(options), inbox.clone());
    let work = move || {
        let _ = inbox.send(Message::Prepared(module, compile(&options, &bundle, None)));
    };
    if let Err(error) = thread::Builder::new().name("prepare".into()).spawn(work) {
        // Not waiting: this is the thread that would empty the queue.
        let _ = failed.try_send(Message::Prepared(module, Err(format!("cannot start a thread: {error}"))));
    }
}

/// Compiles the program of `bundle`, or another that is packaged in it, into the cache, and waits until that is over.
pub(crate) fn compile(options: &Options, bundle: &Path, program: Option<&str>) -> Result<(), String> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(PREPARE_ARGUMENT).arg("--bundle").arg(bundle).arg("--cache").arg(&options.cache);
    if let Some(program) = program {
        command.arg("--program").arg(program);
    }
    command.arg("--timeout").arg(options.compile_timeout.as_secs().to_string());
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start the compiler: {error}"))?;
    let mut said = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.by_ref().take(SAID_BYTES_MAX).read_to_end(&mut said);
        // The rest is read so that it does not hold up the child.
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    }
    let status = child.wait().map_err(|error| format!("cannot wait for the compiler: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Err(if said.is_empty() { format!("the compiler ended with {status}") } else { said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wait_for_one_compilation_and_few_run_at_once() {
        let mut preparing = Preparing::default();
        let module = |byte| Hash([byte; 32]);
        for lease in 0..3 {
            preparing.add(module(1), PathBuf::from("one"), lease);
        }
        preparing.add(module(2), PathBuf::from("two"), 10);
        preparing.add(module(3), PathBuf::from("three"), 11);
        preparing.add(module(4), PathBuf::from("four"), 12);
        assert_eq!(preparing.next().map(|(hash, _)| hash), Some(module(1)));
        assert_eq!(preparing.next().map(|(hash, _)| hash), Some(module(2)));
        assert_eq!(preparing.next(), None);
        // Nobody waits for the third any more.
        assert!(preparing.remove(11));
        assert!(!preparing.remove(11));
        // One that asks again while its program is compiled does not have it compiled twice.
        preparing.add(module(1), PathBuf::from("one"), 4);
        assert_eq!(preparing.finished(module(1)), [0, 1, 2, 4].into());
        assert_eq!(preparing.next().map(|(hash, _)| hash), Some(module(4)));
        assert_eq!(preparing.finished(module(2)), [10].into());
        assert_eq!(preparing.next(), None);
    }
}
