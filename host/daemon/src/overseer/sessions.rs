//! Programs that clients run beside instances, and clients who watch them: their connections go to the workers.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use qyv_spec::service::Name;
use qyvol_protocol::worker::{Exec, Packaged, ToWorker};

use super::Overseer;
use super::run::{Revision, Run};
use crate::fault::{Fault, Kind};

/// Another program of an app than that of its instances.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) packaged: Packaged,
    /// The bundle that it is in, and its name there.
    pub(crate) bundle: PathBuf,
    pub(crate) name: String,
}

impl Overseer {
    /// The instance that is meant by `slot`, and the program that is meant by `path` in its bundle: `None` is its own.
    pub(crate) fn session_target(
        &self,
        app: &Name,
        slot: Option<u32>,
        path: Option<&str>,
    ) -> Result<(u64, Option<Program>), Fault> {
        let run = self.session_run(app, slot)?;
        let Some(path) = path else { return Ok((run.instance.lease, None)) };
        let revision = self.revision(&run.instance).map_err(Fault::internal)?;
        Ok((run.instance.lease, self.packaged(&revision, path)?))
    }

    /// The program that is meant by `path` in the bundle of a revision: `None` is its own.
    pub(super) fn packaged(&self, revision: &Revision, path: &str) -> Result<Option<Program>, Fault> {
        let app = &revision.app.name;
        let place = path.parse::<qyv_spec::manifest::GuestPath>();
        let place = place.map_err(|invalid| Fault::invalid(invalid.message))?;
        let name = place.as_str().trim_start_matches('/');
        let wasm = name.ends_with(".wasm");
        let file = revision.app.files.iter().find(|file| wasm && file.path.as_str() == name);
        let file = file.ok_or_else(|| {
            Fault::new(Kind::NotFound, format!("the bundle of `{app}` has no program `{path}`"))
                .hint("list it under `files` in the manifest; the program of the app itself needs no path")
        })?;
        if file.path == revision.app.entrypoint {
            return Ok(None);
        }
        let (bundle, name) = (self.bundle_path(&revision.request.bundle), name.to_owned());
        let packaged = Packaged { path: place, module: file.blake3 };
        Ok(Some(Program { packaged, bundle, name }))
    }

    fn session_run(&self, app: &Name, slot: Option<u32>) -> Result<&Run, Fault> {
        self.app(app)?;
        let meant =
            |run: &&Run| run.instance.app == *app && slot.is_none_or(|slot| slot == run.instance.slot);
        // While one generation replaces another, the later one.
        let order = |run: &&Run| (std::cmp::Reverse(run.instance.slot), run.instance.lease);
        self.runs.values().filter(meant).max_by_key(order).ok_or_else(|| {
            let which = slot.map_or_else(|| app.to_string(), |slot| format!("{app}.{slot}"));
            Fault::new(Kind::Conflict, format!("`{which}` does not run"))
                .hint(format!("`qyvol ps` tells why; start it with `qyvol start {app}`"))
        })
    }

    /// Hands a client's connection to the worker of an instance, to run a program beside it. Dropping the connection is all
    /// that is left to say when the instance has ended meanwhile.
    pub(crate) fn exec(&mut self, lease: u64, wanted: Wanted, connection: OwnedFd) {
        let Some(run) = self.runs.get(&lease) else { return };
        let instance = run.instance.clone();
        let Wanted { program, args, env, stdin } = wanted;
        let name = program.as_ref().map_or(instance.app.as_str(), |program| program.path.as_str());
        let told = format!("`{name}` is run beside it");
        let exec = Exec { instance: run.id(), program, args, env, stdin };
        if let Some(worker) = self.workers.0.get(&run.worker) {
            worker.link.send(ToWorker::Exec(Box::new(exec)), vec![connection]);
            // Not its arguments: they may hold what is nobody's business.
            self.tell_later("exec", Some(&instance), None, told);
        }
    }

    /// Hands a client's connection to the worker of an instance, to watch what it prints.
    pub(crate) fn attach(&self, lease: u64, connection: OwnedFd) {
        let Some(run) = self.runs.get(&lease) else { return };
        if let Some(worker) = self.workers.0.get(&run.worker) {
            worker.link.send(ToWorker::Attach { instance: run.id() }, vec![connection]);
        }
    }
}

/// What is to run beside an instance.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) program: Option<Packaged>,
    pub(crate) args: Vec<String>,
    pub(crate) env: std::collections::BTreeMap<String, String>,
    pub(crate) stdin: bool,
}
