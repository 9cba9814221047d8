//! Digests: content is named by its SHA-256, so what arrives can be checked against its own name.

use std::io::{self, Read, Write};

use oci_spec::image::{Digest, DigestAlgorithm, Sha256Digest};
use process::{Error, Kind, Result};
use sha2::{Digest as _, Sha256};

/// Parses `sha256:` and 64 hexadecimal digits.
///
/// # Errors
/// Anything else; other algorithms are known to the specification, but no registry uses them.
pub fn parse(text: &str) -> Result<Digest> {
    let digest: Digest = text.parse().map_err(|_| Error::invalid(format!("{text:?} is no digest")))?;
    supported(&digest)?;
    Ok(digest)
}

/// Is it one that can be verified here?
///
/// # Errors
/// [`Kind::Unsupported`] for every algorithm but sha256.
pub fn supported(digest: &Digest) -> Result<()> {
    if *digest.algorithm() != DigestAlgorithm::Sha256 {
        return Err(Error::unsupported(format!("the digest {digest} is not sha256")));
    }
    Ok(())
}

/// The hexadecimal digits after `sha256:`.
pub fn hex(digest: &Digest) -> &str {
    digest.digest()
}

/// The first twelve digits, which is what people are shown.
pub fn short(digest: &Digest) -> &str {
    let hex = digest.digest();
    hex.get(..12).unwrap_or(hex)
}

/// The digest of bytes in memory.
pub fn of(bytes: &[u8]) -> Digest {
    finish(Sha256::new_with_prefix(bytes))
}

/// A digest from a hasher that has seen everything.
fn finish(hasher: Sha256) -> Digest {
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = hex.parse::<Sha256Digest>().expect("SHA-256 is written as 64 hexadecimal digits");
    Digest::from(digest)
}

/// Checks a small blob that was read whole.
///
/// # Errors
/// [`Kind::Corrupt`] naming the blob, what was expected and what came.
pub fn verify(what: &str, wanted: &Digest, bytes: &[u8]) -> Result<()> {
    supported(wanted)?;
    differ(what, wanted, &of(bytes))
}

/// [`Kind::Corrupt`] unless the two are the same.
///
/// # Errors
/// The two are not the same.
pub fn differ(what: &str, wanted: &Digest, got: &Digest) -> Result<()> {
    if wanted == got {
        return Ok(());
    }
    Err(Error::new(Kind::Corrupt, format!("{what}: the digest is wrong: expected {wanted}, got {got}"))
        .help("nothing of it was kept; pull again, and if it stays wrong, the registry or a proxy alters data"))
}

/// A reader that hashes and counts what passes through it.
pub struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    count: u64,
}

impl<R: Read> Hashing<R> {
    /// Hashes what is read from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), count: 0 }
    }

    /// How many bytes have passed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The digest of what has passed, and what was read from.
    pub fn finish(self) -> (Digest, R) {
        (finish(self.hasher), self.inner)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.count += length as u64;
        Ok(length)
    }
}

/// A writer that does the same.
pub struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    count: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Hashes what is written to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), count: 0 }
    }

    /// The digest and number of the bytes that have passed, and what was written to.
    pub fn finish(self) -> (Digest, u64, W) {
        (finish(self.hasher), self.count, self.inner)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.count += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example.
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn bytes_are_named_by_their_digest() {
        assert_eq!(of(b"abc").as_ref(), ABC);
        assert_eq!(short(&of(b"abc")), "ba7816bf8f01");
        let mut reader = Hashing::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.count(), 3);
        assert_eq!(reader.finish().0.as_ref(), ABC);
    }

    #[test]
    fn a_wrong_digest_names_both() {
        let error = verify("manifest of x", &parse(ABC).unwrap(), b"abd").unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.what().starts_with("manifest of x: the digest is wrong: expected sha256:ba78"), "{error}");
    }

    #[test]
    fn only_sha256_is_taken() {
        assert!(parse("sha512:00").is_err());
        assert!(parse(&format!("sha512:{}", "a".repeat(128))).is_err());
        assert!(parse("abc").is_err());
    }
}
