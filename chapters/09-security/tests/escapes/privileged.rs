//! `--privileged` is what it says: everything that the engine's own user may, and still a container.

use std::fs;

use harness::Outcome;

use crate::place::Place;

const PRIVILEGED: &[&str] = &["--privileged"];

/// All capabilities, all devices, no filter, nothing masked: but its own processes, name, network and root.
pub fn still_a_container(place: &Place) -> Outcome {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let roots = format!("proc-roots:{}", place.secret);
    let attacks =
        ["mount:/mnt", "sethostname", "processes", &roots, "links", "open-write:/proc/sys/net/core/somaxconn"];
    let ends = place.tries(PRIVILEGED, &attacks)?;
    assert_eq!(ends[..3], ["done", "done", "attack"], "{ends:?}");
    assert_eq!(ends[3..5], ["ENOENT", "lo"], "{ends:?}");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname")?, name, "the host's name");
    assert_eq!(place.tries(&[], &attacks[..2])?, ["EPERM", "EPERM"]);
    Ok(())
}

/// In an ordinary user's engine it is nobody on the host still.
pub fn nobody_on_the_host(place: &Place) -> Outcome {
    let options = ["--privileged", "-v", "/etc:/host:ro"];
    let attacks = ["open-read:/host/shadow", "write-back:/proc/sys/kernel/core_pattern", "mknod:c:1:11"];
    let ends = place.tries(&options, &attacks)?;
    if place.is_ordinary() {
        assert!(ends.iter().all(|end| ["EACCES", "EPERM"].contains(&end.as_str())), "{ends:?}");
    } else {
        assert!(ends.iter().all(|end| end != "EPERM" && end != "EACCES"), "{ends:?}");
    }
    Ok(())
}
