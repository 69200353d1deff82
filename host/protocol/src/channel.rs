//! Messages over a Unix stream socket: a header of eight bytes, then JSON. File descriptors go with the header.
//!
//! ```text
//! bytes 0..4   length of the JSON in bytes, little endian, at most MESSAGE_BYTES_MAX
//! bytes 4..8   number of file descriptors that came with these eight bytes, at most DESCRIPTORS_MAX
//! ```
//!
//! A stream and not packets: a start with its arguments can be larger than what a packet may be at the system's defaults.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most bytes of JSON in one message.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// The most file descriptors with one message; Linux itself stops at 253.
pub const DESCRIPTORS_MAX: usize = 128;

/// The bytes before each message.
pub const HEADER_BYTES: usize = 8;

/// The bytes of control data that [`DESCRIPTORS_MAX`] descriptors need.
const CONTROL_BYTES: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX));

/// A message with what goes along with it.
#[derive(Debug)]
pub struct Received<T> {
    /// What was said.
    pub message: T,
    /// The file descriptors that came with it, closed on exec.
    pub descriptors: Vec<OwnedFd>,
}

/// A message as it is sent: header and JSON.
///
/// # Errors
///
/// `InvalidData` when it is larger than [`MESSAGE_BYTES_MAX`] or has more than [`DESCRIPTORS_MAX`] descriptors.
pub fn encode(message: &impl Serialize, descriptors: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - HEADER_BYTES;
    if length > MESSAGE_BYTES_MAX || descriptors > DESCRIPTORS_MAX {
        let why = format!("a message of {length} bytes with {descriptors} file descriptors is too large");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    bytes[4..8].copy_from_slice(&(descriptors as u32).to_le_bytes());
    Ok(bytes)
}

/// The length of the JSON and the number of descriptors that a header announces.
///
/// # Errors
///
/// `InvalidData` when either is out of bounds: whoever sent that does not speak this protocol.
pub fn decode_header(header: [u8; HEADER_BYTES]) -> io::Result<(usize, usize)> {
    let [a, b, c, d, e, f, g, h] = header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let descriptors = u32::from_le_bytes([e, f, g, h]) as usize;
    if length > MESSAGE_BYTES_MAX || descriptors > DESCRIPTORS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message with a header out of bounds"));
    }
    Ok((length, descriptors))
}

/// Sends the beginning of an encoded message together with its descriptors. Returns how many bytes were taken.
///
/// # Errors
///
/// Those of sendmsg(2); `WouldBlock` on a socket that does not block.
pub fn send_beginning(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many file descriptors for a message"));
    }
    loop {
        match sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Receives up to eight bytes of a header, and the descriptors that came with them. 0 bytes are the end.
///
/// # Errors
///
/// Those of recvmsg(2); `InvalidData` when the descriptors did not fit, which the sender's bound prevents.
pub fn receive_beginning(
    socket: impl AsFd,
    header: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut into = [IoSliceMut::new(&mut *header)];
        match recvmsg(&socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            result => break result?,
        }
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = message {
            descriptors.extend(list);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more file descriptors than a message has"));
    }
    Ok(received.bytes)
}

/// Sends a message and waits until the system has taken it.
///
/// # Errors
///
/// As [`encode`]; those of the socket.
pub fn send(socket: &UnixStream, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = encode(message, descriptors.len())?;
    let sent = send_beginning(socket, &bytes, descriptors)?;
    let mut socket = socket;
    socket.write_all(&bytes[sent..])
}

/// Waits for a message; `None` when the other side has closed between two of them.
///
/// # Errors
///
/// `InvalidData` for what is no message of type `T`, `UnexpectedEof` for one that ends early; those of the socket.
pub fn receive<T: DeserializeOwned>(socket: &UnixStream) -> io::Result<Option<Received<T>>> {
    let mut header = [0; HEADER_BYTES];
    let mut descriptors = Vec::new();
    let mut filled = 0;
    while filled < HEADER_BYTES {
        match receive_beginning(socket, &mut header[filled..], &mut descriptors)? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    let (length, announced) = decode_header(header)?;
    if announced != descriptors.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "file descriptors were lost on the way"));
    }
    // Grows as bytes arrive, not as they are announced.
    let mut json = Vec::new();
    let mut socket = socket;
    io::Read::by_ref(&mut socket).take(length as u64).read_to_end(&mut json)?;
    if json.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Received { message: serde_json::from_slice(&json)?, descriptors }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn messages_and_descriptors_arrive_in_order() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let files: Vec<File> = (0..DESCRIPTORS_MAX).map(|_| tempfile::tempfile().unwrap()).collect();
        let large = "x".repeat(3 << 20);
        let sender = std::thread::spawn({
            let inodes: Vec<u64> = files.iter().map(|file| file.metadata().unwrap().ino()).collect();
            let large = large.clone();
            move || {
                send(&ours, &"first", &[]).unwrap();
                let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
                send(&ours, &large, &borrowed).unwrap();
                send(&ours, &"last", &[]).unwrap();
                inodes
            }
        });
        let first: Received<String> = receive(&theirs).unwrap().unwrap();
        assert_eq!((first.message.as_str(), first.descriptors.len()), ("first", 0));
        let second: Received<String> = receive(&theirs).unwrap().unwrap();
        let last: Received<String> = receive(&theirs).unwrap().unwrap();
        assert_eq!((last.message.as_str(), last.descriptors.len()), ("last", 0));
        assert!(receive::<String>(&theirs).unwrap().is_none());
        let inodes = sender.join().unwrap();
        assert_eq!(second.message, large);
        let got: Vec<u64> =
            second.descriptors.into_iter().map(|fd| File::from(fd).metadata().unwrap().ino()).collect();
        assert_eq!(got, inodes);
    }

    #[test]
    fn what_is_no_message_is_an_error_and_allocates_nothing_that_was_announced() {
        let said = |bytes: &[u8]| {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(bytes).unwrap();
            drop(ours);
            receive::<String>(&theirs).map(|_| ()).map_err(|error| error.kind())
        };
        let header =
            |length: u32, descriptors: u32| [length.to_le_bytes(), descriptors.to_le_bytes()].concat();
        assert_eq!(said(&[1, 0]), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(said(&header(u32::MAX, 0)), Err(io::ErrorKind::InvalidData));
        assert_eq!(said(&header(2, 1)), Err(io::ErrorKind::InvalidData));
        assert_eq!(said(&header(0, u32::MAX)), Err(io::ErrorKind::InvalidData));
        assert_eq!(said(&header(MESSAGE_BYTES_MAX as u32, 0)), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(said(&[&header(3, 0)[..], b"{}}"].concat()), Err(io::ErrorKind::InvalidData));
    }

    #[test]
    fn a_message_that_is_too_large_is_not_sent() {
        assert!(encode(&"x".repeat(MESSAGE_BYTES_MAX), 0).is_err());
        assert!(encode(&"x", DESCRIPTORS_MAX + 1).is_err());
    }
}
