//! From a packed stream to the archive in it.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::media::Compression;

/// Unpacks `packed` as it is read.
pub fn decompress<'a>(compression: Compression, packed: impl Read + 'a) -> Box<dyn Read + 'a> {
    match compression {
        Compression::None => Box::new(packed),
        // Several gzip members one after the other are one stream: pigz and eStargz write that.
        Compression::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Compression::Zstd => {
            Box::new(Zstd { source: BufReader::new(packed), frame: FrameDecoder::new(), inside: false })
        }
    }
}

/// Several frames, and between them some to be skipped (RFC 8878 section 3.1.2), as zstd:chunked has them.
struct Zstd<R> {
    source: BufReader<R>,
    frame: FrameDecoder,
    inside: bool,
}

impl<R: Read> Zstd<R> {
    /// Begins the next frame; false at the end of the stream.
    fn next(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.source) {
                Ok(()) => {
                    self.inside = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    let skipped = io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside && !self.next()? {
                return Ok(0);
            }
            while self.frame.can_collect() < buffer.len() && !self.frame.is_finished() {
                let missing = buffer.len() - self.frame.can_collect();
                let strategy = BlockDecodingStrategy::UptoBytes(missing);
                self.frame.decode_blocks(&mut self.source, strategy).map_err(io::Error::other)?;
            }
            let length = self.frame.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            self.inside = false;
        }
    }
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
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
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
    fn rubbish_is_an_error() {
        assert!(all(Compression::Gzip, b"rubbish").is_err());
        assert!(all(Compression::Zstd, b"rubbish").is_err());
        let torn = gzip(&[b'x'; 1000]);
        assert!(all(Compression::Gzip, &torn[..torn.len() - 9]).is_err());
    }
}
