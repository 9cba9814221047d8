//! Sockets, and the terminal of whoever called.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use super::sys::{Arg, call};
use super::{DONE, Tried, errno};

/// The attacks of this file.
pub fn attack(name: &str, args: &[&str]) -> Option<Tried> {
    Some(match (name, args) {
        ("abstract", [socket]) => abstract_socket(socket),
        ("raw", []) => socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP as u64).map(|_| DONE.into()),
        ("packet", []) => socket(libc::AF_PACKET, libc::SOCK_RAW, 0x0300).map(|_| DONE.into()),
        ("links", []) => links(),
        ("link-down", [link]) => link_down(link),
        ("type-ahead", []) => type_ahead(),
        _ => return None,
    })
}

fn socket(family: i32, kind: i32, protocol: u64) -> Result<u64, nix::errno::Errno> {
    call(libc::SYS_socket, &mut [Arg::Is(family as u64), Arg::Is(kind as u64), Arg::Is(protocol)])
}

/// Such a socket has a name in the network namespace and no file, so no directory keeps anybody from it.
fn abstract_socket(name: &str) -> Tried {
    let address = SocketAddr::from_abstract_name(name).map_err(|error| errno(&error))?;
    let mut said = String::new();
    let stream = UnixStream::connect_addr(&address).map_err(|error| errno(&error))?;
    stream.take(64).read_to_string(&mut said).map_err(|error| errno(&error))?;
    Ok(said)
}

fn links() -> Tried {
    let entries = fs::read_dir("/sys/class/net").map_err(|error| errno(&error))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !OF_EVERY_NAMESPACE.contains(&name.as_str()));
    names.sort();
    Ok(names.join(" "))
}

/// What a kernel's modules make in each network namespace, whoever asks.
const OF_EVERY_NAMESPACE: [&str; 9] =
    ["sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"];

/// Takes a link down (netdevice(7), `SIOCSIFFLAGS`).
fn link_down(link: &str) -> Tried {
    let any = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut request = [0_u8; 40];
    request[..link.len()].copy_from_slice(link.as_bytes());
    call(libc::SYS_ioctl, &mut [Arg::Is(any), Arg::Is(0x8914), Arg::Of(&mut request)]).map(|_| DONE.into())
}

/// Types into a terminal what its shell will read when we are gone (`TIOCSTI`, ioctl_tty(2)).
fn type_ahead() -> Tried {
    let controlling = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/tty");
    let ours = controlling.as_ref().map(File::as_raw_fd).ok();
    let terminals: Vec<RawFd> = (0..3).chain(ours).collect();
    let mut last = Err(nix::errno::Errno::ENOTTY);
    for fd in terminals {
        let mut typed = *b"#";
        let args = &mut [Arg::Is(fd as u64), Arg::Is(libc::TIOCSTI), Arg::Of(&mut typed)];
        match call(libc::SYS_ioctl, args) {
            Ok(_) => return Ok(DONE.into()),
            Err(nix::errno::Errno::ENOTTY) => {}
            Err(refused) => last = Err(refused),
        }
    }
    last
}
