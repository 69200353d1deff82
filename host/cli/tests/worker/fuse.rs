//! A file system in this process that answers what it likes: `/dev/fuse`, spoken to directly.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The one file, of 4 KiB.
pub(crate) const FILE: &str = "stuck";

/// What is never answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Never {
    /// Reads. The kernel lets nobody go whose request was taken, not even by a kill.
    Read,
    /// Listing the folder.
    ReadDir,
    /// Whatever comes once the file is open: it is not even taken, so that a kill helps.
    Anything,
}

/// A mounted file system. Dropping it aborts what hangs.
pub(crate) struct Fuse {
    path: PathBuf,
    /// Open as long as it is mounted.
    _device: File,
    hanging: Arc<AtomicUsize>,
}

// Numbers of `linux/fuse.h`.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

const ROOT: u64 = 1;
const STUCK: u64 = 2;
/// Reads are not put together.
const DIRECT_IO: u32 = 1;
/// Closing asks nothing: a process that ends waits for the answer, and no kill helps it then.
const NO_FLUSH: u32 = 1 << 5;

impl Fuse {
    /// Mounts it at a new folder, for this thread and the processes that it starts. `None` where that is not allowed: the
    /// test has nothing to say there.
    pub(crate) fn mount(path: &Path, never: Never) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").ok();
        let mounted = device.filter(|device| mount(device, path));
        let Some(mut device) = mounted else {
            eprintln!("skipped: no file systems can be mounted here");
            return None;
        };
        let kept = device.try_clone().unwrap();
        let hanging = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&hanging);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            // An error: it is mounted no more.
            while let Ok(count) = device.read(&mut buffer) {
                let request = &buffer[..count];
                let number = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap());
                let code = u32::from_ne_bytes(request[4..8].try_into().unwrap());
                let hangs = match never {
                    Never::Read => code == READ,
                    Never::ReadDir => code == READDIR,
                    Never::Anything => false,
                };
                if hangs {
                    counted.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                if matches!(code, FORGET | BATCH_FORGET | INTERRUPT) {
                    continue;
                }
                let (error, body) = match answer(code, number(16), request.get(40..).unwrap_or_default()) {
                    Ok(body) => (0, body),
                    Err(error) => (-error, Vec::new()),
                };
                let length = u32::try_from(16 + body.len()).unwrap();
                let mut reply = length.to_ne_bytes().to_vec();
                reply.extend(i32::to_ne_bytes(error));
                reply.extend(number(8).to_ne_bytes());
                reply.extend(body);
                // Who asked may be gone.
                let _ = device.write(&reply);
                if never == Never::Anything && code == OPEN {
                    counted.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        });
        Some(Self { path: path.to_owned(), _device: kept, hanging })
    }

    /// How many requests came that are never answered.
    pub(crate) fn hanging(&self) -> usize {
        self.hanging.load(Ordering::SeqCst)
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        let path = text(&self.path);
        // SAFETY: a path that lives until the call is over.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_FORCE | libc::MNT_DETACH) };
    }
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// Mounts the device in a namespace of this thread's own.
fn mount(device: &File, path: &Path) -> bool {
    let options =
        format!("fd={},rootmode=40755,user_id=0,group_id=0,default_permissions", device.as_raw_fd());
    let (path, options) = (text(path), CString::new(options).unwrap());
    // SAFETY: texts that live until the calls are over; the namespace is this thread's from now on, which nothing relies on.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                std::ptr::null(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
            && libc::mount(c"test".as_ptr(), path.as_ptr(), c"fuse".as_ptr(), 0, options.as_ptr().cast()) == 0
    }
}

fn answer(code: u32, node: u64, argument: &[u8]) -> Result<Vec<u8>, i32> {
    let mut body = Vec::new();
    let mut put = |numbers: &[u64]| numbers.iter().for_each(|number| body.extend(number.to_ne_bytes()));
    match code {
        INIT => {
            body.extend([7_u32, 31, 0, 0, 0, 1 << 16, 0, 0].map(u32::to_ne_bytes).concat());
            body.resize(64, 0);
        }
        LOOKUP if argument == [FILE.as_bytes(), &[0]].concat() => {
            put(&[STUCK, 0, 0, 0, 0]);
            body.extend(attributes(STUCK));
        }
        LOOKUP => return Err(libc::ENOENT),
        GETATTR => {
            put(&[0, 0]);
            body.extend(attributes(node));
        }
        OPEN | OPENDIR => {
            put(&[0]);
            body.extend([DIRECT_IO | NO_FLUSH, 0].map(u32::to_ne_bytes).concat());
        }
        STATFS => body.resize(80, 0),
        READ => body.resize(4096, b'x'),
        READDIR | RELEASE | RELEASEDIR | FLUSH => {}
        _ => return Err(libc::ENOSYS),
    }
    Ok(body)
}

fn attributes(node: u64) -> Vec<u8> {
    let (mode, size) = if node == ROOT { (libc::S_IFDIR | 0o755, 0) } else { (libc::S_IFREG | 0o644, 4096) };
    let mut bytes = [node, size, 8, 0, 0, 0].map(u64::to_ne_bytes).concat();
    bytes.extend([0, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat());
    bytes
}
