//! Who serves what, for workers.

use qyvol_protocol::worker::{Route, ToWorker};

use super::Overseer;

impl Overseer {
    /// Tells the workers who serves what, when that has changed. Before any start that follows from it: what an app
    /// waited for is there when it dials.
    pub(super) fn send_routes(&mut self) {
        if !std::mem::take(&mut self.routes_changed) {
            return;
        }
        let sockets = self.service_sockets();
        self.tell_workers(|worker| ToWorker::Routes(self.routes(worker, &sockets)));
    }

    /// The routes as `worker` sees them.
    pub(super) fn routes(
        &self,
        worker: &str,
        sockets: &std::collections::BTreeMap<String, std::path::PathBuf>,
    ) -> Vec<Route> {
        let mut routes = Vec::new();
        for run in self.runs.values() {
            let Ok(revision) = self.revision(&run.instance) else { continue };
            for service in &revision.app.services {
                let key = (service.name.clone(), service.port);
                routes.push(Route {
                    service: service.clone(),
                    description: revision.app.description.clone(),
                    instance: run.id(),
                    socket: sockets.get(&run.worker).filter(|_| run.worker != worker).cloned(),
                    up: run.serving.get(&key).copied().unwrap_or(false),
                });
            }
        }
        routes
    }
}
