//! Labels of the two modules that name what each process may do: AppArmor and SELinux.
//!
//! Both work the same way: the name is written to a file of /proc before the exec, and counts from the exec on.
//! Profiles and policy are the host's; the engine only says which. What is written must reach the kernel and nothing
//! else, so the file is opened by handle on a verified procfs (CVE-2019-16884, CVE-2025-52881).

use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use process::{Error, OrCall, Result, explain};

use crate::SelinuxLabels;
use crate::procfs::Procfs;

/// What Docker and Podman take where the user says nothing of it (selinux(8), container_selinux(8)).
const SELINUX_DEFAULT: [&str; 4] = ["system_u", "system_r", "container_t", "s0"];
/// The type of files that processes of type `container_t` may use.
const SELINUX_FILES: &str = "container_file_t";

/// The profile that `--security-opt apparmor=PROFILE` asks for; none for `unconfined`.
///
/// # Errors
/// [`Kind::Unsupported`](process::Kind::Unsupported) if the host has no AppArmor.
pub fn apparmor(profile: &str) -> Result<Option<String>> {
    if profile == "unconfined" {
        return Ok(None);
    }
    if !has_apparmor() {
        return Err(Error::unsupported(format!(
            "the AppArmor profile {profile:?} cannot be set: this host has no AppArmor"
        ))
        .help("leave out --security-opt apparmor, or boot a kernel with `apparmor` in lsm= (`aa-status` tells)"));
    }
    if profile.is_empty() || profile.contains(['\n', '\0']) {
        return Err(Error::invalid(format!("{profile:?} is no AppArmor profile")).help("`aa-status` lists them"));
    }
    Ok(Some(profile.to_owned()))
}

/// Has the host AppArmor, and is it on?
pub fn has_apparmor() -> bool {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
    enabled.trim() == "Y"
}

/// Has the host SELinux, and is it on? Its file system is mounted only then.
pub fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// The labels that the values of `--security-opt label=…` ask for: `disable`, or `user:U`, `role:R`, `type:T`,
/// `level:L`, each in the place of the usual one. None if there are no values, or if labelling is off.
///
/// # Errors
/// A value of another form; [`Kind::Unsupported`](process::Kind::Unsupported) if the host has no SELinux.
pub fn selinux(values: &[String]) -> Result<Option<SelinuxLabels>> {
    if values.is_empty() || values.iter().any(|value| value == "disable") {
        return Ok(None);
    }
    let [mut user, mut role, mut kind, mut level] = SELINUX_DEFAULT.map(str::to_owned);
    let mut files = SELINUX_FILES.to_owned();
    for value in values {
        match value.split_once(':') {
            Some((_, "")) | None => return Err(not_a_label(value)),
            Some(("user", name)) => name.clone_into(&mut user),
            Some(("role", name)) => name.clone_into(&mut role),
            Some(("type", name)) => name.clone_into(&mut kind),
            Some(("filetype", name)) => name.clone_into(&mut files),
            Some(("level", name)) => name.clone_into(&mut level),
            Some(_) => return Err(not_a_label(value)),
        }
    }
    if !has_selinux() {
        return Err(Error::unsupported("SELinux labels cannot be set: this host has no SELinux, or has it disabled")
            .help("leave out --security-opt label, or write label=disable"));
    }
    Ok(Some(SelinuxLabels {
        process: format!("{user}:{role}:{kind}:{level}"),
        mount: format!("{user}:object_r:{files}:{level}"),
    }))
}

fn not_a_label(value: &str) -> Error {
    Error::invalid(format!("--security-opt label={value:?} is not understood"))
        .help("write label=disable, or label=user:U, role:R, type:T, filetype:T, level:L")
}

/// The option that gives all files of a mount one label (mount(8), `context=`). The value is quoted, since a level
/// such as `s0:c1,c2` has commas.
pub fn mount_option(labels: &SelinuxLabels) -> Option<String> {
    (!labels.mount.is_empty()).then(|| format!("context=\"{}\"", labels.mount))
}

/// Names the labels that count from the next exec on. For the child, in its root, before its filter is in place.
///
/// # Errors
/// As write(2): `ENOENT` for an AppArmor profile that is not loaded, `EINVAL` for a label that the policy does not
/// know; [`Kind::Unsupported`](process::Kind::Unsupported) if what is on /proc is not the kernel's.
pub fn apply(apparmor: Option<&str>, selinux: Option<&SelinuxLabels>) -> Result<()> {
    let selinux = selinux.map(|labels| labels.process.as_str()).filter(|label| !label.is_empty());
    if apparmor.is_none() && selinux.is_none() {
        return Ok(());
    }
    let proc = Procfs::open()?;
    if let Some(profile) = apparmor {
        // Since Linux 5.8 each module has its own directory; the file above it belongs to whichever came first.
        let own = "thread-self/attr/apparmor/exec";
        let file = if proc.file(own, OFlag::O_PATH).is_ok() { own } else { "thread-self/attr/exec" };
        set(&proc, file, &format!("exec {profile}")).map_err(|error| match error.errno() {
            Some(Errno::ENOENT) => {
                error.help(format!("load the profile first: apparmor_parser -r /etc/apparmor.d/{profile}"))
            }
            _ => error.help("is AppArmor on? `aa-status` lists the profiles that are loaded"),
        })?;
    }
    if let Some(label) = selinux {
        set(&proc, "thread-self/attr/exec", label).map_err(|error| {
            error.help("the policy must know the label, and let the engine's domain change into it")
        })?;
    }
    Ok(())
}

fn set(proc: &Procfs, file: &str, value: &str) -> Result<()> {
    proc.write(file, value)?;
    explain!(9, "what the host's policy calls the program", "write(/proc/{file}, {value:?})");
    Ok(())
}

/// What this process is called now, by either module; for `audit`. None where there is neither.
///
/// # Errors
/// As read(2).
pub fn of_process(pid: i32) -> Result<Option<String>> {
    if !has_apparmor() && !has_selinux() {
        return Ok(None);
    }
    let file = format!("/proc/{pid}/attr/current");
    let label = std::fs::read_to_string(&file).or_call("read", &file)?;
    Ok(Some(label.trim_matches(['\0', '\n']).to_owned()).filter(|label| !label.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn unconfined_and_disable_ask_for_nothing() {
        assert_eq!(apparmor("unconfined").unwrap(), None);
        assert_eq!(selinux(&values(&[])).unwrap(), None);
        assert_eq!(selinux(&values(&["disable"])).unwrap(), None);
    }

    #[test]
    fn what_the_host_has_not_is_refused_with_a_way_out() {
        if !has_apparmor() {
            assert!(apparmor("docker-default").unwrap_err().way_out().unwrap().contains("leave out"));
        }
        if !has_selinux() {
            let error = selinux(&values(&["type:spc_t"])).unwrap_err();
            assert!(error.way_out().unwrap().contains("label=disable"));
        }
    }

    #[test]
    fn a_label_that_is_none_is_refused_anywhere() {
        for value in ["type", "type:", "colour:red", ""] {
            assert!(selinux(&values(&[value])).unwrap_err().what().contains("not understood"), "{value}");
        }
    }

    #[test]
    fn a_level_with_commas_is_quoted() {
        let labels = SelinuxLabels { process: String::new(), mount: "u:object_r:t:s0:c1,c2".into() };
        assert_eq!(mount_option(&labels).unwrap(), "context=\"u:object_r:t:s0:c1,c2\"");
        assert_eq!(mount_option(&SelinuxLabels::default()), None);
    }
}
