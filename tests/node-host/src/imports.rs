//! What JavaScript offers. All functions return at once.

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Bytes of the guest's memory.
    pub(crate) safe fn memory_size() -> u64;
    /// Copies from the guest. The range lies within its memory.
    pub(crate) fn memory_read(at: u32, into: *mut u8, length: usize);
    /// Copies to the guest. The range lies within its memory.
    pub(crate) fn memory_write(at: u32, from: *const u8, length: usize);
    /// Nanoseconds of a clock by its preview-1 number; negative for none.
    pub(crate) safe fn clock_now(clock: u32) -> i64;
    /// The resolution in nanoseconds; negative for none.
    pub(crate) safe fn clock_resolution(clock: u32) -> i64;
    /// Fills with random bytes.
    pub(crate) fn random(into: *mut u8, length: usize);
    /// Reads from a stream: the bytes read, or a negative error number.
    pub(crate) fn stream_read(stream: u32, into: *mut u8, length: usize) -> i32;
    /// Writes to a stream: the bytes written, or a negative error number.
    pub(crate) fn stream_write(stream: u32, from: *const u8, length: usize) -> i32;
    /// 0 a terminal, 1 a file, 2 a pipe, 3 nothing.
    pub(crate) safe fn stream_kind(stream: u32) -> u32;
}
