//! Mounts that stay where they were made.

use super::watch::Watched;
use crate::Failure;
use crate::check::{Check, Verdict, that};
use crate::lab::Lab;

pub const CHECKS: [Check; 5] = [
    Check::new("the container has its tmpfs", inside),
    Check::new("the host does not have it", outside).points(2),
    Check::new("what the container unmounts stays on the host", unmount),
    Check::new("what the host mounts later arrives in the container", later),
    Check::new("the host's mounts stay shared", host),
];

/// The room as a machine with systemd: all is shared, and a disk is mounted.
const HOST: &str = "
mount --make-rshared /
mkdir /lab/work/host && mount -t tmpfs disk /lab/work/host && mount --make-shared /lab/work/host
mkdir /lab/work/host/cd /lab/work/host/usb \"$1\" && mount -t tmpfs cd /lab/work/host/cd
";

/// What is mounted where: the host's table, or the container's.
const TABLES: &str = r#"cat /proc/self/mountinfo; echo; cat "/proc/$pid/mountinfo""#;

struct Tables {
    host: Vec<Line>,
    container: Vec<Line>,
}

/// What matters of a line of mountinfo (proc_pid_mountinfo(5)).
struct Line {
    place: String,
    shared: bool,
    source: String,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (front, back) = line.split_once(" - ")?;
        let mut fields = front.split(' ').skip(4);
        let place = fields.next()?.to_owned();
        let source = back.split(' ').nth(1)?.to_owned();
        Some(Self { place, shared: fields.any(|field| field.starts_with("shared:")), source })
    }
}

/// Runs the engine with a tmpfs on `directory`, and tells what is mounted once its container runs.
fn tables(lab: &Lab, directory: &str, container: &str, host: &str) -> Result<Tables, Failure> {
    let word = format!("300.{}", lab.number(1, 999_999));
    let script = format!("{container}; exec sleep {word}");
    let args = [directory, "sh", "-c", &script];
    let lines = Watched::start(lab, HOST, &format!("{host}\n{TABLES}"), &args, &word)?.look()?;
    let mut tables =
        lines.split(String::is_empty).map(|table| table.iter().filter_map(|line| Line::parse(line)).collect());
    let tables = Tables { host: tables.next().unwrap_or_default(), container: tables.next().unwrap_or_default() };
    // Without it there is nothing that could leak.
    let (expected, seen) = (format!("tmpfs on {directory}"), shown(&tables.container, directory));
    that(has(&tables.container, directory), "/proc/PID/mountinfo of the container", expected, seen)?;
    Ok(tables)
}

fn shown(table: &[Line], place: &str) -> String {
    let found = table.iter().filter(|line| line.place == place).map(|line| format!("{} on {place}", line.source));
    let found: Vec<_> = found.collect();
    if found.is_empty() { format!("nothing is mounted on {place}") } else { found.join("\n") }
}

fn has(table: &[Line], place: &str) -> bool {
    table.iter().any(|line| line.place == place)
}

fn new_directory(lab: &Lab) -> String {
    format!("/lab/work/host/{}", lab.nonce())
}

fn inside(lab: &Lab) -> Verdict {
    tables(lab, &new_directory(lab), "true", "").map(drop)
}

fn outside(lab: &Lab) -> Verdict {
    // Below a mount that is not `/` itself.
    let place = new_directory(lab);
    let seen = tables(lab, &place, "true", "")?.host;
    let what = "/proc/self/mountinfo of the host, while the container runs";
    that(!has(&seen, &place), what, format!("nothing is mounted on {place}"), shown(&seen, &place)).map_err(|failure| {
        failure.note(
            "The mount below which it was made is shared with the host's. `/` is one mount, and each file system below \
             it another: the change has to reach all of them (MS_REC), in the child, before it mounts anything.",
        )
    })
}

fn unmount(lab: &Lab) -> Verdict {
    let cd = "/lab/work/host/cd";
    let tables = tables(lab, &new_directory(lab), &format!("umount {cd}"), "")?;
    let what = format!("/proc/self/mountinfo of the host, after the container's `umount {cd}`");
    that(has(&tables.host, cd), &what, format!("cd on {cd}"), shown(&tables.host, cd))
        .map_err(|failure| failure.note("Unmounting travels to the peers of a shared mount as mounting does."))
}

fn later(lab: &Lab) -> Verdict {
    let usb = "/lab/work/host/usb";
    let tables = tables(lab, &new_directory(lab), "true", &format!("mount -t tmpfs usb {usb}"))?;
    let what = format!("/proc/PID/mountinfo of the container, after the host has mounted something on {usb}");
    that(has(&tables.container, usb), &what, format!("usb on {usb}"), shown(&tables.container, usb)).map_err(
        |failure| {
            failure.note(
            "Nothing comes in any more: a private mount neither gives nor takes. One propagation type takes, and does \
             not give.",
        )
        },
    )
}

fn host(lab: &Lab) -> Verdict {
    let tables = tables(lab, &new_directory(lab), "true", "")?;
    let seen = tables.host.iter().filter(|line| ["/", "/lab/work/host"].contains(&line.place.as_str()));
    let kinds: Vec<_> =
        seen.map(|line| format!("{} is {}", line.place, if line.shared { "shared" } else { "not shared" })).collect();
    let expected = ["/ is shared", "/lab/work/host is shared"];
    let what = "/proc/self/mountinfo of the host, while the container runs";
    that(kinds == expected, what, expected.join("\n"), kinds.join("\n")).map_err(|failure| {
        failure.note(
            "The host's own mounts were changed: the call was made by the parent, which is still in the host's mount \
             namespace. `create_container` runs in the child.",
        )
    })
}
