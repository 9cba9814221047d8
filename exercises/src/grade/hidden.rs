//! The instructor's own tests: `DIR/EXERCISE/FILE`, each an executable in any language. They are trusted, and run
//! outside; the learner's program, which is not, they run by `$PROGRAM_ROOM`.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use process::{Error, OrCall, Result};
use tempfile::TempDir;

use crate::lab::{Limits, STOP, Stream, family, files};
use crate::{Exercise, Failure, Verdict};

/// One test.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// Its file's name.
    pub name: String,
    /// What it is worth.
    pub points: u32,
    file: PathBuf,
}

/// Tests by their exercise.
pub type ByExercise = BTreeMap<String, Vec<Hidden>>;

/// All tests in a directory.
///
/// # Errors
/// A directory in it that is named after no exercise; one that cannot be read.
pub fn find(dir: &Path, all: &[Exercise]) -> Result<ByExercise> {
    let mut found = ByExercise::new();
    for path in sorted(dir)?.into_iter().filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !all.iter().any(|exercise| exercise.name == name) {
            return Err(Error::invalid(format!("{}: no exercise {name:?}", path.display()))
                .help("hidden tests are DIR/EXERCISE/FILE; `list` shows the exercises"));
        }
        let files = sorted(&path)?;
        if let Some(file) = files.iter().find(|file| is_script(file) && !is_executable(file)) {
            return Err(Error::invalid(format!("{}: a script that is not executable", file.display()))
                .help(format!("chmod +x {}", file.display())));
        }
        let tests = files.into_iter().filter(|file| is_executable(file)).map(Hidden::new).collect();
        found.insert(name, tests);
    }
    Ok(found)
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).or_call("read", dir.display())?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Data has no `#!`.
fn is_script(file: &Path) -> bool {
    let mut start = [0; 2];
    file.is_file() && fs::File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl Hidden {
    fn new(file: PathBuf) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { points: points(&file).unwrap_or(1), name, file }
    }

    /// Runs it on a learner's program.
    ///
    /// # Errors
    /// It does not pass, with what it said; or it cannot be run.
    pub fn run(&self, tool: &Path, program: &Path, exercise: &str, nonce: &str, limits: Limits) -> Verdict {
        let machine = |error: std::io::Error| Failure::Machine(format!("{}: {error}", self.file.display()));
        let place = Place::new(tool, program, limits).map_err(machine)?;
        let mut test = Command::new(self.file.canonicalize().map_err(machine)?);
        test.env("PROGRAM_ROOM", place.path("room")).env("WORK", place.path("work"));
        test.env("NONCE", nonce).env("NAME", exercise).current_dir(place.dir.path());
        test.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let seconds = limits.seconds * 6;
        let (status, said) = watch(test, Duration::from_secs(seconds), limits.output).map_err(machine)?;
        let expected = format!("`{}` ends with exit code 0", self.name);
        let failed = |seen: String| Err(Failure::wrong("a test of the instructor's", expected, seen));
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => failed(format!("{}\n{said}", code(status))),
            None if STOP.load(Ordering::Relaxed) => Err(Failure::Machine("it was interrupted".into())),
            None => failed(format!("it took longer than {seconds} s, or said too much\n{said}")),
        }
    }
}

fn code(status: ExitStatus) -> String {
    let signal = || format!("signal {}", status.signal().unwrap_or_default());
    status.code().map_or_else(signal, |code| format!("exit code {code}"))
}

/// `# points: N` or `// points: N`, in the first lines of the file.
fn points(file: &Path) -> Option<u32> {
    let mut head = Vec::new();
    fs::File::open(file).ok()?.take(4096).read_to_end(&mut head).ok()?;
    String::from_utf8_lossy(&head).lines().find_map(|line| {
        let line = line.trim_start();
        let words = line.strip_prefix('#').or_else(|| line.strip_prefix("//"))?;
        words.trim().strip_prefix("points:")?.trim().parse().ok()
    })
}

/// Where a test runs: its own directory, with the command that runs the learner's program.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new(tool: &Path, program: &Path, limits: Limits) -> std::io::Result<Self> {
        let place = Self { dir: TempDir::with_prefix("cooper-grade-")? };
        fs::create_dir(place.path("work"))?;
        let limits = serde_json::to_string(&limits)?;
        let words = [tool, Path::new("__lab"), place.dir.path(), program, Path::new(&limits)].map(quoted).join(" ");
        let script = place.path("room");
        fs::write(&script, format!("#!/bin/sh\nexec {words} -- \"$@\"\n"))?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        Ok(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        files::remove(self.dir.path());
    }
}

/// A word for a shell.
fn quoted(word: &Path) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))
}

/// Runs it; no status if it had to be ended.
fn watch(mut test: Command, most: Duration, output: usize) -> std::io::Result<(Option<ExitStatus>, String)> {
    let mut child = test.spawn()?;
    let mut streams = [Stream::of(child.stdout.take(), output), Stream::of(child.stderr.take(), output)];
    let deadline = Instant::now() + most;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        let too_much = streams.iter().any(|stream| stream.length() > output);
        if too_much || Instant::now() > deadline || STOP.load(Ordering::Relaxed) {
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    end(&mut child);
    let said = streams.each_mut().map(Stream::all).concat();
    Ok((status, said))
}

/// Ends it, and what it has left running: first in a way that rooms can be swept up behind.
fn end(child: &mut Child) {
    let group = Pid::from_raw(child.id().cast_signed());
    let family = family::below(group.as_raw());
    let deadline = Instant::now() + Duration::from_secs(3);
    let _ = killpg(group, Signal::SIGTERM);
    while Instant::now() < deadline
        && (child.try_wait().is_ok_and(|ended| ended.is_none()) || killpg(group, None).is_ok())
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = killpg(group, Signal::SIGKILL);
    for process in family.iter().filter(|process| process.is_there()) {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_a_comment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("test");
        for (text, wanted) in
            [("#!/bin/sh\n# points: 3\n", Some(3)), ("// points:12\n", Some(12)), ("points: 3\n", None)]
        {
            fs::write(&file, text).unwrap();
            assert_eq!(points(&file), wanted, "{text}");
        }
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
