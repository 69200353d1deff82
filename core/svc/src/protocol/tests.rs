//! Goal: any cut of the bytes gives the same messages, and no bytes make a decoder panic or hold more than arrived.
//! Method: messages are encoded, cut at random and decoded; garbage is decoded while the buffer is watched.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as vector;
use proptest::prelude::*;

use super::*;

/// Feeds `bytes` in pieces of these lengths, over and over, until all are taken or it fails.
fn decode(framing: Framing, bytes: &[u8], cuts: &[usize]) -> (Vec<Vec<u8>>, Option<Malformed>) {
    let mut decoder = Decoder::new(framing);
    let mut messages = Vec::new();
    let mut cuts = cuts.iter().copied().cycle();
    let mut left = bytes;
    while !left.is_empty() {
        let (mut piece, rest) = left.split_at(cuts.next().unwrap().clamp(1, left.len()));
        left = rest;
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(piece.is_empty(), "`None` means that everything was taken");
        let arrived = bytes.len() - left.len();
        assert!(held(&decoder) <= 2 * arrived, "{} held of {arrived}", held(&decoder));
    }
    match decoder.finish() {
        Ok(last) => messages.extend(last),
        Err(error) => return (messages, Some(error)),
    }
    (messages, None)
}

fn held(decoder: &Decoder) -> usize {
    match decoder {
        Decoder::Lines(lines) => lines.buffer_bytes(),
        Decoder::Frames(frames) => frames.buffer_bytes(),
        Decoder::Stream => 0,
    }
}

fn encoded(framing: Framing, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        encode(framing, message, &mut bytes).unwrap();
    }
    bytes
}

proptest! {
    #[test]
    fn frames_survive_any_cut(
        messages in vector(vector(any::<u8>(), 0..400), 0..8),
        cuts in vector(1..300_usize, 1..8),
    ) {
        let bytes = encoded(Framing::Frames, &messages);
        prop_assert_eq!(decode(Framing::Frames, &bytes, &cuts), (messages, None));
    }

    #[test]
    fn lines_survive_any_cut(
        messages in vector("[^\n]{0,40}", 0..8),
        cuts in vector(1..30_usize, 1..8),
    ) {
        let messages: Vec<Vec<u8>> = messages.into_iter().map(String::into_bytes).collect();
        let bytes = encoded(Framing::Lines, &messages);
        prop_assert_eq!(decode(Framing::Lines, &bytes, &cuts), (messages, None));
    }

    #[test]
    fn garbage_is_cut_without_changing_what_it_means(
        bytes in vector(prop_oneof![any::<u8>(), Just(b'\n'), 0..4_u8, Just(0x80)], 0..200),
        cuts in vector(1..30_usize, 1..8),
    ) {
        for framing in [Framing::Lines, Framing::Frames] {
            prop_assert_eq!(decode(framing, &bytes, &cuts), decode(framing, &bytes, &[usize::MAX]));
        }
    }
}

#[test]
fn raw_bytes_pass_as_they_are() {
    assert_eq!(encoded(Framing::Stream, &[vec![1, 2], vec![3]]), [1, 2, 3]);
    assert_eq!(decode(Framing::Stream, &[1, 2, 3], &[2]), (vec![vec![1, 2], vec![3]], None));
}

#[test]
fn bytes_after_a_message_are_left() {
    let mut arrived = &b"{\"bytes\": 3}\n\n\xff\n"[..];
    assert_eq!(LineDecoder::default().decode(&mut arrived), Ok(Some("{\"bytes\": 3}".into())));
    assert_eq!(arrived, b"\n\xff\n");
    let mut arrived = &[1, 7, 9, 9][..];
    assert_eq!(FrameDecoder::default().decode(&mut arrived), Ok(Some(vec![7])));
    assert_eq!(arrived, [9, 9]);
}

#[test]
fn lines_end_with_a_line_feed_or_the_connection() {
    let (lines, error) = decode(Framing::Lines, b"a\r\n\nb", &[1]);
    assert_eq!((lines, error), (vec![b"a\r".to_vec(), vec![], b"b".to_vec()], None));
    assert_eq!(
        decode(Framing::Lines, b"a\n\xff\nb\n", &[1]),
        (vec![b"a".to_vec()], Some(Malformed::NotUtf8))
    );
    assert_eq!(
        decode(Framing::Lines, "a\n\u{20ac}".as_bytes().split_last().unwrap().1, &[9]).1,
        Some(Malformed::NotUtf8)
    );
    for (line, why) in [(&b"a\nb"[..], Malformed::LineBreak), (b"\xc3", Malformed::NotUtf8)] {
        let mut out = vec![1];
        assert_eq!(encode(Framing::Lines, line, &mut out), Err(why));
        assert_eq!(out, [1]);
    }
}

#[test]
fn lengths_have_one_spelling() {
    for (length, bytes) in [(0, &[0][..]), (127, &[0x7f]), (128, &[0x80, 1]), (300, &[0xac, 2])] {
        let mut out = Vec::new();
        encode(Framing::Frames, &vec![0; length], &mut out).unwrap();
        assert_eq!(out[..out.len() - length], *bytes);
    }
    for (bytes, why) in [
        (&[0x80, 0][..], Malformed::Overlong),
        (&[0xff, 0x80, 0], Malformed::Overlong),
        (&[0x80, 0x80, 0x80, 0], Malformed::Overlong),
        (&[0x80, 0x80, 0x80, 0x80, 0], Malformed::TooLong),
        (&[0x81, 0x80, 0x80, 8], Malformed::TooLong),
        (&[0xff; 20], Malformed::TooLong),
        (&[0x80], Malformed::CutShort),
        (&[2, 1], Malformed::CutShort),
        (&[0x80, 0x80, 0x80, 8, 1], Malformed::CutShort),
    ] {
        assert_eq!(decode(Framing::Frames, bytes, &[1]), (vec![], Some(why)), "{bytes:?}");
    }
}

#[test]
fn a_failure_is_kept() {
    let mut lines = LineDecoder::default();
    let mut frames = FrameDecoder::default();
    assert_eq!(lines.decode(&mut &b"\xff\n"[..]), Err(Malformed::NotUtf8));
    assert_eq!(frames.decode(&mut &[0x80, 0][..]), Err(Malformed::Overlong));
    assert_eq!(lines.decode(&mut &b"good\n"[..]), Err(Malformed::NotUtf8));
    assert_eq!(frames.decode(&mut &[1, 1][..]), Err(Malformed::Overlong));
    assert_eq!((lines.finish(), frames.finish()), (Err(Malformed::NotUtf8), Err(Malformed::Overlong)));
}

#[test]
fn the_longest_message_passes_and_one_byte_more_does_not() {
    let longest = vec![b'a'; MESSAGE_BYTES_MAX];
    for framing in [Framing::Lines, Framing::Frames] {
        let bytes = encoded(framing, core::slice::from_ref(&longest));
        assert_eq!(decode(framing, &bytes, &[1 << 20]).0.first().map(Vec::len), Some(MESSAGE_BYTES_MAX));
        let mut longer = longest.clone();
        longer.push(b'a');
        assert_eq!(encode(framing, &longer, &mut Vec::new()), Err(Malformed::TooLong));
    }
    // A line without an end is refused when it becomes too long, not when it ends.
    let endless = vec![b'a'; MESSAGE_BYTES_MAX + 1];
    assert_eq!(decode(Framing::Lines, &endless, &[1 << 20]), (vec![], Some(Malformed::TooLong)));
}
