//! Keys of the kernel (keyrings(7)), which are in no namespace.

use nix::errno::Errno;

use super::Tried;
use super::sys::{Arg, call};

const SESSION: i32 = -3;
const USER: i32 = -4;

const JOIN_SESSION_KEYRING: u64 = 1;
const SEARCH: u64 = 10;
const READ: u64 = 11;

/// The attacks of this file.
pub fn attack(name: &str, args: &[&str]) -> Option<Tried> {
    Some(match (name, args) {
        ("key-of-session", [key]) => search(SESSION, key),
        ("key-of-user", [key]) => search(USER, key),
        ("key-by-request", [key]) => request(key),
        ("key-by-number", [serial]) => read(serial.parse().expect("a number")),
        _ => return None,
    })
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

fn search(keyring: i32, key: &str) -> Tried {
    let (mut kind, mut key) = (text("user"), text(key));
    let keyring = Arg::Is(i64::from(keyring).cast_unsigned());
    read(call(libc::SYS_keyctl, &mut [Arg::Is(SEARCH), keyring, Arg::Of(&mut kind), Arg::Of(&mut key)])?)
}

fn request(key: &str) -> Tried {
    let (mut kind, mut key) = (text("user"), text(key));
    read(call(libc::SYS_request_key, &mut [Arg::Of(&mut kind), Arg::Of(&mut key)])?)
}

fn read(serial: u64) -> Tried {
    let mut secret = vec![0; 64];
    let args = &mut [Arg::Is(READ), Arg::Is(serial), Arg::Of(&mut secret), Arg::Is(64)];
    let length = usize::try_from(call(libc::SYS_keyctl, args)?).unwrap_or_default();
    secret.truncate(length);
    Ok(String::from_utf8_lossy(&secret).into_owned())
}

/// On the host: begins a session keyring and puts a key into it; gives the key's number.
///
/// # Errors
/// As keyctl(2) and add_key(2): `ENOSYS` on a kernel without keys.
pub fn add(key: &str, secret: &str) -> Result<u64, Errno> {
    call(libc::SYS_keyctl, &mut [Arg::Is(JOIN_SESSION_KEYRING), Arg::Is(0)])?;
    let (mut kind, mut key, mut value) = (text("user"), text(key), secret.as_bytes().to_vec());
    let length = Arg::Is(value.len() as u64);
    let keyring = Arg::Is(i64::from(SESSION).cast_unsigned());
    call(libc::SYS_add_key, &mut [Arg::Of(&mut kind), Arg::Of(&mut key), Arg::Of(&mut value), length, keyring])
}
