//! Whose certificates are believed: the system's roots, and what `certs.d` has for one registry
//! (containers-certs.d(5); the same layout in Docker's directory).

use std::path::{Path, PathBuf};

use process::{Error, OrCall, Result, explain};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::conf_files;

/// The TLS settings for the host `authority` (with its port, if one was given).
///
/// # Errors
/// A directory for it that is there but cannot be read, or a file in it without a certificate.
pub fn config(authority: &str, verify: bool) -> Result<TlsConfig> {
    let builder = TlsConfig::builder().disable_verification(!verify);
    let Some(directory) = directory(authority) else {
        return Ok(builder.root_certs(RootCerts::PlatformVerifier).build());
    };
    explain!(7, "a CA for one registry", "read {}", directory.display());
    let files = files(&directory)?;
    let ending =
        |end: &'static str| files.iter().filter(move |path| path.extension().is_some_and(|is| is == end)).cloned();
    let mut roots = Vec::new();
    for file in ending("crt") {
        roots.extend(certificates(&file)?);
    }
    let root_certs = if roots.is_empty() {
        RootCerts::PlatformVerifier
    } else {
        // As Docker and Podman do: these are believed beside the system's roots, for this registry only.
        let system = rustls_native_certs::load_native_certs().certs;
        roots.extend(system.iter().map(|root| Certificate::from_der(root).to_owned()));
        RootCerts::new_with_certs(&roots)
    };
    let own = ending("cert").next().map(|file| client(&file)).transpose()?;
    Ok(builder.root_certs(root_certs).client_cert(own).build())
}

/// The first directory that there is for `authority`.
pub fn directory(authority: &str) -> Option<PathBuf> {
    let own = conf_files::config_home();
    let own = own.iter().flat_map(|home| [home.join("containers"), home.join("docker")]);
    let all = own.chain(["/etc/containers".into(), "/etc/docker".into()]);
    // The name may come from a registry's answer; it is one directory's name or nothing.
    let plain = !authority.contains('/') && !authority.trim_matches('.').is_empty();
    all.map(|base| base.join("certs.d").join(authority)).find(|path| plain && path.is_dir())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).or_call("open", directory.display())? {
        found.push(entry.or_call("readdir", directory.display())?.path());
    }
    found.sort();
    Ok(found)
}

/// The certificates of a PEM file.
fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>> {
    let pem = std::fs::read(file).or_call("read", file.display())?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() { Err(malformed(file, "certificate")) } else { Ok(found) }
}

/// Our own certificate, `NAME.cert`, with `NAME.key`: some registries want to see one.
fn client(file: &Path) -> Result<ClientCert> {
    let key = file.with_extension("key");
    let pem = std::fs::read(&key).or_call("read", key.display())?;
    let private = PrivateKey::from_pem(&pem).map_err(|_| malformed(&key, "private key"))?;
    Ok(ClientCert::new_with_certs(&certificates(file)?, private))
}

fn malformed(file: &Path, wanted: &str) -> Error {
    Error::invalid(format!("{} has no {wanted} in PEM form", file.display())).help("mend or remove the file")
}
