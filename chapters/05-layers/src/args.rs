//! The options of this chapter.

use std::path::PathBuf;

use clap::Args;
use process::Result;

use crate::spec::{MountSpec, check_unique};
use crate::{long, short};

/// Options about the layers that the root is made of.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Layer options")]
pub struct LayerArgs {
    /// A directory that is a layer of the root; repeat it for more, the lowest first. This machine's programs if none
    #[arg(long, value_name = "DIR")]
    pub layer: Vec<PathBuf>,
}

impl LayerArgs {
    /// The layers, topmost first, as absolute paths without links.
    ///
    /// # Errors
    /// [`Kind::NotFound`](process::Kind::NotFound) and the like, as [`rootfs::root_or_default`].
    pub fn lowers(&self) -> Result<Vec<PathBuf>> {
        if self.layer.is_empty() {
            return Ok(vec![rootfs::host_root()?]);
        }
        self.layer.iter().rev().map(|layer| rootfs::root_or_default(Some(layer.clone()))).collect()
    }
}

/// Options about what is mounted into the container, as `docker run` has them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Mount options")]
pub struct MountArgs {
    /// Mount a path of the host or, by name, a volume; DST alone makes a volume of the container's own
    #[arg(short, long, value_name = "[SRC:]DST[:OPTIONS]", value_parser = short::volume)]
    pub volume: Vec<MountSpec>,
    /// The same in many words: type=bind|volume|tmpfs,src=…,dst=…,readonly,…
    #[arg(long, value_name = "FIELDS", value_parser = long::mount)]
    pub mount: Vec<MountSpec>,
    /// Mount memory; options as size=64m,mode=1777,exec
    #[arg(long, value_name = "DST[:OPTIONS]", value_parser = short::tmpfs)]
    pub tmpfs: Vec<MountSpec>,
    /// Nothing can be written to the root itself, only to what is mounted on it
    #[arg(long)]
    pub read_only: bool,
}

impl MountArgs {
    /// All mounts, in the order in which they are given.
    ///
    /// # Errors
    /// [`Kind::Invalid`](process::Kind::Invalid) for two on one place.
    pub fn specs(&self) -> Result<Vec<MountSpec>> {
        let specs: Vec<_> = [&self.volume, &self.mount, &self.tmpfs].into_iter().flatten().cloned().collect();
        check_unique(&specs)?;
        Ok(specs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Source;
    use namespaces::mount::{NODEV, NOEXEC, NOSUID, Propagation};

    /// Short enough for a table.
    fn show(spec: Result<MountSpec>) -> String {
        let spec = match spec {
            Ok(spec) => spec,
            Err(error) => return format!("error: {}", error.what()),
        };
        let what = match &spec.source {
            Source::Bind(bind) => {
                let mut words = vec![format!("bind {}", bind.path.display())];
                words.extend(bind.create.then(|| "create".to_owned()));
                words.extend((!bind.recursive).then(|| "flat".to_owned()));
                words.extend((bind.propagation != Propagation::Private).then(|| format!("{:?}", bind.propagation)));
                words.join(" ")
            }
            Source::Volume { name, no_copy } => {
                format!("volume {}{}", name.as_deref().unwrap_or("-"), if *no_copy { " nocopy" } else { "" })
            }
            Source::Tmpfs(tmpfs) => format!("tmpfs {:x} {:?}", tmpfs.attributes, tmpfs.options),
        };
        format!("{what} on {}{}", spec.target.display(), if spec.read_only { " ro" } else { "" })
    }

    #[test]
    fn the_short_way() {
        for (text, wanted) in [
            ("/src:/dst", "bind /src create on /dst"),
            ("/src/:/dst//x/:ro", "bind /src create on /dst/x ro"),
            ("/src:/dst:rw,rslave", "bind /src create Slave on /dst"),
            ("/src:/dst:bind,Z", "bind /src create flat on /dst"),
            ("data:/dst", "volume data on /dst"),
            ("data:/dst:nocopy,ro", "volume data nocopy on /dst ro"),
            ("/dst", "volume - on /dst"),
        ] {
            assert_eq!(show(short::volume(text)), wanted, "{text}");
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(show(short::volume("./x:/dst")), format!("bind {}/x create on /dst", here.display()));
        for text in ["", "dst", "/a:b", "/a:/", "/a:/b/../c", "/a:/b:/c:ro", ":/b", "/a:/b:xx", "/a:/b:nocopy", "/b:ro"]
        {
            assert!(show(short::volume(text)).starts_with("error: "), "{text}: {}", show(short::volume(text)));
        }
        for text in ["a:/b", "-data:/b", "da/ta:/b", "data:/b:rshared", "data:/b:bind"] {
            assert!(show(short::volume(text)).starts_with("error: "), "{text}");
        }
    }

    #[test]
    fn the_long_way() {
        for (text, wanted) in [
            ("type=bind,src=/src,dst=/dst", "bind /src on /dst"),
            ("type=bind,source=/src,destination=/dst,readonly", "bind /src on /dst ro"),
            ("type=bind,src=/src,target=/dst,ro=false,bind-propagation=rshared", "bind /src Shared on /dst"),
            ("type=bind,src=/src,dst=/dst,bind-recursive=disabled", "bind /src flat on /dst"),
            ("\"src=data\",dst=/dst", "volume data on /dst"),
            ("dst=/dst,volume-nocopy=true", "volume - nocopy on /dst"),
            ("type=tmpfs,dst=/dst,tmpfs-size=1m", "tmpfs e [(\"size\", \"1m\")] on /dst"),
        ] {
            assert_eq!(show(long::mount(text)), wanted, "{text}");
        }
        for text in [
            "type=bind,dst=/d",
            "type=bind,src=rel,dst=/d",
            "src=data",
            "type=tmpfs,src=x,dst=/d",
            "type=bind,src=/s,dst=/d,tmpfs-size=1",
            "type=npipe,src=/s,dst=/d",
            "dst=/d,what=1",
            "dst=/d,readonly=maybe",
        ] {
            assert!(show(long::mount(text)).starts_with("error: --mount "), "{text}");
        }
    }

    #[test]
    fn tmpfs_options() {
        let all = NOSUID | NODEV | NOEXEC;
        assert_eq!(show(short::tmpfs("/t")), format!("tmpfs {all:x} [] on /t"));
        let some = NOSUID | NODEV;
        let wanted = format!("tmpfs {some:x} [(\"size\", \"64m\"), (\"mode\", \"0700\")] on /t ro");
        assert_eq!(show(short::tmpfs("/t:exec,size=64m,mode=0700,ro")), wanted);
        for text in [
            "t",
            "/t:mode=9",
            "/t:size=",
            "/t:size=9x",
            "/t:size=99999999999g",
            "/t:size=-1",
            "/t:what",
            "/t:what=1",
            "/t:uid=ada",
        ] {
            assert!(show(short::tmpfs(text)).starts_with("error: "), "{text}");
        }
    }

    #[test]
    fn one_place_takes_one_mount() {
        let args = MountArgs {
            volume: vec![short::volume("/a:/x").unwrap()],
            tmpfs: vec![short::tmpfs("/x/").unwrap()],
            ..MountArgs::default()
        };
        assert!(args.specs().unwrap_err().what().contains("two mounts on /x"));
    }
}
