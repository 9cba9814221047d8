//! The way down to a group.
//!
//! `way_down WAY LIMIT` is to make a control group below the top of /sys/fs/cgroup, `WAY` is something like
//! `one/two/three`, and to write LIMIT into its `pids.max`. Both controllers that are asked for, `memory` and `pids`,
//! must work in the last group, and processes must be able to live there.
//!
//! Two rules are in the way. A group has a controller only if the one above hands it down (`cgroup.subtree_control`),
//! and so up to the top. And a group that hands down must have no processes of its own. In a container all processes
//! begin in the top group that it sees, this program, its shell and process 1 too: they must go into a leaf first.
//!
//! Fill in `descend`. The check runs it in a room with a control group of its own, whose top is /sys/fs/cgroup there.
//!
//! Read: the book, chapter 4, "A group by hand", "No inner processes"; Documentation/admin-guide/cgroup-v2.rst,
//! "Top-down Constraint" and "No Internal Process Constraint".

#![allow(unused, reason = "until the gap is filled")]

use std::fs;

use cgroups::Group;
use process::{Error, OrCall, Result};

const TOP: &str = "/sys/fs/cgroup";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [way, limit] = words.as_slice() else { return Err(Error::invalid("way_down WAY LIMIT")) };
    let way: Vec<&str> = way.split('/').collect();
    let group = descend(Group::open(TOP)?, &way)?;
    group.write("pids.max", limit)
}

/// Makes the groups of the way, one in the other, and gives the last one.
fn descend(top: Group, way: &[&str]) -> Result<Group> {
    // `Group` has read, write, child and processes; a group is made by `make`.
    todo!("go down {way:?} from {}", top.path().display())
}

/// The group `name` below another one; it may be there already.
fn make(above: &Group, name: &str) -> Result<Group> {
    let path = above.path().join(name);
    fs::create_dir_all(&path).or_call("mkdir", path.display())?;
    above.child(name)
}
