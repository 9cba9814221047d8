//! A blob as a stream that survives a broken connection.

use std::io::{self, Read};

use oci_spec::image::{Descriptor, Digest};
use process::{Error, Kind, Result, explain};

use super::http::Incoming;
use super::{Registry, Source, errors, retry, size};

/// How often a broken connection is taken up again without getting further.
const TRIES: u32 = 4;
/// So much more than at the last failure is further.
const FURTHER: u64 = 1 << 20;

/// The bytes of a blob, as they arrive. Never more of them than its descriptor says.
pub struct BlobReader<'a> {
    /// Where to fetch it from; when one fails for good, the next goes on.
    sources: &'a [Source],
    digest: Digest,
    size: u64,
    got: u64,
    body: Option<Incoming>,
    failures: u32,
    /// How much there was when it failed last.
    failed_at: u64,
}

impl<'a> BlobReader<'a> {
    pub(super) fn new(registry: &'a Registry, blob: &Descriptor) -> Self {
        let (digest, size) = (blob.digest().clone(), blob.size());
        Self { sources: registry.sources(), digest, size, got: 0, body: None, failures: 0, failed_at: 0 }
    }

    fn what(&self) -> String {
        format!("the blob {}", self.digest)
    }

    /// Asks for the blob, or for the rest of it.
    fn connect(&mut self) -> Result<()> {
        let Some(source) = self.sources.first() else { return Ok(()) };
        let url = source.url(&format!("blobs/{}", self.digest));
        let range = format!("bytes={}-", self.got);
        let headers: &[_] = if self.got > 0 { &[("range", range.as_str())] } else { &[] };
        let answer = source.get(&url, headers)?;
        let wanted = match answer.status() {
            200 => self.size,
            206 if self.got > 0 => self.size - self.got,
            404 => {
                let what = format!("{} is missing in {}", self.what(), answer.host());
                return Err(
                    Error::new(Kind::NotFound, what).help("the image is not complete there; it must be pushed again")
                );
            }
            _ => return Err(errors::status(answer, source.name()).at(self.what())),
        };
        if let Some(length) = answer.header("content-length").and_then(|text| text.parse().ok()) {
            size(&self.what(), wanted, length)?;
        }
        if answer.status() == 206 {
            let starts =
                answer.header("content-range").is_some_and(|range| range.starts_with(&format!("bytes {}-", self.got)));
            if !starts {
                let what = format!("{}: the registry answered with another part", self.what());
                return Err(Error::new(Kind::Unavailable, what));
            }
        }
        explain!(7, "a blob, unpacked while it arrives", "GET {url} from byte {}", self.got);
        let skip = if answer.status() == 200 { self.got } else { 0 };
        let mut body = answer.into_body();
        // The registry knows no ranges: what we have already is passed over.
        let skipped = io::copy(&mut (&mut body).take(skip), &mut io::sink());
        skipped.map_err(|error| errors::broken(&body.host, &error))?;
        self.body = Some(body);
        Ok(())
    }

    fn step(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.body.is_none() {
            self.connect()?;
        }
        let Some(body) = &mut self.body else { return Ok(0) };
        let length = loop {
            match body.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                got => break got.map_err(|error| errors::broken(&body.host, &error))?,
            }
        };
        self.got += length as u64;
        if length == 0 && self.got < self.size && !buffer.is_empty() {
            // A length that was announced and not kept: it may be the connection, so it is worth a try.
            let what = format!("{} ended after {} of {} bytes", self.what(), self.got, self.size);
            return Err(Error::new(Kind::Unavailable, what).help("pull again, what is complete is kept"));
        }
        if self.got > self.size {
            size(&self.what(), self.size, self.got)?;
        }
        Ok(length)
    }

    /// Is there a point in going on after `error`? Pauses first, where that may help.
    fn goes_on(&mut self, error: &Error) -> bool {
        let started = self.body.take().is_some() || self.got > 0;
        if self.got >= self.failed_at + FURTHER {
            self.failures = 0;
        }
        self.failed_at = self.got;
        if error.kind() == Kind::Unavailable && started && self.failures < TRIES {
            self.failures += 1;
            std::thread::sleep(retry::back_off(self.failures));
            return true;
        }
        if error.kind() == Kind::Corrupt || self.sources.len() < 2 {
            return false; // what has come cannot be taken back
        }
        explain!(7, "a mirror has failed: the next one", "{}", error.what());
        (self.sources, self.failures) = (&self.sources[1..], 0);
        true
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.step(buffer) {
                Ok(length) => return Ok(length),
                Err(error) if self.goes_on(&error) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}
