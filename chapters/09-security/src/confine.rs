//! The stage before the user is assumed: what only root may give up, and what is inherited from the parent.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use nix::errno::Errno;
use process::{Child, OrCall, Program, Result, Stage, explain};

use crate::capset::sys;
use crate::{CapSet, Confinement};

/// Narrows what any exec can gain from here on. It stands before [`Identity`](process::Identity): the bounding set
/// may be narrowed by root alone. Its counterpart is [`Seal`](crate::Seal), which stands behind it.
pub struct Confine {
    confinement: Confinement,
    /// The container's directory, where the confinement is kept.
    directory: Option<PathBuf>,
    /// The engine's own score, while it has the container's.
    score: Option<OwnScore>,
}

impl Confine {
    /// For a new container; its confinement is kept in `directory`, which exists by the time of `prepare`.
    pub fn new(confinement: Confinement, directory: Option<PathBuf>) -> Self {
        Self { confinement, directory, score: None }
    }

    /// For a program beside the container's own. It stands before [`Join`](namespaces::Join), after which nobody may
    /// write to the engine's files in /proc, and the engine itself may be somebody else.
    pub fn beside(confinement: Confinement) -> Self {
        Self::new(confinement, None)
    }
}

impl Stage for Confine {
    fn name(&self) -> &'static str {
        "confinement"
    }

    fn prepare(&mut self) -> Result<()> {
        if let Some(directory) = &self.directory {
            self.confinement.save(directory)?;
        }
        self.score = self.confinement.oom_score_adj.map(OwnScore::change).transpose()?;
        Ok(())
    }

    /// The child exists, and has inherited it.
    fn create_runtime(&mut self, _child: &Child) -> Result<()> {
        self.score = None;
        Ok(())
    }

    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        if let Some(capabilities) = &self.confinement.capabilities {
            narrow(capabilities.bounding)?;
        }
        // Another user's capabilities end with setresuid(2), unless this is set; Seal needs some for a moment more.
        nix::sys::prctl::set_keepcaps(true).or_call("prctl", "PR_SET_KEEPCAPS")
    }
}

/// The engine's oom_score_adj (proc_pid_oom_score_adj(5)), given back on drop. A child inherits the score, so the engine
/// takes the container's for a moment; later nobody could set it who is in the container already.
struct OwnScore {
    file: File,
    before: String,
}

impl OwnScore {
    fn change(score: i32) -> Result<Self> {
        const PATH: &str = "/proc/self/oom_score_adj";
        let mut file = File::options().read(true).write(true).open(PATH).or_call("open", PATH)?;
        let mut before = String::new();
        file.read_to_string(&mut before).or_call("read", PATH)?;
        let set = file.write_all(score.to_string().as_bytes()).or_call("write", format!("{score} to {PATH}"));
        set.map_err(|error| match error.errno() {
            Some(Errno::EACCES | Errno::EPERM) => {
                error.help("a score below the engine's own may be set by the host's root only")
            }
            _ => error,
        })?;
        explain!(9, "how readily the kernel ends the child for want of memory", "write({score} to {PATH})");
        Ok(Self { file, before })
    }
}

impl Drop for OwnScore {
    fn drop(&mut self) {
        let _ = self.file.write_all(self.before.trim().as_bytes());
    }
}

/// Takes everything out of the bounding set that is not in `keep`.
fn narrow(keep: CapSet) -> Result<()> {
    let to_drop = CapSet::of_ours().minus(keep);
    for number in to_drop.numbers() {
        sys::drop_bounding(number).or_call("prctl", format!("PR_CAPBSET_DROP {}", CapSet::name(number)))?;
    }
    let (count, left) = (to_drop.numbers().count(), CapSet::of_ours());
    explain!(9, "what no exec can gain any more", "prctl(PR_CAPBSET_DROP) × {count}, left {left}");
    Ok(())
}
