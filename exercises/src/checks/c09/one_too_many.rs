//! One capability too many: the attack with the old list and with the new one, the service, and what it keeps.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::check::{Check, Failure, Verdict, same, that};
use crate::lab::{Lab, Output};

pub const CHECKS: [Check; 4] = [
    Check::new("part one: out, with the list as it was", attack).points(2),
    Check::new("part two: no way out with yours", closed).beside("part two: the service works").points(2),
    Check::new("part two: the service works", service),
    Check::new("part two: nothing more than is needed", smallest).points(2),
];

/// What the service needs: DAC_OVERRIDE and SYS_CHROOT.
const NEEDED: u64 = 1 << 1 | 1 << 18;

/// The names of those that the service was given.
const GIVEN: [(&str, u32); 9] = [
    ("CHOWN", 0),
    ("DAC_OVERRIDE", 1),
    ("FOWNER", 3),
    ("KILL", 5),
    ("SETGID", 6),
    ("SETUID", 7),
    ("NET_BIND_SERVICE", 10),
    ("SYS_CHROOT", 18),
    ("SYS_PTRACE", 19),
];

/// Lays out the container's root below /tmp/root, by a script: programs of this machine, a log, a root for the worker.
const ROOT: &str = r#"
mkdir /tmp/root && mount -t tmpfs none /tmp/root && cd /tmp/root && mkdir -p srv/jail || exit 99
for dir in bin sbin lib lib32 lib64 usr; do
    test -e /$dir || continue
    for to in . srv/jail; do
        if test -h /$dir; then cp -P /$dir $to/; else mkdir $to/$dir && mount --rbind /$dir $to/$dir || exit 99; fi
    done
done
echo first > srv/log && chmod 444 srv/log || exit 99
"#;

/// The service, as the exercise has it.
const SERVICE: &str = "echo line >> /srv/log && chroot /srv/jail /bin/true && echo works";

fn room(lab: &Lab, script: &str, args: &[&str]) -> Result<Output, Failure> {
    let done = lab.sh(&format!("({ROOT}) || exit 99\n{script}"), args)?;
    if done.code == 99 {
        return Err(Failure::Machine(format!("the container's root: {}", done.stderr)));
    }
    Ok(done)
}

fn secret(lab: &Lab) -> Result<String, Failure> {
    let secret = lab.nonce();
    lab.file("secret", &secret)?;
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(Path::new(&lab.work()).join("secret"), mode)
        .map_err(|error| Failure::Machine(error.to_string()))?;
    Ok(secret)
}

fn attack(lab: &Lab) -> Verdict {
    let secret = secret(lab)?;
    let done = room(lab, "\"$PROGRAM\" attack /tmp/root", &[])?;
    let expected = format!("the text of the host's file /lab/work/secret, {secret:?}");
    let seen = format!("{}{}", done.stdout, done.stderr);
    that(done.stdout.contains(&secret), "what your line in ATTACK prints from inside", expected, seen.trim()).map_err(
        |failure| {
            failure.note(
                "The container's root has no such file. But its /proc shows the host's processes, and each of those \
                 has a root.",
            )
        },
    )
}

fn closed(lab: &Lab) -> Verdict {
    let secret = secret(lab)?;
    for way in ["cat /proc/[0-9]*/root/lab/work/secret", "nsenter --target $PPID --mount cat /lab/work/secret"] {
        let done = room(lab, "\"$PROGRAM\" serve /tmp/root sh -c \"$1\"", &[way])?;
        let what = format!("`{way}`, in the container with your list");
        that(!done.stdout.contains(&secret), &what, "a refusal", format!("the host's secret, {secret:?}"))
            .map_err(|failure| failure.note("One capability of your list lets a process follow another one's root."))?;
    }
    Ok(())
}

fn service(lab: &Lab) -> Verdict {
    let done = room(lab, "\"$PROGRAM\" serve /tmp/root sh -c \"$1\"; cat /tmp/root/srv/log", &[SERVICE])?;
    let what = format!("the service, `{SERVICE}`, with your list, and its log after it");
    let said = format!("{}{}", done.stdout, done.stderr);
    that(done.stdout == "works\nfirst\nline\n", &what, "works\nfirst\nline", said)
        .map_err(|failure| failure.note("The step that fails names the capability that it lacks: look it up."))
}

fn smallest(lab: &Lab) -> Verdict {
    let done = room(lab, "\"$PROGRAM\" serve /tmp/root grep -E 'Cap(Bnd|Prm)' /proc/self/status", &[])?;
    let sets: Vec<u64> =
        done.stdout.lines().filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()).collect();
    let [permitted, bounding] = sets[..] else {
        return Err(Failure::wrong(
            "the capabilities of a command of the service",
            "two lines",
            done.stderr + &done.stdout,
        ));
    };
    let has = permitted | bounding;
    let needless = GIVEN.iter().find(|(_, bit)| has & !NEEDED & 1 << bit != 0).map(|(name, _)| *name);
    let what = "the capabilities that a command of the service has, or could gain";
    if let Some(name) = needless {
        let seen = format!("{has:#x}: the service works without {name}, for one");
        return Err(Failure::wrong(what, "only those that it needs", seen));
    }
    same(what, format!("{NEEDED:#x}"), format!("{has:#x}"))
}
