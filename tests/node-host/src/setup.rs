//! What the guest is given, told by JavaScript piece by piece before the start.
//!
//! Every function takes its text from the buffer and returns an error number, 0 for success.

use std::sync::Arc;

use qyv_vfs::{
    Access, Budget, Clock, Error, FileSystem, Handle, MemFs, MemFsOptions, OpenOptions, Result, Vfs,
};
use qyv_wasi::{Errno, Limits, ProcessBuilder};

use crate::{imports, state};

/// The largest file of the memory file system, holes included.
const FILE_BYTES_MAX: u64 = 1 << 40;

/// What has been told so far.
#[derive(Default)]
pub(crate) struct Setup {
    args: Vec<String>,
    environ: Vec<(String, String)>,
    folders: Vec<Folder>,
    bytes: Option<u64>,
    inodes: Option<u64>,
    fds: Option<u32>,
}

struct Folder {
    path: String,
    access: Access,
    files: MemFs,
}

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> u64 {
        u64::try_from(imports::clock_now(0)).unwrap_or_default()
    }
}

/// Calls `tell` with the setup and the buffer, cut in two at `cut`.
fn told(cut: usize, tell: impl FnOnce(&mut Setup, &str, &[u8]) -> Result<()>) -> i32 {
    state::with(|state| {
        let (first, second) = state.buffer.split_at_checked(cut).ok_or(Error::INVAL)?;
        tell(&mut state.setup, std::str::from_utf8(first).map_err(|_| Error::ILSEQ)?, second)
    })
    .map_or_else(|error| error as i32, |()| 0)
}

fn whole(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::ILSEQ)
}

#[unsafe(no_mangle)]
extern "C" fn add_arg() -> i32 {
    told(0, |setup, _, arg| {
        setup.args.push(whole(arg)?);
        Ok(())
    })
}

/// The name is the first `name` bytes, the value the rest.
#[unsafe(no_mangle)]
extern "C" fn add_env(name: usize) -> i32 {
    told(name, |setup, name, value| {
        setup.environ.push((name.to_owned(), whole(value)?));
        Ok(())
    })
}

/// 0 leaves a limit as it is. Told before the folders.
#[unsafe(no_mangle)]
extern "C" fn set_limits(bytes: u64, inodes: u64, fds: u32) {
    state::with(|state| {
        let setup = &mut state.setup;
        (setup.bytes, setup.inodes, setup.fds) =
            (Some(bytes).filter(|&n| n > 0), Some(inodes).filter(|&n| n > 0), Some(fds).filter(|&n| n > 0));
    });
}

/// Begins an empty folder at a guest path; what is added after it goes there.
#[unsafe(no_mangle)]
extern "C" fn add_folder(read_only: u32) -> i32 {
    told(0, |setup, _, path| {
        let budget = |limit: Option<u64>| limit.map_or_else(Budget::unlimited, Budget::new);
        let files = MemFs::new(MemFsOptions {
            bytes: budget(setup.bytes),
            inodes: budget(setup.inodes),
            memory: Budget::unlimited(),
            clock: Arc::new(WallClock),
            max_file: FILE_BYTES_MAX,
        });
        let access = if read_only == 0 { Access::ReadWrite } else { Access::ReadOnly };
        setup.folders.push(Folder { path: whole(path)?, access, files });
        Ok(())
    })
}

/// Adds a directory at a path relative to the folder. Parents come first.
#[unsafe(no_mangle)]
extern "C" fn add_directory(path: usize) -> i32 {
    told(path, |setup, path, _| setup.add(path, |files, dir, name| files.create_dir(dir, name)))
}

/// Adds a symbolic link; the target follows the path.
#[unsafe(no_mangle)]
extern "C" fn add_link(path: usize) -> i32 {
    told(path, |setup, path, target| {
        let target = whole(target)?;
        setup.add(path, |files, dir, name| files.symlink(&target, dir, name))
    })
}

/// Adds a file; its contents follow the path.
#[unsafe(no_mangle)]
extern "C" fn add_file(path: usize) -> i32 {
    told(path, |setup, path, contents| {
        setup.add(path, |files, dir, name| {
            let options =
                OpenOptions { write: true, create: true, exclusive: true, ..OpenOptions::default() };
            let file = files.open(dir, name, &options)?.handle;
            let mut at = 0;
            while at < contents.len() {
                at += files.write_at(file, at as u64, &[&contents[at..]])?;
            }
            files.close(file);
            Ok(())
        })
    })
}

impl Setup {
    /// Calls `make` with the directory that `path` lies in and the last name of it.
    fn add(&mut self, path: &str, make: impl FnOnce(&mut MemFs, Handle, &str) -> Result<()>) -> Result<()> {
        let files = &mut self.folders.last_mut().ok_or(Error::INVAL)?.files;
        let mut dir = files.root();
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
            let inner = files.lookup(dir, parent)?;
            if dir != files.root() {
                files.close(dir);
            }
            dir = inner;
        }
        make(files, dir, name)
    }

    fn build(self) -> Result<qyv_wasi::Process> {
        let mut vfs = Vfs::new();
        let mut builder = ProcessBuilder::new();
        let mut paths = Vec::new();
        for folder in self.folders {
            vfs.mount(&folder.path, Box::new(folder.files), folder.access)?;
            paths.push(folder.path);
        }
        for path in paths {
            let node = vfs.open_root(&path)?;
            builder = builder.preopen(&path, node);
        }
        builder = self.args.into_iter().fold(builder, ProcessBuilder::arg);
        builder = self.environ.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
        if let Some(fds) = self.fds {
            builder = builder.limits(Limits::with_fds(fds));
        }
        builder.vfs(vfs).build()
    }
}

/// Makes the guest's process of what was told.
#[unsafe(no_mangle)]
extern "C" fn start() -> i32 {
    state::with(|state| match std::mem::take(&mut state.setup).build() {
        Ok(process) => {
            state.process = Some(process);
            Errno::SUCCESS.raw()
        }
        Err(error) => Errno::from(error).raw(),
    })
}

/// Reads a file of the guest, by its absolute path, into the buffer: its length, or a negative error number.
#[unsafe(no_mangle)]
extern "C" fn read_file() -> i64 {
    state::with(|state| {
        let path = whole(&state.buffer)?;
        let vfs = state.process.as_mut().ok_or(Error::INVAL)?.vfs();
        let root = vfs.open_root("/")?;
        let options = OpenOptions { read: true, ..OpenOptions::default() };
        let (file, _) = vfs.open(root, path.trim_start_matches('/'), true, &options)?;
        let size = usize::try_from(vfs.attributes(file)?.size).map_err(|_| Error::FBIG)?;
        let mut contents = vec![0; size];
        let mut at = 0;
        while at < size {
            let read = vfs.read_at(file, at as u64, &mut [&mut contents[at..]])?;
            if read == 0 {
                break;
            }
            at += read;
        }
        vfs.close(file);
        vfs.close(root);
        contents.truncate(at);
        state.buffer = contents;
        Ok(at as i64)
    })
    .unwrap_or_else(|error: Error| -i64::from(error as u16))
}
