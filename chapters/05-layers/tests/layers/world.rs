//! A sandbox with a small layer in it, and the commands of this chapter's program.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};

use harness::{Done, Outcome, Run, Sandbox};

/// The programs that tests run in the container, all of them busybox.
const APPLETS: &str = "sh cat ls mkdir rm mv ln stat mount umount df touch chmod chown find sleep echo mkfifo mknod id test grep readlink head dd sort tr wc cp true";

/// One test's place.
pub struct World {
    pub sandbox: Sandbox,
    pub base: PathBuf,
}

impl World {
    /// A sandbox with the layer `base`: busybox, /etc and /data with some files.
    pub fn new(sandbox: Sandbox) -> Outcome<Self> {
        let base = sandbox.path().join("base");
        for directory in ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "data/sub", "run"] {
            fs::create_dir_all(base.join(directory))?;
        }
        fs::copy(harness::find_program("busybox").ok_or("no busybox")?, base.join("bin/busybox"))?;
        for applet in APPLETS.split_whitespace() {
            symlink("busybox", base.join("bin").join(applet))?;
        }
        fs::write(base.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nada:x:7:7::/:/bin/sh\n")?;
        fs::write(base.join("etc/motd"), "from the layer\n")?;
        fs::write(base.join("data/one"), "1\n")?;
        fs::write(base.join("data/sub/two"), "2\n")?;
        fs::hard_link(base.join("data/one"), base.join("data/sub/again"))?;
        symlink("sub/two", base.join("data/link"))?;
        let world = Self { sandbox, base };
        world.own(&world.base)?;
        Ok(world)
    }

    /// A directory of the host, the user's own.
    pub fn host(&self, name: &str) -> Outcome<PathBuf> {
        self.sandbox.dir(name)
    }

    /// A file of the host, the user's own.
    pub fn file(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        self.sandbox.file(name, text)
    }

    /// This chapter's program.
    pub fn step(&self, arguments: &[&str]) -> Run {
        self.sandbox.step(5).args(arguments)
    }

    /// Runs a command of it that must succeed; gives what it wrote.
    pub fn ok(&self, arguments: &[&str]) -> Outcome<String> {
        Ok(self.step(arguments).run()?.ok()?.stdout)
    }

    /// Runs a shell script in a new container on the layer `base`.
    pub fn container(&self, options: &[&str], script: &str) -> Run {
        self.step(&["run", "--layer"]).arg(&self.base).args(options).args(["sh", "-c", script])
    }

    /// The same, which must succeed; gives what it wrote.
    pub fn inside(&self, options: &[&str], script: &str) -> Outcome<String> {
        Ok(self.container(options, script).run()?.ok()?.stdout)
    }

    /// The same, which must fail before the program runs.
    pub fn refused(&self, options: &[&str], words: &str) -> Outcome<Done> {
        self.container(options, "true").run()?.code(125)?.stderr_has(words)
    }

    /// Where the engine keeps containers, whose names are their ids.
    pub fn containers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.sandbox.data().join("containers")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Gives a tree to the ordinary user.
    pub fn own(&self, path: &Path) -> Outcome {
        let Some(user) = self.sandbox.user() else { return Ok(()) };
        if !nix_is_root() {
            return Ok(());
        }
        lchown(path, Some(user.uid()), Some(user.uid()))?;
        if path.symlink_metadata()?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        Ok(())
    }
}

fn nix_is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
