//! `seccomp explain` and `seccomp show`: what the filter says, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use colored::Colorize;
use oci_spec::runtime::{LinuxSeccompArg, LinuxSeccompOperator};
use process::{Error, Result};

use super::rules::{self, Answer, Verdict};
use super::{Arch, Kernel, Profile, Rule, compile, numbers};
use crate::capadd::{CapArg, tweak};
use crate::{CapSet, capset};

/// What can be asked about the filter of system calls.
#[derive(Debug, Clone, Subcommand)]
pub enum SeccompCommand {
    /// What the filter answers to a system call, why, and what would change it
    Explain {
        /// Its name, or its number on this machine
        #[arg(value_name = "SYSCALL|NUMBER")]
        call: String,
        /// Whose filter
        #[command(flatten)]
        which: Which,
    },
    /// Print the filter that a container gets, as `linux.seccomp` of OCI's config.json
    Show {
        /// Whose filter
        #[command(flatten)]
        which: Which,
    },
}

/// Whose filter.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// A profile in Docker's format or OCI's; the default one otherwise
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// As for run: what the container may do beside the default
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<CapArg>,
    /// As for run: what it may not do
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<CapArg>,
}

impl SeccompCommand {
    /// Prints the answer.
    ///
    /// # Errors
    /// A profile that cannot be read, or a call that does not exist.
    pub fn run(self) -> Result<ExitCode> {
        process::cli::end_with_reader()?;
        match self {
            Self::Explain { call, which } => {
                let view = View::new(&which)?;
                println!("{}", view.explain(&call)?);
            }
            Self::Show { which } => {
                let view = View::new(&which)?;
                let decided = view.profile.decide(view.caps, view.arch, view.kernel);
                let text = serde_json::to_string_pretty(&decided);
                println!("{}", text.map_err(|error| Error::invalid(format!("linux.seccomp: {error}")))?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A profile and the container that it is looked at for.
struct View {
    profile: Profile,
    caps: CapSet,
    arch: Arch,
    kernel: Kernel,
}

impl View {
    fn new(which: &Which) -> Result<Self> {
        let profile = which.profile.as_deref().map_or_else(Profile::docker, Profile::load)?;
        // A question may be about a container that this process could not make: all that has a name can be asked for.
        let all = caps::all().into_iter().collect();
        let caps = tweak(CapSet::docker(), &which.cap_add, &which.cap_drop, all)?;
        Ok(Self { profile, caps, arch: Arch::native(), kernel: Kernel::running() })
    }

    fn explain(&self, call: &str) -> Result<String> {
        let (name, number) = self.find(call)?;
        let mut lines = vec![self.heading(name, number)];
        for arch in compile::arches(&self.profile.decide(self.caps, self.arch, self.kernel), self.arch) {
            let number = if arch == self.arch { number } else { name.and_then(|name| numbers::number(name, arch)) };
            let Some(number) = number else { continue };
            let (answer, default) = self.answer(self.caps, arch, number)?;
            if arch != self.arch && Some(&answer) == self.native_answer(self.caps, name)?.as_ref() {
                continue; // what holds for both is told once
            }
            if arch != self.arch {
                lines.push(format!("  in programs for {}:", arch.name()));
            }
            lines.extend(self.told(name, number, &answer, default, arch)?);
        }
        lines.extend(self.other_capabilities(name)?);
        Ok(lines.join("\n"))
    }

    /// The call's name, if it has one, and its number on this machine, if it has one.
    fn find(&self, call: &str) -> Result<(Option<&'static str>, Option<u32>)> {
        if let Ok(number) = call.parse() {
            return Ok((numbers::name(number, self.arch), Some(number)));
        }
        match numbers::names().find(|name| *name == call) {
            Some(name) => Ok((Some(name), numbers::number(name, self.arch))),
            None => Err(Error::not_found(format!("no system call is named {call:?}")).help(similar(call))),
        }
    }

    fn heading(&self, name: Option<&str>, number: Option<u32>) -> String {
        let arches = Arch::ALL.iter().filter_map(|&arch| Some((arch, numbers::number(name?, arch)?)));
        let known: Vec<_> = arches.map(|(arch, number)| format!("{number} on {}", arch.name())).collect();
        let here = number.map_or_else(|| format!("not on {}", self.arch.name()), |number| number.to_string());
        let known = if known.is_empty() { here } else { known.join(", ") };
        format!("{}: {known}", name.unwrap_or("a call without a name").bold())
    }

    fn answer(&self, caps: CapSet, arch: Arch, number: u32) -> Result<(Answer, Verdict)> {
        let decided = rules::decide(&self.profile.decide(caps, self.arch, self.kernel), &[arch])?;
        Ok(decided
            .first()
            .map_or((Answer::Always(Verdict::ALLOW), Verdict::ALLOW), |rules| (rules.answer(number), rules.default)))
    }

    fn native_answer(&self, caps: CapSet, name: Option<&str>) -> Result<Option<Answer>> {
        let number = name.and_then(|name| numbers::number(name, self.arch));
        number.map(|number| Ok(self.answer(caps, self.arch, number)?.0)).transpose()
    }

    /// The lines about one answer: each verdict, when it is given, and the rules behind it.
    fn told(
        &self,
        name: Option<&str>,
        number: u32,
        answer: &Answer,
        default: Verdict,
        arch: Arch,
    ) -> Result<Vec<String>> {
        let holding = || self.naming(name).filter(|rule| rule.holds(self.caps, self.arch, self.kernel));
        Ok(match answer {
            Answer::Always(verdict) => {
                let reasons: Vec<_> = holding().filter_map(reason).collect();
                let why = match reasons.is_empty() {
                    false => reasons.join("; "),
                    true if holding().next().is_some() => "a rule of the profile names it".to_owned(),
                    true if *verdict != default => {
                        let newest = self.newest(arch)?;
                        format!(
                            "{number} is above {newest}, the newest call that the profile knows: as if the kernel did not have it"
                        )
                    }
                    true => "no rule names it: the profile's default".to_owned(),
                };
                vec![line(*verdict, &why)]
            }
            Answer::When(cases) => {
                let case = |(args, verdict): &(Vec<LinuxSeccompArg>, Verdict)| {
                    let rule = holding().find(|rule| args.iter().all(|arg| rule.args.contains(arg)));
                    let why = rule.and_then(reason).map_or_else(String::new, |why| format!("   ({why})"));
                    line(*verdict, &format!("if {}{why}", args.iter().map(condition).collect::<Vec<_>>().join(" and ")))
                };
                cases.iter().map(case).chain([line(default, "otherwise: the profile's default")]).collect()
            }
        })
    }

    fn newest(&self, arch: Arch) -> Result<u32> {
        let decided = rules::decide(&self.profile.decide(self.caps, self.arch, self.kernel), &[arch])?;
        Ok(decided.first().and_then(|rules| rules.newest).unwrap_or(u32::MAX))
    }

    fn naming<'a>(&'a self, name: Option<&'a str>) -> impl Iterator<Item = &'a Rule> {
        self.profile.syscalls.iter().filter(move |rule| rule.names().iter().any(|one| Some(one.as_str()) == name))
    }

    /// What one capability more or less would make of it.
    fn other_capabilities(&self, name: Option<&str>) -> Result<Vec<String>> {
        let now = self.native_answer(self.caps, name)?;
        let mut asked = Vec::new();
        let mut lines = Vec::new();
        for wanted in self.naming(name).flat_map(|rule| rule.includes.caps.iter().chain(&rule.excludes.caps)) {
            let Ok(capability) = capset::parse(wanted) else { continue };
            if asked.contains(&capability) {
                continue;
            }
            asked.push(capability);
            let held = self.caps.contains(capability);
            let other = if held { self.caps.without(capability) } else { self.caps.with(capability) };
            let then = self.native_answer(other, name)?;
            if then != now
                && let Some(then) = then
            {
                let option = wanted.trim_start_matches("CAP_");
                let (with, option) = if held {
                    ("without", format!("--cap-drop {option}"))
                } else {
                    ("with", format!("--cap-add {option}"))
                };
                lines.push(format!("  {with} {} ({option}): {}", wanted.bold(), summary(&then)));
            }
        }
        Ok(lines)
    }
}

fn line(verdict: Verdict, why: &str) -> String {
    let text = format!("{:<8}", verdict.to_string());
    let text = if verdict == Verdict::ALLOW { text.green() } else { text.red() };
    format!("  {text} {why}")
}

fn summary(answer: &Answer) -> String {
    match answer {
        Answer::Always(verdict) => verdict.to_string(),
        Answer::When(cases) => {
            let case = |(args, verdict): &(Vec<LinuxSeccompArg>, Verdict)| {
                format!("{verdict} if {}", args.iter().map(condition).collect::<Vec<_>>().join(" and "))
            };
            cases.iter().map(case).collect::<Vec<_>>().join(", ")
        }
    }
}

/// What a rule says of itself: its comment, and what it depends on.
fn reason(rule: &Rule) -> Option<String> {
    let (with, without) = (&rule.includes, &rule.excludes);
    let mut parts = Vec::new();
    if !rule.comment.is_empty() {
        parts.push(rule.comment.clone());
    }
    if !with.caps.is_empty() {
        parts.push(format!("the container has {}", with.caps.join(" and ")));
    }
    if !without.caps.is_empty() {
        parts.push(format!("the container does not have {}", without.caps.join(" or ")));
    }
    if let Some(Kernel(major, minor)) = with.min_kernel {
        parts.push(format!("kernel {major}.{minor} or later"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn condition(arg: &LinuxSeccompArg) -> String {
    use LinuxSeccompOperator as Op;
    let (index, value) = (arg.index(), arg.value());
    let sign = match arg.op() {
        Op::ScmpCmpMaskedEq => {
            return format!("argument {index} & {value:#x} is {:#x}", arg.value_two().unwrap_or(0));
        }
        Op::ScmpCmpNe => "is not",
        Op::ScmpCmpLt => "<",
        Op::ScmpCmpLe => "<=",
        Op::ScmpCmpEq => "is",
        Op::ScmpCmpGe => ">=",
        Op::ScmpCmpGt => ">",
    };
    if value < 256 { format!("argument {index} {sign} {value}") } else { format!("argument {index} {sign} {value:#x}") }
}

/// The calls whose names have something of `call`.
fn similar(call: &str) -> String {
    let part = |name: &&str| call.len() > 2 && (name.contains(call) || (name.len() > 3 && call.contains(*name)));
    let near: Vec<_> = numbers::names().filter(part).take(8).collect();
    if near.is_empty() { "syscalls(2) has the list".to_owned() } else { format!("there is {}", near.join(", ")) }
}

#[cfg(test)]
mod tests {
    use caps::Capability;

    use super::*;

    fn explain(call: &str, caps: CapSet) -> String {
        colored::control::set_override(false);
        let view = View { profile: Profile::docker().unwrap(), caps, arch: Arch::X86_64, kernel: Kernel(6, 1) };
        view.explain(call).unwrap()
    }

    #[test]
    fn a_call_that_a_capability_would_open() {
        let told = explain("mount", CapSet::docker());
        assert!(told.starts_with("mount: 165 on x86_64, 21 on i386"), "{told}");
        assert!(told.contains("EPERM    no rule names it"), "{told}");
        assert!(told.contains("with CAP_SYS_ADMIN (--cap-add SYS_ADMIN): allowed"), "{told}");
        let told = explain("165", CapSet::docker().with(Capability::CAP_SYS_ADMIN));
        assert!(told.contains("allowed  the container has CAP_SYS_ADMIN"), "{told}");
        assert!(told.contains("without CAP_SYS_ADMIN (--cap-drop SYS_ADMIN): EPERM"), "{told}");
    }

    #[test]
    fn a_call_that_depends_on_its_arguments() {
        let told = explain("clone", CapSet::docker());
        assert!(told.contains("allowed  if argument 0 & 0x7e020000 is 0x0   (none of CLONE_NEWNS"), "{told}");
        assert!(told.contains("EPERM    otherwise"), "{told}");
        assert!(explain("clone3", CapSet::docker()).contains("ENOSYS"));
    }

    #[test]
    fn calls_of_other_machines_and_times() {
        let told = explain("socketcall", CapSet::docker());
        assert!(told.contains("102 on i386") && told.contains("in programs for i386"), "{told}");
        assert!(explain("999", CapSet::docker()).contains("ENOSYS   999 is above 466"));
        assert!(similar("mont").contains("syscalls(2)") && similar("futex_w").contains("futex_waitv"));
    }
}
