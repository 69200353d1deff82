//! Loading a tree of files from one file system into another.

use qyv_vfs::{FileSystem, FileType, Handle, OpenOptions, Result, SetTime};

/// How much is copied at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Copies everything beneath the root of `from` to the root of `to`: files, folders and links, with their times.
pub(crate) fn copy(from: &mut dyn FileSystem, to: &mut dyn FileSystem) -> Result<()> {
    let (source, target) = (from.root(), to.root());
    copy_folder(from, source, to, target)
}

fn copy_folder(
    from: &mut dyn FileSystem,
    source: Handle,
    to: &mut dyn FileSystem,
    target: Handle,
) -> Result<()> {
    let mut entries = Vec::new();
    from.read_dir(source, 0, &mut |entry| {
        entries.push((entry.name, entry.kind));
        true
    })?;
    for (name, kind) in entries {
        let times = from.attributes_at(source, &name)?.times;
        match kind {
            FileType::Regular => copy_file(from, source, to, target, &name)?,
            FileType::Symlink => to.symlink(&from.read_link(source, &name)?, target, &name)?,
            FileType::Directory => {
                to.create_dir(target, &name)?;
                let inner_source = from.lookup(source, &name)?;
                let listed = from.reopen_dir(inner_source)?;
                let inner_target = to.lookup(target, &name)?;
                let copied = copy_folder(from, listed, to, inner_target);
                from.close(listed);
                from.close(inner_source);
                to.close(inner_target);
                copied?;
            }
        }
        to.set_times_at(target, &name, SetTime::At(times.accessed), SetTime::At(times.modified))?;
    }
    Ok(())
}

fn copy_file(
    from: &mut dyn FileSystem,
    source: Handle,
    to: &mut dyn FileSystem,
    target: Handle,
    name: &str,
) -> Result<()> {
    let input = from.open(source, name, &OpenOptions { read: true, ..OpenOptions::default() })?.handle;
    let options = OpenOptions { write: true, create: true, exclusive: true, ..OpenOptions::default() };
    let output = to.open(target, name, &options)?.handle;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut offset = 0;
    let copied = loop {
        match from.read_at(input, offset, &mut [&mut buffer]) {
            Ok(0) => break Ok(()),
            Ok(count) => match write_all(to, output, offset, &buffer[..count]) {
                Ok(()) => offset += count as u64,
                Err(error) => break Err(error),
            },
            Err(error) => break Err(error),
        }
    };
    from.close(input);
    to.close(output);
    copied
}

fn write_all(to: &mut dyn FileSystem, file: Handle, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let count = to.write_at(file, offset, &[bytes])?;
        bytes = bytes.get(count..).unwrap_or_default();
        offset += count as u64;
    }
    Ok(())
}

/// Makes a file at the root of `to`.
pub(crate) fn write(to: &mut dyn FileSystem, name: &str, bytes: &[u8]) -> Result<()> {
    let root = to.root();
    let options = OpenOptions { write: true, create: true, exclusive: true, ..OpenOptions::default() };
    let file = to.open(root, name, &options)?.handle;
    let written = write_all(to, file, 0, bytes);
    to.close(file);
    written
}
