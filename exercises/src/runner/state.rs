//! What the runner remembers: `exercises/progress/state.json`, written whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use process::{Error, OrCall, Result};
use serde::{Deserialize, Serialize};

use crate::Exercise;
use crate::catalog::learners;
use crate::source::Variant;

/// How the learner stands with the exercises.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    exercises: BTreeMap<String, Standing>,
}

/// How the learner stands with one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Standing {
    /// It passed, as the file was then.
    #[serde(default)]
    solved: bool,
    /// How many hints were shown.
    #[serde(default)]
    hints: usize,
    /// The first answers to a prediction, before anything was revealed.
    #[serde(default)]
    predicted: Option<String>,
}

impl State {
    /// As it was left; nothing yet if there is no file.
    ///
    /// # Errors
    /// A file that is none of ours: it is kept, and named.
    pub fn load() -> Result<Self> {
        let path = dir().join("state.json");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(Self::default()) };
        serde_json::from_str(&text).map_err(|error| {
            Error::invalid(format!("{}: {error}", path.display()))
                .help("move it away to begin anew; the exercises stay as they are")
        })
    }

    /// # Errors
    /// As write(2) and rename(2).
    fn save(&self) -> Result<()> {
        let dir = dir();
        fs::create_dir_all(&dir).or_call("mkdir", dir.display())?;
        let part = tempfile::NamedTempFile::new_in(&dir).or_call("open", dir.display())?;
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        fs::write(part.path(), text).or_call("write", part.path().display())?;
        part.as_file().sync_all().or_call("fsync", part.path().display())?;
        part.persist(dir.join("state.json")).map_err(|error| Error::io("rename", dir.display(), &error.error))?;
        Ok(())
    }

    fn standing(&mut self, exercise: &Exercise) -> &mut Standing {
        self.exercises.entry(exercise.name.clone()).or_default()
    }

    /// Is it solved?
    pub fn is_solved(&self, exercise: &Exercise) -> bool {
        self.exercises.get(&exercise.name).is_some_and(|standing| standing.solved)
    }

    /// It passes now, or no longer.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn set_solved(&mut self, exercise: &Exercise, solved: bool) -> Result<()> {
        if self.is_solved(exercise) == solved {
            return Ok(());
        }
        self.standing(exercise).solved = solved;
        self.save()
    }

    /// The next hint, its number, and whether it is a new one: at last it is always the last.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn next_hint<'a>(&mut self, exercise: &'a Exercise) -> Result<(usize, &'a str, bool)> {
        let hints = &exercise.about.hints;
        let standing = self.standing(exercise);
        let level = standing.hints.min(hints.len() - 1);
        let is_new = standing.hints < hints.len();
        standing.hints = level + 1;
        self.save()?;
        Ok((level + 1, &hints[level], is_new))
    }

    /// Records the answers to a prediction, if they are the first; true if they were.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn record(&mut self, exercise: &Exercise, answers: &str) -> Result<bool> {
        let standing = self.standing(exercise);
        if standing.predicted.is_some() {
            return Ok(false);
        }
        standing.predicted = Some(answers.to_owned());
        self.save()?;
        Ok(true)
    }

    /// The first answers to a prediction.
    pub fn predicted(&self, exercise: &Exercise) -> Option<&str> {
        self.exercises.get(&exercise.name)?.predicted.as_deref()
    }

    /// Puts the starter back; what was there is kept, and named.
    ///
    /// # Errors
    /// As read(2) and write(2): the learner's file is not touched before its copy is on the disk.
    pub fn reset(&mut self, exercise: &Exercise) -> Result<Option<PathBuf>> {
        let path = exercise.file();
        let starter = exercise.source.render(&Variant::Starter);
        let kept = match fs::read(&path) {
            Ok(old) if old != starter.as_bytes() => Some(keep(exercise, &old)?),
            _ => None,
        };
        fs::write(&path, starter).or_call("write", path.display())?;
        self.standing(exercise).solved = false;
        self.save()?;
        Ok(kept)
    }
}

/// Copies of what `reset` replaced are numbered; none is ever overwritten.
fn keep(exercise: &Exercise, old: &[u8]) -> Result<PathBuf> {
    let dir = dir().join("kept");
    fs::create_dir_all(&dir).or_call("mkdir", dir.display())?;
    let names = (1..).map(|number: u32| dir.join(format!("{}-{number}.rs", exercise.name)));
    for path in names {
        match fs::File::create_new(&path) {
            Ok(mut file) => {
                use std::io::Write;
                file.write_all(old).and_then(|()| file.sync_all()).or_call("write", path.display())?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("open", path.display(), &error)),
        }
    }
    unreachable!("there is always another number")
}

/// Where the runner keeps things; not committed.
pub fn dir() -> PathBuf {
    learners().join("progress")
}
