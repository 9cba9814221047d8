//! A root made from this machine's own programs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use process::{Error, Result, explain};

use crate::loader::Loader;
use crate::partial::Partial;
use crate::tree::Tree;
use crate::{RootDir, programs, skeleton};

/// Which edition of the recipe this is: a default root of another one is not used any more.
pub const VERSION: u32 = 1;

/// What a root is made of.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// The programs, by name or by path.
    pub programs: Vec<OsString>,
    /// Keep set-user-ID bits: inside, such a program runs as its owner, whoever starts it.
    pub keep_setuid: bool,
    /// Make `/dev/null` and the like, if this user may. An image has no use for them: its container gets its own.
    pub devices: bool,
}

/// What became of a recipe.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The programs, by their paths.
    pub programs: Vec<PathBuf>,
    /// Loaders, libraries and interpreters that they need, by their paths.
    pub libraries: Vec<PathBuf>,
    /// What the root lacks although it was wanted.
    pub left_out: Vec<LeftOut>,
    /// The sizes of all files, in bytes.
    pub bytes: u64,
}

/// Something that was wanted and is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// A program, or `/dev`.
    pub name: String,
    /// Why, in a few words.
    pub why: String,
}

impl Recipe {
    /// A root with these programs.
    pub fn new<P: Into<OsString>>(programs: impl IntoIterator<Item = P>) -> Self {
        Self { programs: programs.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// A small system: a shell, the core utilities, and what looks at processes, network and mounts.
    pub fn default_set() -> Self {
        Self::new(programs::default_set())
    }

    /// Makes the root at `dir`: all of it, or nothing.
    ///
    /// It grows beside `dir` and is renamed when it is complete. Nothing of this machine is executed.
    ///
    /// # Errors
    /// [`Kind::Conflict`](process::Kind::Conflict) if `dir` is not empty,
    /// [`Kind::NotFound`](process::Kind::NotFound) if not one program can be had; as the calls that copy.
    pub fn build(&self, dir: &Path) -> Result<Report> {
        let partial = Partial::beside(dir)?;
        let mut tree = Tree::new(RootDir::open(partial.path())?, self.keep_setuid);
        let mut report = Report::default();
        skeleton::directories(&mut tree)?;
        self.bring(&mut tree, &mut report)?;
        skeleton::terminals(&mut tree)?;
        let has_bash = report.programs.iter().any(|path| path.ends_with("bin/bash"));
        skeleton::etc(&mut tree, if has_bash { "/bin/bash" } else { "/bin/sh" })?;
        if self.devices && !skeleton::devices(&mut tree)? {
            report.leave_out("nodes in /dev", "only root makes devices; chapter 3 mounts a /dev of its own");
        }
        for path in &tree.stripped {
            report.leave_out(name(path), "the set-user-ID bit (--keep-setuid keeps it)");
        }
        report.bytes = tree.bytes;
        let files = report.programs.len() + report.libraries.len();
        explain!(2, "programs, and what they need", "copy_file_range(…), for {files} files");
        partial.finish()?;
        explain!(2, "the root is complete, and only now there", "rename(…, {})", dir.display());
        Ok(report)
    }

    /// Brings every program that can be had, and what it needs.
    fn bring(&self, tree: &mut Tree, report: &mut Report) -> Result<()> {
        let mut loader = Loader::new(Path::new("/etc/ld.so.conf"));
        let mut libraries = BTreeSet::new();
        for wanted in &self.programs {
            let Some(path) = programs::find(wanted) else {
                report.leave_out(wanted.display(), "not on this machine");
                continue;
            };
            let needs = match loader.needs(&path) {
                Ok(needs) => needs,
                Err(error) => {
                    report.leave_out(wanted.display(), error.what());
                    continue;
                }
            };
            tree.mirror(&path)?;
            needs.iter().try_for_each(|needed| tree.mirror(&needed.path))?;
            let aliases = needs.iter().map(|needed| (&needed.path, needed.alias.clone()));
            for (path, alias) in aliases.chain([(&path, programs::alias(&path))]) {
                let alias = alias.zip(path.file_name()).map(|(directory, name)| directory.join(name));
                alias.map_or(Ok(()), |alias| tree.link(path, &alias))?;
            }
            libraries.extend(needs.into_iter().map(|needed| needed.path));
            report.programs.push(path);
        }
        report.libraries = libraries.into_iter().collect();
        if report.programs.is_empty() { Err(self.nothing(report)) } else { Ok(()) }
    }

    fn nothing(&self, report: &Report) -> Error {
        let help = "name programs that `command -v NAME` finds, or none at all for the default set";
        Error::not_found(format!("none of the programs can be had: {}", report.told().join("; "))).help(help)
    }
}

impl Report {
    fn leave_out(&mut self, name: impl std::fmt::Display, why: impl Into<String>) {
        self.left_out.push(LeftOut { name: name.to_string(), why: why.into() });
    }

    /// What was left out, a line per reason: `vi, less: not on this machine`.
    pub fn told(&self) -> Vec<String> {
        let mut reasons = BTreeMap::<_, Vec<_>>::new();
        for LeftOut { name, why } in &self.left_out {
            reasons.entry(why).or_default().push(name.as_str());
        }
        reasons.into_iter().map(|(why, names)| format!("{}: {why}", names.join(" "))).collect()
    }
}

/// One line of numbers, then a line for each reason why something was left out.
impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (programs, libraries, size) = (self.programs.len(), self.libraries.len(), self.bytes as f64 / 1e6);
        let s = if programs == 1 { "" } else { "s" };
        write!(f, "{programs} program{s}, {libraries} files that they need, {size:.1} MB")?;
        if !self.left_out.is_empty() {
            write!(f, "\nleft out:")?;
        }
        self.told().iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

fn name(path: &Path) -> impl std::fmt::Display {
    path.file_name().unwrap_or_default().display()
}
