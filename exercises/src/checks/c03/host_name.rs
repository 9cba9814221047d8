//! A host name of the container's own.

use super::watch::Watched;
use crate::check::{Check, Verdict, same, that};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("a UTS namespace of the container's own", namespace),
    Check::new("the name in it", name).points(2),
    Check::new("the host keeps its name", host),
    Check::new("a name that cannot be set stops the container", too_long),
];

/// Beside the container: its name, then ours.
const LOOK: &str = r#"nsenter --target "$pid" --uts uname -n; uname -n"#;

fn start(lab: &Lab, name: &str) -> Result<Watched, crate::Failure> {
    let word = format!("300.{}", lab.number(1, 999_999));
    Watched::start(lab, "", LOOK, &[name, "sleep", &word], &word)
}

fn namespace(lab: &Lab) -> Verdict {
    let watched = start(lab, &lab.nonce())?;
    let parent = crate::lab::Process { pid: watched.process.parent, ..watched.process.clone() };
    let [inside, outside] = [&watched.process, &parent].map(|one| one.namespace("uts").unwrap_or_default());
    let what = "/proc/PID/ns/uts of the container's process, beside that of its engine";
    that(inside != outside, what, format!("another one than {outside}"), &inside).map_err(|failure| {
        failure
            .note("The child is cloned into the namespaces that `Stage::namespaces` asks for: CLONE_NEWUTS is the one.")
    })
}

fn name(lab: &Lab) -> Verdict {
    let name = lab.nonce();
    let lines = start(lab, &name)?.look()?;
    let seen = lines.first().cloned().unwrap_or_default();
    same("the host name in the container's UTS namespace", name, seen).map_err(|failure| {
        failure.note(
            "A new UTS namespace begins with a copy of the old name; sethostname(2) changes that of the caller's own \
             namespace, so the child has to call it: in `create_container`.",
        )
    })
}

fn host(lab: &Lab) -> Verdict {
    let lines = start(lab, &lab.nonce())?.look()?;
    let seen = lines.get(1).cloned().unwrap_or_default();
    same("the host's own name, while the container runs", "lab", seen).map_err(|failure| {
        failure.note(
            "The name was set for the host: the caller of sethostname(2) was not in a new UTS namespace. Either none \
             was asked for, or the parent made the call (`prepare` and `create_runtime` run there).",
        )
    })
}

fn too_long(lab: &Lab) -> Verdict {
    // The longest name that there is, then one byte more.
    start(lab, &"x".repeat(64))?;
    let file = lab.nonce();
    let done = lab.run(&[&"x".repeat(65), "touch", &file])?;
    let ran = lab.work().join(&file).exists();
    let seen = format!("exit code {}; the program {}", done.code, if ran { "ran" } else { "did not run" });
    let expected = "an exit code that is not 0; the program did not run";
    that(done.code != 0 && !ran, "a name of 65 bytes, which the kernel refuses with EINVAL", expected, seen).map_err(
        |failure| failure.note("What sethostname(2) returns has to be looked at, and an error given back with `?`."),
    )
}
