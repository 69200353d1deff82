//! The imports, with plain numbers, so that a test can pass any wrong address.
//!
//! Every function is unsafe because the host writes where the numbers point.

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub fn args_get(argv: u32, buffer: u32) -> i32;
    pub fn args_sizes_get(count: u32, size: u32) -> i32;
    pub fn environ_get(environ: u32, buffer: u32) -> i32;
    pub fn environ_sizes_get(count: u32, size: u32) -> i32;
    pub fn clock_res_get(clock: u32, into: u32) -> i32;
    pub fn clock_time_get(clock: u32, precision: u64, into: u32) -> i32;
    pub fn fd_advise(fd: u32, offset: u64, length: u64, advice: u32) -> i32;
    pub fn fd_allocate(fd: u32, offset: u64, length: u64) -> i32;
    pub fn fd_close(fd: u32) -> i32;
    pub fn fd_datasync(fd: u32) -> i32;
    pub fn fd_fdstat_get(fd: u32, into: u32) -> i32;
    pub fn fd_fdstat_set_flags(fd: u32, flags: u32) -> i32;
    pub fn fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) -> i32;
    pub fn fd_filestat_get(fd: u32, into: u32) -> i32;
    pub fn fd_filestat_set_size(fd: u32, size: u64) -> i32;
    pub fn fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32) -> i32;
    pub fn fd_pread(fd: u32, iovs: u32, count: u32, offset: u64, into: u32) -> i32;
    pub fn fd_prestat_get(fd: u32, into: u32) -> i32;
    pub fn fd_prestat_dir_name(fd: u32, path: u32, length: u32) -> i32;
    pub fn fd_pwrite(fd: u32, iovs: u32, count: u32, offset: u64, into: u32) -> i32;
    pub fn fd_read(fd: u32, iovs: u32, count: u32, into: u32) -> i32;
    pub fn fd_readdir(fd: u32, buffer: u32, length: u32, cookie: u64, into: u32) -> i32;
    pub fn fd_renumber(fd: u32, to: u32) -> i32;
    pub fn fd_seek(fd: u32, offset: i64, whence: u32, into: u32) -> i32;
    pub fn fd_sync(fd: u32) -> i32;
    pub fn fd_tell(fd: u32, into: u32) -> i32;
    pub fn fd_write(fd: u32, iovs: u32, count: u32, into: u32) -> i32;
    pub fn path_create_directory(fd: u32, path: u32, length: u32) -> i32;
    pub fn path_filestat_get(fd: u32, lookup: u32, path: u32, length: u32, into: u32) -> i32;
    pub fn path_filestat_set_times(
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> i32;
    pub fn path_link(
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        to_fd: u32,
        to_path: u32,
        to_length: u32,
    ) -> i32;
    pub fn path_open(
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        flags: u32,
        rights: u64,
        inheriting: u64,
        fd_flags: u32,
        into: u32,
    ) -> i32;
    pub fn path_readlink(fd: u32, path: u32, length: u32, buffer: u32, size: u32, into: u32) -> i32;
    pub fn path_remove_directory(fd: u32, path: u32, length: u32) -> i32;
    pub fn path_rename(fd: u32, path: u32, length: u32, to_fd: u32, to_path: u32, to_length: u32) -> i32;
    pub fn path_symlink(target: u32, target_length: u32, fd: u32, path: u32, length: u32) -> i32;
    pub fn path_unlink_file(fd: u32, path: u32, length: u32) -> i32;
    pub fn poll_oneoff(subscriptions: u32, events: u32, count: u32, into: u32) -> i32;
    pub fn proc_exit(code: u32);
    pub fn proc_raise(signal: u32) -> i32;
    pub fn sched_yield() -> i32;
    pub fn random_get(buffer: u32, length: u32) -> i32;
    pub fn sock_accept(fd: u32, flags: u32, into: u32) -> i32;
    pub fn sock_recv(fd: u32, iovs: u32, count: u32, flags: u32, size: u32, out_flags: u32) -> i32;
    pub fn sock_send(fd: u32, iovs: u32, count: u32, flags: u32, size: u32) -> i32;
    pub fn sock_shutdown(fd: u32, how: u32) -> i32;
}
