//! Compiling in a room: a learner's file decides what the compiler reads and how long it works.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use process::{Error, OrCall, Result};
use tempfile::TempDir;

use crate::catalog::root;
use crate::compile::Libraries;
use crate::lab::{LastWords, Limits, Running, Spec, WORK, files};
use crate::{Exercise, Failure};

/// Where the compiler lies in its room.
const RUST: &str = "/lab/rust";
/// Where the libraries of the libraries lie there.
const DEPS: &str = "/lab/deps";
/// Where the libraries lie that the learner's file may name.
const LIBRARIES: &str = "/lab/libraries";
/// Where the learner's file lies.
const SOURCE: &str = "/lab/source";

/// This machine's compiler.
#[derive(Debug, Clone)]
pub struct Compiler {
    sysroot: PathBuf,
    limits: Limits,
}

/// A program in a directory of its own, which ends with it.
#[derive(Debug)]
pub struct Compiled {
    dir: TempDir,
}

impl Compiler {
    /// The toolchain that compiles this repository; `seconds` is what it gets for one file.
    ///
    /// # Errors
    /// There is no rustc.
    pub fn new(seconds: u64) -> Result<Self> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let said =
            Command::new(rustc).args(["--print", "sysroot"]).current_dir(root()).output().or_call("exec", "rustc")?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
        if !sysroot.join("bin/rustc").is_file() {
            return Err(Error::not_found("`rustc --print sysroot` names no directory with bin/rustc"));
        }
        let limits = Limits { seconds, cpu: seconds, file: 256 << 20, memory: 2 << 30, ..Limits::default() };
        Ok(Self { sysroot, limits })
    }

    /// Compiles the text of a learner's file; `Ok(Err(…))` is what the compiler says if it does not.
    ///
    /// # Errors
    /// There is no room on this machine.
    pub fn compile(
        &self,
        tool: &Path,
        libraries: &Libraries,
        exercise: &Exercise,
        text: &[u8],
    ) -> Result<Result<Compiled, String>, Failure> {
        let machine = |error: std::io::Error| Failure::Machine(format!("a directory to compile in: {error}"));
        let dir = TempDir::with_prefix("cooper-grade-").map_err(machine)?;
        let compiled = Compiled { dir };
        let file = compiled.path("source.rs");
        fs::create_dir(compiled.path("work")).and_then(|()| fs::write(&file, text)).map_err(machine)?;
        let spec = self.spec(libraries, exercise, &compiled, file);
        let done = Running::start(tool, &spec, LastWords::default())?.finish()?;
        if let Some(why) = done.ended {
            return Ok(Err(format!("the compiler had to be stopped: {why}")));
        }
        if done.code != 0 {
            return Ok(Err(done.stderr));
        }
        // The compiler's word alone: what it left is looked at, and no link is followed.
        let left = fs::symlink_metadata(compiled.program()).is_ok_and(|meta| meta.is_file());
        Ok(if left { Ok(compiled) } else { Err("the compiler left no program".into()) })
    }

    fn spec(&self, libraries: &Libraries, exercise: &Exercise, compiled: &Compiled, file: PathBuf) -> Spec {
        let source = format!("{SOURCE}/{}.rs", exercise.name);
        let at = |path: &Path| match path.file_name() {
            _ if path == libraries.deps => DEPS.to_owned(),
            Some(name) if path.parent() == Some(&libraries.deps) => format!("{DEPS}/{}", name.display()),
            name => format!("{LIBRARIES}/{}", name.unwrap_or_default().display()),
        };
        let mut argv = vec![format!("{RUST}/bin/rustc"), "--sysroot".into(), RUST.into()];
        argv.extend(libraries.flags(&at));
        argv.extend(["-o".into(), format!("{WORK}/program"), source.clone()]);
        let elsewhere = libraries.files().filter(|file| file.parent() != Some(&libraries.deps));
        let mut binds: Vec<_> = elsewhere.map(|file| (file.to_owned(), at(file).into())).collect();
        binds.extend([
            (self.sysroot.clone(), RUST.into()),
            (libraries.deps.clone(), DEPS.into()),
            (file, source.into()),
        ]);
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", WORK), ("LC_ALL", "C.UTF-8")];
        Spec {
            argv,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            work: compiled.path("work"),
            binds,
            report: compiled.path("report"),
            cgroup: false,
            limits: self.limits,
        }
    }
}

impl Compiled {
    /// The program's file.
    pub fn program(&self) -> PathBuf {
        self.path("work/program")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        files::remove(self.dir.path());
    }
}
