//! The one list of functions, and the methods made from it.

use crate::outcome::{Errno, Outcome};
use crate::{Host, Memory, Process};

/// Calls the macro `callback!` with the list of all functions of `wasi_snapshot_preview1` but `proc_exit`.
///
/// An entry is `now name(arg: type, ..);` for a function that never waits, whose method returns
/// [`Errno`], or `wait name(arg: type, ..);` for one that may, whose method returns
/// [`Outcome`]. Arguments are the core types of the import, `i32` or `i64`; every import returns
/// `i32` ([`Errno::raw`]). The method is
/// `Process::name(&mut self, memory: &mut impl Memory, host: &mut impl Host, arg, ..)`.
///
/// # Examples
///
/// ```
/// macro_rules! names {
///     ($($how:ident $name:ident($($arg:ident: $kind:ident),*);)*) => { [$(stringify!($name)),*] };
/// }
/// assert!(qyv_wasi::preview1!(names).contains(&"fd_read"));
/// ```
#[macro_export]
macro_rules! preview1 {
    ($callback:ident) => {
        $callback! {
            now args_get(argv: i32, argv_buf: i32);
            now args_sizes_get(argc: i32, argv_buf_size: i32);
            now environ_get(environ: i32, environ_buf: i32);
            now environ_sizes_get(environc: i32, environ_buf_size: i32);
            now clock_res_get(id: i32, resolution: i32);
            now clock_time_get(id: i32, precision: i64, time: i32);
            now fd_advise(fd: i32, offset: i64, len: i64, advice: i32);
            now fd_allocate(fd: i32, offset: i64, len: i64);
            now fd_close(fd: i32);
            now fd_datasync(fd: i32);
            now fd_fdstat_get(fd: i32, stat: i32);
            now fd_fdstat_set_flags(fd: i32, flags: i32);
            now fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64);
            now fd_filestat_get(fd: i32, stat: i32);
            now fd_filestat_set_size(fd: i32, size: i64);
            now fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32);
            wait fd_pread(fd: i32, iovs: i32, iovs_len: i32, offset: i64, nread: i32);
            now fd_prestat_get(fd: i32, prestat: i32);
            now fd_prestat_dir_name(fd: i32, path: i32, path_len: i32);
            wait fd_pwrite(fd: i32, iovs: i32, iovs_len: i32, offset: i64, nwritten: i32);
            wait fd_read(fd: i32, iovs: i32, iovs_len: i32, nread: i32);
            now fd_readdir(fd: i32, buf: i32, buf_len: i32, cookie: i64, bufused: i32);
            now fd_renumber(fd: i32, to: i32);
            now fd_seek(fd: i32, offset: i64, whence: i32, newoffset: i32);
            now fd_sync(fd: i32);
            now fd_tell(fd: i32, offset: i32);
            wait fd_write(fd: i32, iovs: i32, iovs_len: i32, nwritten: i32);
            now path_create_directory(fd: i32, path: i32, path_len: i32);
            now path_filestat_get(fd: i32, flags: i32, path: i32, path_len: i32, stat: i32);
            now path_filestat_set_times(fd: i32, flags: i32, path: i32, path_len: i32, atim: i64, mtim: i64, fst_flags: i32);
            now path_link(old_fd: i32, old_flags: i32, old_path: i32, old_path_len: i32, new_fd: i32, new_path: i32, new_path_len: i32);
            wait path_open(fd: i32, dirflags: i32, path: i32, path_len: i32, oflags: i32, base: i64, inheriting: i64, fdflags: i32, opened_fd: i32);
            now path_readlink(fd: i32, path: i32, path_len: i32, buf: i32, buf_len: i32, bufused: i32);
            now path_remove_directory(fd: i32, path: i32, path_len: i32);
            now path_rename(fd: i32, old_path: i32, old_path_len: i32, new_fd: i32, new_path: i32, new_path_len: i32);
            now path_symlink(old_path: i32, old_path_len: i32, fd: i32, new_path: i32, new_path_len: i32);
            now path_unlink_file(fd: i32, path: i32, path_len: i32);
            wait poll_oneoff(subscriptions: i32, events: i32, nsubscriptions: i32, nevents: i32);
            now proc_raise(signal: i32);
            now sched_yield();
            now random_get(buf: i32, buf_len: i32);
            wait sock_accept(fd: i32, flags: i32, accepted_fd: i32);
            wait sock_recv(fd: i32, ri_data: i32, ri_data_len: i32, ri_flags: i32, ro_datalen: i32, ro_flags: i32);
            wait sock_send(fd: i32, si_data: i32, si_data_len: i32, si_flags: i32, so_datalen: i32);
            now sock_shutdown(fd: i32, how: i32);
        }
    };
}

/// What a call works on. The three are apart, so that a path in the guest's memory can be lent to the file system.
pub(crate) struct Call<'a, M: ?Sized, H: ?Sized> {
    pub(crate) process: &'a mut Process,
    pub(crate) memory: &'a mut M,
    pub(crate) host: &'a mut H,
}

macro_rules! methods {
    ($($how:ident $name:ident($($arg:ident: $kind:ident),*);)*) => {
        #[expect(clippy::too_many_arguments, reason = "the ABI decides")]
        impl Process {
            $(methods! { @$how $name($($arg: $kind),*) })*
        }
    };
    (@now $name:ident($($arg:ident: $kind:ident),*)) => {
        #[doc = concat!("`", stringify!($name), "`, which never waits.")]
        pub fn $name<M: Memory + ?Sized, H: Host + ?Sized>(&mut self, memory: &mut M, host: &mut H, $($arg: $kind),*) -> Errno {
            self.begin(host, stringify!($name));
            groups::$name(&mut Call { process: self, memory, host }, $($arg.cast_unsigned()),*).into()
        }
    };
    (@wait $name:ident($($arg:ident: $kind:ident),*)) => {
        #[doc = concat!("`", stringify!($name), "`, which may wait.")]
        pub fn $name<M: Memory + ?Sized, H: Host + ?Sized>(&mut self, memory: &mut M, host: &mut H, $($arg: $kind),*) -> Outcome {
            self.begin(host, stringify!($name));
            groups::$name(&mut Call { process: self, memory, host }, $($arg.cast_unsigned()),*).into()
        }
    };
}
preview1!(methods);

/// The functions behind the methods, by group. Those that never wait return `Result<()>`, the others
/// `Step<()>`; arguments are unsigned.
mod groups {
    pub(super) use crate::args::*;
    pub(super) use crate::clocks::*;
    pub(super) use crate::dir::*;
    pub(super) use crate::fd::*;
    pub(super) use crate::file::*;
    pub(super) use crate::io::*;
    pub(super) use crate::path::*;
    pub(super) use crate::poll::*;
    pub(super) use crate::sock::*;
}
