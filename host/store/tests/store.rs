//! The store and the blobs by their promises, one at a time.

use std::sync::Arc;

use qyv_spec::app::Hash;
use qyv_spec::service::Name;
use qyvol_protocol::api::{DEPLOY_APPS_MAX, DeployApp, Event};
use qyvold_store::disk::sim::SimDisk;
use qyvold_store::{
    Arrived, BATCH_FILES_MAX, BLOB_GRACE_MS, Blobs, Collected, Deployed, Desired, Disk as _, EVENTS_MAX,
    Error, GENERATIONS_BLOCK, REVISIONS_MAX, RevisionRecord, StateFolder, Store, blob_path,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn open(disk: &SimDisk) -> (Store, Blobs) {
    let store = Store::open(Arc::new(disk.clone())).unwrap();
    let blobs = Blobs::open(Arc::new(disk.clone()), &store).unwrap();
    (store, blobs)
}

fn store_blob(store: &Store, blobs: &Blobs, bytes: &[u8], now: u64) -> Hash {
    let mut intake = blobs.begin(Hash::of(bytes), 1000).unwrap();
    intake.write(bytes).unwrap();
    intake.finish(store, "an app 1.0.0", now).unwrap();
    Hash::of(bytes)
}

fn revision(bundle: Hash, argument: &str, replicas: Option<u32>) -> RevisionRecord {
    let request = serde_json::json!({ "bundle": bundle, "args": [argument], "replicas": replicas });
    let request: DeployApp = serde_json::from_value(request).unwrap();
    RevisionRecord { deployed: 5, version: "1.0.0".into(), request }
}

fn event(message: &str) -> Event {
    let (kind, message) = ("state".to_owned(), message.to_owned());
    Event { id: 77, time: 0, kind, app: None, instance: None, state: None, message }
}

#[test]
fn a_deployment_makes_a_revision_only_when_something_differs() {
    let (store, blobs) = open(&SimDisk::new(1));
    let bundle = store_blob(&store, &blobs, b"one", 0);
    let app = name("web");
    let deploy = |argument: &str, replicas| {
        store.write(|change| change.deploy(&app, revision(bundle, argument, replicas))).unwrap()
    };
    assert_eq!(deploy("a", None), Deployed { revision: 1, changed: true });
    assert_eq!(deploy("a", None), Deployed { revision: 1, changed: false });
    assert_eq!(deploy("a", Some(3)), Deployed { revision: 1, changed: true });
    assert_eq!(deploy("b", None), Deployed { revision: 2, changed: true });
    let stored = store.app(&app).unwrap().unwrap();
    assert_eq!((stored.app.replicas, stored.revision.request.replicas), (3, None));
    store.write(|change| change.set_desired(&app, Desired::Stopped)).unwrap();
    assert_eq!(deploy("b", None), Deployed { revision: 2, changed: true });
    assert_eq!(store.apps().unwrap()[0].app.desired, Desired::Running);

    assert_eq!(store.write(|change| change.rollback(&app, None)).unwrap(), 1);
    assert!(matches!(store.write(|change| change.rollback(&app, None)), Err(Error::NotFound(_))));
    assert_eq!(deploy("c", None).revision, 3, "a number is never used twice");
    for number in 0..20 {
        deploy(&number.to_string(), None);
    }
    let numbers: Vec<u64> = store.revisions(&app).unwrap().into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (14..=23).rev().collect::<Vec<_>>());
    assert_eq!(numbers.len(), REVISIONS_MAX);
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let (store, blobs) = open(&SimDisk::new(1));
    let bundle = store_blob(&store, &blobs, b"one", 0);
    let failed = store.write(|change| {
        change.deploy(&name("a"), revision(bundle, "", None))?;
        change.append_event(event("deployed"))?;
        change.deploy(&name("b"), revision(Hash::of(b"missing"), "", None))
    });
    assert!(failed.unwrap_err().to_string().contains("upload it first"));
    assert!(store.apps().unwrap().is_empty() && store.last_event().unwrap() == 0);
    for change in [Desired::Running, Desired::Stopped] {
        let unknown = store.write(|tables| tables.set_desired(&name("a"), change));
        assert!(matches!(unknown, Err(Error::NotFound(_))));
    }
}

#[test]
fn generations_are_never_given_twice_not_even_to_another_app_of_the_same_name() {
    let disk = SimDisk::new(1);
    let (store, blobs) = open(&disk);
    let bundle = store_blob(&store, &blobs, b"one", 0);
    let app = name("web");
    let mut last = 0;
    for _ in 0..3 {
        store.write(|change| change.deploy(&app, revision(bundle, "", None))).unwrap();
        for _ in 0..2 {
            let range = store.write(|change| change.reserve_generations(&app)).unwrap();
            assert!(range.start > last && range.end - range.start == GENERATIONS_BLOCK, "{range:?}");
            last = range.end - 1;
        }
        store.write(|change| change.remove(&app)).unwrap();
    }
    assert_eq!(last, 6 * GENERATIONS_BLOCK);
    drop((store, blobs));
    let (store, _) = open(&disk);
    assert_eq!((store.next_lease().unwrap(), store.next_lease().unwrap()), (1, 2));
}

#[test]
fn the_last_events_are_kept_and_numbered_for_ever() {
    let disk = SimDisk::new(1);
    let (store, _) = open(&disk);
    let append = |store: &Store, count: u64| {
        store.write(|change| (0..count).try_for_each(|_| change.append_event(event("x")).map(drop))).unwrap();
    };
    append(&store, EVENTS_MAX + 5);
    drop(store);
    let (store, _) = open(&disk);
    append(&store, 1);
    let events = store.events(0, usize::MAX).unwrap();
    assert_eq!(events.len() as u64, EVENTS_MAX);
    assert_eq!((events[0].id, store.last_event().unwrap()), (7, EVENTS_MAX + 6));
    let some: Vec<u64> = store.events(100, 2).unwrap().iter().map(|event| event.id).collect();
    assert_eq!(some, [101, 102]);
    assert!(store.events(u64::MAX, 2).unwrap().is_empty());
}

#[test]
fn the_most_apps_are_deployed_by_one_sync_and_no_more() {
    let disk = SimDisk::new(1);
    let (store, blobs) = open(&disk);
    let bundle = store_blob(&store, &blobs, b"one", 0);
    let deploy = |count: usize| {
        store.write(|change| {
            for number in 0..count {
                change.deploy(&name(&format!("app-{number}")), revision(bundle, "", None))?;
            }
            Ok(())
        })
    };
    assert!(matches!(deploy(DEPLOY_APPS_MAX + 1), Err(Error::TooLarge { unit: "apps", .. })));
    assert!(store.apps().unwrap().is_empty());
    deploy(DEPLOY_APPS_MAX).unwrap();
    assert_eq!(store.apps().unwrap().len(), DEPLOY_APPS_MAX);
}

#[test]
fn a_full_disk_refuses_a_change_whole_and_the_store_goes_on() {
    let disk = SimDisk::new(1);
    let (store, blobs) = open(&disk);
    let bundle = store_blob(&store, &blobs, b"one", 0);
    store.write(|change| change.deploy(&name("first"), revision(bundle, "", None))).unwrap();
    for room in [0, 5_000, 20_000] {
        disk.set_room(Some(room));
        let many = store.write(|change| {
            for number in 0..500 {
                change.deploy(&name(&format!("app-{number}")), revision(bundle, "", None))?;
            }
            Ok(())
        });
        assert!(matches!(many, Err(Error::Io { .. })), "{many:?}");
        let mut intake = blobs.begin(Hash::of(&[7; 900]), 1000).unwrap();
        let kept = intake.write(&[7; 900]).and_then(|()| intake.finish(&store, "", 0));
        assert!(room > 900 || kept.is_err());
        disk.set_room(None);
        assert_eq!(store.apps().unwrap().len(), 1);
    }
    store.write(|change| change.deploy(&name("second"), revision(bundle, "", None))).unwrap();
    assert_eq!(store.apps().unwrap().len(), 2);
}

#[test]
fn a_disk_that_does_not_confirm_ends_the_store() {
    let disk = SimDisk::new(1);
    let (store, _) = open(&disk);
    // At some operation of a commit it is a sync that fails, and not a write.
    let mut unconfirmed = false;
    for operations in 0..60 {
        let disk = disk.kill();
        let (store, _) = open(&disk);
        disk.cut_after(operations);
        let failed = store.write(|change| change.append_event(event("x")));
        if matches!(failed, Err(Error::Unconfirmed)) {
            unconfirmed = true;
            assert!(matches!(store.last_event(), Err(Error::Unconfirmed)));
            assert!(matches!(store.next_lease(), Err(Error::Unconfirmed)));
        }
    }
    assert!(unconfirmed);
    assert_eq!(store.last_event().unwrap(), 0);
}

#[test]
fn a_newer_state_is_refused_and_left_as_it_is() {
    let disk = SimDisk::new(1);
    drop(open(&disk));
    disk.create("state-2.redb").unwrap().write_at(0, b"from the future").unwrap();
    let before = disk.list("").unwrap();
    let error = Store::open(Arc::new(disk.clone())).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("install a newer qyvold"), "{error}");
    assert_eq!(disk.list("").unwrap(), before);
}

#[test]
fn a_database_that_is_gone_is_not_begun_anew() {
    let disk = SimDisk::new(1);
    let (store, blobs) = open(&disk);
    let hash = store_blob(&store, &blobs, b"one", 0);
    drop((store, blobs));
    disk.remove("state-1.redb").unwrap();
    let error = Store::open(Arc::new(disk.clone())).unwrap_err();
    assert!(
        matches!(&error, Error::Missing { .. }) && error.to_string().contains("from a backup"),
        "{error}"
    );
    assert!(disk.open(&blob_path(&hash), false).is_ok());
}

#[test]
fn a_damaged_database_is_refused_with_a_way_out() {
    let disk = SimDisk::new(1);
    let (store, blobs) = open(&disk);
    let bundle = store_blob(&store, &blobs, b"one", 0);
    store
        .write(|change| {
            (0..50).try_for_each(|number| {
                change.deploy(&name(&format!("app-{number}")), revision(bundle, "", None)).map(drop)
            })
        })
        .unwrap();
    drop((store, blobs));
    let size = usize::try_from(disk.open("state-1.redb", false).unwrap().len().unwrap()).unwrap();
    let mut refused = 0;
    for offset in (0..size - 64).step_by(1021) {
        let damaged = disk.kill();
        damaged.damage("state-1.redb", offset, &[0xa5; 64]);
        match Store::open(Arc::new(damaged)) {
            // A page that nothing uses.
            Ok(store) => assert_eq!(store.apps().unwrap().len(), 50, "{offset}"),
            Err(error) => {
                assert!(error.to_string().contains("restore"), "{offset}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 5);
    for text in [&b""[..], b"something else", &[0; 100_000]] {
        let disk = SimDisk::new(1);
        disk.create("state-1.redb").unwrap().write_at(0, text).unwrap();
        let error = Store::open(Arc::new(disk)).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
}

/// Version 1 as it was first written. It is read for ever.
#[test]
fn the_first_version_is_read_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let state = StateFolder::open(&path).unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/state-1.redb");
    if std::env::var_os("QYVOL_BLESS").is_some() {
        let store = Store::open(state.disk()).unwrap();
        let blobs = Blobs::open(state.disk(), &store).unwrap();
        let bundle = store_blob(&store, &blobs, b"golden", 1000);
        store.next_lease().unwrap();
        let mut first = revision(bundle, "one", Some(2));
        first.request.env.insert("MODE".to_owned(), "fast".to_owned());
        store
            .write(|change| {
                change.deploy(&name("logger"), first)?;
                change.deploy(&name("logger"), revision(bundle, "two", None))?;
                change.reserve_generations(&name("logger"))?;
                change.append_event(Event { app: Some(name("logger")), ..event("deployed") })
            })
            .unwrap();
        drop((blobs, store));
        std::fs::copy(path.join("state-1.redb"), golden).unwrap();
    }
    std::fs::copy(golden, path.join("state-1.redb")).unwrap();
    let store = Store::open(state.disk()).unwrap();
    let bundle = Hash::of(b"golden");
    let [app] = &store.apps().unwrap()[..] else { panic!("one app") };
    assert_eq!(
        (app.name.as_str(), app.app.revision, app.app.replicas, app.app.generation),
        ("logger", 2, 2, 65)
    );
    assert_eq!(app.app.desired, Desired::Running);
    assert_eq!(app.revision, revision(bundle, "two", None));
    let revisions = store.revisions(&name("logger")).unwrap();
    assert_eq!((revisions.len(), revisions[1].1.request.env["MODE"].as_str()), (2, "fast"));
    let blob = store.blob(&bundle).unwrap().unwrap();
    assert_eq!((blob.size, blob.app.as_str(), blob.stored), (6, "an app 1.0.0", 1000));
    let events = store.events(0, 10).unwrap();
    assert_eq!((events.len(), events[0].id, events[0].message.as_str()), (1, 1, "deployed"));
    assert_eq!(store.next_lease().unwrap(), 2);
    assert_eq!(store.id().len(), 32);
}

#[test]
fn a_blob_is_kept_while_a_revision_needs_it_or_it_is_young() {
    let disk = SimDisk::new(1);
    let (store, blobs) = open(&disk);
    let used = store_blob(&store, &blobs, b"used", 0);
    let spare = store_blob(&store, &blobs, b"spare", 0);
    store.write(|change| change.deploy(&name("web"), revision(used, "", None))).unwrap();
    assert_eq!(blobs.collect(&store, BLOB_GRACE_MS, BLOB_GRACE_MS).unwrap(), Collected::default());
    assert!(blobs.renew(&store, &spare, 10).unwrap() && !blobs.renew(&store, &Hash::of(b"?"), 10).unwrap());
    assert_eq!(blobs.collect(&store, BLOB_GRACE_MS + 10, BLOB_GRACE_MS).unwrap().blobs, 0);
    let collected = blobs.collect(&store, BLOB_GRACE_MS + 11, BLOB_GRACE_MS).unwrap();
    assert_eq!(collected, Collected { blobs: 1, bytes: 5 });
    assert!(matches!(blobs.open_blob(&spare), Err(Error::NotFound(_))));
    assert!(disk.open(&blob_path(&spare), false).is_err());
    blobs.open_blob(&used).unwrap();
    // A clock that was ahead makes nothing stay for ever when somebody asks.
    let ahead = store_blob(&store, &blobs, b"ahead", u64::MAX - 1);
    assert_eq!(blobs.collect(&store, 5, BLOB_GRACE_MS).unwrap().blobs, 0);
    assert_eq!(blobs.collect(&store, 5, 0).unwrap().blobs, 1);
    assert!(store.blob(&ahead).unwrap().is_none());
    store.write(|change| change.remove(&name("web"))).unwrap();
    assert_eq!(blobs.collect(&store, BLOB_GRACE_MS * 2, BLOB_GRACE_MS).unwrap().blobs, 1);
}

#[test]
fn other_bytes_than_announced_leave_nothing() {
    let disk = SimDisk::new(1);
    let (store, blobs) = open(&disk);
    let hash = Hash::of(b"announced");
    let mut wrong = blobs.begin(hash, 100).unwrap();
    wrong.write(b"others").unwrap();
    assert!(matches!(wrong.finish(&store, "", 0), Err(Error::WrongHash { .. })));
    let mut large = blobs.begin(hash, 5).unwrap();
    large.write(b"annou").unwrap();
    assert!(matches!(large.write(b"n"), Err(Error::TooLarge { limit: 5, .. })));
    drop(large);
    let folder = blob_path(&hash).rsplit_once('/').unwrap().0.to_owned();
    assert!(disk.list(&folder).unwrap().is_empty() && store.blobs().unwrap().is_empty());
    // What somebody else has laid there is left alone.
    disk.create_folder("blobs/notes").unwrap();
    disk.create("blobs/notes/readme").unwrap();
    // Two at once, and once more: the same blob.
    let (mut one, mut two) = (blobs.begin(hash, 100).unwrap(), blobs.begin(hash, 100).unwrap());
    one.write(b"announced").unwrap();
    two.write(b"announced").unwrap();
    one.finish(&store, "", 0).unwrap();
    two.finish(&store, "", 0).unwrap();
    assert_eq!((store.blobs().unwrap().len(), disk.list(&folder).unwrap().len()), (1, 1));
    // What a killed process has begun is gone after the next start.
    let begun = blobs.begin(hash, 100).unwrap();
    let after = disk.kill();
    drop(begun);
    assert_eq!(after.list(&folder).unwrap().len(), 2);
    open(&after);
    assert_eq!(after.list("blobs/notes").unwrap().len(), 1);
    assert_eq!(after.list(&folder).unwrap().len(), 1);
}

#[test]
fn a_blob_is_read_only_on_a_real_disk() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::open(&folder.path().join("state")).unwrap();
    let store = Store::open(state.disk()).unwrap();
    let blobs = Blobs::open(state.disk(), &store).unwrap();
    let hash = store_blob(&store, &blobs, b"bytes", 0);
    let path = state.path().join(blob_path(&hash));
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o400);
    store_blob(&store, &blobs, b"bytes", 0);
    drop((store, blobs));
    let store = Store::open(state.disk()).unwrap();
    Blobs::open(state.disk(), &store).unwrap().open_blob(&hash).unwrap();
}

/// A batch of these bytes that has arrived.
fn arrive(blobs: &Blobs, contents: &[Vec<u8>], now: u64) -> Arrived {
    let mut batch = blobs.batch();
    for bytes in contents {
        let mut intake = blobs.begin(Hash::of(bytes), 1000).unwrap();
        intake.write(bytes).unwrap();
        batch.add(intake, "an app 1.0.0").unwrap();
    }
    batch.arrive(now).unwrap()
}

#[test]
fn what_has_just_arrived_is_not_collected_though_nothing_needs_it_yet() {
    let (store, blobs) = open(&SimDisk::new(1));
    // Stored before by somebody else, and so old that a collection takes it.
    let old = store_blob(&store, &blobs, b"old", 0);
    let contents = [b"old".to_vec(), b"new".to_vec()];
    let arrived = arrive(&blobs, &contents, BLOB_GRACE_MS * 2);
    let twice = arrive(&blobs, &contents[..1], BLOB_GRACE_MS * 2);
    assert_eq!(blobs.collect(&store, BLOB_GRACE_MS * 3, BLOB_GRACE_MS).unwrap(), Collected::default());
    assert_eq!(blobs.collect(&store, 0, 0).unwrap(), Collected::default());
    assert_eq!(blobs.remove(&store, &old).unwrap(), None);
    drop(twice);
    assert_eq!(blobs.remove(&store, &old).unwrap(), None);
    store.write(|change| arrived.keep(change)).unwrap();
    drop(arrived);
    for bytes in contents {
        assert!(blobs.stored(&store, &Hash::of(&bytes)).unwrap().is_some());
        blobs.open_blob(&Hash::of(&bytes)).unwrap();
    }
    // From now on they are like others.
    assert_eq!(blobs.collect(&store, 0, 0).unwrap().blobs, 2);
}

#[test]
fn a_batch_that_is_given_up_leaves_nothing_and_one_that_is_cut_off_only_until_the_next_start() {
    let disk = SimDisk::new(1);
    let (store, blobs) = open(&disk);
    let left = |disk: &SimDisk| -> usize {
        let folders = disk.list("blobs").unwrap();
        folders.iter().map(|folder| disk.list(&format!("blobs/{}", folder.name)).unwrap().len()).sum()
    };
    let mut batch = blobs.batch();
    for bytes in [b"one", b"two"] {
        let mut intake = blobs.begin(Hash::of(bytes), 1000).unwrap();
        intake.write(bytes).unwrap();
        batch.add(intake, "an app").unwrap();
    }
    // Others than announced are none of it.
    let mut wrong = blobs.begin(Hash::of(b"three"), 1000).unwrap();
    wrong.write(b"four").unwrap();
    assert!(matches!(batch.add(wrong, "an app"), Err(Error::WrongHash { .. })));
    assert_eq!(left(&disk), 2);
    drop(batch);
    assert_eq!(left(&disk), 0);
    // Arrived, and the process ends before the database knows.
    drop(arrive(&blobs, &[b"one".to_vec(), b"two".to_vec()], 0));
    assert!(store.blobs().unwrap().is_empty() && left(&disk) == 2);
    let disk = disk.kill();
    open(&disk);
    assert_eq!(left(&disk), 0);
}

#[test]
fn a_batch_of_more_than_is_open_at_once_is_stored_on_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::open(&folder.path().join("state")).unwrap();
    let store = Store::open(state.disk()).unwrap();
    let blobs = Blobs::open(state.disk(), &store).unwrap();
    let contents: Vec<Vec<u8>> =
        (0..=BATCH_FILES_MAX).map(|number| number.to_string().into_bytes()).collect();
    let arrived = arrive(&blobs, &contents, 0);
    store.write(|change| arrived.keep(change)).unwrap();
    assert_eq!(store.blobs().unwrap().len(), contents.len());
    for bytes in contents {
        let blob = blobs.stored(&store, &Hash::of(&bytes)).unwrap();
        assert_eq!(blob.map(|blob| blob.size), Some(bytes.len() as u64));
    }
}
