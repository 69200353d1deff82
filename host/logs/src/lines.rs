//! Turning what an app prints into records.

use crate::record::{LINE_BYTES_MAX, Record, Stream};

/// The unfinished line of one stream of one instance.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: Stream,
    generation: u64,
    part: Vec<u8>,
    /// When the part began.
    since: u64,
}

impl Lines {
    pub(crate) fn new(stream: Stream, generation: u64) -> Self {
        Self { stream, generation, part: Vec::new(), since: 0 }
    }

    /// Takes what was printed at `now`, and hands out every record that is complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], now: u64, mut sink: impl FnMut(&Record<'_>)) {
        while !bytes.is_empty() {
            if self.part.is_empty() {
                self.since = now;
            }
            let room = LINE_BYTES_MAX - self.part.len();
            let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let taken = end.unwrap_or_else(|| bytes.len().min(room));
            self.part.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken + usize::from(end.is_some())..];
            if end.is_some() || self.part.len() == LINE_BYTES_MAX {
                self.hand_out(end.is_some(), &mut sink);
            }
        }
    }

    /// Hands out what there is of a line, because nothing may come for long.
    pub(crate) fn flush(&mut self, mut sink: impl FnMut(&Record<'_>)) {
        if !self.part.is_empty() {
            self.hand_out(false, &mut sink);
        }
    }

    fn hand_out(&mut self, whole: bool, sink: &mut impl FnMut(&Record<'_>)) {
        let Self { stream, generation, ref part, since } = *self;
        sink(&Record { time: since, generation, stream, whole, text: part });
        self.part.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut lines = Lines::new(Stream::Stdout, 1);
        let mut text = Vec::new();
        let mut take = |record: &Record<'_>| {
            assert!(record.text.len() <= LINE_BYTES_MAX && !record.text.contains(&b'\n'));
            text.extend_from_slice(record.text);
            if record.whole {
                text.push(b'\n');
            }
        };
        for chunk in chunks {
            lines.push(chunk, 0, &mut take);
        }
        lines.flush(&mut take);
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_is_lost_however_it_is_cut(
            text in proptest::collection::vec(prop_oneof![8 => Just(b'x'), 1 => Just(b'\n')], 0..40_000),
            cuts in proptest::collection::vec(1usize..9000, 1..20),
        ) {
            let mut rest = &text[..];
            let mut chunks = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk.to_vec());
                rest = after;
            }
            prop_assert_eq!(joined(&chunks), text);
        }
    }
}
