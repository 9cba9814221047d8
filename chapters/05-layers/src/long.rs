//! The long way to write a mount: `--mount type=bind,src=/data,dst=/data,readonly`.

use std::path::Path;

use namespaces::mount::Propagation;
use process::{Error, Result};

use crate::short;
use crate::spec::{Bind, MountSpec, Source, Tmpfs};
use crate::volume;

/// The fields as they were given.
#[derive(Default)]
struct Fields {
    kind: String,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    propagation: Option<Propagation>,
    recursive: Option<String>,
    create: bool,
    id_mapped: bool,
    no_copy: bool,
    tmpfs: Vec<(String, String)>,
}

/// Reads the value of `--mount`, a line of CSV as `docker run` has it.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid), with what is wrong about it.
pub fn mount(text: &str) -> Result<MountSpec> {
    read(text).map_err(|error| error.at(format!("--mount {text}")))
}

fn read(text: &str) -> Result<MountSpec> {
    let mut fields = Fields { kind: "volume".to_owned(), ..Fields::default() };
    for field in csv(text)? {
        match field.split_once('=') {
            Some((key, value)) => set(&mut fields, &key.to_lowercase(), value)?,
            None => set(&mut fields, &field.to_lowercase(), "true")?,
        }
    }
    let target = fields.target.clone().ok_or_else(|| Error::invalid("no target").help("add dst=PATH"))?;
    let source = match fields.kind.as_str() {
        "bind" => Source::Bind(bind(&fields)?),
        "volume" => {
            refuse(
                fields.propagation.is_some() || fields.recursive.is_some() || fields.create,
                "bind-… options are for type=bind",
            )?;
            let name = fields.source.as_deref().filter(|name| !name.is_empty()).map(volume::check_name).transpose()?;
            Source::Volume { name, no_copy: fields.no_copy }
        }
        "tmpfs" => {
            refuse(fields.source.is_some(), "a tmpfs has no source")?;
            Source::Tmpfs(Tmpfs { options: fields.tmpfs.clone(), ..Tmpfs::default() })
        }
        other => return Err(Error::invalid(format!("no type {other:?}")).help("there are: bind, volume, tmpfs")),
    };
    refuse(!fields.tmpfs.is_empty() && fields.kind != "tmpfs", "tmpfs-… options are for type=tmpfs")?;
    refuse(fields.no_copy && fields.kind != "volume", "volume-… options are for type=volume")?;
    let spec = MountSpec::new(source, &target)?;
    Ok(MountSpec { read_only: fields.read_only, ..spec })
}

fn bind(fields: &Fields) -> Result<Bind> {
    let source = fields.source.as_deref().unwrap_or_default();
    if !Path::new(source).is_absolute() && !source.starts_with('.') {
        return Err(
            Error::invalid(format!("{source:?} is no source of a bind mount")).help("src= takes an absolute path")
        );
    }
    let mut bind = Bind { create: fields.create, ..Bind::new(short::absolute(source)?) };
    bind.propagation = fields.propagation.unwrap_or(bind.propagation);
    bind.id_mapped = fields.id_mapped;
    match fields.recursive.as_deref() {
        None | Some("enabled" | "readonly") => {}
        Some("disabled") => bind.recursive = false,
        Some("writable") => bind.recursive_read_only = false,
        Some(other) => {
            return Err(Error::invalid(format!("bind-recursive={other}"))
                .help("there are: enabled, disabled, writable, readonly"));
        }
    }
    Ok(bind)
}

fn set(fields: &mut Fields, key: &str, value: &str) -> Result<()> {
    match key {
        "type" => fields.kind = value.to_lowercase(),
        "source" | "src" => fields.source = Some(value.to_owned()),
        "target" | "dst" | "destination" => fields.target = Some(value.to_owned()),
        "readonly" | "ro" => fields.read_only = yes(key, value)?,
        "bind-propagation" => fields.propagation = Some(short::propagation(value)?),
        "bind-recursive" => fields.recursive = Some(value.to_owned()),
        "bind-nonrecursive" if yes(key, value)? => fields.recursive = Some("disabled".to_owned()),
        "bind-nonrecursive" | "consistency" => {}
        "idmap" => fields.id_mapped = yes(key, value)?,
        "bind-create-src" => fields.create = yes(key, value)?,
        "volume-nocopy" => fields.no_copy = yes(key, value)?,
        "tmpfs-size" => fields.tmpfs.push(short::tmpfs_option("size", value)?),
        "tmpfs-mode" => fields.tmpfs.push(short::tmpfs_option("mode", value)?),
        _ => {
            return Err(Error::invalid(format!("no field {key:?}")).help(
                "there are: type, src, dst, readonly, bind-propagation, bind-recursive, idmap, volume-nocopy, tmpfs-size, tmpfs-mode",
            ));
        }
    }
    Ok(())
}

fn yes(key: &str, value: &str) -> Result<bool> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Error::invalid(format!("{key}={value}")).help("true or false")),
    }
}

fn refuse(condition: bool, why: &str) -> Result<()> {
    if condition { Err(Error::invalid(why)) } else { Ok(()) }
}

/// One line of CSV (RFC 4180): a field in quotes may hold commas, and a doubled quote is one.
fn csv(line: &str) -> Result<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(one) = characters.next() {
        let last = fields.len() - 1;
        match one {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields[last].push('"');
            }
            '"' if quoted || fields[last].is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields[last].push(other),
        }
    }
    if quoted { Err(Error::invalid("a quote is not closed")) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_as_rfc_4180_has_it() {
        assert_eq!(csv("a,b=c,,d").unwrap(), ["a", "b=c", "", "d"]);
        assert_eq!(csv(r#""src=/a,b","x""y""#).unwrap(), ["src=/a,b", "x\"y"]);
        assert!(csv("\"a").is_err());
    }
}
