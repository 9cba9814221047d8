//! The program against the profile: an interpreter of classic BPF runs the one, a second reading of the other judges.

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompOperator as Op, LinuxSyscall,
};
use proptest::prelude::*;

use super::assemble::Instruction;
use super::compile::compile_for;
use super::{Arch, Kernel, default_profile, numbers};
use crate::CapSet;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// One system call as the filter sees it.
#[derive(Debug, Clone)]
struct Call {
    arch: u32,
    number: u32,
    args: [u64; 6],
}

/// Runs the program as the kernel does (net/core/filter.c, `bpf_check_classic` and `___bpf_prog_run`).
fn run(program: &[Instruction], call: &Call) -> u32 {
    let word = |offset: u32| match offset {
        0 => call.number,
        4 => call.arch,
        16..64 if offset.is_multiple_of(4) => {
            let (arg, high) = ((offset - 16) / 8, (offset - 16) % 8 == 4);
            (call.args[arg as usize] >> if high { 32 } else { 0 }) as u32
        }
        _ => panic!("load at {offset}"),
    };
    let (mut at, mut a) = (0, 0);
    loop {
        let one = &program[at];
        at += 1;
        let either = |yes: bool| usize::from(if yes { one.jt } else { one.jf });
        match one.code {
            0x20 => a = word(one.k),
            0x54 => a &= one.k,
            0x05 => at += one.k as usize,
            0x15 => at += either(a == one.k),
            0x25 => at += either(a > one.k),
            0x35 => at += either(a >= one.k),
            0x06 => return one.k,
            code => panic!("code {code:#x}"),
        }
    }
}

fn docker(caps: CapSet) -> super::Programs {
    compile_for(&default_profile(&caps, Arch::X86_64, Kernel(6, 1)).unwrap(), Arch::X86_64).unwrap()
}

fn answer(caps: CapSet, arch: Arch, name: &str, args: [u64; 6]) -> u32 {
    let number = numbers::number(name, arch).unwrap();
    run(&docker(caps).program, &Call { arch: arch.audit(), number, args })
}

#[test]
fn the_default_profile_says_what_docker_says() {
    let plain = |name: &str, arg: u64| answer(CapSet::docker(), Arch::X86_64, name, [arg, 0, 0, 0, 0, 0]);
    for name in
        ["mount", "keyctl", "add_key", "unshare", "setns", "bpf", "init_module", "io_uring_setup", "userfaultfd"]
    {
        assert_eq!(plain(name, 0), EPERM, "{name}");
    }
    for name in ["read", "execve", "mknod", "ptrace", "chroot", "openat2", "statmount", "prctl"] {
        assert_eq!(plain(name, 0), ALLOW, "{name}");
    }
    assert_eq!(plain("clone3", 0), ENOSYS);
    assert_eq!(plain("clone", 0x11), ALLOW);
    assert_eq!(plain("clone", libc::CLONE_NEWUSER as u64), EPERM);
    let sockets = [
        (1, ALLOW),
        (2, ALLOW),
        (10, ALLOW),
        (16, ALLOW),
        (17, ALLOW),
        (12, EPERM),
        (38, EPERM),
        (40, EPERM),
        (46, EPERM),
    ];
    for (family, expected) in sockets {
        assert_eq!(plain("socket", family), expected, "family {family}");
    }
    for (value, expected) in
        [(0, ALLOW), (8, ALLOW), (0x20008, ALLOW), (0xffff_ffff, ALLOW), (4, EPERM), (u64::MAX, EPERM)]
    {
        assert_eq!(plain("personality", value), expected, "personality {value:#x}");
    }
}

#[test]
fn capabilities_open_what_belongs_to_them() {
    let admin = CapSet::docker().with(caps::Capability::CAP_SYS_ADMIN);
    for name in ["mount", "clone3", "clone", "unshare", "bpf"] {
        assert_eq!(answer(admin, Arch::X86_64, name, [u64::MAX; 6]), ALLOW, "{name}");
    }
    let none = CapSet::EMPTY;
    assert_eq!(answer(none, Arch::X86_64, "chroot", [0; 6]), EPERM);
}

#[test]
fn programs_of_32_bits_have_their_own_numbers_and_others_die() {
    assert_eq!(answer(CapSet::docker(), Arch::I386, "socketcall", [0; 6]), ALLOW);
    assert_eq!(answer(CapSet::docker(), Arch::I386, "mount", [0; 6]), EPERM);
    assert_eq!(answer(CapSet::docker(), Arch::I386, "clone", [0x7e02_0000, 0, 0, 0, 0, 0]), EPERM);
    let program = docker(CapSet::docker()).program;
    let call = |arch: u32, number: u32| run(&program, &Call { arch, number, args: [0; 6] });
    assert_eq!(call(Arch::Aarch64.audit(), 0), libc::SECCOMP_RET_KILL_THREAD);
    assert_eq!(call(Arch::X86_64.audit(), 0x4000_0000), EPERM, "x32");
    assert_eq!(call(Arch::X86_64.audit(), u32::MAX), EPERM);
    assert_eq!(call(Arch::X86_64.audit(), 467), ENOSYS, "newer than the profile");
    assert_eq!(call(Arch::I386.audit(), 467), ENOSYS);
}

#[test]
fn it_fits_the_kernel() {
    for (native, caps) in
        [(Arch::X86_64, CapSet::docker()), (Arch::Aarch64, CapSet(u64::MAX)), (Arch::Riscv64, CapSet::EMPTY)]
    {
        let profile = default_profile(&caps, native, Kernel(6, 1)).unwrap();
        let length = compile_for(&profile, native).unwrap().instructions();
        assert!((100..500).contains(&length), "{native:?}: {length} instructions");
    }
}

#[test]
fn what_no_filter_can_say_is_refused() {
    let profile = |text: &str| compile_for(&serde_json::from_str(text).unwrap(), Arch::X86_64).unwrap_err().to_string();
    let rule = |rule: &str| profile(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#));
    assert!(profile(r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#).contains("NOTIFY"));
    assert!(rule(r#"{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}"#).contains("listenerPath"));
    assert!(rule(r#"{"names": ["sendmsg"], "action": "SCMP_ACT_NOTIFY"}"#).contains("sendmsg"));
    assert!(rule(r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 3}"#).contains("errnoRet"));
    assert!(rule(r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}"#).contains("4096"));
    let args = r#"[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]"#;
    let odd = rule(&format!(r#"{{"names": ["read"], "action": "SCMP_ACT_LOG", "args": {args}}}"#));
    assert!(odd.contains("argument 6"), "{odd}");
}

/// What the profile says, read from the front to the back, in the words of the specification and of rules.rs.
fn judge(profile: &LinuxSeccomp, arch: Arch, call: &Call) -> u32 {
    let verdict = |action: Action, errno: Option<u32>| match action {
        Action::ScmpActErrno => libc::SECCOMP_RET_ERRNO | errno.unwrap_or(1),
        Action::ScmpActTrace => libc::SECCOMP_RET_TRACE | errno.unwrap_or(1),
        other => u32::from(other) & libc::SECCOMP_RET_ACTION_FULL,
    };
    let default = verdict(profile.default_action(), profile.default_errno_ret());
    let rules = profile.syscalls().as_ref().unwrap();
    let numbers =
        |rule: &LinuxSyscall| rule.names().iter().filter_map(|name| numbers::number(name, arch)).collect::<Vec<_>>();
    let about: Vec<_> = rules
        .iter()
        .filter(|rule| numbers(rule).contains(&call.number))
        .map(|rule| (rule.args().clone().unwrap_or_default(), verdict(rule.action(), rule.errno_ret())))
        .filter(|(_, verdict)| *verdict != default)
        .collect();
    if let Some((_, verdict)) = about.iter().find(|(args, _)| args.is_empty()) {
        return *verdict;
    }
    let fits = |(args, _): &&(Vec<LinuxSeccompArg>, u32)| {
        let mut indexes: Vec<_> = args.iter().map(LinuxSeccompArg::index).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let one = |arg: &LinuxSeccompArg| {
            let (have, value) = (call.args[arg.index()], arg.value());
            match arg.op() {
                Op::ScmpCmpNe => have != value,
                Op::ScmpCmpLt => have < value,
                Op::ScmpCmpLe => have <= value,
                Op::ScmpCmpEq => have == value,
                Op::ScmpCmpGe => have >= value,
                Op::ScmpCmpGt => have > value,
                Op::ScmpCmpMaskedEq => have & value == arg.value_two().unwrap_or(0) & value,
            }
        };
        if indexes.len() < args.len() { args.iter().any(one) } else { args.iter().all(one) }
    };
    let order = |(_, verdict): &&(Vec<LinuxSeccompArg>, u32)| (verdict & libc::SECCOMP_RET_ACTION_FULL).cast_signed();
    if let Some((_, verdict)) = about.iter().filter(fits).min_by_key(order) {
        return *verdict;
    }
    let newest = rules.iter().flat_map(numbers).max();
    let permissive =
        matches!(profile.default_action(), Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace);
    let x32 = arch == Arch::X86_64 && call.number >= 0x4000_0000;
    if !permissive && !x32 && newest.is_some_and(|newest| call.number > newest) { ENOSYS } else { default }
}

/// Few values, so that rules and calls meet; some of them around the border of 32 bits.
fn value() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0, 1, 2, 3, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x2_0000_0001, u64::MAX])
}

fn action() -> impl Strategy<Value = (Action, Option<u32>)> {
    let plain = [
        Action::ScmpActAllow,
        Action::ScmpActLog,
        Action::ScmpActKill,
        Action::ScmpActKillProcess,
        Action::ScmpActTrap,
    ];
    let errno = prop_oneof![Just(Action::ScmpActErrno), Just(Action::ScmpActTrace)];
    prop_oneof![
        prop::sample::select(plain.to_vec()).prop_map(|action| (action, None)),
        (errno, prop::option::of(prop::sample::select(vec![1, 13, 38, 4095]))),
    ]
}

prop_compose! {
    fn arg()(index in 0_usize..6, value in value(), two in value(), op in prop::sample::select(vec![
        Op::ScmpCmpNe, Op::ScmpCmpLt, Op::ScmpCmpLe, Op::ScmpCmpEq, Op::ScmpCmpGe, Op::ScmpCmpGt, Op::ScmpCmpMaskedEq,
    ])) -> LinuxSeccompArg {
        let two = (op == Op::ScmpCmpMaskedEq).then_some(two);
        serde_json::from_value(serde_json::json!({ "index": index, "value": value, "op": op, "valueTwo": two })).unwrap()
    }
}

prop_compose! {
    fn rule()(
        names in prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..4),
        (action, errno) in action(),
        args in prop::collection::vec(arg(), 0..4),
    ) -> LinuxSyscall {
        let mut rule = LinuxSyscall::default();
        rule.set_names(names.into_iter().map(str::to_owned).collect()).set_action(action).set_errno_ret(errno);
        rule.set_args((!args.is_empty()).then_some(args));
        rule
    }
}

/// Calls of both architectures, of one of them, and of none.
const NAMES: [&str; 10] = [
    "read",
    "write",
    "mount",
    "clone",
    "clone3",
    "socketcall",
    "arch_prctl",
    "no_such_call",
    "cachestat",
    "exit_group",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_program_does_what_the_profile_says(
        (action, errno) in action(),
        rules in prop::collection::vec(rule(), 0..12),
        calls in prop::collection::vec((0_usize..NAMES.len(), 0_u32..500, any::<bool>(), prop::array::uniform6(value())), 60),
        both in any::<bool>(),
    ) {
        let mut profile = LinuxSeccomp::default();
        profile.set_default_action(action).set_default_errno_ret(errno).set_syscalls(Some(rules));
        profile.set_architectures(both.then(|| vec![Arch::I386.oci(), Arch::X86_64.oci()]));
        let program = compile_for(&profile, Arch::X86_64).unwrap().program;
        for (name, other, second, args) in calls {
            let arch = if second { Arch::I386 } else { Arch::X86_64 };
            let args = if second { args.map(|arg| arg & 0xffff_ffff) } else { args };
            let named = numbers::number(NAMES[name], arch).unwrap_or(other);
            for number in [named, other, 0x4000_0000 | other] {
                let call = Call { arch: arch.audit(), number, args };
                let expected =
                    if second && !both { libc::SECCOMP_RET_KILL_THREAD } else { judge(&profile, arch, &call) };
                prop_assert_eq!(run(&program, &call), expected, "{:?}", call);
            }
        }
    }
}
