//! The option string of an overlay mount, which must fit into one page (mount(2), "data").

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result};

/// The most lower directories that an overlay takes (`OVL_MAX_STACK`, fs/overlayfs/params.h).
pub const MOST_LAYERS: usize = 500;
/// What mount(2) copies of the option string: a page less its final NUL.
const PAGE: usize = 4095;

/// The string, and what it needs in order to mean something.
#[derive(Debug)]
pub enum Options {
    /// Whole paths, as a reader of the mount table likes them.
    Paths(Vec<u8>),
    /// Numbers of open directories: short whatever the paths are. They mean something in `/proc/self/fd` only,
    /// and only as long as this value keeps them open.
    Numbers(Vec<u8>, #[allow(dead_code, reason = "kept open, not read")] Vec<OwnedFd>),
}

/// The directories of an overlay.
pub struct Layers<'a> {
    /// Those that are read, topmost first.
    pub lowers: &'a [PathBuf],
    /// The one that is written.
    pub upper: &'a Path,
    /// The kernel's own scratch directory, on the file system of `upper`.
    pub work: &'a Path,
}

impl Options {
    /// The options for `layers`; `extra` is appended as it is.
    ///
    /// # Errors
    /// Too many layers, or as open(2).
    pub fn new(layers: &Layers<'_>, extra: &str) -> Result<Self> {
        if layers.lowers.len() > MOST_LAYERS {
            return Err(Error::unsupported(format!("{} layers: overlayfs takes {MOST_LAYERS}", layers.lowers.len()))
                .help("merge some of them: `commit` one layer of the whole, or build the image with fewer steps"));
        }
        let lowers: Vec<_> = layers.lowers.iter().map(|path| escaped(path)).collect();
        let paths = render(&lowers, &escaped(layers.upper), &escaped(layers.work), extra);
        if paths.len() <= PAGE {
            return Ok(Self::Paths(paths));
        }
        let mut handles = Vec::new();
        let lowers: Result<Vec<_>> = layers.lowers.iter().map(|path| number(path, &mut handles)).collect();
        let (upper, work) = (number(layers.upper, &mut handles)?, number(layers.work, &mut handles)?);
        Ok(Self::Numbers(render(&lowers?, &upper, &work, extra), handles))
    }

    /// The string.
    pub fn text(&self) -> &[u8] {
        match self {
            Self::Paths(text) | Self::Numbers(text, _) => text,
        }
    }
}

fn render(lowers: &[Vec<u8>], upper: &[u8], work: &[u8], extra: &str) -> Vec<u8> {
    let lowers = lowers.join(&b':');
    [b"lowerdir=", lowers.as_slice(), b",upperdir=", upper, b",workdir=", work, extra.as_bytes()].concat()
}

/// Colons part the lower directories, commas the options, and the backslash takes their meaning away.
fn escaped(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if b"\\:,".contains(&byte) {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text
}

fn number(path: &Path, handles: &mut Vec<OwnedFd>) -> Result<Vec<u8>> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let fd = open(path, flags, Mode::empty()).or_call("open", path.display())?;
    let number = fd.as_raw_fd().to_string().into_bytes();
    handles.push(fd);
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lowers: &[PathBuf]) -> Options {
        let layers = Layers { lowers, upper: Path::new("/u"), work: Path::new("/w") };
        Options::new(&layers, ",index=off").unwrap()
    }

    #[test]
    fn a_few_layers_are_named_by_their_paths() {
        let options = text(&["/top".into(), "/a:b,c\\d".into()]);
        assert!(matches!(options, Options::Paths(_)));
        let text = String::from_utf8_lossy(options.text()).into_owned();
        assert_eq!(text, "lowerdir=/top:/a\\:b\\,c\\\\d,upperdir=/u,workdir=/w,index=off");
    }

    #[test]
    fn many_layers_are_named_by_numbers_and_fit() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: String| {
            let path = place.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let lowers: Vec<_> = (0..150).map(|number| at(format!("a-layer-with-a-long-name-{number:03}"))).collect();
        let (upper, work) = (at("upper".into()), at("work".into()));
        let layers = Layers { lowers: &lowers, upper: &upper, work: &work };
        let options = Options::new(&layers, "").unwrap();
        assert!(options.text().len() < 1000);
        let Options::Numbers(text, handles) = options else { panic!("150 long paths in one page") };
        assert_eq!(handles.len(), 152);
        let first = format!("lowerdir={}:", handles[0].as_raw_fd());
        assert!(text.starts_with(first.as_bytes()), "topmost first");
        assert_eq!(std::fs::read_link(rootfs::fd_path(&handles[0])).unwrap(), lowers[0]);
    }

    #[test]
    fn more_than_the_kernel_takes_is_an_error_with_a_way_out() {
        let lowers = vec![PathBuf::from("/x"); MOST_LAYERS + 1];
        let layers = Layers { lowers: &lowers, upper: Path::new("/u"), work: Path::new("/w") };
        let error = Options::new(&layers, "").unwrap_err();
        assert!(error.what().contains("501 layers") && error.way_out().is_some());
    }
}
