//! Profiles as Docker writes them: rules that hold only with, or without, a capability, a machine, a kernel.
//!
//! moby, profiles/seccomp/seccomp.go. OCI's own form (config-linux.md, "Seccomp") is the same one without conditions,
//! so one reader takes both. [`Profile::decide`] decides the conditions; what remains is OCI's.

use std::path::Path;

use nix::sys::utsname::uname;
use oci_spec::runtime::{
    Arch as OciArch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use process::{Error, OrCall, Result};
use serde::{Deserialize, Deserializer};

use super::Arch;
use crate::CapSet;

/// Docker's default profile, as data. Source and licence: NOTICE, beside it.
const DEFAULT: &str = include_str!("default.json");

/// A profile with its conditions.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to a call that no rule names.
    pub default_action: LinuxSeccompAction,
    /// The errno of the default action; `EPERM` if there is none.
    pub default_errno_ret: Option<u32>,
    /// Machines, and the others whose programs they run. Docker's form.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub arch_map: Vec<ArchMap>,
    /// Whose programs may run. OCI's form.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub architectures: Vec<String>,
    /// Flags of seccomp(2).
    pub flags: Option<Vec<LinuxSeccompFilterFlag>>,
    /// Where the descriptor for `SCMP_ACT_NOTIFY` is sent.
    pub listener_path: Option<std::path::PathBuf>,
    /// What is sent with it.
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub syscalls: Vec<Rule>,
}

/// A machine and the others whose programs it runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchMap {
    architecture: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    sub_architectures: Vec<String>,
}

/// What happens to some calls, and when.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The only name (the form before 2016).
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    names: Vec<String>,
    /// What happens.
    pub action: LinuxSeccompAction,
    /// With which errno.
    pub errno_ret: Option<u32>,
    /// With which arguments; all of them must fit.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub args: Vec<LinuxSeccompArg>,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// The rule holds only if all of this is so.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub includes: Condition,
    /// The rule does not hold if any of this is so.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub excludes: Condition,
}

/// What a rule may depend on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Capabilities of the container's bounding set.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub caps: Vec<String>,
    /// Machines, in Docker's spelling.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub arches: Vec<String>,
    /// This kernel or a later one.
    pub min_kernel: Option<Kernel>,
}

/// A kernel's version: major, minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel(pub u32, pub u32);

impl Kernel {
    /// The one that runs (uname(2)); 0.0 if it does not say.
    pub fn running() -> Self {
        uname().ok().and_then(|name| Self::parse(name.release().to_str()?)).unwrap_or(Self(0, 0))
    }

    /// `6.1`, `6.1.0-18-amd64`
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|byte: char| !byte.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl<'de> Deserialize<'de> for Kernel {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("minKernel {text:?}, expected \"4.8\"")))
    }
}

impl Rule {
    /// The calls that it is about.
    pub fn names(&self) -> &[String] {
        if self.names.is_empty() { std::slice::from_ref(&self.name) } else { &self.names }
    }

    /// Does it hold for a container with these capabilities, on such a machine?
    pub fn holds(&self, caps: CapSet, arch: Arch, kernel: Kernel) -> bool {
        let held = |name: &String| crate::capset::parse(name).is_ok_and(|capability| caps.contains(capability));
        let here = |condition: &Condition| condition.arches.iter().any(|name| name == arch.docker());
        let (includes, excludes) = (&self.includes, &self.excludes);
        let missing = !includes.caps.iter().all(held)
            || !(includes.arches.is_empty() || here(includes))
            || includes.min_kernel.is_some_and(|least| kernel < least);
        let ruled_out =
            excludes.caps.iter().any(held) || here(excludes) || excludes.min_kernel.is_some_and(|from| kernel >= from);
        !missing && !ruled_out
    }

    fn decided(&self) -> LinuxSyscall {
        let mut call = LinuxSyscall::default();
        call.set_names(self.names().to_vec()).set_action(self.action).set_errno_ret(self.errno_ret);
        call.set_args((!self.args.is_empty()).then(|| self.args.clone()));
        call
    }
}

impl Profile {
    /// Docker's default profile.
    ///
    /// # Errors
    /// None: a test reads it.
    pub fn docker() -> Result<Self> {
        Self::parse(DEFAULT, "the default profile")
    }

    /// Reads a profile in Docker's form or OCI's.
    ///
    /// # Errors
    /// As open(2) and read(2); [`Kind::Invalid`](process::Kind::Invalid) with file, line and what was expected.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).or_call("read", format!("the seccomp profile {}", path.display()))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The profile of the text, which comes from `place`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let profile: Self = serde_json::from_str(text).map_err(|error| {
            Error::invalid(format!("{place}: {error}")).help("a seccomp profile is JSON as Docker's default.json")
        })?;
        let invalid = |what: String| Error::invalid(format!("{place}: {what}"));
        if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
            return Err(invalid("both \"architectures\" and \"archMap\"".into()).help("use one of them"));
        }
        for (at, rule) in profile.syscalls.iter().enumerate() {
            if rule.name.is_empty() == rule.names.is_empty() {
                return Err(invalid(format!("syscalls[{at}]: expected \"names\", and nothing in \"name\"")));
            }
        }
        let unknown =
            profile.architectures.iter().find(|name| oci_arch(name).is_none() && !FOREIGN.contains(&name.as_str()));
        match unknown {
            Some(name) => Err(invalid(format!("no architecture is called {name:?}"))
                .help("they are called SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64, …")),
            None => Ok(profile),
        }
    }

    /// Decides every condition: what remains is OCI's `linux.seccomp`.
    pub fn decide(&self, caps: CapSet, arch: Arch, kernel: Kernel) -> LinuxSeccomp {
        let rules = self.syscalls.iter().filter(|rule| rule.holds(caps, arch, kernel)).map(Rule::decided).collect();
        let map = self.arch_map.iter().find(|map| oci_arch(&map.architecture) == Some(arch.oci()));
        let mapped = map.into_iter().flat_map(|map| std::iter::once(&map.architecture).chain(&map.sub_architectures));
        let arches: Vec<_> = mapped.chain(&self.architectures).filter_map(|name| oci_arch(name)).collect();
        let mut decided = LinuxSeccomp::default();
        decided.set_default_action(self.default_action).set_default_errno_ret(self.default_errno_ret);
        decided.set_architectures((!arches.is_empty()).then_some(arches)).set_flags(self.flags.clone());
        decided.set_listener_path(self.listener_path.clone()).set_listener_metadata(self.listener_metadata.clone());
        decided.set_syscalls(Some(rules));
        decided
    }
}

/// Architectures that libseccomp knows and `oci_spec` does not: they are no machine that Cooper runs on.
const FOREIGN: [&str; 6] = [
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
];

fn oci_arch(name: &str) -> Option<OciArch> {
    name.parse().ok()
}

/// Go writes an empty list as `null`.
fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use caps::Capability;

    use super::*;

    fn decide(caps: CapSet, kernel: Kernel) -> LinuxSeccomp {
        Profile::docker().unwrap().decide(caps, Arch::X86_64, kernel)
    }

    fn action(profile: &LinuxSeccomp, name: &str) -> Option<LinuxSeccompAction> {
        let rules = profile.syscalls().as_ref().unwrap().iter();
        rules.filter(|rule| rule.names().iter().any(|one| one == name)).map(LinuxSyscall::action).next()
    }

    #[test]
    fn the_default_profile_depends_on_capabilities_and_kernel() {
        let plain = decide(CapSet::docker(), Kernel(6, 1));
        assert_eq!(action(&plain, "mount"), None);
        assert_eq!(action(&plain, "clone3"), Some(LinuxSeccompAction::ScmpActErrno));
        assert_eq!(action(&plain, "ptrace"), Some(LinuxSeccompAction::ScmpActAllow));
        assert_eq!(action(&decide(CapSet::docker(), Kernel(4, 7)), "ptrace"), None);
        let admin = decide(CapSet::docker().with(Capability::CAP_SYS_ADMIN), Kernel(6, 1));
        for name in ["mount", "clone3", "unshare", "bpf"] {
            assert_eq!(action(&admin, name), Some(LinuxSeccompAction::ScmpActAllow), "{name}");
        }
        let arches = [OciArch::ScmpArchX86_64, OciArch::ScmpArchX86, OciArch::ScmpArchX32];
        assert_eq!(plain.architectures().as_deref(), Some(&arches[..]));
    }

    #[test]
    fn every_name_of_the_default_profile_is_a_call_or_of_another_machine() {
        for rule in Profile::docker().unwrap().syscalls {
            let elsewhere = rule.includes.arches.iter().any(|arch| arch == "s390x" || arch == "ppc64le");
            for name in rule.names() {
                assert!(elsewhere || super::super::numbers::numbers(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn plain_oci_and_old_forms_are_taken() {
        let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_LOONGARCH64"],
            "syscalls": [{"name": "mount", "action": "SCMP_ACT_ERRNO", "args": null}]}"#;
        let decided = Profile::parse(text, "here").unwrap().decide(CapSet::EMPTY, Arch::X86_64, Kernel(6, 1));
        assert_eq!(decided.architectures().as_deref(), Some(&[OciArch::ScmpArchX86_64][..]));
        assert_eq!(action(&decided, "mount"), Some(LinuxSeccompAction::ScmpActErrno));
    }

    #[test]
    fn errors_tell_file_line_and_what_is_expected() {
        let what = |text: &str| Profile::parse(text, "p.json").unwrap_err().what().to_owned();
        let odd = what("{\n\"defaultAction\": \"SCMP_ACT_MAYBE\"}");
        assert!(odd.starts_with("p.json: ") && odd.contains("SCMP_ACT_ALLOW") && odd.contains("line 2"), "{odd}");
        assert!(what("{}").contains("defaultAction"));
        let rule = |rule: &str| what(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#));
        assert!(rule(r#"{"action": "SCMP_ACT_LOG"}"#).contains("syscalls[0]"));
        let text = r#"{"names": ["x"], "action": "SCMP_ACT_LOG", "includes": {"minKernel": "new"}}"#;
        assert!(rule(text).contains("expected \"4.8\""), "{}", rule(text));
        let text = r#"{"names": ["x"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "=="}]}"#;
        assert!(rule(text).contains("SCMP_CMP_EQ"), "{}", rule(text));
        assert!(what(r#"{"defaultAction": "SCMP_ACT_LOG", "architectures": ["X86"]}"#).contains("X86"));
    }
}
