//! A learner's engine runs in a room, started by a shell of ours, which then looks at the container from beside it:
//! that shell is the host, as the container's maker sees it.

use crate::Failure;
use crate::lab::{Lab, Process, Running};

/// An engine at work, whose container runs `sleep WORD`.
pub struct Watched {
    running: Running,
    /// The container's process.
    pub process: Process,
}

/// Starts the engine with the script's arguments. What it says goes to a file: the shell's own words are ours.
const START: &str = r#"
{ "$PROGRAM" "$@" > /lab/work/said 2>&1; echo "$?" > /lab/work/ended.new; mv /lab/work/ended.new /lab/work/ended; } &
read -r pid
"#;

/// Runs the script as somebody who has no rights: in a user namespace that the room's root has given one user and one
/// group. `unshare --map-user` would write `deny` into its `setgroups`, which namespaces below inherit.
const AS: &str = r#"
mkfifo /lab/work/born /lab/work/named && exec 3<&0
unshare --user /bin/sh -c '
    echo > /lab/work/born; read -r line < /lab/work/named; exec /bin/sh /lab/work/script "$@"
' sh "$@" <&3 &
read -r line < /lab/work/born
echo "UID 0 1" > "/proc/$!/uid_map"; echo "GID 0 1" > "/proc/$!/gid_map"
echo > /lab/work/named
wait
"#;

impl Watched {
    /// Runs `before` in the room's shell, then the engine with `args`; waits until its container runs `sleep WORD`.
    /// When told to [`look`](Self::look), the shell goes on with `after`, where `$pid` is the container's process.
    pub fn start(lab: &Lab, before: &str, after: &str, args: &[&str], word: &str) -> Result<Self, Failure> {
        let running = lab.start_sh(&format!("{before}\n{START}\n{after}"), args)?;
        Self::wait(lab, running, args, word)
    }

    /// The same, where the shell and the engine are an ordinary user, with these ids.
    pub fn start_as(
        lab: &Lab,
        (uid, gid): (u32, u32),
        after: &str,
        args: &[&str],
        word: &str,
    ) -> Result<Self, Failure> {
        lab.file("script", format!("{START}\n{after}"))?;
        let running = lab.start_sh(&AS.replace("UID", &uid.to_string()).replace("GID", &gid.to_string()), args)?;
        Self::wait(lab, running, args, word)
    }

    fn wait(lab: &Lab, mut running: Running, args: &[&str], word: &str) -> Result<Self, Failure> {
        let what = format!("a container that runs `sleep {word}`");
        let found = running.wait_for(&what, |running| {
            let found = running.processes().into_iter().find(|process| process.argv == ["sleep", word]);
            found.map(Some).or_else(|| lab.read("ended").map(|_| None))
        })?;
        let Some(process) = found else {
            let [code, said] = ["ended", "said"].map(|name| lab.read(name).unwrap_or_default());
            let seen = format!("exit code {}, before the program ran; it had said: {}", code.trim(), said.trim());
            return Err(Failure::wrong(format!("the engine, started with {}", args.join(" ")), what, seen));
        };
        Ok(Self { running, process })
    }

    /// Has the shell look, and gives the lines that it says.
    ///
    /// # Errors
    /// There is no room on this machine.
    pub fn look(mut self) -> Result<Vec<String>, Failure> {
        // Its numbers in all PID namespaces from ours on downwards: the second is the room's.
        let numbers = self.process.status("NSpid").unwrap_or_default();
        let pid = numbers.split_whitespace().nth(1).unwrap_or_default();
        self.running.say(&format!("{pid}\n"));
        Ok(self.running.finish()?.stdout.lines().map(str::to_owned).collect())
    }
}
