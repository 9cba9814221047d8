//! A client of registries (OCI distribution-spec): manifests and blobs over HTTP, synchronous.
//!
//! A name leads to one [`Source`] or several: containers-registries.conf may put mirrors before a registry.

mod auth;
mod blob;
mod challenge;
mod conf;
mod conf_files;
mod credentials;
mod endpoint;
mod errors;
mod helper;
mod http;
mod patience;
mod reach;
mod redirect;
mod retry;
mod short;
mod source;
mod tags;
mod trust;

use std::io::Read;
use std::sync::OnceLock;

use oci_spec::image::{Descriptor, Digest};
use process::{Error, Kind, Result, explain};
use ureq::http::Method;

pub use blob::BlobReader;
pub use short::Short;

use conf::Conf;
use http::Answer;
use source::Source;

use crate::{Reference, digest, manifest, media};

/// One repository of a registry, as far as it must be known to read from it.
pub struct Registry {
    /// Mirrors first, the registry itself last.
    sources: Vec<Source>,
    /// The first of them that had the image.
    chosen: OnceLock<usize>,
    reference: Reference,
}

/// The bytes of a document that is here already, verified; by its digest.
pub type Kept<'a> = &'a dyn Fn(&Digest) -> Option<Vec<u8>>;

/// A document that a registry has given out, verified.
#[derive(Debug)]
pub struct Fetched {
    /// Its bytes, whose digest is its name.
    pub bytes: Vec<u8>,
    /// What the registry calls it.
    pub media_type: Option<String>,
    /// The digest, computed here.
    pub digest: Digest,
}

impl Registry {
    /// The repository of `reference`. Nothing is sent yet.
    ///
    /// # Errors
    /// The registry is blocked, or a configuration file cannot be understood.
    pub fn of(reference: &Reference) -> Result<Self> {
        let places = Conf::get()?.places(reference.domain(), reference.path(), reference.digest().is_some())?;
        let name = reference.familiar();
        let sources = places.iter().map(|place| Source::new(place, &name)).collect();
        Ok(Self { sources, chosen: OnceLock::new(), reference: reference.clone() })
    }

    /// The manifest or index that the reference names, from the first mirror that has it or the registry itself.
    ///
    /// `kept` gives what is here already, if it is worth to ask for that first: a HEAD request tells what the name
    /// means now, and does not count as a pull where pulls are counted (Docker Hub).
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if the registry does not answer or has had enough of us, [`Kind::NotFound`] if it
    /// has no such image or does not show it to us, [`Kind::Corrupt`] if it is another one than was asked for.
    pub fn resolve(&self, kept: Option<Kept<'_>>) -> Result<Fetched> {
        let mut failures = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            let unchanged = kept.map_or(Ok(None), |kept| self.unchanged(source, kept));
            let found = match unchanged.transpose() {
                Some(known) => known,
                None => self.manifest(source, self.reference.wanted(), self.reference.digest()),
            };
            match found {
                Ok(fetched) => {
                    let _ = self.chosen.set(number);
                    return Ok(fetched);
                }
                Err(error) if source.mirror => {
                    explain!(7, "a mirror has failed: the next one", "{}", error.what());
                    failures.push(format!("{} ({})", source.host(), error.what()));
                }
                Err(error) => return Err(with_mirrors(error, &failures)),
            }
        }
        Err(Error::not_found(format!("{} has no registry", self.reference.familiar())))
    }

    /// What the reference names, if it is here already. Nothing if it is not, or if the registry answers HEAD in
    /// some way that does not help: then GET is asked, whose answer also has words.
    fn unchanged(&self, source: &Source, kept: Kept<'_>) -> Result<Option<Fetched>> {
        let url = source.url(&format!("manifests/{}", self.reference.wanted()));
        let answer = source.request(&Method::HEAD, &url, &[("accept", media::ACCEPT)])?;
        let digest = answer.header("docker-content-digest").and_then(|text| digest::parse(text).ok());
        let Some(digest) = digest.filter(|_| answer.status() == 200) else {
            explain!(7, "the registry does not say what the name means", "HEAD {url} = {}", answer.status());
            return Ok(None);
        };
        let is_asked_for = self.reference.digest().is_none_or(|wanted| *wanted == digest);
        let Some(bytes) = kept(&digest).filter(|_| is_asked_for) else { return Ok(None) };
        explain!(7, "what the name means is here already", "HEAD {url} = {digest}");
        Ok(Some(Fetched { bytes, media_type: answer.header("content-type").map(str::to_owned), digest }))
    }

    /// The manifest that an index names; digest and size must be as the index says.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn child(&self, child: &Descriptor) -> Result<Fetched> {
        digest::supported(child.digest())?;
        let mut last = None;
        for source in self.sources() {
            match self.manifest(source, child.digest().as_ref(), Some(child.digest())) {
                Ok(fetched) => {
                    let what = format!("the manifest {}", child.digest());
                    size(&what, child.size(), fetched.bytes.len() as u64)?;
                    return Ok(fetched);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::not_found(format!("the manifest {} has no registry", child.digest()))))
    }

    /// Where to look: from the source that had the image to the registry itself.
    fn sources(&self) -> &[Source] {
        &self.sources[self.chosen.get().copied().unwrap_or(0)..]
    }

    fn manifest(&self, source: &Source, wanted: &str, pinned: Option<&Digest>) -> Result<Fetched> {
        let what = format!("the manifest of {}", self.reference.familiar());
        let url = source.url(&format!("manifests/{wanted}"));
        let answer = source.get(&url, &[("accept", media::ACCEPT)])?;
        if answer.status() != 200 {
            return Err(errors::status(answer, source.name()));
        }
        let media_type = answer.header("content-type").map(str::to_owned);
        let claimed = answer.header("docker-content-digest").and_then(|text| digest::parse(text).ok());
        let bytes = read_small(answer, &what)?;
        let digest = digest::of(&bytes);
        if let Some(wanted) = pinned.or(claimed.as_ref()) {
            digest::differ(&what, wanted, &digest)?;
        }
        explain!(7, "a manifest, verified", "GET {url} = {} bytes, {digest}", bytes.len());
        Ok(Fetched { bytes, media_type, digest })
    }

    /// A configuration: small enough for memory.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn small_blob(&self, what: &str, blob: &Descriptor) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let reader = self.blob(blob).take(blob.size().min(manifest::LARGEST) + 1);
        let mut reader = reader;
        reader.read_to_end(&mut bytes).map_err(crate::unpack::read_error)?;
        size(what, blob.size(), bytes.len() as u64)?;
        digest::verify(what, blob.digest(), &bytes)?;
        Ok(bytes)
    }

    /// A blob as a stream. It is fetched when the first byte is asked for, and goes on where a
    /// connection broke; digest and size are for the reader to check.
    pub fn blob<'a>(&'a self, blob: &Descriptor) -> BlobReader<'a> {
        BlobReader::new(self, blob)
    }
}

/// The registry's own error is the one to act on; a mirror's is worth a word.
fn with_mirrors(error: Error, failures: &[String]) -> Error {
    if failures.is_empty() {
        return error;
    }
    let what = format!("{}; its mirrors failed too: {}", error.what(), failures.join(", "));
    let told = Error::new(error.kind(), what);
    match error.way_out() {
        Some(help) => told.help(help),
        None => told,
    }
}

/// Reads a document that must fit into memory.
fn read_small(answer: Answer, what: &str) -> Result<Vec<u8>> {
    let limit = manifest::LARGEST;
    let too_large = || {
        Error::new(Kind::Corrupt, format!("{what} is larger than {} MiB", limit >> 20))
            .help("no image needs that; is this the address of a registry?")
    };
    // What is announced too large is not even begun.
    if answer.header("content-length").and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    let read = (&mut body).take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| errors::broken(&body.host, &error))?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// [`Kind::Corrupt`] unless as many bytes came as were announced.
///
/// # Errors
/// The two differ.
pub fn size(what: &str, wanted: u64, got: u64) -> Result<()> {
    if wanted == got {
        return Ok(());
    }
    let more = if got > wanted { "or more" } else { "" };
    let what = format!("{what}: the size is wrong: expected {wanted} bytes, got {got} {more}");
    Err(Error::new(Kind::Corrupt, what.trim_end())
        .help("nothing of it was kept; pull again, and if it stays wrong, the registry or a proxy alters data"))
}
