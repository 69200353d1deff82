//! What a worker's process gives up before its first guest.

mod calls;

use std::fs::File;
use std::path::{Path, PathBuf};

use qyvol_fs::Folder;
use qyvol_fs::landlock::{Reach, restrict_but};
use qyvol_net::{RESOLVER_FILES, RESOLVER_FOLDER};
use qyvol_protocol::worker::Wall;

/// Builds the walls around this process, which has one thread. `outside`: whether apps may connect to hosts. Each says
/// whether it stands.
pub(crate) fn build(read: &[PathBuf], write: &[PathBuf], outside: bool) -> Result<Vec<Wall>, String> {
    let mut folders = Vec::new();
    for (paths, reach) in [(read, Reach::ReadOnly), (write, Reach::ReadWrite)] {
        for path in paths {
            let folder = Folder::open(path)
                .map_err(|error| format!("cannot open the folder `{}`: {error}", path.display()))?;
            folders.push((folder, reach));
        }
    }
    // A host's resolver keeps what changes in a folder of its own.
    let changing = outside.then(|| Folder::open(Path::new(RESOLVER_FOLDER)).ok()).flatten();
    folders.extend(changing.map(|folder| (folder, Reach::ReadOnly)));
    let keep: Vec<_> = folders.iter().map(|(folder, reach)| (folder, *reach)).collect();
    let resolver: &[&str] = if outside { &RESOLVER_FILES } else { &[] };
    let resolver: Vec<File> = resolver.iter().filter_map(|path| File::open(path).ok()).collect();
    let files = restrict_but(&keep, &resolver).map_err(|error| format!("cannot wall off files: {error}"))?;
    let stands = matches!(files, qyvol_fs::landlock::Wall::Landlock { .. });
    let landlock = Wall { name: "landlock".into(), on: stands, detail: files.to_string() };
    let privileges = match rustix::thread::set_no_new_privs(true) {
        Ok(()) => wall("no-new-privileges", true, "set-user-ID programs give nothing"),
        Err(error) => wall("no-new-privileges", false, &error.to_string()),
    };
    let limits = core_files();
    Ok(vec![landlock, privileges, limits, seccomp(outside)])
}

fn wall(name: &str, on: bool, detail: &str) -> Wall {
    Wall { name: name.into(), on, detail: detail.into() }
}

fn seccomp(outside: bool) -> Wall {
    let allowed = calls::ALLOWED.len() + calls::ALLOWED_HERE.len();
    let sockets = if outside { "sockets to hosts" } else { "no sockets to hosts" };
    match calls::shut_in(outside) {
        Ok(()) => {
            wall("seccomp", true, &format!("{allowed} system calls, and some with conditions; {sockets}"))
        }
        Err(error) => wall("seccomp", false, &error.to_string()),
    }
}

/// A crash leaves no image of the guests' memory on the disk, and descriptors suffice for thousands of guests.
fn core_files() -> Wall {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    match setrlimit(Resource::Core, none).and(raised) {
        Ok(()) => wall("rlimits", true, "no core files"),
        Err(error) => wall("rlimits", false, &error.to_string()),
    }
}

#[cfg(test)]
mod tests;
