//! A case: a config.json, a script that looks at it from inside, and what it must say. The same bundle is given to
//! runc and crun, which must say the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Background, Done, Outcome, Run, Sandbox, Suite};
use serde_json::{Value, json};

/// Who is given the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Cooper,
    Runc,
    Crun,
}
pub use Who::{Cooper, Crun, Runc};

/// Both peers.
pub const BOTH: &[Who] = &[Runc, Crun];
/// Debian 12's runc is of version 1.0.2 of the specification; crun 1.8 knows more.
pub const CRUN: &[Who] = &[Crun];
pub const RUNC: &[Who] = &[Runc];
pub const NOBODY: &[Who] = &[];

/// A bundle in the making, and the sandbox that it lies in.
pub struct World {
    pub sandbox: Sandbox,
    pub config: Value,
    /// To be unmounted in the end, the last first.
    mounted: Vec<PathBuf>,
    /// Processes that hold namespaces.
    held: Vec<Background>,
}

/// One case.
pub struct Case {
    pub name: String,
    pub change: Box<dyn Fn(&mut World) -> Outcome + Send + Sync>,
    pub script: String,
    pub says: String,
    pub like: &'static [Who],
}

/// A case by name: what is changed in the usual config.json, what is run, what that must say, and who says the same.
pub fn case(
    name: impl Into<String>,
    change: impl Fn(&mut World) -> Outcome + Send + Sync + 'static,
    script: impl Into<String>,
    says: impl Into<String>,
    like: &'static [Who],
) -> Case {
    Case { name: name.into(), change: Box::new(change), script: script.into(), says: says.into(), like }
}

/// Adds the cases to the suite: each for Cooper, and for the peers that it names.
pub fn add(mut suite: Suite, cases: Vec<Case>) -> Suite {
    for case in cases {
        let case = std::sync::Arc::new(case);
        let like: Vec<_> = std::iter::once(&Cooper).chain(case.like).copied().collect();
        for who in like {
            let case = case.clone();
            let name = if who == Cooper {
                case.name.clone()
            } else {
                format!("{} says the same: {}", who.program(), case.name)
            };
            suite = suite.root(name, move || case.run(who)).needs(&["busybox", "unshare"]);
            if who != Cooper {
                suite = suite.needs(&[who.program()]);
            }
        }
    }
    suite
}

impl Who {
    pub fn program(self) -> &'static str {
        match self {
            Cooper => "cooper-runtime",
            Runc => "runc",
            Crun => "crun",
        }
    }
}

impl Case {
    fn run(&self, who: Who) -> Outcome {
        let mut world = World::new()?;
        world.config["process"]["args"] = json!(["sh", "-c", self.script]);
        (self.change)(&mut world)?;
        let done = world.run(who)?.code(0)?;
        let (said, wanted) = (done.stdout.trim(), self.says.trim());
        if said == wanted {
            return Ok(());
        }
        Err(format!("{} said:\n{said}\nbut wanted is:\n{wanted}\nstderr: {}", who.program(), done.stderr).into())
    }
}

impl World {
    /// The usual bundle: busybox, the usual mounts and namespaces.
    pub fn new() -> Outcome<Self> {
        Self::of(Sandbox::new()?)
    }

    /// The same, as an ordinary user.
    pub fn ordinary() -> Outcome<Self> {
        Self::of(Sandbox::ordinary()?)
    }

    fn of(sandbox: Sandbox) -> Outcome<Self> {
        let world = Self { sandbox, config: usual(), mounted: Vec::new(), held: Vec::new() };
        for dir in ["", "rootfs", "rootfs/bin", "rootfs/etc", "rootfs/proc", "rootfs/sys", "rootfs/dev", "rootfs/tmp"] {
            world.sandbox.dir(&format!("b/{dir}"))?;
        }
        let busybox = harness::find_program("busybox").ok_or("busybox")?;
        fs::copy(busybox, world.root("bin/busybox"))?;
        for applet in APPLETS.split_whitespace() {
            symlink("busybox", world.root(&format!("bin/{applet}")))?;
        }
        Ok(world)
    }

    /// The bundle's directory.
    pub fn bundle(&self) -> PathBuf {
        self.sandbox.path().join("b")
    }

    /// A path in the container's root, as the host sees it.
    pub fn root(&self, path: &str) -> PathBuf {
        self.bundle().join("rootfs").join(path)
    }

    /// A file in the container's root.
    pub fn file(&self, path: &str, text: &str) -> Outcome {
        self.sandbox.file(&format!("b/rootfs/{path}"), text)?;
        Ok(())
    }

    /// Sets a property by its JSON pointer, with what lies on the way to it.
    pub fn set(&mut self, pointer: &str, value: Value) {
        let mut at = &mut self.config;
        for part in pointer.trim_start_matches('/').split('/') {
            if at.is_null() {
                *at = json!({});
            }
            at = match part.parse::<usize>() {
                Ok(index) if at.is_array() => &mut at[index],
                _ => &mut at[part.replace("~1", "/").as_str()],
            };
        }
        *at = value;
    }

    /// Adds a mount.
    pub fn mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().expect("a list").push(mount);
    }

    /// Takes a kind of namespace away, or gives it a path.
    pub fn namespace(&mut self, kind: &str, entry: Option<Value>) {
        let list = self.config["linux"]["namespaces"].as_array_mut().expect("a list");
        list.retain(|namespace| namespace["type"] != kind);
        list.extend(entry);
    }

    /// Mounts something on the host, which is the test's own.
    pub fn host_mount(&mut self, words: &[&str], place: &Path) -> Outcome {
        self.sandbox.program("mount").args(words).arg(place).run()?.ok()?;
        self.mounted.push(place.to_owned());
        Ok(())
    }

    /// A process in new namespaces; gives its pid.
    pub fn hold(&mut self, words: &[&str]) -> Outcome<i32> {
        let run = self.sandbox.program("unshare").args(words).args(["sh", "-c", "echo ready; exec sleep 100"]);
        let mut holder = run.spawn()?;
        holder.says("ready")?;
        let pid = holder.pid();
        self.held.push(holder);
        Ok(pid)
    }

    /// Writes config.json.
    pub fn write(&self) -> Outcome {
        fs::write(self.bundle().join("config.json"), serde_json::to_vec_pretty(&self.config)?)?;
        Ok(())
    }

    /// Has `who` run the bundle, for a minute at most.
    pub fn run(&self, who: Who) -> Outcome<Done> {
        self.write()?;
        self.command(who, &["run", "--bundle", &self.bundle().to_string_lossy(), "case"]).run()
    }

    /// A command of `who`, with a state directory of its own.
    pub fn command(&self, who: Who, words: &[&str]) -> Run {
        let state = self.sandbox.path().join("state");
        let run = match who {
            Cooper => self.sandbox.program(env!("CARGO_BIN_EXE_cooper-runtime")),
            Runc => self.sandbox.program("runc"),
            // crun wants no hybrid of cgroup v1 and v2: it gets to see version 2 only.
            Crun => self.sandbox.program("unshare").args(["--mount", "sh", "-c", HIDE_V1, "sh"]),
        };
        run.arg("--root").arg(state).args(words).timeout(Duration::from_secs(30))
    }
}

const HIDE_V1: &str = "test -d /sys/fs/cgroup/unified && mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup; \
                       exec crun --cgroup-manager=disabled \"$@\"";

const APPLETS: &str = "sh cat ls id mount env pwd stat sleep true false hostname grep readlink touch find mkdir \
                       ionice uname tr cut sort awk sed wc echo test head mknod printf chmod stty dd tail tty";

impl Drop for World {
    fn drop(&mut self) {
        self.held.clear();
        for place in self.mounted.drain(..).rev() {
            let _ = self.sandbox.program("umount").args(["--lazy", "--recursive"]).arg(place).run();
        }
    }
}

/// What every case begins with.
fn usual() -> Value {
    let capabilities = json!(["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE", "CAP_MKNOD"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false, "user": { "uid": 0, "gid": 0 }, "args": [], "cwd": "/",
            "env": ["PATH=/bin", "TERM=dumb"], "noNewPrivileges": true,
            "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": "case",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] },
        ],
        "linux": {
            "namespaces": [{ "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "network" }],
        },
    })
}
