//! The filter of system calls as programs meet it: real processes under real filters.
//!
//! The test program runs itself again ([`inside`]): it installs a filter, and becomes what is asked for. The default
//! profile refuses with an errno here that the kernel gives for none of these calls, so that it is known who refused.

mod inside;
#[allow(unsafe_code)]
mod sys;

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use harness::{Done, Outcome, Run, Sandbox, Suite};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use security::CapSet;
use security::seccomp::{Arch, Kernel, default_profile};

/// The errno of the filter: nothing but binding an address gives it.
const REFUSED: &str = "EADDRNOTAVAIL";

fn main() {
    let args: Vec<_> = std::env::args().collect();
    if args.get(1).is_some_and(|mode| mode == "inside") {
        inside::main(&args[2..]);
    }
    Suite::new()
        .user("calls that no rule names are refused", || by_name(&Sandbox::new()?))
        .user("what depends on arguments", || by_argument(&Sandbox::new()?))
        .user("a new user namespace is refused, threads are not", || new_processes(&Sandbox::new()?))
        .user("32-bit programs run, and are filtered", || of_32_bits(&Sandbox::new()?))
        .user("a profile's actions", || actions(&Sandbox::new()?))
        .user("without no_new_privs it takes CAP_SYS_ADMIN", || privileges(&Sandbox::ordinary()?))
        .needs(&["userns"])
        .root("root: calls put to a listener", || notify(&Sandbox::new()?))
        .user("ordinary: calls put to a listener", || notify(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .user("explain and show", || commands(&Sandbox::new()?))
        .root("root: containers are filtered", || containers(&Sandbox::new()?))
        .user("ordinary: containers are filtered", || containers(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .run();
}

/// This program, at a place where the sandbox's user may run it.
fn this(sandbox: &Sandbox) -> Outcome<PathBuf> {
    let place = sandbox.path().join("probe");
    if !place.exists() {
        std::fs::copy(std::env::current_exe()?, &place)?;
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(place)
}

/// `PROGRAM ARGS` under a profile, as JSON.
fn confined(sandbox: &Sandbox, profile: &str, privileges: &str, program: &[&str]) -> Outcome<Run> {
    let file = sandbox.file("profile.json", profile)?;
    let run = sandbox.program(this(sandbox)?).args(["inside", "confined"]).arg(file).arg(privileges);
    Ok(run.args(program))
}

/// Docker's default profile, with the errno of this test.
fn default() -> Outcome<String> {
    let mut profile = default_profile(&CapSet::docker(), Arch::native(), Kernel::running())?;
    profile.set_default_errno_ret(Some(Errno::EADDRNOTAVAIL as u32));
    Ok(serde_json::to_string(&profile)?)
}

/// What the calls give under the default profile: each as `name[:first argument]`, with the errno that is expected.
fn expect(sandbox: &Sandbox, expected: &[(&str, &str)]) -> Outcome {
    let probe = this(sandbox)?;
    let mut command = vec![probe.to_str().ok_or("a name")?, "inside", "calls"];
    command.extend(expected.iter().map(|(call, _)| call));
    let done = confined(sandbox, &default()?, "no-new-privs", &command)?.run()?.ok()?;
    let wanted: Vec<_> = expected.iter().map(|(call, outcome)| format!("{call} {outcome}")).collect();
    assert_eq!(done.stdout.lines().collect::<Vec<_>>(), wanted, "{}", done.text());
    Ok(())
}

fn by_name(sandbox: &Sandbox) -> Outcome {
    let refused = "mount umount2 pivot_root move_mount open_tree fsopen mount_setattr keyctl add_key request_key setns \
                   unshare bpf init_module finit_module kexec_load swapon acct settimeofday quotactl perf_event_open \
                   io_uring_setup userfaultfd open_by_handle_at kcmp pidfd_getfd syslog sethostname iopl";
    expect(sandbox, &refused.split_whitespace().map(|call| (call, REFUSED)).collect::<Vec<_>>())?;
    // Newer than the profile: as if the kernel did not have it. The x32 ABI is closed.
    expect(
        sandbox,
        &[("467", "ENOSYS"), ("600", "ENOSYS"), ("0x40000027", REFUSED), ("getpid", "done"), ("chroot", "EFAULT")],
    )
}

fn by_argument(sandbox: &Sandbox) -> Outcome {
    let alg = format!("socket:{}", 0x1_0000_0000_u64 + 38); // the kernel looks at the lower half only
    expect(sandbox, &[("socket:38", REFUSED), ("socket:40", REFUSED), ("socket:46", REFUSED), (&alg, REFUSED)])?;
    expect(sandbox, &[("socket:1", "ESOCKTNOSUPPORT"), ("socket:2", "ESOCKTNOSUPPORT")])?; // type 0, but let through
    let personality =
        [("0", "done"), ("8", "done"), ("0", "done"), ("0xffffffff", "done"), ("4", REFUSED), ("0x40000", REFUSED)];
    let calls: Vec<_> = personality.map(|(value, outcome)| (format!("personality:{value}"), outcome)).to_vec();
    expect(sandbox, &calls.iter().map(|(call, outcome)| (call.as_str(), *outcome)).collect::<Vec<_>>())
}

fn new_processes(sandbox: &Sandbox) -> Outcome {
    let newuser = format!("clone:{}", libc::CLONE_NEWUSER);
    let newnet = format!("clone:{}", libc::CLONE_NEWNET | libc::CLONE_NEWUSER);
    expect(sandbox, &[(&newuser, REFUSED), (&newnet, REFUSED), ("clone", "done"), ("clone3", "ENOSYS")])?;
    let unshare = format!("unshare:{}", libc::CLONE_NEWUSER);
    expect(sandbox, &[(&unshare, REFUSED)])?;
    let probe = this(sandbox)?;
    let done = confined(sandbox, &default()?, "no-new-privs", &[probe.to_str().ok_or("a name")?, "inside", "thread"])?;
    done.run()?.ok()?.stdout_has("a thread of its own")?;
    Ok(())
}

/// A program for i386: writes "32 bits", calls mount with null pointers, exits with the errno.
fn program_for_i386() -> Vec<u8> {
    let code: &[u8] = &[
        0xb8, 4, 0, 0, 0, 0xbb, 1, 0, 0, 0, 0xb9, 0x87, 0x80, 0x04, 0x08, 0xba, 8, 0, 0, 0, 0xcd, 0x80, // write
        0xb8, 21, 0, 0, 0, 0x31, 0xdb, 0x31, 0xc9, 0x31, 0xd2, 0x31, 0xf6, 0x31, 0xff, 0xcd, 0x80, // mount
        0x89, 0xc3, 0xf7, 0xdb, 0xb8, 1, 0, 0, 0, 0xcd, 0x80, 0x90, // exit(-eax)
    ];
    let (base, head) = (0x0804_8000_u32, 84_u32);
    let size = head + code.len() as u32 + 8;
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0".to_vec(); // executable, machine 3
    for word in [base + head, 52, 0, 0, 0x0020_0034, 1, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.truncate(52);
    for word in [1, 0, base, base, size, size, 5, 0x1000] {
        elf.extend(word.to_le_bytes()); // one segment, readable and executable
    }
    elf.extend(code);
    assert_eq!(base + elf.len() as u32, 0x0804_8087, "where the text is");
    elf.extend(b"32 bits\n");
    elf
}

fn of_32_bits(sandbox: &Sandbox) -> Outcome {
    if Arch::native() != Arch::X86_64 {
        return Ok(());
    }
    let program = sandbox.file("i386", program_for_i386())?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let program = program.to_str().ok_or("a name")?;
    if std::process::Command::new(program).output().is_err_and(|error| error.raw_os_error() == Some(libc::ENOEXEC)) {
        println!("this kernel runs no 32-bit programs (CONFIG_IA32_EMULATION): not tested");
        return Ok(());
    }
    let done = confined(sandbox, &default()?, "no-new-privs", &[program])?.run()?;
    done.code(Errno::EADDRNOTAVAIL as i32)?.stdout_has("32 bits")?;
    // A profile that does not name the architecture has its programs killed, as libseccomp does.
    let native = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"]}"#;
    confined(sandbox, native, "no-new-privs", &[program])?.run()?.code(128 + libc::SIGSYS)?;
    Ok(())
}

fn actions(sandbox: &Sandbox) -> Outcome {
    let probe = this(sandbox)?;
    let probe = probe.to_str().ok_or("a name")?;
    let under = |rule: &str, call: &str| -> Outcome<Done> {
        let flags =
            r#""flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]"#;
        let profile = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", {flags}, "syscalls": [{{"names": ["getppid"], {rule}}}]}}"#
        );
        confined(sandbox, &profile, "no-new-privs", &[probe, "inside", "calls", call])?.run()
    };
    under(r#""action": "SCMP_ACT_ERRNO", "errnoRet": 5"#, "getppid")?.stdout_has("getppid EIO")?;
    under(r#""action": "SCMP_ACT_ERRNO""#, "getppid")?.stdout_has("getppid EPERM")?;
    under(r#""action": "SCMP_ACT_LOG""#, "getppid")?.stdout_has("getppid done")?;
    under(r#""action": "SCMP_ACT_TRACE""#, "getppid")?.stdout_has("getppid ENOSYS")?;
    for action in ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_TRAP"] {
        under(&format!(r#""action": "{action}""#), "getppid")?.code(128 + libc::SIGSYS)?;
    }
    let masked = r#""action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 240, "valueTwo": 16, "op": "SCMP_CMP_MASKED_EQ"}]"#;
    under(masked, "getppid:0x1f")?.stdout_has("EPERM")?;
    under(masked, "getppid:0x2f")?.stdout_has("done")?;
    Ok(())
}

fn privileges(sandbox: &Sandbox) -> Outcome {
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;
    confined(sandbox, profile, "no-new-privs", &["true"])?.run()?.ok()?;
    confined(sandbox, profile, "new-privs", &["true"])?
        .run()?
        .code(125)?
        .stderr_has("EACCES")?
        .stderr_has("no-new-privileges")?;
    Ok(())
}

fn notify(sandbox: &Sandbox) -> Outcome {
    let path = sandbox.path().join("agent.sock");
    let agent = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666))?; // the engine may be another user's
    let profile = format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": {path:?}, "listenerMetadata": "hello",
            "syscalls": [{{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}}]}}"#
    );
    let profile = sandbox.file("profile.json", profile)?;
    let option = format!("seccomp={}", profile.display());
    let run = sandbox.step(9).args(["run", "--rm", "--network", "none", "--security-opt", &option, "host"]);
    let container = run.args(["sh", "-c", "mkdir /tmp/dir; test -e /tmp/dir || echo none"]).spawn()?;
    let mut caller = [PollFd::new(agent.as_fd(), PollFlags::POLLIN)];
    if nix::poll::poll(&mut caller, 20_000u16)? == 0 {
        return Err(format!("nobody calls the listener: {:?}", container.wait()?).into());
    }
    let (socket, _) = agent.accept()?;
    let (text, listener) = sys::receive(socket.as_fd())?;
    for part in [r#""fds":["seccompFd"]"#, r#""metadata":"hello""#, r#""status":"creating""#] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(i64::from(sys::refuse_next(listener.as_fd(), Errno::ENOTNAM)?), libc::SYS_mkdir);
    container.wait()?.ok()?.stdout_has("none")?.stderr_has("XENIX")?;
    Ok(())
}

fn commands(sandbox: &Sandbox) -> Outcome {
    let explain = |args: &[&str]| sandbox.step(9).args(["seccomp", "explain"]).args(args).run();
    explain(&["mount"])?.ok()?.stdout_has("EPERM")?.stdout_has("with CAP_SYS_ADMIN (--cap-add SYS_ADMIN): allowed")?;
    explain(&["mount", "--cap-add", "SYS_ADMIN"])?.ok()?.stdout_has("allowed  the container has CAP_SYS_ADMIN")?;
    explain(&["no_such_call"])?.code(125)?.stderr_has("no system call is named")?;
    let broken = sandbox.file("broken.json", "{\n  \"defaultAction\": 7\n}")?;
    let broken = broken.to_str().ok_or("a name")?;
    explain(&["read", "--profile", broken])?.code(125)?.stderr_has(broken)?.stderr_has("line 2")?;
    let shown = sandbox.step(9).args(["seccomp", "show"]).run()?.ok()?.stdout;
    let shown: oci_spec::runtime::LinuxSeccomp = serde_json::from_str(&shown)?;
    assert_eq!(shown, default_profile(&CapSet::docker(), Arch::native(), Kernel::running())?);
    // What is shown is a profile again.
    let file = sandbox.file("shown.json", serde_json::to_string(&shown)?)?;
    explain(&["clone", "--profile", file.to_str().ok_or("a name")?])?
        .ok()?
        .stdout_has("if argument 0 & 0x7e020000 is 0x0")?;
    Ok(())
}

fn containers(sandbox: &Sandbox) -> Outcome {
    let probe = this(sandbox)?;
    let volume = format!("{}:/probe:ro", probe.to_str().ok_or("a name")?);
    let inside = |options: &[&str], calls: &[&str]| -> Outcome<String> {
        let run = sandbox.step(9).args(["run", "--rm", "--network", "none", "-v", &volume]).args(options);
        Ok(run.args(["host", "/probe", "inside", "calls"]).args(calls).run()?.ok()?.stdout)
    };
    let newuser = format!("unshare:{}", libc::CLONE_NEWUSER);
    assert_eq!(inside(&[], &["mount", "clone3", "467"])?, "mount EPERM\nclone3 ENOSYS\n467 ENOSYS\n");
    assert_eq!(inside(&["--user", "1000"], &["keyctl", &newuser])?, format!("keyctl EPERM\n{newuser} EPERM\n"));
    let no_new_privs = inside(&["--security-opt", "no-new-privileges", "--user", "1000"], &["keyctl", "clone3"])?;
    assert_eq!(no_new_privs, "keyctl EPERM\nclone3 ENOSYS\n");
    assert_eq!(inside(&["--cap-add", "SYS_ADMIN"], &["mount", "clone3"])?, "mount EFAULT\nclone3 EINVAL\n");
    assert_eq!(inside(&["--security-opt", "seccomp=unconfined"], &["clone3"])?, "clone3 EINVAL\n");
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]}"#;
    let option = format!("seccomp={}", sandbox.file("own.json", profile)?.display());
    assert_eq!(inside(&["--security-opt", &option], &["getppid", "getpid"])?, "getppid EIO\ngetpid done\n");
    Ok(())
}
