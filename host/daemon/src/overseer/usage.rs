//! What instances have used: asked of the workers, answered when all of them have, or after a while without the others.

use std::collections::{BTreeMap, BTreeSet};

use qyvol_protocol::api::UsageRow;
use qyvol_protocol::worker::{ToWorker, Used};
use tokio::sync::oneshot;

use super::Overseer;

/// Questions that not all workers have answered.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    last: u64,
    open: BTreeMap<u64, (BTreeSet<String>, oneshot::Sender<()>)>,
}

impl Overseer {
    /// Asks all workers; tells when they have answered.
    pub(crate) fn ask_usage(&mut self) -> oneshot::Receiver<()> {
        let (done, answered) = oneshot::channel();
        self.usage.last += 1;
        let request = self.usage.last;
        self.usage.open.retain(|_, (_, waiting)| !waiting.is_closed());
        self.tell_workers(|_| ToWorker::Usage { request });
        let workers: BTreeSet<String> = self.workers.0.keys().cloned().collect();
        // Without workers the channel closes, which is an answer too.
        if !workers.is_empty() {
            self.usage.open.insert(request, (workers, done));
        }
        answered
    }

    pub(super) fn used(&mut self, worker: &str, request: u64, instances: Vec<Used>) {
        for used in instances {
            if let Some(run) = self.runs.get_mut(&used.instance.generation)
                && run.worker == worker
            {
                run.used = Some(used);
            }
        }
        if let Some((workers, _)) = self.usage.open.get_mut(&request) {
            workers.remove(worker);
        }
        self.answer_complete();
    }

    /// A worker that has ended answers nothing more.
    pub(super) fn forget_asked(&mut self, worker: &str) {
        for (workers, _) in self.usage.open.values_mut() {
            workers.remove(worker);
        }
        self.answer_complete();
    }

    fn answer_complete(&mut self) {
        let complete: Vec<u64> = self
            .usage
            .open
            .iter()
            .filter(|(_, (workers, _))| workers.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for request in complete {
            if let Some((_, done)) = self.usage.open.remove(&request) {
                let _ = done.send(());
            }
        }
    }

    /// What each instance that was started has used. One whose worker has not said it yet has used nothing.
    pub(crate) fn usage_rows(&self) -> Vec<UsageRow> {
        let rows = self.runs.values().map(|run| {
            let limits = self.revision(&run.instance).ok().map(|revision| revision.app.limits.memory);
            let used = run.used.clone().unwrap_or_else(|| Used {
                instance: run.id(),
                cpu_ns: 0,
                memory: 0,
                memory_peak: 0,
                fds: 0,
                connections: 0,
                log_bytes: 0,
                log_dropped: 0,
                requests: 0,
            });
            UsageRow {
                instance: run.id(),
                cpu_ns: used.cpu_ns,
                memory: used.memory,
                memory_limit: limits.unwrap_or(0),
                fds: used.fds,
                connections: used.connections,
                log_bytes: used.log_bytes,
                log_dropped: used.log_dropped,
                requests: used.requests,
            }
        });
        let mut rows: Vec<UsageRow> = rows.collect();
        rows.sort_by(|a, b| a.instance.cmp(&b.instance));
        rows
    }
}
