//! A registry that sends a byte now and then is as dead as one that says nothing.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// So few bytes in two silences' time are a stall.
const LEAST: u64 = 1024;

/// Counts what comes against the time that was spent waiting for it. Our own work between two reads does not count.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    waited: Duration,
    bytes: u64,
}

impl Patience {
    /// `silence`: how long a connection may say nothing at all.
    pub fn new(silence: Duration) -> Self {
        Self { limit: silence * 2, waited: Duration::ZERO, bytes: 0 }
    }

    /// Reads, and gives up on a registry that trickles.
    ///
    /// # Errors
    /// The read's own, and [`ErrorKind::TimedOut`].
    pub fn read(&mut self, read: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        let start = Instant::now();
        let length = read()?;
        self.waited += start.elapsed();
        self.bytes += length as u64;
        if self.bytes >= LEAST {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        } else if length > 0 && self.waited > self.limit {
            return Err(io::Error::new(ErrorKind::TimedOut, "it sends next to nothing"));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_a_stall() {
        let mut patience = Patience::new(Duration::from_millis(100));
        let slow = |length: usize| {
            move || {
                std::thread::sleep(Duration::from_millis(110));
                Ok(length)
            }
        };
        assert_eq!(patience.read(slow(1)).unwrap(), 1);
        assert_eq!(patience.read(slow(1)).unwrap_err().kind(), ErrorKind::TimedOut);
        let mut patience = Patience::new(Duration::from_millis(100));
        assert!((0..5).all(|_| patience.read(slow(4096)).is_ok()));
        assert!(patience.read(slow(1)).is_ok() && patience.read(slow(0)).is_ok(), "the end is no stall");
    }
}
