//! Giving up root: /proc/PID/status of the program.

use super::{WAITS, waiting};
use crate::check::{Check, Failure, Verdict, that};
use crate::lab::{Lab, Process, Running, WORK};

pub const CHECKS: [Check; 3] = [
    Check::new("user and group, three times each", ids).points(2),
    Check::new("no other group", groups).points(2),
    Check::new("no program if it cannot be had", refused).beside("user and group, three times each"),
];

/// Root with groups, as root has them on many machines: adm, cdrom, sudo.
const SCRIPT: &str = "exec setpriv --groups 4,24,27 -- \"$PROGRAM\" \"$@\"";

struct Scene {
    /// Held, since its end is the program's.
    _running: Running,
    process: Process,
    uid: u32,
    gid: u32,
}

fn scene(lab: &Lab) -> Result<Scene, Failure> {
    let (word, uid, gid) = (lab.nonce(), lab.number(1000, 29_999), lab.number(30_000, 59_999));
    let mut running = lab.start_sh(SCRIPT, &[&uid.to_string(), &gid.to_string(), "sh", "-c", WAITS, &word])?;
    let process = waiting(&mut running, &word).map_err(|failure| {
        failure.note("EPERM: who is no longer root may not change groups. Which call comes last?")
    })?;
    Ok(Scene { _running: running, process, uid, gid })
}

impl Scene {
    /// The ids in a line of the status, as the room numbers them.
    fn ids(&self, line: &str, map: &str) -> Vec<u32> {
        let map = self.process.read(map).unwrap_or_default();
        let ranges: Vec<Vec<u32>> = map.lines().map(numbers).collect();
        let inside = |id: u32| {
            let range =
                ranges.iter().find(|range| range.len() == 3 && id.checked_sub(range[1]).is_some_and(|n| n < range[2]));
            range.map_or(id, |range| id - range[1] + range[0])
        };
        numbers(&self.process.status(line).unwrap_or_default()).into_iter().map(inside).collect()
    }
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn words(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

fn ids(lab: &Lab) -> Verdict {
    let scene = scene(lab)?;
    for (line, map, wanted) in [("Uid", "uid_map", scene.uid), ("Gid", "gid_map", scene.gid)] {
        let seen = scene.ids(line, map);
        let what = format!("the line {line} in the program's /proc/PID/status: real, effective, saved, file system");
        let all = seen.len() == 4 && seen.iter().all(|&id| id == wanted);
        let note = if seen.contains(&0) && seen.contains(&wanted) {
            "a real or saved id that is still 0 is a way back: seteuid(0) makes it root again"
        } else {
            "did the call succeed? Look at what it returns"
        };
        that(all, &what, words(&[wanted; 4]), words(&seen)).map_err(|failure| failure.note(note))?;
    }
    Ok(())
}

fn groups(lab: &Lab) -> Verdict {
    let scene = scene(lab)?;
    let seen = scene.ids("Groups", "gid_map");
    let what = "the line Groups in the program's /proc/PID/status; root had 4 24 27";
    let expected = format!("{}, or none", scene.gid);
    that(seen.iter().all(|&id| id == scene.gid), what, expected, words(&seen))
        .map_err(|failure| failure.note("these are supplementary groups. setgid does not touch them: see setgroups(2)"))
}

fn refused(lab: &Lab) -> Verdict {
    let (name, gid) = (lab.nonce(), lab.number(30_000, 59_999).to_string());
    // No user namespace of the room has this id, so setresuid(2) answers EINVAL.
    let command = ["3000000000", &gid, "sh", "-c", "> \"$0\"", &format!("{WORK}/{name}")];
    let done = lab.sh(&format!("chmod 777 {WORK}; {SCRIPT}"), &command)?;
    let ran = lab.read(&name).is_some() || done.code == 0;
    let seen = if ran { "the program ran, as somebody else than it was told" } else { "it did not run" };
    that(!ran, "a user id that this machine does not have (EINVAL)", "the program does not run", seen)
        .map_err(|failure| failure.note("it must look at what each call returns, and give up when one fails"))
}
