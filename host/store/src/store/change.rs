//! What can be changed, within one transaction.

use std::collections::BTreeSet;
use std::ops::Range;

use qyv_spec::app::Hash;
use qyv_spec::service::Name;
use qyvol_protocol::api::{DEPLOY_APPS_MAX, Event};
use redb::{ReadableTable, Table, WriteTransaction};

use super::records::{self, AppRecord, BlobRecord, Desired, RevisionRecord, decode, encode};
use super::{
    APPS, BLOBS, EVENTS, EVENTS_MAX, GENERATIONS_BLOCK, META, META_EVENT, META_GENERATION, REVISIONS,
    REVISIONS_MAX,
};
use crate::{Error, Result};

/// A change of the state that is under way: what it does is seen by its own later calls, and by nobody else before the end.
#[derive(Debug)]
pub struct Change<'a> {
    meta: Table<'a, &'static str, &'static str>,
    apps: Table<'a, &'static str, &'static [u8]>,
    revisions: Table<'a, (&'static str, u64), &'static [u8]>,
    events: Table<'a, u64, &'static [u8]>,
    blobs: Table<'a, &'static str, &'static [u8]>,
    deployed: usize,
}

/// What became of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The revision that is to run: a new one, or that which was when nothing has changed.
    pub revision: u64,
    /// Whether anything differs from what was: the revision, the replicas, or that it was stopped.
    pub changed: bool,
}

impl<'a> Change<'a> {
    pub(super) fn new(write: &'a WriteTransaction) -> Result<Self> {
        Ok(Self {
            meta: write.open_table(META)?,
            apps: write.open_table(APPS)?,
            revisions: write.open_table(REVISIONS)?,
            events: write.open_table(EVENTS)?,
            blobs: write.open_table(BLOBS)?,
            deployed: 0,
        })
    }

    /// Deploys an app: a new revision, unless it equals that which is to run but for its time. `request.replicas` of `None`
    /// leaves what was, or is one. The app is meant to run from now on; revisions beyond [`REVISIONS_MAX`] are forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the bundle is not stored; [`Error::TooLarge`] beyond [`DEPLOY_APPS_MAX`] in one change.
    pub fn deploy(&mut self, name: &Name, mut revision: RevisionRecord) -> Result<Deployed> {
        self.deployed += 1;
        if self.deployed > DEPLOY_APPS_MAX {
            let what = "the deployment".to_owned();
            return Err(Error::TooLarge { what, limit: DEPLOY_APPS_MAX as u64, unit: "apps" });
        }
        let bundle = revision.request.bundle;
        if self.blob(&bundle)?.is_none() {
            return Err(Error::NotFound(format!("bundle `{bundle}` of `{name}`; upload it first")));
        }
        let replicas = revision.request.replicas.take();
        let Some(before) = self.app(name)? else {
            let generation = number(&self.meta, META_GENERATION)?.max(1);
            let replicas = replicas.unwrap_or(1);
            let desired = Desired::Running;
            let app = AppRecord { revision: 1, last_revision: 1, desired, replicas, generation, life: None };
            self.put_revision(name, 1, &revision)?;
            self.put_app(name, &app)?;
            return Ok(Deployed { revision: 1, changed: true });
        };
        let mut app = before.clone();
        let current = self.revision(name, app.revision)?;
        if current.version != revision.version || current.request != revision.request {
            app.last_revision += 1;
            app.revision = app.last_revision;
            self.put_revision(name, app.revision, &revision)?;
            self.forget_revisions(name)?;
        }
        app.desired = Desired::Running;
        app.replicas = replicas.unwrap_or(app.replicas);
        self.put_app(name, &app)?;
        Ok(Deployed { revision: app.revision, changed: app != before })
    }

    /// Goes back to an earlier revision, `None` being the newest one before that which is to run; tells which it is. The app
    /// is meant to run from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such app, or the revision is not kept.
    pub fn rollback(&mut self, name: &Name, revision: Option<u64>) -> Result<u64> {
        let mut app = self.known(name)?;
        let found = match revision {
            Some(number) => self.revision_bytes(name, number)?.map(|_| number),
            None => self.revision_numbers(name)?.into_iter().rev().find(|number| *number < app.revision),
        };
        app.revision = found.ok_or_else(|| {
            Error::NotFound(match revision {
                Some(number) => format!("revision {number} of `{name}`; the last {REVISIONS_MAX} are kept"),
                None => format!("revision of `{name}` before {}", app.revision),
            })
        })?;
        app.desired = Desired::Running;
        self.put_app(name, &app)?;
        Ok(app.revision)
    }

    /// Whether an app is meant to run.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such app.
    pub fn set_desired(&mut self, name: &Name, desired: Desired) -> Result<()> {
        let app = self.known(name)?;
        self.put_app(name, &AppRecord { desired, ..app })
    }

    /// How many replicas of an app are to run.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such app.
    pub fn set_replicas(&mut self, name: &Name, replicas: u32) -> Result<()> {
        let app = self.known(name)?;
        self.put_app(name, &AppRecord { replicas, ..app })
    }

    /// What the supervisor is to be told of an app at the daemon's next start.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such app.
    pub fn set_life(&mut self, name: &Name, life: serde_json::Value) -> Result<()> {
        let app = self.known(name)?;
        self.put_app(name, &AppRecord { life: Some(life), ..app })
    }

    /// Reserves [`GENERATIONS_BLOCK`] generations of an app: numbers that none of its instances has had, not even of an app
    /// that had its name before.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such app.
    pub fn reserve_generations(&mut self, name: &Name) -> Result<Range<u64>> {
        let app = self.known(name)?;
        let range = app.generation..app.generation.saturating_add(GENERATIONS_BLOCK);
        self.put_app(name, &AppRecord { generation: range.end, ..app })?;
        Ok(range)
    }

    /// Forgets an app and its revisions.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such app.
    pub fn remove(&mut self, name: &Name) -> Result<()> {
        let app = self.known(name)?;
        for number in self.revision_numbers(name)? {
            self.revisions.remove((name.as_str(), number))?;
        }
        self.apps.remove(name.as_str())?;
        let floor = number(&self.meta, META_GENERATION)?.max(app.generation);
        self.put_number(META_GENERATION, floor)
    }

    /// Appends an event and numbers it; `event.id` is not looked at. The oldest beyond [`EVENTS_MAX`] is forgotten.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn append_event(&mut self, mut event: Event) -> Result<u64> {
        event.id = self.count(META_EVENT)?;
        self.events.insert(event.id, encode(&event)?.as_slice())?;
        if let Some(old) = event.id.checked_sub(EVENTS_MAX) {
            self.events.remove(old)?;
        }
        Ok(event.id)
    }

    /// What is known of an app.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], and the disk's.
    pub fn app(&self, name: &Name) -> Result<Option<AppRecord>> {
        let value = self.apps.get(name.as_str())?;
        value.map(|value| decode(|| format!("the app `{name}`"), value.value())).transpose()
    }

    /// Adds one to a number of the table `meta`.
    pub(super) fn count(&mut self, key: &str) -> Result<u64> {
        let next = number(&self.meta, key)?.saturating_add(1);
        self.put_number(key, next)?;
        Ok(next)
    }

    pub(crate) fn blob(&self, hash: &Hash) -> Result<Option<BlobRecord>> {
        let value = self.blobs.get(hash.to_string().as_str())?;
        value.map(|value| decode(|| format!("the blob `{hash}`"), value.value())).transpose()
    }

    pub(crate) fn put_blob(&mut self, hash: &Hash, blob: &BlobRecord) -> Result<()> {
        let value = encode(blob)?;
        self.blobs.insert(hash.to_string().as_str(), value.as_slice())?;
        Ok(())
    }

    /// Forgets the blobs that no kept revision needs and that `which` is for; tells which those were.
    pub(crate) fn forget_blobs(
        &mut self,
        which: impl Fn(&Hash, &BlobRecord) -> bool,
    ) -> Result<Vec<(Hash, BlobRecord)>> {
        let used = blobs_in_use(&self.revisions)?;
        let mut forgotten = Vec::new();
        for row in self.blobs.iter()? {
            let (key, value) = row?;
            let hash = records::hash(key.value())?;
            let blob: BlobRecord = decode(|| format!("the blob `{hash}`"), value.value())?;
            if !used.contains(&hash) && which(&hash, &blob) {
                forgotten.push((hash, blob));
            }
        }
        for (hash, _) in &forgotten {
            self.blobs.remove(hash.to_string().as_str())?;
        }
        Ok(forgotten)
    }

    fn known(&self, name: &Name) -> Result<AppRecord> {
        self.app(name)?.ok_or_else(|| Error::NotFound(format!("app `{name}`")))
    }

    fn put_app(&mut self, name: &Name, app: &AppRecord) -> Result<()> {
        let value = encode(app)?;
        self.apps.insert(name.as_str(), value.as_slice())?;
        Ok(())
    }

    fn revision(&self, name: &Name, number: u64) -> Result<RevisionRecord> {
        let what = || format!("revision {number} of `{name}`");
        let bytes = self.revision_bytes(name, number)?;
        decode(what, &bytes.ok_or_else(|| Error::corrupt(what(), "it is missing"))?)
    }

    fn revision_bytes(&self, name: &Name, number: u64) -> Result<Option<Vec<u8>>> {
        let value = self.revisions.get((name.as_str(), number))?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn put_revision(&mut self, name: &Name, number: u64, revision: &RevisionRecord) -> Result<()> {
        let value = encode(revision)?;
        self.revisions.insert((name.as_str(), number), value.as_slice())?;
        Ok(())
    }

    fn revision_numbers(&self, name: &Name) -> Result<Vec<u64>> {
        let rows = self.revisions.range((name.as_str(), 0)..=(name.as_str(), u64::MAX));
        rows?.map(|row| Ok(row?.0.value().1)).collect()
    }

    fn forget_revisions(&mut self, name: &Name) -> Result<()> {
        let numbers = self.revision_numbers(name)?;
        for number in &numbers[..numbers.len().saturating_sub(REVISIONS_MAX)] {
            self.revisions.remove((name.as_str(), *number))?;
        }
        Ok(())
    }

    fn put_number(&mut self, key: &str, number: u64) -> Result<()> {
        self.meta.insert(key, number.to_string().as_str())?;
        Ok(())
    }
}

/// A number of the table `meta`, 0 when it was never set.
pub(super) fn number(meta: &impl ReadableTable<&'static str, &'static str>, key: &str) -> Result<u64> {
    let value = meta.get(key)?;
    value.map_or(Ok(0), |value| {
        value.value().parse().map_err(|_| Error::corrupt("the state", format!("its `{key}` is no number")))
    })
}

/// Derived each time: a counter could drift.
pub(super) fn blobs_in_use(
    revisions: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
) -> Result<BTreeSet<Hash>> {
    let mut used = BTreeSet::new();
    for row in revisions.iter()? {
        let (key, value) = row?;
        let (name, number) = key.value();
        let revision: RevisionRecord = decode(|| format!("revision {number} of `{name}`"), value.value())?;
        used.insert(revision.request.bundle);
    }
    Ok(used)
}
