//! Where the bytes of a bundle come from.

use alloc::{string::String, vec::Vec};

/// Bytes that can be read at any offset: memory, a file, a disk.
///
/// The reader checks what it has read, each time, so a source that changes under it leads to errors and never to
/// unchecked contents. Calls may come from several threads when the source is `Sync`.
pub trait Source {
    /// How many bytes there are.
    ///
    /// # Errors
    ///
    /// The reason in words, when the source cannot tell.
    fn len(&self) -> Result<u64, String>;

    /// Whether there are none.
    ///
    /// # Errors
    ///
    /// As [`Source::len`].
    fn is_empty(&self) -> Result<bool, String> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// The reason in words, when not all of them can be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String>;
}

impl Source for [u8] {
    fn len(&self) -> Result<u64, String> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        let start = usize::try_from(offset).map_err(|_| String::from("the offset is too large"))?;
        let bytes = start.checked_add(buffer.len()).and_then(|end| self.get(start..end));
        buffer.copy_from_slice(bytes.ok_or_else(|| String::from("the end was reached"))?);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> Result<u64, String> {
        Source::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        self.as_slice().read_at(offset, buffer)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn len(&self) -> Result<u64, String> {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        (**self).read_at(offset, buffer)
    }
}

#[cfg(feature = "std")]
impl Source for std::fs::File {
    fn len(&self) -> Result<u64, String> {
        use alloc::string::ToString;
        let metadata = self.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err(String::from("it is not a regular file"));
        }
        Ok(metadata.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        use alloc::string::ToString;
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset).map_err(|error| error.to_string())
    }

    #[cfg(windows)]
    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), String> {
        use alloc::string::ToString;
        while !buffer.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(self, buffer, offset);
            match read.map_err(|error| error.to_string())? {
                0 => return Err(String::from("the end was reached")),
                count => {
                    buffer = &mut buffer[count..];
                    offset += count as u64;
                }
            }
        }
        Ok(())
    }
}
