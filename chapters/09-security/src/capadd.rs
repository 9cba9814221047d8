//! `--cap-add` and `--cap-drop`, with Docker's rules (moby, daemon/pkg/oci/caps/utils.go, `TweakCapabilities`).

use std::str::FromStr;

use caps::Capability;
use process::{Error, Result};

use crate::{CapSet, capset};

/// What `--cap-add` and `--cap-drop` name: one capability, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapArg {
    /// `ALL`
    All,
    /// `NET_ADMIN`
    One(Capability),
}

impl FromStr for CapArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("all") || text.eq_ignore_ascii_case("cap_all") {
            return Ok(Self::All);
        }
        capset::parse(text).map(Self::One)
    }
}

/// The set that comes of `base`. What is added wins over what is dropped; `ALL` is all that `ours` has.
///
/// # Errors
/// [`Kind::Unsupported`](process::Kind::Unsupported) for a capability that is added by name and that `ours` has not.
pub fn tweak(base: CapSet, add: &[CapArg], drop: &[CapArg], ours: CapSet) -> Result<CapSet> {
    let named = |args: &[CapArg]| -> CapSet {
        let ones = args.iter().filter_map(|arg| if let CapArg::One(one) = arg { Some(*one) } else { None });
        ones.collect()
    };
    let (added, dropped) = (named(add), named(drop));
    let missing = added.minus(ours);
    if !missing.is_empty() {
        return Err(not_ours(missing));
    }
    Ok(if add.contains(&CapArg::All) {
        ours.minus(dropped)
    } else if drop.contains(&CapArg::All) {
        added
    } else {
        base.and(ours).minus(dropped).or(added)
    })
}

fn not_ours(missing: CapSet) -> Error {
    let names: Vec<_> = missing.names().collect();
    let what = format!("--cap-add {}: this process cannot give it", names.join(", "));
    if missing.minus(CapSet::of_kernel()).is_empty() {
        Error::unsupported(what)
            .help("its own bounding set lacks it, as inside another container: see `CapBnd` in /proc/self/status")
    } else {
        Error::unsupported(what).help("this kernel does not have it; a newer one may")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: &str, drop: &str) -> String {
        let args = |text: &str| text.split_whitespace().map(|arg| arg.parse().unwrap()).collect::<Vec<CapArg>>();
        tweak(CapSet::docker(), &args(add), &args(drop), CapSet(0x1ff_ffff_ffff)).unwrap().to_string()
    }

    #[test]
    fn as_docker_does() {
        assert_eq!(set("", ""), "00000000a80425fb");
        assert_eq!(set("net_admin", ""), "00000000a80435fb");
        assert_eq!(set("", "CAP_CHOWN mknod"), "00000000a00425fa");
        assert_eq!(set("", "ALL"), "0000000000000000");
        assert_eq!(set("chown", "all"), "0000000000000001");
        assert_eq!(set("ALL", ""), "000001ffffffffff");
        assert_eq!(set("all", "SYS_ADMIN"), "000001ffffdfffff");
        assert_eq!(set("ALL", "ALL"), "000001ffffffffff");
        assert_eq!(set("chown", "chown"), "00000000a80425fb");
    }

    #[test]
    fn what_cannot_be_given_is_refused_by_name_and_left_out_of_all() {
        let ours = CapSet::docker();
        let one = |text: &str| [text.parse::<CapArg>().unwrap()];
        let error = tweak(CapSet::docker(), &one("SYS_ADMIN"), &[], ours).unwrap_err();
        assert!(error.what().contains("CAP_SYS_ADMIN"));
        assert_eq!(tweak(CapSet::docker(), &one("ALL"), &[], ours).unwrap(), ours);
        assert_eq!(tweak(CapSet::docker(), &[], &[], CapSet(1)).unwrap(), CapSet(1));
        assert!("NONSENSE".parse::<CapArg>().is_err());
    }
}
