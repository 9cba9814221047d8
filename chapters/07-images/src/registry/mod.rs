//! A client of registries (OCI distribution-spec): manifests and blobs over HTTP, synchronous.

mod auth;
mod blob;
mod challenge;
mod credentials;
mod endpoint;
mod errors;
mod http;

use std::io::Read;
use std::sync::Mutex;

use oci_spec::image::{Descriptor, Digest};
use process::{Error, Kind, Result, explain};

pub use blob::BlobReader;
pub use endpoint::Endpoint;

use auth::Auth;
use http::{Answer, Http};

use crate::{Reference, digest, manifest, media};

/// One repository of a registry, as far as it must be known to read from it.
pub struct Registry {
    http: Http,
    endpoint: Endpoint,
    reference: Reference,
    auth: Mutex<Auth>,
}

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
    /// An unreadable proxy setting or Docker configuration.
    pub fn of(reference: &Reference) -> Result<Self> {
        let endpoint = Endpoint::of(reference.domain());
        let auth = Mutex::new(Auth::new(credentials::find(reference.domain())?));
        Ok(Self { http: Http::new(), endpoint, reference: reference.clone(), auth })
    }

    /// The manifest or index that the reference names.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if the registry does not answer or has had enough of us, [`Kind::NotFound`] if it
    /// has no such image or does not show it to us, [`Kind::Corrupt`] if it is another one than was asked for.
    pub fn resolve(&self) -> Result<Fetched> {
        self.manifest(self.reference.wanted(), self.reference.digest())
    }

    /// The manifest that an index names; digest and size must be as the index says.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn child(&self, child: &Descriptor) -> Result<Fetched> {
        digest::supported(child.digest())?;
        let fetched = self.manifest(child.digest().as_ref(), Some(child.digest()))?;
        let what = format!("the manifest {}", child.digest());
        size(&what, child.size(), fetched.bytes.len() as u64)?;
        Ok(fetched)
    }

    fn manifest(&self, wanted: &str, pinned: Option<&Digest>) -> Result<Fetched> {
        let what = format!("the manifest of {}", self.reference.familiar());
        let url = self.url(&format!("manifests/{wanted}"));
        let answer = self.get(&url, &[("accept", media::ACCEPT)])?;
        if answer.status() != 200 {
            return Err(errors::status(answer, &self.reference));
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

    /// Sends a request, with a token if the registry wants one; gives up after one refusal.
    fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let token = self.auth().header();
        let answer = self.http.get(url, headers, token.as_deref())?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        let token = {
            // One thread asks for a token; the others find it here when their turn comes.
            let mut auth = self.auth();
            if auth.header() == token {
                auth.answer(&self.http, &self.endpoint, &self.reference, &answer)?;
            }
            auth.header()
        };
        self.http.get(url, headers, token.as_deref())
    }

    fn auth(&self) -> std::sync::MutexGuard<'_, Auth> {
        self.auth.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.endpoint.base(), self.reference.path())
    }
}

/// Reads a document that must fit into memory.
fn read_small(answer: Answer, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let host = answer.host().to_owned();
    let mut body = answer.into_body().take(manifest::LARGEST + 1);
    body.read_to_end(&mut bytes).map_err(|error| errors::broken(&host, &error))?;
    if bytes.len() as u64 > manifest::LARGEST {
        let limit = manifest::LARGEST >> 20;
        return Err(Error::new(Kind::Corrupt, format!("{what} is larger than {limit} MiB")));
    }
    Ok(bytes)
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
