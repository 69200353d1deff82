//! One look at the folder: which files it has, whether they may be believed, and how they look.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The most files of the folder.
const FILES_MAX: usize = qyvol_protocol::api::DEPLOY_APPS_MAX;

/// The most files and folders of one app that are looked at for changes.
pub(super) const WATCHED_MAX: usize = 10_000;

/// Of one file: device, number, size, time of the content and of the file itself.
type Stat = (u64, u64, u64, i128, i128);

/// How a file and what it packages look: different when one of them was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    stats: Vec<Option<Stat>>,
}

impl Mark {
    fn of<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        let look = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            let time = |seconds: i64, nanoseconds: i64| {
                i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
            };
            let (content, change) =
                (time(found.mtime(), found.mtime_nsec()), time(found.ctime(), found.ctime_nsec()));
            Some((found.dev(), found.ino(), found.len(), content, change))
        };
        Self { stats: paths.take(WATCHED_MAX).map(look).collect() }
    }

    /// That of a manifest of so many bytes, changed in 1970.
    #[cfg(test)]
    pub(super) fn sample(bytes: u64) -> Self {
        Self { stats: vec![Some((1, 1, bytes, 1, 1))] }
    }

    /// Whether the manifest, the first of the files, looks as in `other`.
    pub(super) fn same_manifest(&self, other: &Self) -> bool {
        self.stats.first() == other.stats.first()
    }

    /// Whether something was changed after `time`.
    pub(super) fn is_newer_than(&self, time: SystemTime) -> bool {
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos();
        self.stats.iter().flatten().any(|(.., change)| u128::try_from(*change).is_ok_and(|at| at > time))
    }
}

/// A file: how it looks, or why it is not believed.
pub(super) type Looked = Result<Mark, Distrust>;

/// Why something is not believed, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Distrust {
    pub(super) why: String,
    pub(super) hint: Option<String>,
}

/// What a look has found.
#[derive(Clone, Debug)]
pub(super) enum Listing {
    /// There is no such folder.
    Absent,
    /// The folder is not believed, or cannot be read.
    Distrusted(Distrust),
    /// Its files.
    Files(BTreeMap<String, Looked>),
}

/// Where the folder is, as it is stored with apps.
pub(crate) fn place(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// Looks at the folder. `watched` tells what else belongs to a file.
pub(super) fn look<'a>(folder: &Path, watched: &dyn Fn(&str) -> &'a [String]) -> Listing {
    let distrust = |why: String| Listing::Distrusted(Distrust { why, hint: None });
    let metadata = match std::fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Listing::Absent,
        Err(error) => return distrust(format!("cannot look at `{}`: {error}", folder.display())),
        Ok(metadata) => metadata,
    };
    if let Err(distrust) = believe(folder, &metadata) {
        return Listing::Distrusted(distrust);
    }
    let place = place(folder);
    let read = || -> std::io::Result<BTreeMap<String, Looked>> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&place)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            // Editors hide what they have not finished.
            let ours = name.ends_with(".qyv") || name.ends_with(".qyvbin");
            if !ours || name.starts_with('.') {
                continue;
            }
            if files.len() >= FILES_MAX {
                return Err(std::io::Error::other(format!("it has more than {FILES_MAX} manifests")));
            }
            let path = place.join(&name);
            let Some(text) = path.to_str() else { continue };
            if let Some(looked) = look_at(&path, watched(text)) {
                files.insert(text.to_owned(), looked);
            }
        }
        Ok(files)
    };
    match read() {
        Ok(files) => Listing::Files(files),
        Err(error) => distrust(format!("cannot read `{}`: {error}", folder.display())),
    }
}

/// One file; `None` when it went meanwhile.
fn look_at(path: &Path, watched: &[String]) -> Option<Looked> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    if !metadata.is_file() {
        return Some(Err(Distrust {
            why: "it is no regular file".to_owned(),
            hint: Some("put the file itself here: links are not followed".to_owned()),
        }));
    }
    Some(believe(path, &metadata).map(|()| {
        let others = watched.iter().map(Path::new).filter(|other| *other != path);
        Mark::of(std::iter::once(path).chain(others))
    }))
}

/// Whether only this user and root could have written it.
fn believe(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    let own = rustix::process::geteuid().as_raw();
    let shown = path.display();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(Distrust {
            why: format!("`{shown}` belongs to another user, of number {}", metadata.uid()),
            hint: Some(format!("if what it says is meant: `chown {own} {shown}`")),
        });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Distrust {
            why: format!("`{shown}` may be written by others"),
            hint: Some(format!("if what it says is meant: `chmod go-w {shown}`")),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn files(folder: &Path) -> BTreeMap<String, Looked> {
        match look(folder, &|_| &[]) {
            Listing::Files(files) => files,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_others_cannot_write_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.qyv", "b.qyvbin", ".c.qyv", "d.qyv~", "e.wasm", "f.qyv"] {
            fs::write(at(name), "name: a").unwrap();
        }
        fs::set_permissions(at("f.qyv"), Permissions::from_mode(0o664)).unwrap();
        symlink("a.qyv", at("g.qyv")).unwrap();
        fs::create_dir(at("h.qyv")).unwrap();
        let found = files(folder.path());
        let name = |path: &str| Path::new(path).file_name().unwrap().to_str().unwrap().to_owned();
        let (good, bad): (Vec<_>, Vec<_>) = found.iter().partition(|(_, looked)| looked.is_ok());
        let names = |list: Vec<(&String, &Looked)>| -> Vec<String> {
            list.iter().map(|(path, _)| name(path)).collect()
        };
        assert_eq!(
            (names(good), names(bad)),
            (
                vec!["a.qyv".to_owned(), "b.qyvbin".to_owned()],
                vec!["f.qyv".to_owned(), "g.qyv".to_owned(), "h.qyv".to_owned()],
            )
        );
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let Listing::Distrusted(distrust) = look(folder.path(), &|_| &[]) else { panic!("believed") };
        assert!(distrust.why.contains("written by others") && distrust.hint.is_some());
        assert!(matches!(look(&at("none"), &|_| &[]), Listing::Absent));
        assert!(matches!(look(&at("a.qyv"), &|_| &[]), Listing::Distrusted(_)));
    }

    #[test]
    fn a_change_of_the_file_or_of_what_it_packages_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, program) = (folder.path().join("a.qyv"), folder.path().join("a.wasm"));
        fs::write(&manifest, "1").unwrap();
        fs::write(&program, "1").unwrap();
        let watched = [program.to_str().unwrap().to_owned()];
        let mark = || look_at(&manifest, &watched).unwrap().unwrap();
        let first = mark();
        assert_eq!(first, mark());
        assert!(!first.is_newer_than(SystemTime::now() + Duration::from_secs(1)));
        assert!(first.is_newer_than(SystemTime::now() - Duration::from_secs(3600)));
        fs::write(&program, "12").unwrap();
        let second = mark();
        assert!(second != first && second.same_manifest(&first));
        // The same size, and a file of its own: as an editor does it.
        fs::write(folder.path().join("new"), "2").unwrap();
        fs::rename(folder.path().join("new"), &manifest).unwrap();
        assert!(!mark().same_manifest(&second));
        fs::remove_file(&program).unwrap();
        assert_ne!(mark(), second);
    }
}
