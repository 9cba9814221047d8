//! From a packed stream to the archive in it.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use process::{Error, Kind};
use zstd::zstd_safe::{DCtx, get_error_name};

use crate::media::Compression;

/// How far back a zstd stream may refer, as a power of two: 128 MiB, which is what zstd(1) itself takes unasked. The
/// reader has to hold as much, for each layer that is read at the moment.
const WINDOW: u32 = 27;

/// The number of zstd's error for a window above that (zstd_errors.h, `ZSTD_error_frameParameter_windowTooLarge`).
const WINDOW_TOO_LARGE: usize = 16;

/// Unpacks `packed` as it is read.
pub fn decompress<'a>(compression: Compression, packed: impl Read + 'a) -> Box<dyn Read + 'a> {
    match compression {
        Compression::None => Box::new(packed),
        // Several gzip members one after the other are one stream: pigz and eStargz write that.
        Compression::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Compression::Zstd => Box::new(Zstd(reader(BufReader::with_capacity(DCtx::in_size(), packed)))),
    }
}

/// Several frames, and between them some to be skipped (RFC 8878 section 3.1.2), as zstd:chunked has them.
struct Zstd<R: BufRead>(io::Result<zstd::Decoder<'static, R>>);

fn reader<R: BufRead>(packed: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(packed)?;
    decoder.window_log_max(WINDOW)?;
    Ok(decoder)
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Ok(decoder) => decoder.read(buffer).map_err(about_window),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// Says what to do about a window that is too large; other errors are as they are.
fn about_window(error: io::Error) -> io::Error {
    if error.to_string() != get_error_name(0_usize.wrapping_sub(WINDOW_TOO_LARGE)) {
        return error;
    }
    let what =
        format!("its zstd window is larger than {} MiB, all of which would have to be in memory", 1 << (WINDOW - 20));
    io::Error::other(Error::new(Kind::Corrupt, what).help(format!("pack it anew, with `zstd --long={WINDOW}` at most")))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(compression, bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    /// A frame whose header says that it needs this window, and does not say how long it is.
    fn with_window(log: u8, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(bytes).unwrap();
        let mut frame = encoder.finish().unwrap();
        assert_eq!(frame[4] & 0xe0, 0, "with a window descriptor (RFC 8878 section 3.1.1.1)");
        frame[5] = (log - 10) << 3;
        frame
    }

    #[test]
    fn members_and_frames_are_one_stream() {
        assert_eq!(all(Compression::Gzip, &[gzip(b"one "), gzip(b"two")].concat()).unwrap(), b"one two");
        let skipped = [&b"\x50\x2a\x4d\x18\x03\0\0\0abc"[..]].concat();
        let frames = [zstd(b"one "), skipped.clone(), zstd(&[b'x'; 300_000]), skipped].concat();
        let out = all(Compression::Zstd, &frames).unwrap();
        assert_eq!((out.len(), &out[..5]), (300_004, &b"one x"[..]));
        assert_eq!(all(Compression::None, b"plain").unwrap(), b"plain");
    }

    #[test]
    fn a_window_that_would_fill_the_memory_is_refused() {
        assert_eq!(all(Compression::Zstd, &with_window(27, b"text")).unwrap(), b"text");
        for log in [28, 31, 41] {
            for frames in [with_window(log, b"text"), [zstd(b"first"), with_window(log, b"text")].concat()] {
                let error = all(Compression::Zstd, &frames).unwrap_err().downcast::<Error>().unwrap();
                assert!(error.what().contains("larger than 128 MiB") && error.way_out().unwrap().contains("--long=27"));
            }
        }
        // A segment of its own is as long as it says: 1 TiB.
        let mut single = b"\x28\xb5\x2f\xfd\xe0".to_vec();
        single.extend((1_u64 << 40).to_le_bytes());
        single.extend(b"\x01\x00\x00");
        assert!(all(Compression::Zstd, &single).unwrap_err().downcast::<Error>().is_ok());
    }

    #[test]
    fn rubbish_is_an_error() {
        assert!(all(Compression::Gzip, b"rubbish").is_err());
        assert!(all(Compression::Zstd, b"rubbish").is_err());
        let torn = gzip(&[b'x'; 1000]);
        assert!(all(Compression::Gzip, &torn[..torn.len() - 9]).is_err());
        let torn = zstd(&[b'x'; 1000]);
        assert!(all(Compression::Zstd, &torn[..torn.len() - 3]).is_err());
    }
}
