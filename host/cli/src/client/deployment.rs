//! Sending a deployment, and the bundles that the daemon does not have.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use qyv_spec::app::Hash;
use qyvol_protocol::api::{DEPLOY_REQUEST_FILE, DeployRequest, Deployed, Problem};

use super::{Client, Sent, encode, problem};
use crate::failure::{Failure, Result};

/// How often bundles are sent that are not there any more when the daemon looks.
const TRIES: usize = 3;

/// What is a multiple of this in an archive, in bytes.
const BLOCK_BYTES: u64 = 512;

/// What an archive ends with: zeros, in bytes.
const END_BYTES: usize = 1024;

/// A bundle that can be sent: a part of a file.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    /// The hash of the whole bundle.
    pub(crate) hash: Hash,
    file: Arc<File>,
    /// Where in the file it begins.
    start: u64,
    bytes: u64,
}

impl Bundle {
    /// The bundle that is this part of a file.
    pub(crate) fn of(file: &Arc<File>, start: u64, bytes: u64) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(Part { file: Arc::clone(file), at: start, left: bytes })?;
        Ok(Self { hash: Hash(*hasher.finalize().as_bytes()), file: Arc::clone(file), start, bytes })
    }
}

impl Client {
    /// Deploys apps: asks for it, and sends along what the daemon says that it lacks.
    pub(crate) fn deploy(&self, request: &DeployRequest, bundles: &[&Bundle]) -> Result<Deployed> {
        let json = encode(request)?;
        let mut lacking = BTreeSet::new();
        for _ in 0..TRIES {
            let (path, body) = if lacking.is_empty() {
                ("/v1/deploy", Sent::json(json.clone()))
            } else {
                let archive = archive(&json, bundles, &lacking)?;
                let bytes = archive.bytes;
                ("/v1/deploy/bundles", Sent::archive(Box::new(archive), bytes))
            };
            let response = self.runtime.block_on(self.ask(Method::POST, path, body))?;
            let status = response.status();
            if status.is_success() {
                return self.read(response);
            }
            let answer = self.bytes(response).unwrap_or_default();
            match missing(status, &answer) {
                Some(missing) => lacking.extend(missing),
                None => return Err(problem::failure(status, &answer)),
            }
        }
        Err(Failure::own("the daemon forgets what is sent to it")
            .hint("does somebody prune its images meanwhile?"))
    }
}

/// What the daemon does not have, when that is why it refuses.
fn missing(status: StatusCode, answer: &[u8]) -> Option<Vec<Hash>> {
    let lacks = || serde_json::from_slice::<Problem>(answer).ok().map(|problem| problem.missing);
    (status == StatusCode::NOT_FOUND).then(lacks).flatten().filter(|missing| !missing.is_empty())
}

/// The request and those bundles, as an archive of the format of tar.
fn archive(request: &[u8], bundles: &[&Bundle], lacking: &BTreeSet<Hash>) -> Result<Sequence> {
    let mut parts = Sequence { parts: VecDeque::new(), bytes: END_BYTES as u64 };
    parts.add(DEPLOY_REQUEST_FILE, Cursor::new(request.to_vec()), request.len() as u64)?;
    let mut left = lacking.clone();
    for bundle in bundles {
        if left.remove(&bundle.hash) {
            let part = Part { file: Arc::clone(&bundle.file), at: bundle.start, left: bundle.bytes };
            parts.add(&bundle.hash.to_string(), part, bundle.bytes)?;
        }
    }
    if let Some(hash) = left.first() {
        return Err(Failure::own(format!("the daemon asks for `{hash}`, which was not deployed")));
    }
    parts.parts.push_back(Box::new(Cursor::new([0; END_BYTES])));
    Ok(parts)
}

/// Things to read, one after another, and how many bytes they are together.
struct Sequence {
    parts: VecDeque<Box<dyn Read + Send>>,
    bytes: u64,
}

impl Sequence {
    fn add(&mut self, name: &str, content: impl Read + Send + 'static, bytes: u64) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(Failure::own)?;
        header.set_size(bytes);
        header.set_mode(0o400);
        header.set_cksum();
        let padding = (BLOCK_BYTES - bytes % BLOCK_BYTES) % BLOCK_BYTES;
        self.parts.push_back(Box::new(Cursor::new(*header.as_bytes())));
        self.parts.push_back(Box::new(content));
        self.parts.push_back(Box::new(io::repeat(0).take(padding)));
        self.bytes += BLOCK_BYTES + bytes + padding;
        Ok(())
    }
}

impl Read for Sequence {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(part) = self.parts.front_mut() {
            match part.read(buffer)? {
                0 if !buffer.is_empty() => drop(self.parts.pop_front()),
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}

/// A part of a file.
struct Part {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.file.read_at(&mut buffer[..most], self.at)? {
            0 => Err(io::Error::other("the bundle became shorter while it was sent")),
            count => {
                (self.at, self.left) = (self.at + count as u64, self.left - count as u64);
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_archive_holds_the_request_and_what_is_lacking_and_nothing_else() {
        let mut file = tempfile::tempfile().unwrap();
        let contents: Vec<Vec<u8>> = [1, 511, 512, 70_000].map(|bytes| vec![b'x'; bytes]).into();
        let mut start = 0;
        for content in &contents {
            file.write_all(content).unwrap();
        }
        let file = Arc::new(file);
        let mut bundles = Vec::new();
        for content in &contents {
            let bytes = content.len() as u64;
            bundles.push(Bundle::of(&file, start, bytes).unwrap());
            assert_eq!(bundles.last().map(|bundle| bundle.hash), Some(Hash::of(content)));
            start += bytes;
        }
        let bundles: Vec<&Bundle> = bundles.iter().collect();
        let lacking = [0, 1, 3].map(|index| bundles[index].hash).into();
        let mut found = Vec::new();
        let mut whole = archive(b"{}", &bundles, &lacking).unwrap();
        let announced = whole.bytes;
        let mut sent = Vec::new();
        whole.read_to_end(&mut sent).unwrap();
        assert_eq!(sent.len() as u64, announced);
        let mut read = tar::Archive::new(&*sent);
        for entry in read.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            found.push((name, content));
        }
        let mut expected = vec![(DEPLOY_REQUEST_FILE.to_owned(), b"{}".to_vec())];
        expected.extend([0, 1, 3].map(|index| (bundles[index].hash.to_string(), contents[index].clone())));
        assert_eq!(found, expected);

        let unknown = [Hash::of(b"other")].into();
        assert!(archive(b"{}", &bundles, &unknown).is_err());
        // What was cut meanwhile breaks the request off.
        file.set_len(10).unwrap();
        let mut sent = Vec::new();
        let cut = archive(b"{}", &bundles, &lacking).unwrap().read_to_end(&mut sent);
        assert!(cut.unwrap_err().to_string().contains("shorter"));
    }
}
