//! Writing logs without making anybody wait.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bucket::Bucket;
use crate::lines::Lines;
use crate::record::{Record, Stream};
use crate::rotation::Rotating;

/// Bytes of records of one instance that wait for the disk at most.
const PENDING_BYTES_MAX: usize = 256 << 10;

/// Bytes a second that one instance may print for long.
const BYTES_PER_SECOND: u64 = 4 << 20;

/// Bytes that one instance may print at once.
const BURST_BYTES: u64 = 16 << 20;

/// How long a line without its end is kept back: a prompt is to be seen.
const PART_KEPT: Duration = Duration::from_millis(200);

/// The thread that writes the logs of one process. Dropping it writes what waits.
pub struct LogWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The file; older ones lie beside it.
    pub path: PathBuf,
    /// The most bytes of all its files together.
    pub bytes: u64,
    /// The generation of the instance that prints.
    pub generation: u64,
}

/// One stream of one instance's log. Writing never fails and never waits.
#[derive(Clone)]
pub struct LogStream {
    log: Arc<Log>,
    shared: Arc<Shared>,
    stream: Stream,
}

/// What was printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that the app printed.
    pub bytes: u64,
    /// Lines that were dropped.
    pub dropped: u64,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// Logs with something to write, each once.
    dirty: VecDeque<Arc<Log>>,
    stopping: bool,
}

struct Log {
    pending: Mutex<Pending>,
    file: Mutex<Rotating>,
    generation: u64,
    bytes: AtomicU64,
    dropped: AtomicU64,
}

struct Pending {
    records: Vec<u8>,
    queued: bool,
    streams: [Lines; 2],
    bucket: Bucket,
    /// Lines dropped since the log last said so.
    unsaid: u64,
}

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the process has no thread left.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new() });
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("logs".into()).spawn(move || shared.run())?
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Opens a log; the file is made with the first record.
    #[must_use]
    pub fn open(&self, options: LogOptions) -> LogStream {
        let LogOptions { path, bytes, generation } = options;
        let lines = |stream| Lines::new(stream, generation);
        let log = Log {
            pending: Mutex::new(Pending {
                records: Vec::new(),
                queued: false,
                streams: [lines(Stream::Stdout), lines(Stream::Stderr)],
                bucket: Bucket::new(BYTES_PER_SECOND, BURST_BYTES),
                unsaid: 0,
            }),
            file: Mutex::new(Rotating::new(path, bytes)),
            generation,
            bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        LogStream { log: Arc::new(log), shared: Arc::clone(&self.shared), stream: Stream::Stdout }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        lock(&self.shared.state).stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl LogStream {
    /// Standard error of the same log.
    #[must_use]
    pub fn stderr(&self) -> Self {
        Self { stream: Stream::Stderr, ..self.clone() }
    }

    /// Takes what the app printed.
    pub fn print(&self, bytes: &[u8]) {
        self.log.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let now = now();
        let mut pending = lock(&self.log.pending);
        let Pending { records, streams, bucket, unsaid, .. } = &mut *pending;
        let lines = &mut streams[usize::from(self.stream == Stream::Stderr)];
        lines.push(bytes, now, |record| self.log.add(record, records, bucket, unsaid));
        self.queue(pending);
    }

    /// Adds a line of the host's own, which is never dropped for being too fast.
    pub fn say(&self, text: &str) {
        let mut pending = lock(&self.log.pending);
        for line in text.lines() {
            let cut = &line.as_bytes()[..line.floor_char_boundary(crate::LINE_BYTES_MAX)];
            self.log.host(cut, &mut pending.records);
        }
        self.queue(pending);
    }

    /// What was printed so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            bytes: self.log.bytes.load(Ordering::Relaxed),
            dropped: self.log.dropped.load(Ordering::Relaxed),
        }
    }

    /// The app prints no more: hands out its unfinished lines.
    pub fn finish(&self) {
        let mut pending = lock(&self.log.pending);
        self.log.flush(&mut pending);
        self.queue(pending);
    }

    fn queue(&self, mut pending: MutexGuard<'_, Pending>) {
        if std::mem::replace(&mut pending.queued, true) {
            return;
        }
        drop(pending);
        lock(&self.shared.state).dirty.push_back(Arc::clone(&self.log));
        self.shared.wake.notify_one();
    }
}

impl io::Write for LogStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.print(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Adds a record, or counts it as dropped.
    fn add(&self, record: &Record<'_>, records: &mut Vec<u8>, bucket: &mut Bucket, unsaid: &mut u64) {
        let fits = records.len() + record.text.len() < PENDING_BYTES_MAX;
        if fits && bucket.take(record.text.len() as u64 + 1, record.time) {
            if *unsaid > 0 {
                let lost = std::mem::take(unsaid);
                self.host(format!("{lost} lines were dropped: printed too fast").as_bytes(), records);
            }
            record.write(records);
        } else {
            *unsaid += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn host(&self, text: &[u8], records: &mut Vec<u8>) {
        let generation = self.generation;
        Record { time: now(), generation, stream: Stream::Host, whole: true, text }.write(records);
    }

    fn flush(&self, pending: &mut Pending) {
        let Pending { records, streams, bucket, unsaid, .. } = pending;
        for lines in streams {
            lines.flush(|record| self.add(record, records, bucket, unsaid));
        }
        if *unsaid > 0 {
            let lost = std::mem::take(unsaid);
            self.host(format!("{lost} lines were dropped: printed too fast").as_bytes(), records);
        }
    }
}

impl Shared {
    fn run(&self) {
        // Logs that may hold an unfinished line, and open files: those of the last round.
        let mut recent: Vec<Arc<Log>> = Vec::new();
        loop {
            let (round, stopping) = {
                let mut state = lock(&self.state);
                if state.dirty.is_empty() && !state.stopping {
                    state = if recent.is_empty() {
                        self.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
                    } else {
                        self.wake.wait_timeout(state, PART_KEPT).unwrap_or_else(PoisonError::into_inner).0
                    };
                }
                (std::mem::take(&mut state.dirty), state.stopping)
            };
            for log in &round {
                write_out(log, false);
            }
            if round.is_empty() || stopping {
                for log in recent.drain(..).chain(round) {
                    write_out(&log, true);
                }
                if stopping && lock(&self.state).dirty.is_empty() {
                    return;
                }
            } else {
                for log in round {
                    if !recent.iter().any(|known| Arc::ptr_eq(known, &log)) {
                        recent.push(log);
                    }
                }
                // Files stay open for those who print all the time, within bounds.
                if recent.len() > OPEN_MAX {
                    for log in recent.drain(..OPEN_MAX / 2) {
                        write_out(&log, true);
                    }
                }
            }
        }
    }
}

/// How many log files a process keeps open at most.
const OPEN_MAX: usize = 64;

/// Writes what waits; at rest, unfinished lines too, and the file is closed.
fn write_out(log: &Log, rest: bool) {
    let records = {
        let mut pending = lock(&log.pending);
        if rest {
            log.flush(&mut pending);
        }
        pending.queued = false;
        std::mem::take(&mut pending.records)
    };
    let mut file = lock(&log.file);
    if !records.is_empty() && file.write(&records).is_err() {
        // A full disk: there is nobody to tell but the counter.
        let lines = records.iter().filter(|byte| **byte == b'\n').count();
        log.dropped.fetch_add(lines as u64, Ordering::Relaxed);
    }
    if rest {
        file.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970-01-01T00:00:00Z.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::LogReader;

    fn options(folder: &tempfile::TempDir, bytes: u64) -> LogOptions {
        LogOptions { path: folder.path().join("0.log"), bytes, generation: 5 }
    }

    fn texts(folder: &tempfile::TempDir) -> Vec<(Stream, String)> {
        let mut list = Vec::new();
        LogReader::open(&folder.path().join("0.log"))
            .unwrap()
            .each(|record| {
                list.push((record.stream, String::from_utf8_lossy(record.text).into_owned()));
                true
            })
            .unwrap();
        list
    }

    #[test]
    fn what_is_printed_is_in_the_log_in_order_when_the_writer_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let writer = LogWriter::start().unwrap();
        let out = writer.open(options(&folder, 1 << 20));
        out.print(b"one\ntw");
        out.stderr().print(b"oh\n");
        out.print(b"o\nunfinished");
        out.say("ended");
        out.finish();
        drop(writer);
        let expected = [
            (Stream::Stdout, "one"),
            (Stream::Stderr, "oh"),
            (Stream::Stdout, "two"),
            (Stream::Host, "ended"),
            (Stream::Stdout, "unfinished"),
        ];
        assert_eq!(texts(&folder), expected.map(|(stream, text)| (stream, text.to_owned())));
    }

    #[test]
    fn a_flood_is_bounded_on_disk_and_in_memory_and_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let writer = LogWriter::start().unwrap();
        let out = writer.open(options(&folder, 3 << 20));
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let total = 64 << 10;
        for _ in 0..total {
            out.print(&line);
            assert!(lock(&out.log.pending).records.capacity() <= 2 * PENDING_BYTES_MAX);
        }
        let counters = out.counters();
        assert_eq!(counters.bytes, total * 1000);
        assert!(counters.dropped > total / 2, "64 MB at once are more than a burst: {counters:?}");
        out.finish();
        drop(writer);
        let kept: u64 = crate::files(&folder.path().join("0.log"))
            .iter()
            .filter_map(|path| Some(path.metadata().ok()?.len()))
            .sum();
        assert!(kept <= 3 << 20, "{kept}");
        let texts = texts(&folder);
        let said = |(stream, text): &(Stream, String)| {
            *stream == Stream::Host && text.contains("lines were dropped")
        };
        assert!(texts.iter().any(said), "{} records, and none says it", texts.len());
    }

    #[test]
    fn a_full_disk_is_counted_and_stops_nobody() {
        let writer = LogWriter::start().unwrap();
        let path = PathBuf::from("/nonexistent/0.log");
        let out = writer.open(LogOptions { path, bytes: 1000, generation: 1 });
        out.print(b"a\nb\n");
        let counters = out.clone();
        drop(writer);
        assert_eq!(counters.counters().dropped, 2);
    }
}
