//! The user namespace of one container: root inside, somebody ordinary outside.

use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use process::{Child, OrCall, Result, Stage, explain};

use crate::IdMap;

/// The stage that clones into a new user namespace and fills its maps. The first in the list: whoever
/// has no name in a namespace yet can do nothing else in it.
pub struct UserNamespace {
    map: IdMap,
}

impl UserNamespace {
    /// A user namespace with these maps.
    pub fn new(map: IdMap) -> Self {
        Self { map }
    }
}

impl Stage for UserNamespace {
    fn name(&self) -> &'static str {
        "user namespace"
    }

    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUSER
    }

    fn create_runtime(&mut self, child: &Child) -> Result<()> {
        self.map.write(child.pid())
    }

    fn create_container(&mut self) -> Result<()> {
        become_root_inside(self.map.is_single())
    }
}

/// Takes the ids 0 of the namespace; the process may have come with ones that it does not know.
pub fn become_root_inside(single: bool) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    if !single {
        setgroups(&[gid]).or_call("setgroups", "[0]")?;
    }
    setresgid(gid, gid, gid).or_call("setresgid", 0)?;
    setresuid(uid, uid, uid).or_call("setresuid", 0)?;
    explain!(3, "root, in this namespace only", "setresuid(0, 0, 0)");
    process::sys::die_with_parent().or_call("prctl", "PR_SET_PDEATHSIG")
}
