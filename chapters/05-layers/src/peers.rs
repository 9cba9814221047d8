//! Propagation works only if the host's mount takes part in it; else it would be asked for and silently not be there.

use std::path::Path;

use namespaces::mount::Propagation;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result};
use std::os::fd::AsRawFd;

use crate::spec::Bind;

/// Refuses a propagation that the source's mount cannot give (mount_namespaces(7), "SHARED SUBTREES").
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) with the command that makes the mount shared.
pub fn check(bind: &Bind) -> Result<()> {
    let wanted: &[&str] = match bind.propagation {
        Propagation::Private => return Ok(()),
        Propagation::Slave => &["shared:", "master:"],
        Propagation::Shared => &["shared:"],
    };
    let Some((point, fields)) = mount_of(&bind.path)? else { return Ok(()) };
    if fields.iter().any(|field| wanted.iter().any(|wanted| field.starts_with(wanted))) {
        return Ok(());
    }
    Err(Error::invalid(format!("{} lies on the mount {point}, which is not shared", bind.path.display()))
        .help(format!("sudo mount --make-rshared {point}")))
}

/// The mount that `path` lies on: where it is mounted, and its optional fields (proc_pid_mountinfo(5)).
fn mount_of(path: &Path) -> Result<Option<(String, Vec<String>)>> {
    let fd = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", path.display())?;
    let read = |file: String| std::fs::read_to_string(&file).or_call("read", &file);
    let info = read(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let table = read("/proc/self/mountinfo".to_owned())?;
    Ok(find(&info, &table))
}

fn find(fdinfo: &str, table: &str) -> Option<(String, Vec<String>)> {
    let id = fdinfo.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
    let line = table.lines().find(|line| line.split(' ').next() == Some(id))?;
    let fields: Vec<_> = line.split(' ').collect();
    let optional = fields.iter().skip(6).take_while(|field| **field != "-").map(|field| (*field).to_owned());
    Some(((*fields.get(4)?).to_owned(), optional.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_fields_of_the_mount_that_is_meant() {
        let table = "21 1 8:1 / / rw - ext4 /dev/a rw\n\
                     210 21 0:5 / /mnt rw,nosuid shared:7 master:2 - tmpfs none rw\n";
        let fields = vec!["shared:7".to_owned(), "master:2".to_owned()];
        assert_eq!(find("pos:\t0\nmnt_id:\t210\n", table), Some(("/mnt".into(), fields)));
        assert_eq!(find("mnt_id:\t21\n", table), Some(("/".into(), vec![])));
        assert_eq!(find("mnt_id:\t2\n", table), None);
    }
}
