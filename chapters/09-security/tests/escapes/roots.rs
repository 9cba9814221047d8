//! Other roots: the host's, by any path that could lead there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use harness::Outcome;

use crate::place::{Place, SECRET, ends, volume};

/// The oldest escape. It works where the root is changed by chroot(2), and not where there is no other root to reach.
pub fn chroot(place: &Place) -> Outcome {
    let attack = format!("chroot:{}", place.secret);
    assert_eq!(place.tries(&[], &[&attack])?, ["ENOENT"]);
    let without_cap = place.tries(&["--cap-drop", "SYS_CHROOT"], &[&attack])?;
    assert_eq!(without_cap, ["EPERM"]);
    if place.is_ordinary() {
        return Ok(());
    }
    // The same attack on the same files, but held by chroot alone.
    let root = layer(place)?;
    fs::copy(&place.attacker, root.join("attack"))?;
    let done = place.sandbox.program("chroot").arg(&root).args(["/attack", "act", &attack]).run()?.ok()?;
    assert_eq!(ends(&done.stdout, &[&attack])?, [SECRET]);
    Ok(())
}

/// The directory of the image's layer, as a root.
fn layer(place: &Place) -> Outcome<PathBuf> {
    place.inside(&[], "true")?;
    let entry = fs::read_dir(place.sandbox.data().join("layers"))?.next().ok_or("no layer")??;
    let root = entry.path().join("diff");
    for missing in ["proc", "tmp"] {
        fs::create_dir_all(root.join(missing))?;
    }
    Ok(root)
}

/// The roots and directories of all processes, and what descriptors lead to: with the caller's own left open.
pub fn links(place: &Place) -> Outcome {
    let attacks = ["proc-roots", "proc-directories", "descriptor-roots"].map(|name| format!("{name}:{}", place.secret));
    let attacks: Vec<_> = attacks.iter().map(String::as_str).chain(["descriptors"]).collect();
    let held = place.tries(&[], &attacks)?;
    assert!(held[..3].iter().all(|end| end == "ENOENT"), "{held:?}");
    assert_eq!(held[3], "0 1 2");
    let script = "cd /; exec 7</ 8<\"$1\" 9</proc; shift; exec \"$@\"";
    let opened = || place.sandbox.program("bash").args(["-c", script, "bash", &place.secret]);
    let attacker = volume(&place.attacker, "/attack:ro");
    let run = opened().arg(place.engine_file()?).args(["run", "--rm", "--network", "none", "-v", &attacker]);
    let done = run.args(["host", "/attack", "act"]).args(&attacks).run()?.ok()?;
    let leaked = ends(&done.stdout, &attacks)?;
    assert!(leaked[..3].iter().all(|end| end == "ENOENT") && leaked[3] == "0 1 2", "{leaked:?}");
    // What the same shell gives to a program that is in no container.
    let done = opened().arg(&place.attacker).arg("act").args(&attacks[2..]).run()?.ok()?;
    let open = ends(&done.stdout, &attacks[2..])?;
    assert!(open[0] == SECRET && open[1].contains("7 8 9"), "{open:?}");
    let running = place.idle("one", &[])?;
    let beside = place.tries_beside("one", &[], &attacks)?;
    assert!(beside[..3].iter().all(|end| end == "ENOENT") && beside[3] == "0 1 2", "{beside:?}");
    place.end("one", running)
}

/// CVE-2024-21626: a directory to start in that is one of the engine's descriptors, or one that its caller left open,
/// and so outside the root.
pub fn directories(place: &Place) -> Outcome {
    let relative = format!("../../../../../../../..{}", place.secret);
    let links = volume(&place.sandbox.dir("volume")?, "/links");
    let engine = place.engine_file()?;
    let running = place.idle("one", &["-v", &links])?;
    let opened = || place.sandbox.program("bash").args(["-c", "exec 9</ 20</etc; exec \"$@\"", "bash"]).arg(&engine);
    let mut refused = (0, 0);
    for number in 3..24 {
        let directory = format!("/proc/self/fd/{number}");
        symlink(&directory, place.sandbox.path().join(format!("volume/{number}")))?;
        for directory in [directory, format!("/links/{number}")] {
            let run =
                opened().args(["run", "--rm", "--network", "none", "-v", &links, "--workdir", &directory, "host"]);
            let run = run.args(["cat", &relative]).run()?;
            let exec = opened().args(["exec", "--workdir", &directory, "one", "cat", &relative]).run()?;
            for done in [&run, &exec] {
                assert!(done.code != 0 && !done.stdout.contains(SECRET), "{done:?}");
            }
            refused.0 += u32::from(run.stderr.contains("outside the root") || run.stderr.contains("ELOOP"));
            refused.1 += u32::from(exec.stderr.contains("outside the root"));
        }
    }
    assert!(refused.0 > 0 && refused.1 > 0, "no descriptor was met, nothing was tried: {refused:?}");
    place.end("one", running)
}

/// CVE-2019-16884, CVE-2019-19921, CVE-2025-52881 where a container runs already: one that may mount covers its /proc
/// with what looks like it, and somebody executes a program in there.
pub fn false_proc(place: &Place) -> Outcome {
    let script = "mkdir -p /tmp/p/self/attr /tmp/p/thread-self/attr /tmp/p/sys/kernel /tmp/p/self/fd /tmp/p/1; \
                  for name in self/attr/exec thread-self/attr/exec self/attr/current thread-self/attr/current \
                      self/oom_score_adj self/setgroups self/uid_map sys/kernel/domainname; do : > /tmp/p/$name; done; \
                  for number in 3 4 5 6 7 8 9 10 11 12 13; do ln -s /tmp/trap /tmp/p/self/fd/$number; done; : > /tmp/trap; \
                  mount --bind /tmp/p /proc; trap 'exit 0' TERM; echo ready; sleep 1000 & wait";
    let options = ["--name", "one", "--cap-add", "SYS_ADMIN", "--oom-score-adj", "100"];
    let mut running = place.container(&options, &["sh", "-c", script]).spawn()?;
    running.says("ready")?;
    let exec = |script: &str| place.engine().args(["exec", "one", "sh", "-c", script]).run();
    // It works as well as it can with such a /proc, or is refused: nothing that the engine writes lands in there.
    exec("true")?;
    let done = exec("find /tmp/p /tmp/trap -type f -size +0 | head; ls /proc | head -3")?;
    if done.code == 0 {
        assert_eq!(done.stdout, "1\nself\nsys\n", "something was written into it");
    } else {
        done.code(125)?.stderr_has("help:")?;
    }
    place.end("one", running)
}
