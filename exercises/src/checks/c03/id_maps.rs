//! The maps of a user namespace, as root and as an ordinary user.

use super::watch::Watched;
use crate::Failure;
use crate::check::{Check, Verdict, same};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("root's maps", root).points(2),
    Check::new("root's container may call setgroups", allowed),
    Check::new("an ordinary user's maps", user).points(2),
    Check::new("an ordinary user's container may not drop groups", denied),
];

/// Read beside the container, so that the ids outside are those that its maker has.
const LOOK: &str = r#"
for file in uid_map gid_map setgroups; do echo $(cat "/proc/$pid/$file"); done
cat /proc/self/setgroups
"#;

/// A user and a group.
type Ids = (u32, u32);

/// The two maps and the word in `setgroups` of a container whose maker has the ids `outside`, none for root; and the
/// maker's own such word.
fn look(lab: &Lab, inside: Ids, outside: Option<Ids>) -> Result<[String; 4], Failure> {
    let word = format!("300.{}", lab.number(1, 999_999));
    let args = [&*inside.0.to_string(), &*inside.1.to_string(), "sleep", &word];
    let watched = match outside {
        None => Watched::start(lab, "", LOOK, &args, &word),
        Some(ids) => Watched::start_as(lab, ids, LOOK, &args, &word),
    };
    let watched = watched.map_err(|failure| failure.note(note(outside)))?;
    let mut lines = watched.look()?.into_iter();
    Ok(std::array::from_fn(|_| lines.next().unwrap_or_default()))
}

/// What the kernel may have refused.
fn note(outside: Option<Ids>) -> String {
    let common = "A line is three numbers: first the id inside, then the one outside, then how many; and the kernel \
                  takes a map in one write(2), a piece of a line is EINVAL.";
    match outside {
        None => common.to_owned(),
        Some((uid, gid)) => format!(
            "The engine runs as user {uid} with group {gid}. Such a one may map nothing but these two, and may write \
             gid_map only after `deny` stands in /proc/PID/setgroups; all else is EPERM. {common}"
        ),
    }
}

/// Four numbers that differ, none of them 0.
fn ids(lab: &Lab) -> (Ids, Ids) {
    let first = lab.number(1000, 30_000);
    ((first, first + lab.number(1, 99)), (first + lab.number(100, 199), first + lab.number(200, 299)))
}

fn compare(maps: &[String; 4], inside: Ids, outside: Ids) -> Verdict {
    let pairs = [("uid_map", inside.0, outside.0), ("gid_map", inside.1, outside.1)];
    for ((file, inside, outside), seen) in pairs.into_iter().zip(maps) {
        let seen = if seen.is_empty() { "nothing: it has not been written" } else { seen.as_str() };
        let what = format!("/proc/PID/{file} of the container: id inside, id outside, how many");
        same(&what, format!("{inside} {outside} 1"), seen.to_owned())?;
    }
    Ok(())
}

fn root(lab: &Lab) -> Verdict {
    let (inside, _) = ids(lab);
    compare(&look(lab, inside, None)?, inside, (0, 0))
}

fn allowed(lab: &Lab) -> Verdict {
    // A room that has one id only may not drop groups itself, and what is below it neither.
    let [_, _, setgroups, own] = look(lab, (0, 0), None)?;
    same("/proc/PID/setgroups of a container that root has made", own, setgroups).map_err(|failure| {
        failure.note(
            "Root does not need `deny`: it may drop groups anyway. Once written it stands for ever, and programs that \
             call setgroups(2), as package managers do, fail in this container.",
        )
    })
}

fn user(lab: &Lab) -> Verdict {
    let (inside, outside) = ids(lab);
    compare(&look(lab, inside, Some(outside))?, inside, outside)
}

fn denied(lab: &Lab) -> Verdict {
    let (_, outside) = ids(lab);
    let [_, _, setgroups, _] = look(lab, (0, 0), Some(outside))?;
    same("/proc/PID/setgroups of a container that an ordinary user has made", "deny", setgroups)
}
