//! A root of busybox, and every step's way to run a command in it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use harness::{Background, Outcome, Run, Sandbox};
use nix::unistd::geteuid;

/// The programs in the root.
const APPLETS: &str =
    "sh cat ls ps id ln rm mkdir mkfifo mount umount sleep stat readlink touch head kill true env pwd test grep echo";

/// One test's place.
pub struct World {
    pub sandbox: Sandbox,
    /// The root of steps 2 to 4, the layer of 5 and 6; step 7 has the image `host`.
    pub root: PathBuf,
}

impl World {
    /// Makes the root.
    pub fn new(sandbox: Sandbox) -> Outcome<Self> {
        let root = sandbox.dir("root")?;
        for directory in ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "data"] {
            sandbox.dir(&format!("root/{directory}"))?;
        }
        let busybox = root.join("bin/busybox");
        fs::copy(harness::find_program("busybox").ok_or("no busybox")?, &busybox)?;
        for applet in APPLETS.split_whitespace() {
            symlink("busybox", root.join("bin").join(applet))?;
        }
        sandbox.file("root/etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:7:7::/:/bin/sh\n")?;
        Ok(Self { sandbox, root })
    }

    /// A command in a container of this step; `options` are of its `run`.
    pub fn run(&self, step: u8, options: &[&str], command: &[&str]) -> Run {
        self.sandbox.step(step).args(self.arguments(step, options, command))
    }

    /// The same, started by a script of bash in which `"$@"` is the command line.
    pub fn script(&self, script: &str, step: u8, options: &[&str], command: &[&str]) -> Outcome<Run> {
        let bash = self.sandbox.program("bash").args(["-c", script, "bash"]);
        Ok(bash.arg(self.step(step)?).args(self.arguments(step, options, command)))
    }

    /// Runs a script of the container's shell, which must end well; gives what it wrote.
    pub fn inside(&self, step: u8, options: &[&str], script: &str) -> Outcome<String> {
        Ok(self.run(step, options, &["sh", "-c", script]).run()?.ok()?.stdout)
    }

    /// A container called `name` that has said `up` and goes on for a minute.
    pub fn waiting(&self, step: u8, options: &[&str], name: &str, before: &str) -> Outcome<Background> {
        let script = format!("{before}\necho up; exec sleep 60");
        let options = [&["--name", name], options].concat();
        let mut running = self.run(step, &options, &["sh", "-c", &script]).spawn()?;
        running.says("up\n")?;
        Ok(running)
    }

    /// The step's program where the user of this world can reach it.
    pub fn step(&self, step: u8) -> Outcome<PathBuf> {
        let program = harness::step(step)?;
        if self.sandbox.user().is_none() || !geteuid().is_root() {
            return Ok(program);
        }
        let copy = self.sandbox.path().join(program.file_name().unwrap_or_default());
        if !copy.exists() {
            fs::copy(&program, &copy)?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        }
        Ok(copy)
    }

    fn arguments(&self, step: u8, options: &[&str], command: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["run".into()];
        let root = |option: &str, words: &mut Vec<OsString>| words.extend([option.into(), self.root.clone().into()]);
        match step {
            1 => {}
            2..=4 => root("--root", &mut words),
            5 => {
                words.push("--rm".into());
                root("--layer", &mut words);
            }
            6 => {
                words.extend(["--rm", "--network", "none"].map(Into::into));
                root("--layer", &mut words);
            }
            _ => words.extend(["--rm", "--network", "none"].map(Into::into)),
        }
        words.extend(options.iter().map(Into::into));
        if step == 1 {
            words.push("--".into());
        } else if step >= 7 {
            words.push("host".into());
        }
        words.extend(command.iter().map(Into::into));
        words
    }

    /// The records of running containers, and the directories of containers: nothing of a failed start may stay.
    pub fn left(&self) -> Vec<PathBuf> {
        let places = [self.sandbox.run_dir(), self.sandbox.data()].map(|place| place.join("containers"));
        let entries = places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
        entries.map(|entry| entry.path()).collect()
    }
}

/// Is there a process `pid`, in whatever state but dead?
pub fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    !matches!(stat.rsplit_once(") ").and_then(|(_, tail)| tail.chars().next()), None | Some('Z' | 'X'))
}
