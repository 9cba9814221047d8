//! config.json's share of chapter 9: capabilities, seccomp, paths, limits, settings, labels, as a [`Confinement`].

use std::sync::OnceLock;

use ::process::{Error, Result, explain};
use oci_spec::runtime::{Capabilities as Names, LinuxCapabilities, LinuxDeviceCgroup, LinuxDeviceType, Process};
use security::{
    Access, CapSet, Capabilities, Confinement, DeviceKind, DeviceRule, Rlimit, SelinuxLabels, capset, labels, sysctls,
};

use super::bundle::invalid;
use super::{Bundle, devices, namespaces as spaces};

/// What this process could give: asked of the kernel once, at a call for each capability.
static OURS: OnceLock<CapSet> = OnceLock::new();

/// What the container of `bundle` may do.
///
/// # Errors
/// [`Kind::Invalid`](::process::Kind::Invalid) for values that mean nothing here; a sysctl of the whole machine.
pub fn of(bundle: &Bundle) -> Result<Confinement> {
    let mut confinement = of_process(bundle.process())?;
    let Some(linux) = bundle.linux() else { return Ok(confinement) };
    let paths = |paths: &Option<Vec<String>>| paths.iter().flatten().map(Into::into).collect();
    confinement.masked = paths(linux.masked_paths());
    confinement.readonly = paths(linux.readonly_paths());
    confinement.seccomp = linux.seccomp().clone();
    let own = spaces::own(bundle);
    for (name, value) in linux.sysctl().iter().flatten() {
        let name = sysctls::canonical(name)?;
        sysctls::check(&name, own).map_err(|error| {
            Error::invalid(format!("config.json: linux.{}", error.what()))
                .help("see linux.namespaces: only what belongs to a namespace of the container's can be set")
        })?;
        confinement.sysctls.insert(name, value.clone());
    }
    if !bundle.namespaces().is_empty() || linux.devices().is_some() {
        confinement.devices = devices::nodes(Some(linux));
    }
    let rules = linux.resources().as_ref().and_then(|resources| resources.devices().as_ref());
    confinement.device_rules = rules.into_iter().flatten().map(rule).collect::<Result<_>>()?;
    if let (Some(mount), Some(labels)) = (linux.mount_label(), &mut confinement.selinux) {
        labels.mount.clone_from(mount);
    }
    Ok(confinement)
}

/// What one process may do; the rest of the confinement is the container's.
///
/// # Errors
/// As [`of`].
pub fn of_process(process: &Process) -> Result<Confinement> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let selinux = text(process.selinux_label());
    if selinux.is_some() && !labels::has_selinux() {
        return Err(Error::unsupported(
            "config.json: process.selinuxLabel: this host has no SELinux, or has it disabled",
        ));
    }
    let rlimits = process.rlimits().iter().flatten().map(|limit| {
        let kind = limit.typ().to_string().parse()?;
        Ok(Rlimit { kind, soft: limit.soft(), hard: limit.hard() })
    });
    Ok(Confinement {
        capabilities: Some(capabilities(process.capabilities().as_ref())),
        no_new_privs: process.no_new_privileges().unwrap_or(false),
        rlimits: rlimits.collect::<Result<_>>()?,
        apparmor: text(process.apparmor_profile()).map_or(Ok(None), |profile| labels::apparmor(&profile))?,
        selinux: selinux.map(|process| SelinuxLabels { process, mount: String::new() }),
        oom_score_adj: process.oom_score_adj(),
        ..Confinement::default()
    })
}

/// Without any, none: that is what the list means, and what runc and crun make of it.
fn capabilities(wanted: Option<&LinuxCapabilities>) -> Capabilities {
    let Some(wanted) = wanted else { return Capabilities::default() };
    let ours = *OURS.get_or_init(CapSet::of_ours);
    let mut missing = CapSet::EMPTY;
    let mut set = |names: &Option<Names>| {
        let all: CapSet = names.iter().flatten().filter_map(|name| capset::parse(&name.to_string()).ok()).collect();
        missing = CapSet(missing.0 | all.minus(ours).0);
        all.and(ours)
    };
    let mut capabilities = Capabilities {
        bounding: set(wanted.bounding()),
        effective: set(wanted.effective()),
        permitted: set(wanted.permitted()),
        inheritable: set(wanted.inheritable()),
        ambient: set(wanted.ambient()),
    };
    // What is not permitted and inheritable cannot be ambient (capabilities(7)); `runc spec` asks for it all the same.
    let possible = capabilities.permitted.and(capabilities.inheritable);
    let impossible = capabilities.ambient.minus(possible);
    if !impossible.is_empty() {
        explain!(9, "ambient needs permitted and inheritable", "left out: {impossible:?}");
        capabilities.ambient = capabilities.ambient.and(possible);
    }
    // "cannot be granted": a warning, no failure (config.md, "capabilities").
    if !missing.is_empty() {
        let names: Vec<_> = missing.names().collect();
        eprintln!("warning: config.json: this runtime cannot grant {}: it does not have them itself", names.join(", "));
    }
    capabilities
}

/// `linux.resources.devices[]` (config-linux.md, "Allowed Device list").
fn rule(rule: &LinuxDeviceCgroup) -> Result<DeviceRule> {
    let kind = match rule.typ() {
        None | Some(LinuxDeviceType::A) => None,
        Some(LinuxDeviceType::B) => Some(DeviceKind::Block),
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(DeviceKind::Char),
        Some(LinuxDeviceType::P) => return Err(invalid("linux.resources.devices: a FIFO needs no rule")),
    };
    let number = |number: Option<i64>| match number {
        None | Some(-1) => Ok(None), // -1 is how Go's types said "any"
        Some(number) => u32::try_from(number)
            .map(Some)
            .map_err(|_| invalid(&format!("linux.resources.devices: {number} is no device number"))),
    };
    let access = rule.access().as_deref().filter(|access| !access.is_empty());
    let access = access.map_or(Ok(Access::ALL), |access| {
        access.parse().map_err(|error: Error| error.at("config.json: linux.resources.devices"))
    })?;
    Ok(DeviceRule { allow: rule.allow(), kind, major: number(rule.major())?, minor: number(rule.minor())?, access })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_list_there_are_none() {
        assert_eq!(capabilities(None), Capabilities::default());
    }

    #[test]
    fn rules_are_read_as_they_are_meant() {
        let read = |text: &str| rule(&serde_json::from_str(text).unwrap()).map(|rule| (rule.allow, rule.to_string()));
        assert_eq!(read(r#"{"allow":false,"access":"rwm"}"#).unwrap(), (false, "a *:* rwm".into()));
        assert_eq!(read(r#"{"allow":true,"type":"c","major":10,"minor":-1}"#).unwrap(), (true, "c 10:* rwm".into()));
        assert!(read(r#"{"allow":true,"type":"c","access":"rx"}"#).is_err());
    }
}
