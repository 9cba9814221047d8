//! A blob as a stream that survives a broken connection.

use std::io::{self, Read};
use std::time::Duration;

use oci_spec::image::{Descriptor, Digest};
use process::{Error, Kind, Result, explain};

use super::{Registry, errors, size};

/// How often a broken connection is taken up again.
const TRIES: u32 = 4;

/// The bytes of a blob, as they arrive. Never more of them than its descriptor says.
pub struct BlobReader<'a> {
    registry: &'a Registry,
    digest: Digest,
    size: u64,
    got: u64,
    body: Option<(ureq::BodyReader<'static>, String)>,
    failures: u32,
}

impl<'a> BlobReader<'a> {
    pub(super) fn new(registry: &'a Registry, blob: &Descriptor) -> Self {
        Self { registry, digest: blob.digest().clone(), size: blob.size(), got: 0, body: None, failures: 0 }
    }

    fn what(&self) -> String {
        format!("the blob {}", self.digest)
    }

    /// Asks for the blob, or for the rest of it.
    fn connect(&mut self) -> Result<()> {
        let url = self.registry.url(&format!("blobs/{}", self.digest));
        let range = format!("bytes={}-", self.got);
        let headers: &[_] = if self.got > 0 { &[("range", range.as_str())] } else { &[] };
        let answer = self.registry.get(&url, headers)?;
        let wanted = match answer.status() {
            200 => self.size,
            206 if self.got > 0 => self.size - self.got,
            404 => {
                let what = format!("{} is missing in {}", self.what(), answer.host());
                return Err(
                    Error::new(Kind::NotFound, what).help("the image is not complete there; it must be pushed again")
                );
            }
            _ => return Err(errors::status(answer, &self.registry.reference).at(self.what())),
        };
        if let Some(length) = answer.header("content-length").and_then(|text| text.parse().ok()) {
            size(&self.what(), wanted, length)?;
        }
        if answer.status() == 206 {
            let starts =
                answer.header("content-range").is_some_and(|range| range.starts_with(&format!("bytes {}-", self.got)));
            if !starts {
                return Err(Error::new(
                    Kind::Unavailable,
                    format!("{}: the registry answered with another part", self.what()),
                ));
            }
        }
        explain!(7, "a blob, unpacked while it arrives", "GET {url} from byte {}", self.got);
        let (skip, host) = (if answer.status() == 200 { self.got } else { 0 }, answer.host().to_owned());
        let mut body = answer.into_body();
        // The registry knows no ranges: what we have already is passed over.
        io::copy(&mut (&mut body).take(skip), &mut io::sink()).map_err(|error| errors::broken(&host, &error))?;
        self.body = Some((body, host));
        Ok(())
    }

    fn step(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.body.is_none() {
            self.connect()?;
        }
        let Some((body, host)) = &mut self.body else { return Ok(0) };
        let length = match body.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return self.step(buffer),
            got => got.map_err(|error| errors::broken(host, &error))?,
        };
        self.got += length as u64;
        if length == 0 && self.got < self.size {
            // A length that was announced and not kept: it may be the connection, so it is worth a try.
            let what = format!("{} ended after {} of {} bytes", self.what(), self.got, self.size);
            return Err(Error::new(Kind::Unavailable, what).help("pull again, what is complete is kept"));
        }
        if self.got > self.size {
            size(&self.what(), self.size, self.got)?;
        }
        Ok(length)
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let before = self.got;
            match self.step(buffer) {
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == Kind::Unavailable && self.failures < TRIES && before > 0 => {
                    self.failures += 1;
                    self.body = None;
                    std::thread::sleep(Duration::from_millis(250 << self.failures));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}
