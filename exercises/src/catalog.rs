//! The exercises there are: `sources/CHAPTER/NAME.toml` says what one is about, `NAME.rs` beside it is its source.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use process::{Error, OrCall, Result};
use serde::Deserialize;

use crate::check::Check;
use crate::checks;
use crate::source::{Source, Variant};

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It compiles, and the isolation is wrong.
    Fix,
    /// One stage, or one function of the chapter.
    Implement,
    /// An answer is recorded before it is revealed.
    Predict,
    /// First get out; then close the way.
    Break,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fix => "fix",
            Self::Implement => "implement",
            Self::Predict => "predict",
            Self::Break => "break, then close",
        })
    }
}

/// `NAME.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// One line.
    pub title: String,
    /// Where in its chapter it stands.
    pub number: u32,
    /// What kind of work.
    pub kind: Kind,
    /// How long it takes a learner: 10 to 120.
    pub minutes: u32,
    /// What to read, as the book's links have it: `01-process.md#how-a-process-ends`.
    pub page: String,
    /// What the machine must have: `cgroup2`, or a program by its name.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Three, each saying more; the last is nearly the answer.
    pub hints: [String; 3],
    /// The checks that the starter fails; the others it passes.
    pub red: Vec<String>,
    /// What is told once it is solved, or once a prediction is recorded.
    #[serde(default)]
    pub reveal: Option<String>,
    /// Wrong answers that the checks must reject.
    pub wrong: Vec<Wrong>,
    /// What learners get wrong, for the instructor's page.
    pub mistakes: String,
}

/// A wrong answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    /// As in the source's marks.
    pub name: String,
    /// Words that the message rejecting it must have.
    pub says: String,
}

/// An exercise.
#[derive(Debug, Clone)]
pub struct Exercise {
    /// Its name: that of its files.
    pub name: String,
    /// Its chapter's directory: `01-process`.
    pub chapter: String,
    /// What it is about.
    pub about: About,
    /// What it and its solutions are made of.
    pub source: Source,
}

impl Exercise {
    /// The learner's file.
    pub fn file(&self) -> PathBuf {
        learners().join(&self.chapter).join(&self.name).with_extension("rs")
    }

    /// The same, from the repository's top, as it is shown.
    pub fn path(&self) -> PathBuf {
        Path::new("exercises").join(&self.chapter).join(&self.name).with_extension("rs")
    }

    /// The package that it is compiled in: `lab01`.
    pub fn lab(&self) -> String {
        format!("lab{}", &self.chapter[..2])
    }

    /// What is looked at.
    pub fn checks(&self) -> &'static [Check] {
        checks::of(&self.name)
    }

    /// All variants that its source has.
    pub fn variants(&self) -> Vec<Variant> {
        let wrong = self.about.wrong.iter().map(|wrong| Variant::Wrong(wrong.name.clone()));
        [Variant::Starter, Variant::Solution].into_iter().chain(wrong).collect()
    }
}

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("exercises/ lies in the repository")
}

/// The directory of the learner's files: the repository's `exercises`, or where `COOPER_EXERCISES` has a copy of it.
pub fn learners() -> PathBuf {
    std::env::var_os("COOPER_EXERCISES").map_or_else(|| root().join("exercises"), PathBuf::from)
}

/// All exercises, in the order of the book.
///
/// # Errors
/// A source that is none, an exercise without checks, two of one name.
pub fn load() -> Result<Vec<Exercise>> {
    let mut all = Vec::new();
    for chapter in sorted(&root().join("exercises/sources"))? {
        let mut exercises = Vec::new();
        for file in sorted(&chapter)?.into_iter().filter(|file| file.extension().is_some_and(|end| end == "toml")) {
            exercises.push(read(&file)?);
        }
        exercises.sort_by_key(|exercise| exercise.about.number);
        all.extend(exercises);
    }
    Ok(all)
}

/// The directories of the chapters' exercises: `01-process` and so on.
///
/// # Errors
/// As readdir(3).
pub fn chapters() -> Result<Vec<String>> {
    let names = sorted(&root().join("exercises"))?.into_iter().filter(|path| path.is_dir());
    let names = names.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    Ok(names.filter(|name| name.starts_with(|first: char| first.is_ascii_digit())).collect())
}

/// The exercise of this name.
///
/// # Errors
/// There is none.
pub fn find<'a>(all: &'a [Exercise], name: &str) -> Result<&'a Exercise> {
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    let found = all.iter().find(|exercise| exercise.name == stem);
    found.ok_or_else(|| Error::not_found(format!("no exercise {name:?}")).help("cargo run -p exercises -- list"))
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).or_call("read", dir.display())?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn read(file: &Path) -> Result<Exercise> {
    let text = fs::read_to_string(file).or_call("read", file.display())?;
    let invalid = |what: String| Error::invalid(what).at(file.display());
    let about: About = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    let part =
        |path: Option<&Path>, what| path.and_then(|path| path.file_name()?.to_str().map(str::to_owned)).ok_or(what);
    let name = part(file.with_extension("").as_path().into(), "no name").map_err(|what| invalid(what.into()))?;
    let chapter = part(file.parent(), "no chapter").map_err(|what| invalid(what.into()))?;
    let source = file.with_extension("rs");
    let text = fs::read_to_string(&source).or_call("read", source.display())?;
    let source = Source::parse(&source.display().to_string(), &text)?;
    let exercise = Exercise { name, chapter, about, source };
    if exercise.checks().is_empty() {
        return Err(invalid("it has no checks".into()).help("add them to exercises/src/checks"));
    }
    Ok(exercise)
}
