//! A pipe between two threads: bytes in pieces, and no more of them on the way than its capacity.
//!
//! Like pipe(2), without the kernel: the pieces change hands and are not copied. Those that were read
//! go back to be filled again, so that a layer of any size needs the same memory.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

/// Bytes of a piece: as much as a core's second cache holds, beside what it becomes.
const PIECE: usize = 128 << 10;
/// Pieces on the way: 1 MiB.
const PIECES: usize = 8;

/// The end that is written to.
pub struct Inlet {
    pieces: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

/// The end that is read from.
pub struct Outlet {
    pieces: Receiver<Vec<u8>>,
    empty: Sender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
    is_whole: bool,
}

/// Both ends.
pub fn pipe() -> (Inlet, Outlet) {
    let (full_in, full_out) = mpsc::sync_channel(PIECES);
    let (empty_in, empty_out) = mpsc::channel();
    let outlet = Outlet { pieces: full_out, empty: empty_in, piece: Vec::new(), at: 0, is_whole: false };
    (Inlet { pieces: full_in, empty: empty_out }, outlet)
}

impl Inlet {
    /// Reads `source` to its end and passes everything on, waiting whenever the reader is behind; stops if
    /// there is no reader any more.
    ///
    /// # Errors
    /// Of reading; the reader then gets an error too, not the end.
    pub fn fill(self, source: &mut impl Read) -> io::Result<()> {
        loop {
            let mut piece = self.empty.try_recv().unwrap_or_default();
            piece.resize(PIECE, 0);
            let length = fill(source, &mut piece)?;
            piece.truncate(length);
            // The empty piece is the end.
            if self.pieces.send(piece).is_err() || length == 0 {
                return Ok(());
            }
        }
    }
}

/// Fills the piece unless the source ends: a network gives a little at a time.
fn fill(source: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match source.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl Read for Outlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.is_whole {
            let next = self.pieces.recv().map_err(|_| io::Error::other("what it is made of did not come whole"))?;
            self.is_whole = next.is_empty();
            self.at = 0;
            // The other end may be done already and take nothing back.
            let _ = self.empty.send(std::mem::replace(&mut self.piece, next));
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let bytes: Vec<u8> = (0..3 * PIECE * PIECES + 7).map(|number| (number % 251) as u8).collect();
        let (inlet, mut outlet) = pipe();
        let got = thread::scope(|scope| {
            scope.spawn(|| inlet.fill(&mut &bytes[..]).unwrap());
            let mut got = Vec::new();
            outlet.read_to_end(&mut got).unwrap();
            got
        });
        assert!(got == bytes);
    }

    #[test]
    fn a_reader_that_goes_away_is_the_end() {
        let (inlet, outlet) = pipe();
        drop(outlet);
        inlet.fill(&mut io::repeat(1)).unwrap();
    }

    #[test]
    fn a_torn_stream_is_not_a_short_one() {
        struct Torn;
        impl Read for Torn {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let (inlet, mut outlet) = pipe();
        assert!(inlet.fill(&mut (&b"some"[..]).chain(Torn)).is_err());
        assert!(outlet.read_to_end(&mut Vec::new()).is_err());
    }
}
