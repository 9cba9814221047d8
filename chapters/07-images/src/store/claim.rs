//! Two processes that bring the same layer: one works, the other waits and finds it done.
//!
//! A claim is a lock on one byte of a file, at an offset that the layer's name decides (fcntl(2), "Open file
//! description locks"). So there is no file per layer to be cleaned up, and the kernel lets go when the holder dies.

use std::fs::{File, OpenOptions};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use oci_spec::image::Digest;
use process::{Error, OrCall, Result, explain};

use super::Store;
use crate::digest;

/// Layers that only this process brings, until it is dropped.
#[derive(Debug)]
pub struct Claim(#[allow(dead_code)] File);

impl Store {
    /// Claims those layers of a chain that are not here, the lowest first; `wait` is called once if another
    /// process has one of them. What is here has to be looked up afterwards: it may be all of them by then.
    ///
    /// Nobody waits for somebody who waits for him: layers that two chains have in common are the lowest of both.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn claim(&self, chain: &[Digest], wait: impl Fn()) -> Result<Claim> {
        let path = self.data.join("images.claims");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.or_call("open", path.display())?;
        let mut waited = false;
        for id in chain.iter().filter(|id| !self.has_layer(id)) {
            let byte = byte_of(id);
            loop {
                let how = if waited { FcntlArg::F_OFD_SETLKW(&byte) } else { FcntlArg::F_OFD_SETLK(&byte) };
                match fcntl(&file, how) {
                    Ok(_) => break,
                    Err(Errno::EAGAIN | Errno::EACCES) => {
                        explain!(7, "another process brings this layer", "fcntl(F_OFD_SETLKW, {})", digest::short(id));
                        wait();
                        waited = true;
                    }
                    Err(Errno::EINTR) => {}
                    Err(errno) => return Err(Error::call("fcntl", path.display(), errno)),
                }
            }
        }
        Ok(Claim(file))
    }
}

/// The byte that stands for a layer. Two layers on one byte would only wait for each other's work.
fn byte_of(id: &Digest) -> libc::flock {
    let start = digest::hex(id).get(..15).and_then(|hex| i64::from_str_radix(hex, 16).ok()).unwrap_or(0);
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start as libc::off_t,
        l_len: 1,
        l_pid: 0, // must be 0 for these locks
    }
}
