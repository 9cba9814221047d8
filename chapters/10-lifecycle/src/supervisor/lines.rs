//! Lines out of a stream of bytes; long ones in parts, as Docker logs them.

use std::ops::Range;

use super::stamp::Stamp;
use super::sys;

/// The longest part of a line, in bytes: Docker's buffer (moby, daemon/logger/copier.go).
pub const PART: usize = 16 * 1024;

/// What of one stream is not a whole line yet. Never more than [`PART`] bytes.
#[derive(Debug, Default)]
pub struct Lines {
    carry: Vec<u8>,
    /// When the first part of a line was given out whose end has not come yet: all parts bear that time.
    begun: Option<Stamp>,
}

impl Lines {
    /// Gives every line of `bytes`, with its line feed, to `take`; what is longer than [`PART`] in parts. What is left
    /// waits for more.
    pub fn feed(&mut self, mut bytes: &[u8], now: Stamp, take: &mut dyn FnMut(&[u8], Stamp)) {
        while !bytes.is_empty() {
            let window = &bytes[..bytes.len().min(PART - self.carry.len())];
            let Some(end) = sys::find(b'\n', window) else {
                if self.carry.len() + window.len() < PART {
                    self.carry.extend_from_slice(window);
                    return;
                }
                bytes = &bytes[self.split(window, now, take)..];
                continue;
            };
            let stamp = self.begun.take().unwrap_or(now);
            if self.carry.is_empty() {
                take(&window[..=end], stamp);
            } else {
                self.carry.extend_from_slice(&window[..=end]);
                take(&self.carry, stamp);
                self.carry.clear();
            }
            bytes = &bytes[end + 1..];
        }
    }

    /// The stream has ended: what is left is a line without its end.
    pub fn finish(&mut self, now: Stamp, take: &mut dyn FnMut(&[u8], Stamp)) {
        let stamp = self.begun.take().unwrap_or(now);
        if !self.carry.is_empty() {
            take(&self.carry, stamp);
        }
        self.carry = Vec::new();
    }

    /// Gives out a part that is full; how much of `window` is dealt with then.
    fn split(&mut self, window: &[u8], now: Stamp, take: &mut dyn FnMut(&[u8], Stamp)) -> usize {
        let stamp = *self.begun.get_or_insert(now);
        if self.carry.is_empty() {
            let part = whole(window);
            take(&window[part.clone()], stamp);
            return part.end;
        }
        self.carry.extend_from_slice(window);
        let part = whole(&self.carry);
        take(&self.carry[part.clone()], stamp);
        self.carry.drain(part);
        window.len()
    }
}

/// What of `bytes` ends with a whole character of UTF-8. (Docker cuts through it, and both halves are lost in its log.)
fn whole(bytes: &[u8]) -> Range<usize> {
    let tail = bytes.iter().rev().take(3);
    let Some((behind, &lead)) = tail.enumerate().find(|(_, byte)| **byte & 0xC0 != 0x80) else { return 0..bytes.len() };
    let length = match lead {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    if length > behind + 1 { 0..bytes.len() - behind - 1 } else { 0..bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(chunks: &[&[u8]]) -> Vec<(Vec<u8>, Stamp)> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut take = |part: &[u8], stamp| found.push((part.to_vec(), stamp));
        for (second, chunk) in chunks.iter().enumerate() {
            lines.feed(chunk, Stamp::new(second as i64, 0), &mut take);
        }
        lines.finish(Stamp::new(99, 0), &mut take);
        found
    }

    #[test]
    fn a_line_bears_the_time_of_its_end_and_the_last_one_that_of_the_streams() {
        let at = |second| Stamp::new(second, 0);
        let expected: Vec<(Vec<u8>, _)> =
            vec![(b"one\n".into(), at(1)), (b"\n".into(), at(1)), (b"two".into(), at(99))];
        assert_eq!(parts(&[b"on", b"e\n\ntwo"]), expected);
    }

    #[test]
    fn the_parts_of_a_long_line_bear_the_time_of_the_first() {
        let (long, half) = (vec![b'x'; PART], vec![b'x'; PART / 2]);
        let found = parts(&[&half, &half, &long, b"y", b"z\n"]);
        let shape: Vec<_> = found.iter().map(|(part, stamp)| (part.len(), stamp.seconds())).collect();
        assert_eq!(shape, [(PART, 1), (PART, 1), (3, 1)]);
        assert_eq!(parts(&[&long, b"\n"]).len(), 2, "as in Docker: the line feed has no place any more");
    }

    #[test]
    fn no_character_is_cut() {
        let text = format!("{}€uro\n", "x".repeat(PART - 1));
        let found = parts(&[text.as_bytes()]);
        assert_eq!(found[0].0.len(), PART - 1);
        assert_eq!(found[1].0, "€uro\n".as_bytes());
        assert_eq!(parts(&[&vec![0x80; PART + 1]])[0].0.len(), PART, "what is no UTF-8 is cut anywhere");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_bytes(
            pieces in prop::collection::vec(
                prop_oneof![Just(b"\n".to_vec()), prop::collection::vec(any::<u8>(), 0..50), Just(vec![b'a'; 9000])], 0..20),
            cuts in prop::collection::vec(1usize..20_000, 1..20),
        ) {
            let all = pieces.concat();
            let (mut chunks, mut rest, mut cuts) = (Vec::new(), &all[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                chunks.push(chunk);
                rest = behind;
            }
            let found: Vec<_> = parts(&chunks).into_iter().map(|(part, _)| part).collect();
            prop_assert_eq!(found.concat(), all.clone());
            prop_assert!(found.iter().all(|part| part.len() <= PART));
            prop_assert!(found.iter().all(|part| !part[..part.len() - 1].contains(&b'\n')));
            let whole: Vec<_> = parts(&[&all]).into_iter().map(|(part, _)| part).collect();
            prop_assert_eq!(found, whole);
        }
    }
}
