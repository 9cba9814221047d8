//! Where it is written who is where: `-o peers=FILE` or `-o peers=http://…`.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use process::{Error, Kind, OrCall, Result};

use super::http::Url;

/// No network that a file describes is larger, in bytes.
const LIMIT: usize = 4 << 20;
/// A source that takes longer is not there.
const TIME: Duration = Duration::from_secs(2);

/// A place from which the document can be read again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file; whoever writes it renames it into place, so that it is always whole.
    File(PathBuf),
    /// An HTTP address.
    Http(Url),
}

impl Source {
    /// Reads the option.
    ///
    /// # Errors
    /// A path that is not absolute (relative to what, after a restart?), another kind of address.
    pub fn parse(text: &str) -> Result<Self> {
        if text.starts_with('/') {
            return Ok(Self::File(PathBuf::from(text)));
        }
        if text.starts_with("http://") {
            return Url::parse(text).map(Self::Http);
        }
        Err(Error::invalid(format!("peers={text} is neither an absolute path nor an http address"))
            .help("write -o peers=/etc/cooper/blue.json or -o peers=http://HOST:PORT/PATH; what speaks TLS only, let a program write into a file"))
    }

    /// The document as it is now, bounded in size and time.
    ///
    /// # Errors
    /// As open(2) and read(2), or as the HTTP server says.
    pub fn read(&self) -> Result<Vec<u8>> {
        match self {
            Self::Http(url) => url.get(LIMIT, TIME),
            Self::File(path) => {
                // A pipe would have us wait for somebody who writes.
                let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
                let file = file.or_call("open", path.display())?;
                if !file.metadata().or_call("stat", path.display())?.is_file() {
                    return Err(Error::invalid(format!("{} is no file", path.display())));
                }
                let mut bytes = Vec::new();
                file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).or_call("read", path.display())?;
                if bytes.len() > LIMIT {
                    let what = format!("{} is longer than {LIMIT} bytes", path.display());
                    return Err(Error::new(Kind::Corrupt, what));
                }
                Ok(bytes)
            }
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Http(url) => url.fmt(f),
        }
    }
}
