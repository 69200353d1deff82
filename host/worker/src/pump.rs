//! Carrying bytes between a connection of the service network and a stream of the host.

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use qyv_svc::{Direction, End, Failure, Interest};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::services::Shared;

/// How much is carried at once.
const BUFFER_BYTES: usize = 16 << 10;

/// How long the one side is listened to after the other has ended sending.
const LISTENING: Duration = Duration::from_secs(60);

/// Carries bytes both ways until both have ended, one side fails, or the app's side is closed.
pub(crate) async fn pump(
    end: End<Shared>,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) {
    let out = async {
        loop {
            let bytes = receive(&end).await?;
            if bytes.is_empty() {
                return writer.shutdown().await;
            }
            writer.write_all(&bytes).await?;
        }
    };
    let into = async {
        loop {
            let bytes = read(&mut reader).await?;
            if bytes.is_empty() {
                end.shutdown(Direction::Send);
                return Ok::<_, io::Error>(());
            }
            send(&end, &bytes).await?;
        }
    };
    let result = {
        let (mut out, mut into) = (pin!(out), pin!(into));
        let (mut sent, mut received) = (None, false);
        poll_fn(|context| {
            if sent.is_none()
                && let Poll::Ready(result) = out.as_mut().poll(context)
            {
                result?;
                sent = Some(Box::pin(tokio::time::sleep(LISTENING)));
            }
            if !received && let Poll::Ready(result) = into.as_mut().poll(context) {
                result?;
                received = true;
            }
            let Some(patience) = &mut sent else { return Poll::Pending };
            if received {
                return Poll::Ready(Ok(()));
            }
            // Who has closed its end hears no more, and the other side is not waited for. Who has only ended sending may
            // listen for a while.
            let gone = end.ready(Interest::Write, None).is_some_and(|ready| ready.hangup);
            if gone || patience.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe)));
            }
            Poll::Pending
        })
        .await
    };
    if result.is_err() {
        end.fail(Failure::Reset);
    }
}

/// What was sent, at most [`BUFFER_BYTES`]; nothing at its end. A connection on which nothing goes holds no buffer: there may
/// be thousands.
async fn receive(end: &End<Shared>) -> io::Result<Vec<u8>> {
    let take = || {
        let mut buffer = [0; BUFFER_BYTES];
        end.receive(&mut buffer, false).map(|count| buffer[..count].to_vec())
    };
    loop {
        match take() {
            Err(qyv_vfs::Error::AGAIN) => ready(end, Interest::Read).await,
            result => return result.map_err(failed),
        }
    }
}

/// The same of a stream of the host.
async fn read(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    poll_fn(|context| {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        Pin::new(&mut *reader).poll_read(context, &mut buffer).map_ok(|()| buffer.filled().to_vec())
    })
    .await
}

async fn send(end: &End<Shared>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match end.send(bytes) {
            Err(qyv_vfs::Error::AGAIN) => ready(end, Interest::Write).await,
            result => bytes = bytes.get(result.map_err(failed)?..).unwrap_or_default(),
        }
    }
    Ok(())
}

async fn ready(end: &End<Shared>, interest: Interest) {
    poll_fn(|context| match end.ready(interest, Some(context.waker())) {
        Some(_) => Poll::Ready(()),
        None => Poll::Pending,
    })
    .await;
}

fn failed(error: qyv_vfs::Error) -> io::Error {
    io::Error::other(error.to_string())
}
