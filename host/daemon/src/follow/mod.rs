//! The folder of manifests that the daemon follows: what lies in it is deployed, deployed again when it changes, and
//! removed, but for its volume, when it goes.
//!
//! A thread looks at the folder: when the kernel says that something happened there, and every few seconds, since it does
//! not say everything. Reading manifests and packing are done by a child process, which deploys over the API as a person
//! would: YAML is parsed outside the daemon, and a file that cannot be read ends that process and nothing else. Which app
//! a file stands for is stored with the app ([`DeployApp::manifest`]), in the transaction that deploys it.
//!
//! [`DeployApp::manifest`]: qyvol_protocol::api::DeployApp::manifest

mod book;
mod child;
mod look;
mod notice;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use qyv_spec::service::Name;
use qyvol_protocol::api::Manifests;
use qyvol_protocol::followed::{Ask, Placed};

use crate::Options;
use crate::overseer::{Handle, Message, Overseer};
use book::Book;
pub(crate) use look::place;

/// How often the folder is looked at when nothing is said to have happened.
const PERIOD: Duration = Duration::from_secs(10);

/// The same while the kernel tells nothing, because there is no such folder or no way to watch it.
const PERIOD_UNTOLD: Duration = Duration::from_secs(2);

/// The pause between two looks while files change.
const NAP: Duration = Duration::from_millis(100);

/// What is told to clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed(Arc<Mutex<Manifests>>);

impl Followed {
    /// The files as they were at the last look.
    pub(crate) fn manifests(&self) -> Manifests {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, manifests: Manifests) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = manifests;
    }
}

/// An app that stands for a file of the folder.
#[derive(Clone, Debug)]
pub(crate) struct PlacedApp {
    pub(crate) app: Name,
    pub(crate) placed: Placed,
    /// When it was deployed, in milliseconds since 1970.
    pub(crate) deployed: u64,
}

/// Follows the folder until the daemon ends.
pub(crate) fn start(options: Arc<Options>, handle: Handle) -> Result<Followed, String> {
    let followed = Followed::default();
    let told = followed.clone();
    let work = move || Follower { options, handle, book: Book::default(), followed: told }.work();
    thread::Builder::new().name("manifests".into()).spawn(work).map_err(|error| error.to_string())?;
    Ok(followed)
}

struct Follower {
    options: Arc<Options>,
    handle: Handle,
    book: Book,
    followed: Followed,
}

impl Follower {
    fn work(mut self) {
        let mut notice = notice::Notice::new();
        loop {
            let told = notice.watch(&self.options.manifests);
            if self.round().is_none() {
                return;
            }
            let period = if told { PERIOD } else { PERIOD_UNTOLD };
            if self.book.is_unsettled() {
                thread::sleep(NAP);
            } else {
                notice.wait(period);
                // Many small changes are one look.
                thread::sleep(NAP / 4);
            }
        }
    }

    /// Looks once, and does what follows; `None` when the daemon ends.
    fn round(&mut self) -> Option<()> {
        let folder = &self.options.manifests;
        let listing = look::look(folder, &|file| self.book.watched(file));
        let place = place(folder);
        let deployed = self.ask(move |overseer| overseer.placed(&place))?;
        let mut problems = self.book.see(listing, &deployed, Instant::now());
        let due = self.book.due(Instant::now());
        if !due.is_empty() {
            let still = deployed.iter().filter(|app| self.book.has(&app.placed.file));
            let still: BTreeMap<Name, Placed> =
                still.map(|app| (app.app.clone(), app.placed.clone())).collect();
            let started = std::time::SystemTime::now();
            let book = &mut self.book;
            child::deploy(&self.options, &Ask { files: due, deployed: still }, &mut |told| {
                problems.extend(book.told(told, started, Instant::now()));
            });
        }
        for app in self.book.gone(&deployed, Instant::now()) {
            self.remove(app)?;
        }
        self.followed.set(self.book.manifests(folder));
        if !problems.is_empty() {
            self.ask(move |overseer| {
                for (file, app, problem) in problems {
                    overseer.tell_of_manifest(&file, app.as_ref(), &problem);
                }
            })?;
        }
        Some(())
    }

    fn remove(&self, app: PlacedApp) -> Option<()> {
        self.ask(move |overseer| {
            let (app, file) = (app.app, app.placed.file);
            overseer.tell_of_manifest(&file, Some(&app), "it is gone, and its app with it");
            if let Err(fault) = overseer.remove_app(&app) {
                overseer.tell_of_manifest(&file, Some(&app), &fault.to_string());
            }
        })
    }

    /// Does something on the overseer's thread, and waits for it; `None` when the daemon ends.
    fn ask<T: Send + 'static>(&self, job: impl FnOnce(&mut Overseer) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        let job = move |overseer: &mut Overseer| {
            let _ = answer.send(job(overseer));
        };
        self.handle.inbox.send(Message::Do(Box::new(job))).ok()?;
        answered.recv().ok()
    }
}

/// The file of the followed folder that `file` is, when it lies there.
pub(crate) fn file_within(folder: &Path, file: &str) -> Option<String> {
    let path = Path::new(file);
    let parent = path.parent()?.canonicalize().ok()?;
    let within = parent == folder.canonicalize().ok()?;
    let clean = parent.join(path.file_name()?).into_os_string().into_string().ok()?;
    within.then_some(clean)
}
