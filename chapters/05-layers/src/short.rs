//! The short ways to write a mount: `-v SRC:DST:OPTIONS` and `--tmpfs DST:OPTIONS`.

use std::path::PathBuf;

use namespaces::mount::{NODEV, NOEXEC, NOSUID, Propagation};
use process::{Error, OrCall, Result};

use crate::spec::{Bind, MountSpec, Source, Tmpfs};
use crate::volume;

/// What stands after the last colon of a `-v`.
#[derive(Default)]
struct Options {
    read_only: bool,
    no_copy: bool,
    not_recursive: bool,
    propagation: Option<Propagation>,
    id_mapped: bool,
}

/// Reads the value of `-v`, as `docker run` does: a path, a volume's name, or neither for an anonymous volume.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid), with what is wrong about it.
pub fn volume(text: &str) -> Result<MountSpec> {
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, Options::default()),
        [_, second] if !second.starts_with('/') && options(second).is_ok() => {
            return Err(wrong(text, "options need a source: SRC:DST:OPTIONS"));
        }
        [source, target] => (Some(source), target, Options::default()),
        [source, target, list] => {
            (Some(source), target, options(list).map_err(|error| error.at(format!("-v {text}")))?)
        }
        _ => return Err(wrong(text, "write SRC:DST[:OPTIONS]; a path with a colon needs --mount")),
    };
    let source = match source {
        None => Source::Volume { name: None, no_copy: options.no_copy },
        Some("") => return Err(wrong(text, "the source is empty")),
        Some(path) if path.starts_with('/') || path.starts_with('.') => Source::Bind(bind(text, path, &options)?),
        Some(name) => named(text, name, &options)?,
    };
    let spec = MountSpec::new(source, target).map_err(|error| error.at(format!("-v {text}")))?;
    Ok(MountSpec { read_only: options.read_only, ..spec })
}

fn bind(text: &str, path: &str, options: &Options) -> Result<Bind> {
    if options.no_copy {
        return Err(wrong(text, "`nocopy` is for volumes; a directory of the host is never filled"));
    }
    let mut bind = Bind { create: true, ..Bind::new(absolute(path)?) };
    bind.recursive = !options.not_recursive;
    bind.id_mapped = options.id_mapped;
    bind.propagation = options.propagation.unwrap_or(bind.propagation);
    Ok(bind)
}

fn named(text: &str, name: &str, options: &Options) -> Result<Source> {
    if options.propagation.is_some() || options.not_recursive {
        return Err(wrong(text, "propagation is for directories of the host, not for volumes"));
    }
    let name = volume::check_name(name).map_err(|error| error.at(format!("-v {text}")))?;
    Ok(Source::Volume { name: Some(name), no_copy: options.no_copy })
}

/// A relative source is seen from where the command was given.
///
/// # Errors
/// As getcwd(2).
pub fn absolute(path: &str) -> Result<PathBuf> {
    std::path::absolute(path).or_call("getcwd", "").map(|path| path.components().collect())
}

fn options(list: &str) -> Result<Options> {
    let mut options = Options::default();
    for word in list.split(',') {
        match word {
            "ro" | "readonly" => options.read_only = true,
            "rw" | "" => {}
            "nocopy" => options.no_copy = true,
            "bind" => options.not_recursive = true,
            "rbind" => options.not_recursive = false,
            "idmap" => options.id_mapped = true,
            // Labels of SELinux, and a hint for Docker on a Mac: neither changes what is mounted here.
            "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            other => options.propagation = Some(propagation(other)?),
        }
    }
    Ok(options)
}

/// A propagation type by its name. Those with and without `r` differ in what is mounted below; both are taken.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid), with the words there are.
pub fn propagation(word: &str) -> Result<Propagation> {
    match word {
        "private" | "rprivate" => Ok(Propagation::Private),
        "slave" | "rslave" => Ok(Propagation::Slave),
        "shared" | "rshared" => Ok(Propagation::Shared),
        _ => Err(Error::invalid(format!("{word:?} is no option of a mount")).help(
            "there are: ro, rw, nocopy, idmap, z, Z, bind, rbind, and private, slave, shared, each also with an `r` before it",
        )),
    }
}

/// Reads the value of `--tmpfs`: `DST[:OPTION,…]`.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid), with what is wrong about it.
pub fn tmpfs(text: &str) -> Result<MountSpec> {
    let (target, list) = text.split_once(':').unwrap_or((text, ""));
    let mut tmpfs = Tmpfs::default();
    let mut read_only = false;
    for word in list.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            None => match word {
                "ro" => read_only = true,
                "rw" => read_only = false,
                _ => attribute(&mut tmpfs.attributes, word)?,
            },
            Some((key, value)) => tmpfs.options.push(tmpfs_option(key, value)?),
        }
    }
    let spec = MountSpec::new(Source::Tmpfs(tmpfs), target).map_err(|error| error.at(format!("--tmpfs {text}")))?;
    Ok(MountSpec { read_only, ..spec })
}

fn attribute(attributes: &mut u64, word: &str) -> Result<()> {
    let known = [("suid", NOSUID), ("dev", NODEV), ("exec", NOEXEC)];
    for (name, flag) in known {
        if word == name {
            *attributes &= !flag;
            return Ok(());
        }
        if word.strip_prefix("no") == Some(name) {
            *attributes |= flag;
            return Ok(());
        }
    }
    Err(unknown(word))
}

fn unknown(word: &str) -> Error {
    Error::invalid(format!("{word:?} is no option of a tmpfs"))
        .help("there are: ro, rw, [no]suid, [no]dev, [no]exec, size=, mode=, uid=, gid=, nr_inodes=, nr_blocks=")
}

/// An option of the file system itself (tmpfs(5)).
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) for one that there is not, a mode that is not octal, a size that is none.
pub fn tmpfs_option(key: &str, value: &str) -> Result<(String, String)> {
    let octal = u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777);
    let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match key {
        "mode" if octal => {}
        "uid" | "gid" if number => {}
        "size" | "nr_inodes" | "nr_blocks" if is_amount(value) => {}
        "mode" | "uid" | "gid" | "size" | "nr_inodes" | "nr_blocks" => {
            return Err(Error::invalid(format!("{value:?} is no {key} of a tmpfs"))
                .help("as in size=64m, mode=1777 (octal), uid=1000"));
        }
        _ => return Err(unknown(key)),
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// A number and, perhaps, its unit. Of one that is too great the kernel would keep the lower bits without a word.
fn is_amount(value: &str) -> bool {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(digits);
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "%" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return false,
    };
    number.parse::<u64>().is_ok_and(|number| number.checked_mul(1024_u64.pow(power)).is_some())
}

fn wrong(text: &str, why: &str) -> Error {
    Error::invalid(format!("-v {text}: {why}"))
        .help("see `--help`; -v SRC:DST[:ro], where SRC is a path or a volume's name")
}
