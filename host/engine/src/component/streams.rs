//! Files as streams of `wasi:io`. They are always ready: files are read and written in place.

use std::sync::Arc;

use qyv_vfs::SyncKind;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use super::error::stream_error;
use super::limits::{MAX_READ, WRITE_PERMIT};
use super::open::Open;

/// Reads a file from an offset on.
pub(super) struct FileInput {
    pub(super) open: Arc<Open>,
    pub(super) offset: u64,
}

#[async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {}
}

#[async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.open.read(self.offset, size.min(MAX_READ)).map_err(stream_error)?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(bytes.into())
    }
}

/// Writes a file from an offset on, or at its end.
pub(super) struct FileOutput {
    pub(super) open: Arc<Open>,
    /// `None` appends.
    pub(super) offset: Option<u64>,
    pub(super) sync: Option<SyncKind>,
}

#[async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_PERMIT {
            return Err(StreamError::trap("a write is longer than the stream permitted"));
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let written = self.open.write(self.offset, rest, self.sync).map_err(stream_error)?;
            if written == 0 {
                return Err(stream_error(qyv_vfs::Error::IO));
            }
            self.offset = self.offset.map(|offset| offset.saturating_add(written as u64));
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}
