//! Processes of others: the host's, a neighbour's, and the engine's own while they join.

use std::fs;

use harness::{Background, Outcome};

use crate::place::{Place, SECRET};

const SHARED: &[&str] = &["--share", "pid"];
const DEBUGGER: &[&str] = &["--share", "pid", "--cap-add", "SYS_PTRACE"];
const ALL: &[&str] = &["--share", "pid", "--privileged"];

/// A program of the host's that does nothing.
fn victim() -> Outcome<Background> {
    harness::Sandbox::new()?.program("sleep").arg("1000").spawn()
}

/// What is tried on a process.
fn attacks(place: &Place, pid: &str) -> Vec<String> {
    let secret = &place.secret;
    vec![
        format!("ptrace:{pid}"),
        format!("process_vm_readv:{pid}"),
        format!("pidfd_getfd:{pid}"),
        format!("open-read:/proc/{pid}/mem"),
        format!("read:/proc/{pid}/root{secret}"),
        format!("read:/proc/{pid}/environ"),
        format!("setns:{pid}:mnt"),
        format!("setns:{pid}:net"),
    ]
}

fn tries(place: &Place, options: &[&str], pid: &str) -> Outcome<Vec<String>> {
    let attacks = attacks(place, pid);
    place.tries(options, &attacks.iter().map(String::as_str).collect::<Vec<_>>())
}

/// In a PID namespace of its own a container has no number for them. If it shares the host's, what keeps it off is that
/// it has fewer capabilities than they have (ptrace(2), "Ptrace access mode checking").
pub fn hosts(place: &Place) -> Outcome {
    let victim = victim()?;
    let pid = victim.pid().to_string();
    let is_gone = |end: &String| ["ESRCH", "ENOENT", "EPERM", "ENOSYS"].contains(&end.as_str());
    let alone = tries(place, &[], &pid)?;
    assert!(alone.iter().all(is_gone), "{alone:?}");
    assert_eq!(place.tries(&[], &["processes", &format!("kill:{pid}")])?, ["attack", "ESRCH"]);

    let is_refused = |end: &String| ["EPERM", "EACCES", "ENOSYS"].contains(&end.as_str());
    let shared = tries(place, SHARED, &pid)?;
    assert!(shared.iter().all(is_refused), "{shared:?}");
    assert!(place.tries(SHARED, &["processes"])?[0].contains("sleep"), "it is seen, then");
    let init = tries(place, SHARED, "1")?;
    assert!(init.iter().all(is_refused), "the host's first process: {init:?}");

    let (debugger, all) = (tries(place, DEBUGGER, &pid)?, tries(place, ALL, &pid)?);
    if place.is_ordinary() {
        assert!(debugger.iter().chain(&all).all(is_refused), "{debugger:?} {all:?}");
    } else {
        assert_eq!([&debugger[0], &debugger[3], &debugger[4]], ["done", "done", SECRET], "{debugger:?}");
        assert!(["EFAULT", "EIO", "ENOSYS"].contains(&debugger[1].as_str()), "{debugger:?}");
        assert_eq!(debugger[6..], ["EPERM", "EPERM"], "to join takes SYS_ADMIN too");
        assert_eq!(all[6..], ["done", "done"], "{all:?}");
    }
    Ok(())
}

/// A neighbour, whose capabilities are the same.
pub fn neighbours(place: &Place) -> Outcome {
    let running = place.idle("neighbour", &[])?;
    let pid = recorded_pid(place)?;
    let alone = tries(place, &[], &pid)?;
    assert!(alone.iter().all(|end| ["ESRCH", "ENOENT", "EPERM", "ENOSYS"].contains(&end.as_str())), "{alone:?}");
    // Who shares the host's processes shares the neighbours' with it, and they are root as we are.
    let shared = tries(place, SHARED, &pid)?;
    assert_eq!(shared[0], "done", "{shared:?}");
    place.end("neighbour", running)
}

/// The first process of the one container that runs, in the host's numbers.
fn recorded_pid(place: &Place) -> Outcome<String> {
    let entry = fs::read_dir(place.sandbox.run_dir().join("containers"))?.next().ok_or("no record")??;
    let record = fs::read_to_string(entry.path())?;
    Ok(record.lines().find_map(|line| line.strip_prefix("pid ")).ok_or("no pid")?.to_owned())
}

/// CVE-2016-9962: who joins a container can be seen in there before it has become the program. Nothing of it may be
/// open: with its directories, one is on the host.
pub fn joining(place: &Place) -> Outcome {
    assert_eq!(spied(place, &[])?, "seen");
    // Over the processes of another user namespace the capability to trace means nothing: an ordinary user's engine has
    // one always, root's with --userns.
    let tracer = ["--cap-add", "SYS_PTRACE"];
    if place.is_ordinary() {
        assert_eq!(spied(place, &tracer)?, "seen");
    } else {
        if knows_id_mapped_mounts(place)? {
            assert_eq!(spied(place, &[&tracer[..], &["--userns"]].concat())?, "seen");
        }
        // The limit, as it is with runc: without one, who may trace may trace whoever joins, and is root on the host.
        let open = spied(place, &tracer)?;
        assert!(open.contains("THE HOST by "), "{open}");
    }
    Ok(())
}

/// Can the engine's data be shown under other owners? Where a tmpfs of before Linux 6.3 holds them, it cannot, and says
/// so: there, nobody has root's container in a user namespace of its own.
fn knows_id_mapped_mounts(place: &Place) -> Outcome<bool> {
    let done = place.container(&["--userns"], &["true"]).run()?;
    if done.code == 125 && done.stderr.contains("id-mapped mounts") {
        return Ok(false);
    }
    Ok(true)
}

/// What a container with `options` sees, and gets, of those who join it for a while.
fn spied(place: &Place, options: &[&str]) -> Outcome<String> {
    let name = place.engine_file()?.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let spy = format!("spy:{name}:3:{}", place.secret);
    let options = [&["--name", "one"], options].concat();
    let mut running = place.container(&options, &["/attack", "act", &spy]).spawn()?;
    running.says("ready")?;
    while running.output().0.is_empty() && place.engine().args(["exec", "one", "true"]).run()?.code == 0 {}
    let said = running.wait()?.ok()?.stdout;
    Ok(said.trim().rsplit_once(&format!("{spy}: ")).map(|(_, end)| end.to_owned()).unwrap_or(said))
}

/// CVE-2022-24769, CVE-2022-29162: what whoever calls the engine has in its inheritable and ambient sets ends there.
pub fn inherited(place: &Place) -> Outcome {
    if place.is_ordinary() {
        return Ok(());
    }
    let status = "grep -E '^Cap(Inh|Prm|Amb)' /proc/self/status";
    let engine = place.engine_file()?;
    let run = place
        .sandbox
        .program("setpriv")
        .args(["--inh-caps=+sys_admin,+net_admin", "--ambient-caps=+sys_admin,+net_admin"]);
    let outside = place.sandbox.program("setpriv").args(["--inh-caps=+sys_admin", "--ambient-caps=+sys_admin"]);
    let outside = outside.args(["sh", "-c", status]).run()?.ok()?.stdout;
    assert!(outside.contains("CapAmb:\t0000000000200000"), "{outside}");
    let run = run.arg(engine).args(["run", "--rm", "--network", "none", "host", "sh", "-c", status]);
    let said = run.run()?.ok()?.stdout;
    for name in ["CapInh", "CapAmb"] {
        assert!(said.contains(&format!("{name}:\t0000000000000000")), "{said}");
    }
    let permitted = said.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).unwrap_or_default();
    assert_eq!(u64::from_str_radix(permitted, 16)? & (1 << 21 | 1 << 12), 0, "{said}");
    Ok(())
}
