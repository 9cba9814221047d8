//! Which files a program needs in order to run: what the kernel and ld.so(8) would open, found by reading alone.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use process::{Error, Kind, OrCall, Result};

use crate::elf::{Abi, Elf};
use crate::{ldconf, programs, script};

/// The largest program that is looked into, in bytes; a claimed size beyond it is no program.
const LARGEST: u64 = 1 << 30;
/// How many scripts may be each other's interpreter (execve(2), "Interpreter scripts").
const DEEPEST: u8 = 4;
/// Libraries that the C library opens by itself, so that no header names them: names of users and
/// hosts (nss(5)), and the unwinder that pthread_cancel(3) and pthread_exit(3) abort without.
const UNNAMED: [&str; 3] = ["libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1"];

/// One more file that a program needs, by its path on this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needed {
    /// Where it was found: links and all, as the loader would open it.
    pub path: PathBuf,
    /// The directory in which it would be looked for inside, where that is another one: it gets a link there.
    pub alias: Option<PathBuf>,
}

/// Knows where this machine's libraries lie, and what it has read already.
pub struct Loader {
    conf: Vec<PathBuf>,
    read: HashMap<PathBuf, Rc<Elf>>,
}

/// A file whose libraries are still to be found, with the `DT_RPATH` of those that brought it.
struct Object {
    path: PathBuf,
    elf: Rc<Elf>,
    inherited: Vec<PathBuf>,
}

impl Loader {
    /// A loader with the directories of the configuration file `conf`, usually `/etc/ld.so.conf`.
    pub fn new(conf: &Path) -> Self {
        Self { conf: ldconf::directories(conf), read: HashMap::new() }
    }

    /// Everything that the program at `path` needs besides itself: interpreters, loaders, libraries.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a library or an interpreter that is nowhere, [`Kind::Corrupt`] for a file
    /// that is not what it claims to be; as open(2) and read(2).
    pub fn needs(&mut self, path: &Path) -> Result<BTreeSet<Needed>> {
        let mut needs = BTreeSet::new();
        self.program(path, &mut needs, 0)?;
        Ok(needs)
    }

    fn program(&mut self, path: &Path, needs: &mut BTreeSet<Needed>, depth: u8) -> Result<()> {
        if self.read.contains_key(path) {
            return self.libraries(path, needs);
        }
        let bytes = contents(path)?;
        if bytes.starts_with(Elf::MAGIC) {
            self.remember(path, &bytes)?;
            return self.libraries(path, needs);
        }
        let Some(script) = script::parse(&bytes) else {
            return Err(Error::invalid("neither an ELF file nor a script that begins with `#!`"));
        };
        if depth == DEEPEST {
            return Err(Error::invalid("its interpreter is a script, whose interpreter is one, and so on"));
        }
        let found = script.command.as_ref().map(|name| {
            programs::find(name)
                .ok_or_else(|| Error::not_found(format!("its interpreter {} is missing", name.display())))
        });
        for interpreter in std::iter::once(Ok(script.interpreter)).chain(found) {
            let interpreter = interpreter?;
            self.program(&interpreter, needs, depth + 1).map_err(|error| error.at(interpreter.display()))?;
            let alias = programs::alias(&interpreter);
            needs.insert(Needed { path: interpreter, alias });
        }
        Ok(())
    }

    /// Walks breadth first, as ld.so does; a name that was found once is not searched again.
    fn libraries(&mut self, path: &Path, needs: &mut BTreeSet<Needed>) -> Result<()> {
        let elf = self.read[path].clone();
        let abi = elf.abi;
        let Some(interpreter) = elf.interpreter.clone() else { return Ok(()) };
        if !interpreter.is_absolute() || self.elf(&interpreter)?.abi != abi {
            return Err(Error::new(Kind::Corrupt, format!("{} is no loader for it", interpreter.display())));
        }
        let musl = ldconf::musl(&interpreter);
        needs.insert(Needed { path: interpreter, alias: None });
        let system = match musl {
            Some((file, list)) => {
                needs.extend(file.exists().then_some(Needed { path: file, alias: None }));
                System { ours: list.clone(), theirs: list }
            }
            None => System { ours: self.conf.clone(), theirs: ldconf::defaults(abi) },
        };
        let mut names = HashSet::new();
        let mut queue = VecDeque::from([Object { path: path.to_owned(), elf, inherited: vec![] }]);
        let mut unnamed = UNNAMED.iter().map(OsString::from);
        loop {
            while let Some(object) = queue.pop_front() {
                let inherited = object.rpath();
                for name in object.elf.needed.iter().filter(|name| names.insert((*name).clone())) {
                    let found = self.find(name, abi, &object.runpath(&inherited), &system);
                    let found = found.ok_or_else(|| {
                        let by = if object.path == path {
                            String::new()
                        } else {
                            format!(" (for {})", object.path.display())
                        };
                        Error::not_found(format!("its library {} is nowhere{by}", name.display()))
                    })?;
                    queue.push_back(self.object(&found.path, inherited.clone())?);
                    needs.insert(found);
                }
            }
            // Only once glibc itself is among the libraries do those count that it opens.
            let Some(name) = unnamed.next().filter(|_| names.contains(OsStr::new("libc.so.6"))) else { return Ok(()) };
            if let Some(found) = self.find(&name, abi, &[], &system).filter(|_| names.insert(name)) {
                queue.push_back(self.object(&found.path, vec![])?);
                needs.insert(found);
            }
        }
    }

    /// Looks for a library; a file of that name for another kind of machine is passed over.
    fn find(&mut self, name: &OsStr, abi: Abi, first: &[PathBuf], system: &System) -> Option<Needed> {
        // A name with a slash is a path. A relative one would depend on where the program is started.
        if name.as_bytes().contains(&b'/') {
            let path = PathBuf::from(name);
            let fits = path.is_absolute() && self.fits(&path, abi);
            return fits.then_some(Needed { path, alias: None });
        }
        let own = first.iter().map(|directory| (directory, false));
        let ours = system.ours.iter().map(|directory| (directory, !system.theirs.contains(directory)));
        let theirs = system.theirs.iter().map(|directory| (directory, false));
        for (directory, needs_alias) in own.chain(ours).chain(theirs) {
            let path = directory.join(name);
            if self.fits(&path, abi) {
                let alias = system.theirs.first().filter(|_| needs_alias).cloned();
                return Some(Needed { path, alias });
            }
        }
        None
    }

    fn fits(&mut self, path: &Path, abi: Abi) -> bool {
        (self.read.contains_key(path) || path.is_file()) && self.elf(path).is_ok_and(|elf| elf.abi == abi)
    }

    fn object(&mut self, path: &Path, inherited: Vec<PathBuf>) -> Result<Object> {
        Ok(Object { path: path.to_owned(), elf: self.elf(path)?, inherited })
    }

    fn elf(&mut self, path: &Path) -> Result<Rc<Elf>> {
        match self.read.get(path) {
            Some(elf) => Ok(elf.clone()),
            None => self.remember(path, &contents(path)?),
        }
    }

    fn remember(&mut self, path: &Path, bytes: &[u8]) -> Result<Rc<Elf>> {
        let elf = Rc::new(Elf::parse(bytes).map_err(|error| error.at(path.display()))?);
        self.read.insert(path.to_owned(), elf.clone());
        Ok(elf)
    }
}

/// The directories that belong to no file.
struct System {
    /// Searched on this machine: those of the configuration, from which ldconfig(8) makes the cache.
    ours: Vec<PathBuf>,
    /// Known to the loader without a cache. The new root has none, so what lies elsewhere gets a link there.
    theirs: Vec<PathBuf>,
}

impl Object {
    /// What this file and those that brought it say by `DT_RPATH`; void in a file that has `DT_RUNPATH`.
    fn rpath(&self) -> Vec<PathBuf> {
        let own = if self.elf.runpath.is_empty() { self.expand(&self.elf.rpath) } else { vec![] };
        own.into_iter().chain(self.inherited.iter().cloned()).collect()
    }

    /// Where its own libraries are looked for, before the system's directories.
    fn runpath(&self, inherited: &[PathBuf]) -> Vec<PathBuf> {
        if self.elf.runpath.is_empty() { inherited.to_vec() } else { self.expand(&self.elf.runpath) }
    }

    /// Replaces `$ORIGIN` by the directory that holds this file (ld.so(8), "Dynamic string tokens").
    ///
    /// `$LIB` and `$PLATFORM`, which hardly any file uses, stay as they are and so name no directory.
    fn expand(&self, list: &[OsString]) -> Vec<PathBuf> {
        let real = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let origin = real.parent().unwrap_or(Path::new("/"));
        let expanded = list.iter().map(|entry| {
            let entry = replace(entry.as_bytes(), b"${ORIGIN}", origin.as_os_str().as_bytes());
            PathBuf::from(OsString::from_vec(replace(&entry, b"$ORIGIN", origin.as_os_str().as_bytes())))
        });
        expanded.filter(|path| path.is_absolute()).collect()
    }
}

fn replace(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    match text.windows(what.len()).position(|window| window == what) {
        Some(at) => [&text[..at], by, &replace(&text[at + what.len()..], what, by)].concat(),
        None => text.to_vec(),
    }
}

/// Reads a whole regular file. A pipe or a device under a program's name would never end.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let about = std::fs::metadata(path).or_call("stat", path.display())?;
    if !about.is_file() || about.len() > LARGEST {
        return Err(Error::invalid(format!("{} is no regular file of less than 1 GiB", path.display())));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).or_call("open", path.display())?;
    file.take(LARGEST).read_to_end(&mut bytes).or_call("read", path.display())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
