//! One entry of Docker's json-file log, byte for byte as moby writes it (daemon/logger/jsonfilelog/jsonlog).

use super::stamp::Stamp;

/// Which of the program's outputs. The numbers are those of Docker's multiplexed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

impl Stream {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Writes entries. What all entries of one moment end with is rendered once: a program that says much says it in chunks.
#[derive(Debug, Default)]
pub struct Entries {
    end: Vec<u8>,
    of: Option<(Stream, Stamp)>,
}

impl Entries {
    /// Appends the entry of one part of a line, and a line feed.
    pub fn push(&mut self, out: &mut Vec<u8>, part: &[u8], stream: Stream, stamp: Stamp) {
        if self.of != Some((stream, stamp)) {
            self.of = Some((stream, stamp));
            self.end.clear();
            self.end.extend_from_slice(b"\",\"stream\":\"");
            self.end.extend_from_slice(stream.name().as_bytes());
            self.end.extend_from_slice(b"\",\"time\":\"");
            stamp.push(&mut self.end, false);
            self.end.extend_from_slice(b"\"}\n");
        }
        out.extend_from_slice(b"{\"log\":\"");
        escape(out, part);
        out.extend_from_slice(&self.end);
    }
}

/// Appends `bytes` as the inside of a JSON string; what is no UTF-8 becomes U+FFFD, one for each byte, as in Go.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_ascii() {
        return escape_text(out, bytes); // nearly always, and many times faster to find out
    }
    for chunk in bytes.utf8_chunks() {
        escape_text(out, chunk.valid().as_bytes());
        chunk.invalid().iter().for_each(|_| out.extend_from_slice(b"\\ufffd"));
    }
}

/// Where the first byte stands that is not written as it is. (0xE2 begins U+2028 and U+2029, which JavaScript takes for
/// line ends.) Blocks without one are passed over whole, which the compiler does with vectors.
fn special(text: &[u8]) -> Option<usize> {
    let is_special = |byte: u8| {
        let marked = (byte == b'"') | (byte == b'\\') | (byte == b'<') | (byte == b'>') | (byte == b'&');
        marked | (byte < 0x20) | (byte == 0xE2)
    };
    let clean = |block: &&[u8; 16]| block.iter().fold(0, |found, &byte| found | u8::from(is_special(byte))) == 0;
    let (blocks, _) = text.as_chunks();
    let passed = 16 * blocks.iter().take_while(clean).count();
    text[passed..].iter().position(|&byte| is_special(byte)).map(|at| passed + at)
}

fn escape_text(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = special(text) {
        let (plain, rest) = text.split_at(at);
        out.extend_from_slice(plain);
        let mut length = 1;
        match rest[0] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            0xE2 => {
                length = 3;
                match rest[1..3] {
                    [0x80, last @ (0xA8 | 0xA9)] => {
                        out.extend_from_slice(&[b"\\u202", &[last - 0xA8 + b'8'][..]].concat())
                    }
                    _ => out.extend_from_slice(&rest[..3]),
                }
            }
            byte => {
                let digits = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
            }
        }
        text = &rest[length..];
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(part: &[u8]) -> String {
        let mut out = Vec::new();
        Entries::default().push(&mut out, part, Stream::Stderr, Stamp::new(1, 500_000_000));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_entry_is_mobys() {
        assert_eq!(
            text(b"<a> & \"b\"\t\\ \x1b[0m\r\n"),
            concat!(
                r#"{"log":"\u003ca\u003e \u0026 \"b\"\u0009\\ \u001b[0m\r\n","#,
                r#""stream":"stderr","time":"1970-01-01T00:00:01.5Z"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn what_is_no_utf8_is_marked_byte_for_byte() {
        assert!(text(b"a\xffb\xe2\x82c").starts_with(r#"{"log":"a\ufffdb\ufffd\ufffdc","#));
        assert!(text("€\u{2028}\u{2029}\u{7f}".as_bytes()).starts_with("{\"log\":\"€\\u2028\\u2029\u{7f}\","));
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(part in "\\PC*|[\\x00-\\x7f]*") {
            let read: std::collections::BTreeMap<String, String> = serde_json::from_str(&text(part.as_bytes())).unwrap();
            prop_assert_eq!(&read["log"], &part);
        }
    }
}
