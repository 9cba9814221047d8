//! Landlock: a fence that a process builds around itself (landlock(7)).
//!
//! `--security-opt landlock=ro:/PATH` and `landlock=rw:/PATH`, as often as wanted, name what of the container's own
//! files its processes may use; everything else is out of reach, whatever the modes of the files and the capabilities
//! of the process say. A second fence, inside the first: it holds also where the first has a hole. What is named:
//!
//! - `ro`: what is below may be read, listed and executed;
//! - `rw`: it may also be written, made, renamed and removed, and devices take their special calls.
//!
//! A program needs its loader, its libraries and its devices, so a useful set begins with
//! `landlock=ro:/ landlock=rw:/tmp landlock=rw:/dev`. A mount cannot be made behind this fence at all.

use std::path::Path;

use ::landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};
use process::{Error, Result, explain};

use crate::Landlock;

/// What must be there: the rights of the first version, Linux 5.13.
const LEAST: ABI = ABI::V1;
/// What is used where it is there: truncate (6.2), devices (6.10).
const BEST: ABI = ABI::V6;

/// Looks, in the parent, whether the kernel has it.
///
/// # Errors
/// [`Kind::Unsupported`](process::Kind::Unsupported) if it has not.
pub fn check() -> Result<()> {
    ruleset().and_then(|ruleset| ruleset.create().map_err(absent)).map(drop)
}

/// Fences the calling thread and all that it executes. With `no_new_privs` that is set as well; otherwise the call
/// needs `CAP_SYS_ADMIN`.
///
/// # Errors
/// A path that does not exist in the container; as landlock_restrict_self(2).
pub fn restrict(wanted: &Landlock, no_new_privs: bool) -> Result<()> {
    let mut created = ruleset()?.create().map_err(absent)?.no_new_privs(no_new_privs);
    let (read, all) = (AccessFs::from_read(BEST), AccessFs::from_all(BEST));
    let rules =
        wanted.read_only.iter().map(|path| (path, read)).chain(wanted.read_write.iter().map(|path| (path, all)));
    for (path, access) in rules {
        created = created.add_rule(rule(path, access)?).map_err(|error| failed("landlock_add_rule", path, &error))?;
    }
    let status = created.restrict_self().map_err(|error| {
        failed("landlock_restrict_self", Path::new(""), &error)
            .help("it needs CAP_SYS_ADMIN, or --security-opt no-new-privileges")
    })?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(unsupported());
    }
    explain!(
        9,
        "all other files are out of reach",
        "landlock_restrict_self({} ro, {} rw)",
        wanted.read_only.len(),
        wanted.read_write.len()
    );
    Ok(())
}

/// What is governed: whatever is not named by a rule is denied.
fn ruleset() -> Result<Ruleset> {
    let least = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let least = least.handle_access(AccessFs::from_all(LEAST)).map_err(absent)?;
    least.set_compatibility(CompatLevel::BestEffort).handle_access(AccessFs::from_all(BEST)).map_err(absent)
}

/// A rule for a file must not speak of what only directories have.
fn rule(path: &Path, access: BitFlags<AccessFs>) -> Result<PathBeneath<PathFd>> {
    let parent = PathFd::new(path).map_err(|error| {
        failed("open", path, &error).help("a path of --security-opt landlock must exist in the container")
    })?;
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(BEST) };
    Ok(PathBeneath::new(parent, access).set_compatibility(CompatLevel::BestEffort))
}

fn failed(call: &str, path: &Path, error: &(dyn std::error::Error + 'static)) -> Error {
    // The crate wraps the kernel's word twice; the innermost is it.
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<std::io::Error>() {
        Some(io) => Error::io(call, path.display(), io),
        None => Error::unsupported(format!("{call} {}: {innermost}", path.display())),
    }
}

fn absent(_error: impl std::error::Error) -> Error {
    unsupported()
}

fn unsupported() -> Error {
    Error::unsupported("this kernel has no Landlock, or has it switched off")
        .help("it needs Linux 5.13 with CONFIG_SECURITY_LANDLOCK, and `landlock` in the kernel parameter lsm=")
}
