//! Detach keys: a sequence typed into a terminal that means us and not the container.

use process::Error;

/// Docker's own.
pub const DEFAULT: &str = "ctrl-p,ctrl-q";

/// What is typed, with the sequence filtered out.
#[derive(Debug, Clone, Default)]
pub struct DetachKeys {
    /// The sequence; empty means that there is none.
    keys: Vec<u8>,
    /// Typed, and perhaps the beginning of it.
    held: Vec<u8>,
}

impl DetachKeys {
    /// Reads a sequence as `--detach-keys` has it: single characters or `ctrl-X`, separated by commas.
    ///
    /// # Errors
    /// [`Kind::Invalid`](process::Kind::Invalid) for what no terminal sends.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |part: &str| {
            let what = format!("{part:?} is no key of --detach-keys");
            Error::invalid(what)
                .help("write single characters or ctrl-a to ctrl-z, ctrl-@, ctrl-[, ctrl-\\, ctrl-], ctrl-^, ctrl-_")
        };
        let key = |part: &str| match (part.as_bytes(), part.strip_prefix("ctrl-").map(str::as_bytes)) {
            (&[byte], _) => Ok(byte),
            // A terminal clears the upper bits of a letter that is typed with Ctrl (ascii(7)).
            (_, Some(&[byte @ (b'a'..=b'z' | b'@' | b'['..=b'_')])) => Ok(byte & 0x1F),
            _ => Err(wrong(part)),
        };
        let keys = if text.is_empty() { Ok(Vec::new()) } else { text.split(',').map(key).collect() };
        Ok(Self { keys: keys?, held: Vec::new() })
    }

    /// Passes on to `out` what was typed and is not a part of the sequence. True if that is complete now.
    ///
    /// What may become the sequence is held until the next key decides.
    pub fn filter(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            out.extend_from_slice(typed);
            return false;
        }
        for &byte in typed {
            self.held.push(byte);
            while !self.keys.starts_with(&self.held) {
                out.push(self.held.remove(0));
            }
            if self.held == self.keys {
                self.held.clear();
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(keys: &str, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut keys, mut out) = (DetachKeys::parse(keys).unwrap(), Vec::new());
        let detached = pieces.iter().any(|piece| keys.filter(piece, &mut out));
        (out, detached)
    }

    #[test]
    fn sequences_are_dockers() {
        assert_eq!(DetachKeys::parse(DEFAULT).unwrap().keys, [16, 17]);
        assert_eq!(DetachKeys::parse("a,ctrl-[,ctrl-@,ctrl-_").unwrap().keys, [b'a', 27, 0, 31]);
        for wrong in ["ab", "ctrl-A", "ctrl-", "a,,b", "ctrl-1"] {
            assert!(DetachKeys::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_sequence_is_found_in_pieces_and_within_itself() {
        assert_eq!(typed(DEFAULT, &[b"ls\n\x10", b"\x11"]), (b"ls\n".to_vec(), true));
        assert_eq!(typed(DEFAULT, &[b"\x10x\x10\x10\x11"]), (b"\x10x\x10".to_vec(), true));
        assert_eq!(typed("a,a,b", &[b"aaab"]), (b"a".to_vec(), true));
        assert_eq!(typed("", &[b"\x10\x11"]), (b"\x10\x11".to_vec(), false));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_before_the_sequence(text in prop::collection::vec(0u8..4, 0..40), cut in 0usize..40) {
            let keys = [1, 1, 2];
            let mut filter = DetachKeys { keys: keys.to_vec(), held: Vec::new() };
            let (first, second) = text.split_at(cut.min(text.len()));
            let mut out = Vec::new();
            let detached = filter.filter(first, &mut out) || filter.filter(second, &mut out);
            match text.windows(3).position(|window| window == keys) {
                Some(at) => prop_assert!(detached && out == text[..at]),
                None => {
                    out.extend(&filter.held);
                    prop_assert!(!detached && out == text);
                }
            }
        }
    }
}
