//! What this chapter needs from the machine.

use process::doctor::Check;
use rootfs::dirs;

use crate::{overlay, sys};

/// Can images be kept here, and registries be trusted?
pub fn doctor() -> Vec<Check> {
    vec![attributes(), trust(), proxy()]
}

/// Layers need extended attributes where they are unpacked.
fn attributes() -> Check {
    const WHAT: &str = "extended attributes";
    let data = &dirs().data;
    let place = data.ancestors().find(|path| path.is_dir()).unwrap_or(data);
    let probe = place.join(format!(".cooper-doctor-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir(&probe) {
        let mend = "set COOPER_DATA to a directory that you may write to";
        return Check::missing(7, WHAT, format!("{}: {error}", place.display()), mend);
    }
    let name = if overlay::in_user_namespace() { c"user.cooper.probe" } else { c"trusted.cooper.probe" };
    let path = std::ffi::CString::new(probe.as_os_str().as_encoded_bytes()).unwrap_or_default();
    let set = sys::lsetxattr(&path, name, b"y");
    let _ = std::fs::remove_dir(&probe);
    match set {
        Ok(()) => Check::works(7, WHAT, format!("{} keeps {}", place.display(), name.to_string_lossy())),
        Err(errno) => Check::missing(
            7,
            WHAT,
            format!("{} does not keep {}: {errno:?}", place.display(), name.to_string_lossy()),
            "set COOPER_DATA to a directory on ext4, xfs, btrfs or, since Linux 6.6, tmpfs",
        ),
    }
}

/// Whom HTTPS trusts.
fn trust() -> Check {
    const WHAT: &str = "certificates";
    const MEND: &str = "sudo apt-get install ca-certificates, or set SSL_CERT_FILE";
    let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    match named.or_else(|| usual.iter().map(std::path::PathBuf::from).find(|path| path.exists())) {
        Some(path) if path.exists() => Check::works(7, WHAT, path.display().to_string()),
        Some(path) => {
            Check::missing(7, WHAT, format!("SSL_CERT_FILE names {}, which is not there", path.display()), MEND)
        }
        None => Check::missing(7, WHAT, "none found: only registries on this machine can be reached", MEND),
    }
}

/// How registries are reached.
fn proxy() -> Check {
    const WHAT: &str = "way to registries";
    let set = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];
    match set.iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        Some(name) => Check::works(7, WHAT, format!("through {name}")),
        None => Check::works(7, WHAT, "direct; `run host sh` needs none"),
    }
}
