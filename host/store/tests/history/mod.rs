//! Random histories of the state on a simulated disk, beside a model of what was acknowledged.
//!
//! The disk is cut at a random operation, the power or the process is lost, and what is found must be the model before or
//! after the change that was cut. Every change is one acknowledgement.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use qyv_spec::app::Hash;
use qyv_spec::manifest::EnvName;
use qyv_spec::service::Name;
use qyvol_protocol::api::{DeployApp, Event};
use qyvold_store::disk::sim::{Random, SimDisk};
use qyvold_store::{Arrived, Blobs, Change, Desired, REVISIONS_MAX, Result, RevisionRecord, Secrets, Store};

/// How often a history is cut and taken up again.
const ROUNDS: usize = 3;
/// How many changes are begun in a round, at most.
const CHANGES: usize = 16;
/// Where the disk is cut: opening takes about 40 operations, a change 4 to 10.
const OPERATIONS: usize = 160;
const APPS: [&str; 3] = ["logger", "web", "db"];
const SECRETS: [&str; 2] = ["TOKEN", "KEY"];
const BUNDLES: usize = 5;

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    apps: BTreeMap<&'static str, App>,
    events: Vec<(u64, String)>,
    blobs: BTreeSet<Hash>,
    secrets: BTreeMap<&'static str, Vec<u8>>,
    lease: u64,
    /// The first generation of an app that is new. It shows only then.
    generation: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct App {
    revision: u64,
    desired: Desired,
    replicas: u32,
    generation: u64,
    revisions: BTreeMap<u64, (Hash, Vec<String>)>,
}

struct World {
    store: Store,
    blobs: Blobs,
    secrets: Secrets,
}

/// Goes through the history of `seed`, with syncs of the kind `lie` doing nothing. Panics when something that was acknowledged
/// is lost or half of something is seen. Tells which kinds of syncs there were.
pub(crate) fn run(seed: u64, identity: &Path, lie: Option<&str>) -> BTreeSet<String> {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new(random.next());
    if let Some(site) = lie {
        disk.ignore_sync(site);
    }
    let mut acknowledged = Model::default();
    for _ in 0..ROUNDS {
        let mut begun = acknowledged.clone();
        disk.cut_after(random.below(OPERATIONS) as u64);
        if let Ok(world) = World::open(&disk, identity) {
            for _ in 0..random.below(CHANGES) {
                match change(&world, &mut begun, &mut random) {
                    Ok(()) => acknowledged.clone_from(&begun),
                    Err(_) if disk.is_cut() => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        disk = if random.below(4) == 0 { disk.kill() } else { disk.power_loss() };
        let world = World::open(&disk, identity).unwrap_or_else(|error| panic!("{error}"));
        let found = world.look();
        let is = |model: &Model| found == Model { generation: 0, ..model.clone() };
        if is(&begun) {
            acknowledged = begun;
        } else {
            assert!(is(&acknowledged), "found {found:#?}\nafter {acknowledged:#?}\nand perhaps {begun:#?}");
        }
        acknowledged.lease += 1;
    }
    disk.sync_sites()
}

impl World {
    fn open(disk: &SimDisk, identity: &Path) -> Result<Self> {
        let disk = Arc::new(disk.clone());
        let store = Store::open(disk.clone())?;
        let blobs = Blobs::open(disk.clone(), &store)?;
        let secrets = Secrets::open(disk, identity)?;
        Ok(Self { store, blobs, secrets })
    }

    /// All that is there, and that it fits together. Takes a lease.
    fn look(&self) -> Model {
        let mut model = Model::default();
        for stored in self.store.apps().unwrap() {
            let revisions = self.store.revisions(&stored.name).unwrap().into_iter();
            let app = App {
                revision: stored.app.revision,
                desired: stored.app.desired,
                replicas: stored.app.replicas,
                generation: stored.app.generation,
                revisions: revisions
                    .map(|(number, record)| (number, (record.request.bundle, record.request.args)))
                    .collect(),
            };
            model.apps.insert(known(&APPS, stored.name.as_str()), app);
        }
        let events = self.store.events(0, usize::MAX).unwrap();
        model.events = events.into_iter().map(|event| (event.id, event.message)).collect();
        model.blobs = self.store.blobs().unwrap().into_iter().map(|(hash, _)| hash).collect();
        for hash in &model.blobs {
            let file = self.blobs.open_blob(hash).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_at(0, &mut bytes).unwrap();
            assert_eq!(Hash::of(&bytes), *hash, "a blob is not whole");
        }
        assert!(self.store.blobs_in_use().unwrap().is_subset(&model.blobs), "a revision lacks its blob");
        for secret in self.secrets.list().unwrap() {
            let value = self.secrets.get(&secret.name).unwrap().to_vec();
            model.secrets.insert(known(&SECRETS, secret.name.as_str()), value);
        }
        model.lease = self.store.next_lease().unwrap() - 1;
        model
    }
}

fn known(names: &[&'static str], name: &str) -> &'static str {
    names.iter().find(|known| **known == name).unwrap()
}

/// Makes one change, and makes it of the model first: when it is cut, it may be there or not.
fn change(world: &World, model: &mut Model, random: &mut Random) -> Result<()> {
    let name = APPS[random.below(APPS.len())];
    match random.below(13) {
        0..=1 => take_in(world, model, random),
        2 => take_in_many(world, model, random),
        3..=5 => deploy(world, model, random),
        6 => remove(world, model, name),
        7 => set(world, model, name, random),
        8 => world.store.write(|change| append(change, model, "an event")),
        9 => collect(world, model),
        10 => {
            model.lease += 1;
            let lease = world.store.next_lease()?;
            assert_eq!(lease, model.lease);
            Ok(())
        }
        11 => secret(world, model, random),
        _ => deploy_new(world, model, random),
    }
}

fn take_in(world: &World, model: &mut Model, random: &mut Random) -> Result<()> {
    let bundle = bundle(random.below(BUNDLES));
    let hash = Hash::of(&bundle);
    model.blobs.insert(hash);
    if random.below(3) == 0 && world.blobs.renew(&world.store, &hash, 0)? {
        return Ok(());
    }
    let mut intake = world.blobs.begin(hash, 1 << 20)?;
    for part in bundle.chunks(1500) {
        intake.write(part)?;
    }
    intake.finish(&world.store, "an app", 0).map(drop)
}

/// Several bundles that become safe together.
fn take_in_many(world: &World, model: &mut Model, random: &mut Random) -> Result<()> {
    let arrived = arrive(world, model, random)?;
    world.store.write(|change| arrived.keep(change))
}

/// An app and its bundle, with others that came along, in one transaction.
fn deploy_new(world: &World, model: &mut Model, random: &mut Random) -> Result<()> {
    let arrived = arrive(world, model, random)?;
    deploy_with(world, model, random, |change| arrived.keep(change))
}

fn arrive(world: &World, model: &mut Model, random: &mut Random) -> Result<Arrived> {
    let mut batch = world.blobs.batch();
    for _ in 0..=random.below(BUNDLES) {
        let bundle = bundle(random.below(BUNDLES));
        let hash = Hash::of(&bundle);
        model.blobs.insert(hash);
        let mut intake = world.blobs.begin(hash, 1 << 20)?;
        intake.write(&bundle)?;
        batch.add(intake, "an app")?;
    }
    batch.arrive(0)
}

/// Several apps as one deployment, of bundles that are there.
fn deploy(world: &World, model: &mut Model, random: &mut Random) -> Result<()> {
    deploy_with(world, model, random, |_| Ok(()))
}

fn deploy_with(
    world: &World,
    model: &mut Model,
    random: &mut Random,
    first: impl FnOnce(&mut Change<'_>) -> Result<()>,
) -> Result<()> {
    if model.blobs.is_empty() {
        return Ok(());
    }
    let mut requests: Vec<(&'static str, RevisionRecord)> = Vec::new();
    for name in APPS {
        if random.below(2) == 0 {
            continue;
        }
        let bundle = *model.blobs.iter().nth(random.below(model.blobs.len())).unwrap();
        let args = vec![random.below(9).to_string()];
        let request = DeployApp { args, ..request(bundle) };
        requests.push((name, RevisionRecord { deployed: random.next(), version: "1.0.0".into(), request }));
    }
    world.store.write(|change| {
        first(change)?;
        for (name, record) in requests {
            let fresh = || App {
                revision: 0,
                desired: Desired::Running,
                replicas: 1,
                generation: model.generation.max(1),
                revisions: BTreeMap::new(),
            };
            let app = model.apps.entry(name).or_insert_with(fresh);
            let content = (record.request.bundle, record.request.args.clone());
            if app.revisions.get(&app.revision) != Some(&content) {
                app.revision = app.revisions.keys().last().copied().unwrap_or(0) + 1;
                app.revisions.insert(app.revision, content);
                if app.revisions.len() > REVISIONS_MAX {
                    app.revisions.pop_first();
                }
            }
            app.desired = Desired::Running;
            let expected = app.revision;
            assert_eq!(change.deploy(&self::name(name), record)?.revision, expected);
            append(change, model, &format!("deployed {name}"))?;
        }
        Ok(())
    })
}

fn remove(world: &World, model: &mut Model, name: &'static str) -> Result<()> {
    let Some(app) = model.apps.remove(name) else { return Ok(()) };
    model.generation = model.generation.max(app.generation);
    world.store.write(|change| {
        change.remove(&self::name(name))?;
        append(change, model, "removed")
    })
}

/// All of it, or none.
fn set(world: &World, model: &mut Model, name: &'static str, random: &mut Random) -> Result<()> {
    let Some(app) = model.apps.get_mut(name) else { return Ok(()) };
    let name = self::name(name);
    let revision = *app.revisions.keys().nth(random.below(app.revisions.len())).unwrap();
    let replicas = u32::try_from(random.below(9)).unwrap();
    (app.revision, app.replicas, app.desired) = (revision, replicas, Desired::Stopped);
    world.store.write(|change| {
        change.rollback(&name, Some(revision))?;
        change.set_replicas(&name, replicas)?;
        change.set_desired(&name, Desired::Stopped)?;
        let reserved = change.reserve_generations(&name)?;
        assert_eq!(reserved.start, app.generation, "a generation is given twice, or lost");
        app.generation = reserved.end;
        Ok(())
    })
}

fn collect(world: &World, model: &mut Model) -> Result<()> {
    let used: BTreeSet<Hash> =
        model.apps.values().flat_map(|app| app.revisions.values().map(|(hash, _)| *hash)).collect();
    let before = model.blobs.len();
    model.blobs.retain(|hash| used.contains(hash));
    let collected = world.blobs.collect(&world.store, 0, 0)?;
    assert_eq!(collected.blobs, (before - model.blobs.len()) as u64);
    Ok(())
}

fn secret(world: &World, model: &mut Model, random: &mut Random) -> Result<()> {
    let name = SECRETS[random.below(SECRETS.len())];
    let env: EnvName = name.parse().unwrap();
    if random.below(2) == 0 && model.secrets.remove(name).is_some() {
        return world.secrets.remove(&env);
    }
    let value = random.next().to_le_bytes().to_vec();
    model.secrets.insert(name, value.clone());
    world.secrets.set(&env, &value)
}

fn append(change: &mut Change<'_>, model: &mut Model, message: &str) -> Result<()> {
    let id = model.events.last().map_or(0, |(id, _)| *id) + 1;
    model.events.push((id, message.to_owned()));
    let (kind, message) = ("state".to_owned(), message.to_owned());
    let event = Event { id: 0, time: 0, kind, app: None, instance: None, state: None, message };
    assert_eq!(change.append_event(event)?, id);
    Ok(())
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn request(bundle: Hash) -> DeployApp {
    serde_json::from_value(serde_json::json!({ "bundle": bundle })).unwrap()
}

fn bundle(number: usize) -> Vec<u8> {
    let mut random = Random::new(number as u64);
    (0..number * 900).map(|_| random.next().to_le_bytes()[0]).collect()
}
