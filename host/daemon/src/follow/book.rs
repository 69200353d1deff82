//! What is known of each file, and what is to be done next. It touches no file and reads no clock.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use qyv_spec::service::Name;
use qyvol_protocol::api::{ManifestFile, Manifests};
use qyvol_protocol::followed::Told;

use super::PlacedApp;
use super::look::{Listing, Looked, Mark, WATCHED_MAX};
use crate::clock::wall_ms;

/// How long a file must have looked the same before it is read.
const SETTLE: Duration = Duration::from_millis(400);

/// How long a file must have been gone before its app goes: editors take the old file away before the new one is there.
const GONE: Duration = Duration::from_secs(2);

/// How soon what failed is tried again, and the longest pause between tries.
const RETRY: Duration = Duration::from_secs(20);
const RETRY_MAX: Duration = Duration::from_secs(15 * 60);

/// The most bytes of a reason that are kept.
const PROBLEM_BYTES_MAX: usize = 8 << 10;

/// A file that has a problem, its app when that is known, and the problem: what is told as an event.
pub(super) type Trouble = (String, Option<Name>, String);

#[derive(Debug, Default)]
pub(super) struct Book {
    files: BTreeMap<String, Entry>,
    /// Since when files of apps have not been there.
    gone: BTreeMap<String, Instant>,
    /// Why the folder as a whole is not followed.
    problem: Option<String>,
}

#[derive(Debug)]
struct Entry {
    mark: Mark,
    watched: Vec<String>,
    app: Option<Name>,
    step: Step,
    /// When it was last read, until how it and what it packages look is seen for the first time after that.
    read: Option<SystemTime>,
    problem: Option<(String, Option<String>)>,
    /// In milliseconds since 1970.
    time: u64,
    /// How long until it is tried again, when it fails.
    retry: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It was changed last then.
    Settling(Instant),
    /// It is deployed as it stands, or not believed.
    Rest,
    /// It failed, and is tried again then.
    Failed(Instant),
}

impl Book {
    /// What belongs to a file besides itself.
    pub(super) fn watched(&self, file: &str) -> &[String] {
        self.files.get(file).map_or(&[], |entry| &entry.watched)
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    /// Whether something is to be looked at soon.
    pub(super) fn is_unsettled(&self) -> bool {
        let unsettled = |entry: &Entry| entry.read.is_some() || matches!(entry.step, Step::Settling(_));
        !self.gone.is_empty() || self.files.values().any(unsettled)
    }

    /// Takes note of a look at the folder. Tells of files, and of the folder, that are newly not believed.
    pub(super) fn see(&mut self, listing: Listing, deployed: &[PlacedApp], now: Instant) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let files = match listing {
            Listing::Files(files) => files,
            // A folder that cannot be read is no reason to remove anything.
            other => {
                let problem = match other {
                    Listing::Distrusted(distrust) => Some(format!(
                        "{}{}",
                        distrust.why,
                        distrust.hint.map_or(String::new(), |hint| format!("; {hint}"))
                    )),
                    _ if !deployed.is_empty() => Some("the folder is gone; its apps go on".to_owned()),
                    _ => None,
                };
                if let Some(problem) = problem.clone().filter(|_| problem != self.problem) {
                    troubles.push((String::new(), None, problem));
                }
                self.problem = problem;
                self.gone.clear();
                return troubles;
            }
        };
        self.problem = None;
        self.files.retain(|file, _| files.contains_key(file));
        for (file, looked) in files {
            troubles.extend(self.see_file(file, looked, now));
        }
        self.gone.retain(|file, _| {
            !self.files.contains_key(file) && deployed.iter().any(|app| app.placed.file == *file)
        });
        for app in deployed.iter().filter(|app| !self.files.contains_key(&app.placed.file)) {
            self.gone.entry(app.placed.file.clone()).or_insert(now);
        }
        troubles
    }

    fn see_file(&mut self, file: String, looked: Looked, now: Instant) -> Option<Trouble> {
        let entry = self.files.entry(file.clone()).or_insert_with(|| Entry {
            mark: Mark::default(),
            watched: Vec::new(),
            app: None,
            step: Step::Rest,
            read: None,
            problem: None,
            time: wall_ms(),
            retry: RETRY,
        });
        let mark = match looked {
            Ok(mark) => mark,
            Err(distrust) => {
                entry.mark = Mark::default();
                entry.step = Step::Rest;
                let problem = Some((distrust.why.clone(), distrust.hint));
                let new = entry.problem != problem;
                if new {
                    (entry.problem, entry.time) = (problem, wall_ms());
                }
                return new.then(|| (file, entry.app.clone(), distrust.why));
            }
        };
        let read = entry.read.take();
        let as_read =
            read.is_some_and(|started| mark.same_manifest(&entry.mark) && !mark.is_newer_than(started));
        if !as_read && mark != entry.mark {
            entry.step = Step::Settling(now);
            entry.retry = RETRY;
        }
        entry.mark = mark;
        None
    }

    /// The files that are to be deployed now.
    pub(super) fn due(&self, now: Instant) -> Vec<String> {
        let due = |entry: &Entry| match entry.step {
            Step::Settling(since) => now.duration_since(since) >= SETTLE,
            Step::Failed(again) => now >= again,
            Step::Rest => false,
        };
        self.files.iter().filter(|(_, entry)| due(entry)).map(|(file, _)| file.clone()).collect()
    }

    /// Takes note of what became of a file that was due and read after `started`. Tells of a new problem.
    pub(super) fn told(&mut self, told: Told, started: SystemTime, now: Instant) -> Option<Trouble> {
        let entry = self.files.get_mut(&told.file)?;
        entry.app = told.app.or_else(|| entry.app.take());
        if !told.watched.is_empty() {
            entry.watched = told.watched;
            entry.watched.truncate(WATCHED_MAX);
        }
        (entry.time, entry.read) = (wall_ms(), Some(started));
        let Some(mut problem) = told.problem else {
            (entry.problem, entry.step, entry.retry) = (None, Step::Rest, RETRY);
            return None;
        };
        problem.truncate(problem.floor_char_boundary(PROBLEM_BYTES_MAX));
        entry.step = Step::Failed(now + entry.retry);
        entry.retry = (entry.retry * 2).min(RETRY_MAX);
        let before = entry.problem.replace((problem.clone(), told.hint));
        let new = before.is_none_or(|(before, _)| before != problem);
        new.then(|| (told.file, entry.app.clone(), problem))
    }

    /// The apps whose files have been gone for long enough. Each is told once.
    pub(super) fn gone(&mut self, deployed: &[PlacedApp], now: Instant) -> Vec<PlacedApp> {
        let gone = |app: &&PlacedApp| {
            self.gone.get(&app.placed.file).is_some_and(|since| now.duration_since(*since) >= GONE)
        };
        let apps: Vec<PlacedApp> = deployed.iter().filter(gone).cloned().collect();
        for app in &apps {
            self.gone.remove(&app.placed.file);
        }
        if !apps.is_empty() {
            // What they offered and where they listened is free now.
            for entry in self.files.values_mut() {
                if let Step::Failed(again) = &mut entry.step {
                    *again = (*again).min(now + GONE);
                }
            }
        }
        apps
    }

    /// What clients are told.
    pub(super) fn manifests(&self, folder: &Path) -> Manifests {
        let file = |(file, entry): (&String, &Entry)| {
            let (problem, hint) = entry.problem.clone().unzip();
            ManifestFile {
                file: file.clone(),
                app: entry.app.clone(),
                problem,
                hint: hint.flatten(),
                time: entry.time,
            }
        };
        Manifests {
            folder: folder.display().to_string(),
            problem: self.problem.clone(),
            files: self.files.iter().map(file).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::look::Distrust;
    use qyv_spec::app::Hash;
    use qyvol_protocol::followed::Placed;

    const FILE: &str = "/d/a.qyv";

    fn listing(files: &[(&str, Looked)]) -> Listing {
        Listing::Files(files.iter().map(|(file, looked)| ((*file).to_owned(), looked.clone())).collect())
    }

    /// A mark that differs with `number`, of a manifest alone.
    fn mark(number: u64) -> Looked {
        Ok(Mark::sample(number))
    }

    fn told(problem: Option<&str>) -> Told {
        Told {
            file: FILE.to_owned(),
            app: Some("a".parse().unwrap()),
            watched: Vec::new(),
            problem: problem.map(str::to_owned),
            hint: None,
        }
    }

    fn placed() -> PlacedApp {
        let placed = Placed { file: FILE.to_owned(), image: Hash([1; 32]) };
        PlacedApp { app: "a".parse().unwrap(), placed, deployed: 0 }
    }

    #[test]
    fn a_file_is_read_when_it_has_come_to_rest_and_again_when_it_changes() {
        let (mut book, start) = (Book::default(), Instant::now());
        let later = |ms: u64| start + Duration::from_millis(ms);
        for (at, number) in [(0, 1), (300, 2), (600, 3), (900, 3)] {
            assert!(book.see(listing(&[(FILE, mark(number))]), &[], later(at)).is_empty());
            assert!(book.due(later(at)).is_empty() && book.is_unsettled(), "at {at}");
        }
        book.see(listing(&[(FILE, mark(3))]), &[], later(1000));
        assert_eq!(book.due(later(1000)), [FILE]);
        let now = SystemTime::now();
        assert_eq!(book.told(told(None), now, later(1000)), None);
        book.see(listing(&[(FILE, mark(3))]), &[], later(1100));
        assert!(book.due(later(100_000)).is_empty() && !book.is_unsettled());
        // Changed while it was read: what was read may be the old one.
        book.told(told(None), now, later(1200));
        book.see(listing(&[(FILE, mark(4))]), &[], later(1300));
        assert_eq!(book.due(later(2000)), [FILE]);
        book.told(told(None), SystemTime::UNIX_EPOCH, later(2000));
        book.see(listing(&[(FILE, mark(4))]), &[], later(2100));
        assert!(!book.is_unsettled(), "nothing differs");
    }

    #[test]
    fn what_fails_is_told_once_and_tried_again_less_and_less_often() {
        let (mut book, mut now) = (Book::default(), Instant::now());
        book.see(listing(&[(FILE, mark(1))]), &[], now);
        now += SETTLE;
        let (mut tries, begun) = (0, now);
        while now < begun + Duration::from_secs(3600) {
            if !book.due(now).is_empty() {
                tries += 1;
                let trouble = book.told(told(Some("line 3: no")), SystemTime::now(), now);
                assert_eq!(trouble.is_some(), tries == 1);
            }
            book.see(listing(&[(FILE, mark(1))]), &[], now);
            now += Duration::from_secs(1);
        }
        assert!((5..=12).contains(&tries), "{tries}");
        let shown = &book.manifests(Path::new("/d")).files[0];
        assert_eq!(shown.problem.as_deref(), Some("line 3: no"));
        assert!(book.told(told(Some("another")), SystemTime::now(), now).is_some());
        // A change is tried at once.
        book.see(listing(&[(FILE, mark(2))]), &[], now);
        assert_eq!(book.due(now + SETTLE), [FILE]);
        book.told(told(None), SystemTime::now(), now);
        assert_eq!(book.manifests(Path::new("/d")).files[0].problem, None);
    }

    #[test]
    fn an_app_goes_when_its_file_has_been_gone_for_a_while_and_only_then() {
        let (mut book, start) = (Book::default(), Instant::now());
        let apps = [placed()];
        let later = |ms: u64| start + Duration::from_millis(ms);
        book.see(listing(&[]), &apps, later(0));
        assert!(book.is_unsettled() && book.gone(&apps, later(1900)).is_empty());
        // An editor has put the new one in its place.
        book.see(listing(&[(FILE, mark(1))]), &apps, later(1950));
        assert!(book.gone(&apps, later(5000)).is_empty());
        book.see(listing(&[]), &apps, later(6000));
        assert_eq!(book.gone(&apps, later(8000)).len(), 1);
        // A folder that is gone or not believed takes nothing with it.
        for absent in [Listing::Absent, Listing::Distrusted(Distrust { why: "no".into(), hint: None })] {
            assert_eq!(book.see(absent, &apps, later(9000)).len(), 1);
            assert!(book.gone(&apps, later(99_000)).is_empty());
        }
    }

    #[test]
    fn a_file_that_is_not_believed_is_told_and_never_read() {
        let (mut book, now) = (Book::default(), Instant::now());
        let bad: Looked = Err(Distrust { why: "others may write".into(), hint: Some("chmod".into()) });
        assert_eq!(book.see(listing(&[(FILE, bad.clone())]), &[], now).len(), 1);
        assert!(book.see(listing(&[(FILE, bad)]), &[], now).is_empty());
        assert!(book.due(now + RETRY_MAX).is_empty());
        book.see(listing(&[(FILE, mark(1))]), &[], now);
        assert_eq!(book.due(now + SETTLE), [FILE]);
    }
}
