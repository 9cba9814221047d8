//! The options of this chapter, and the confinement that they ask for.

use std::collections::BTreeMap;
use std::path::Path;

use caps::Capability;
use clap::Args;
use nix::sched::CloneFlags;
use process::{Error, Result, explain};

use crate::capadd::{CapArg, tweak};
use crate::seccomp::{Arch, Kernel, Profile};
use crate::security_opt::{SeccompOpt, SecurityOpt};
use crate::{
    Access, CapSet, Capabilities, Confinement, Device, DeviceArg, DeviceRule, Rlimit, device_rules, labels, paths,
    sysctls,
};

/// What every container has in its /dev by itself.
const EVERYWHERE: [&str; 8] = ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"];

/// Options about what the container may do.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Security options")]
pub struct SecurityArgs {
    /// Give a capability that containers do not have by default, or ALL
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub cap_add: Vec<CapArg>,
    /// Take a capability away, or ALL
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub cap_drop: Vec<CapArg>,
    /// Give all capabilities and all devices, filter no system call, mask nothing of /proc and /sys
    #[arg(long)]
    pub privileged: bool,
    /// no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE, label=…, systempaths=unconfined, landlock=ro:PATH
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub security_opt: Vec<SecurityOpt>,
    /// Give a device of the host, or a directory of them
    #[arg(long, value_name = "HOST[:CONTAINER[:rwm]]")]
    pub device: Vec<DeviceArg>,
    /// Allow the use of further devices: TYPE MAJOR:MINOR ACCESS, as in `c 42:* rwm`
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<DeviceRule>,
    /// Limit a resource of each process, in setrlimit(2)'s units; -1 is no limit
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<Rlimit>,
    /// Set a kernel setting that belongs to a namespace of the container's own
    #[arg(long, value_name = "NAME=VALUE", value_parser = sysctls::parse)]
    pub sysctl: Vec<(String, String)>,
    /// Join a further group, by a name of the root's /etc/group or by number
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// How readily the kernel ends the container for want of memory: -1000 (never) to 1000 (first)
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    pub oom_score_adj: Option<i32>,
}

impl SecurityArgs {
    /// Decides; `own` are the namespaces that are the container's own.
    ///
    /// # Errors
    /// A capability that cannot be given, a setting that is not the container's, a device or a profile that is not
    /// there, a label on a host without that module.
    pub fn confinement(&self, own: CloneFlags) -> Result<Confinement> {
        let capabilities = self.capabilities(own)?;
        let (devices, device_rules) = self.devices()?;
        let mut confinement = Confinement {
            capabilities: Some(Capabilities::of(capabilities)),
            rlimits: self.rlimits(),
            sysctls: self.sysctls(own)?,
            devices,
            device_rules,
            groups: self.group_add.clone(),
            oom_score_adj: self.oom_score_adj,
            privileged: self.privileged,
            ..Confinement::default()
        };
        if !self.privileged {
            (confinement.masked, confinement.readonly) = (paths::default_masked(), paths::default_readonly());
        }
        self.options(&mut confinement, capabilities)?;
        if confinement.landlock.is_some() {
            crate::landlock::check()?;
        }
        Ok(confinement)
    }

    /// What the options `--security-opt` change.
    fn options(&self, confinement: &mut Confinement, capabilities: CapSet) -> Result<()> {
        let mut seccomp = if self.privileged { &SeccompOpt::Unconfined } else { &SeccompOpt::Builtin };
        let mut values = Vec::new();
        for option in &self.security_opt {
            match option {
                SecurityOpt::NoNewPrivileges(on) => confinement.no_new_privs = *on,
                SecurityOpt::Seccomp(which) => seccomp = which,
                SecurityOpt::Apparmor(profile) => confinement.apparmor = labels::apparmor(profile)?,
                SecurityOpt::Label(value) => values.push(value.clone()),
                SecurityOpt::Unmasked => (confinement.masked, confinement.readonly) = Default::default(),
                SecurityOpt::Landlock { write, path } => {
                    let rules = confinement.landlock.get_or_insert_default();
                    let list = if *write { &mut rules.read_write } else { &mut rules.read_only };
                    list.push(path.clone());
                }
            }
        }
        let profile = match seccomp {
            SeccompOpt::Unconfined => None,
            SeccompOpt::Builtin => Some(Profile::docker()?),
            SeccompOpt::File(file) => Some(Profile::load(file)?),
        };
        confinement.seccomp = profile.map(|profile| profile.decide(capabilities, Arch::native(), Kernel::running()));
        confinement.selinux = labels::selinux(&values)?;
        Ok(())
    }

    /// Docker's set, changed by the options. Where no device rule can be enforced, who may make nodes could open every
    /// disk of the host; so there the right to is not part of it. (In a user namespace it gives no nodes anyway.)
    fn capabilities(&self, own: CloneFlags) -> Result<CapSet> {
        let ours = CapSet::of_ours();
        if self.privileged {
            return tweak(ours, &self.cap_add, &self.cap_drop, ours);
        }
        if in_user_namespace(own) || device_rules::enforceable() {
            return tweak(CapSet::docker(), &self.cap_add, &self.cap_drop, ours);
        }
        if self.cap_add.contains(&CapArg::One(Capability::CAP_MKNOD)) {
            let what = "--cap-add MKNOD: no device rules can be set here, so it would give all of the host's disks";
            return Err(
                Error::unsupported(what).help("it takes cgroup v2, see `doctor`; or --privileged, if that is meant")
            );
        }
        explain!(9, "no device rules here, so no right to make nodes", "without CAP_MKNOD");
        let ours = ours.without(Capability::CAP_MKNOD);
        tweak(CapSet::docker(), &self.cap_add, &self.cap_drop, ours)
    }

    /// The nodes, and the rules that allow them.
    fn devices(&self) -> Result<(Vec<Device>, Vec<DeviceRule>)> {
        let mut found = Vec::new();
        if self.privileged {
            found.extend("/dev".parse::<DeviceArg>()?.find()?);
            found.retain(|(device, _)| !EVERYWHERE.iter().any(|name| device.path == Path::new("/dev").join(name)));
        }
        for device in &self.device {
            found.extend(device.find()?);
        }
        let (devices, allowed): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        if self.privileged {
            let all = DeviceRule { allow: true, kind: None, major: None, minor: None, access: Access::ALL };
            return Ok((devices, vec![all]));
        }
        let rules = device_rules::default_rules().into_iter().chain(allowed).chain(self.device_cgroup_rule.clone());
        Ok((devices, rules.collect()))
    }

    /// Is it an error if device rules cannot be enforced? What is given whole needs none.
    pub fn wants_device_rules(&self) -> bool {
        !self.device_cgroup_rule.is_empty() || self.device.iter().any(|device| device.access != Access::ALL)
    }

    /// The last one of a name counts.
    fn rlimits(&self) -> Vec<Rlimit> {
        let mut limits: Vec<Rlimit> = Vec::new();
        for limit in &self.ulimit {
            limits.retain(|other| other.kind != limit.kind);
            limits.push(*limit);
        }
        limits
    }

    fn sysctls(&self, own: CloneFlags) -> Result<BTreeMap<String, String>> {
        let mut settings = sysctls::defaults(own, in_user_namespace(own));
        for (name, value) in &self.sysctl {
            sysctls::check(name, own)?;
            settings.insert(name.clone(), value.clone());
        }
        Ok(settings)
    }
}

/// Is the container in another user namespace than the machine's first, its own or that of an ordinary user's engine?
fn in_user_namespace(own: CloneFlags) -> bool {
    own.contains(CloneFlags::CLONE_NEWUSER) || layers::in_user_namespace()
}
