//! `grade`: points for what learners hand in.
//!
//! The checks run here, in this process and this repository's own code; only the learner's program runs in a
//! [room](crate::lab), and the compiler that reads the learner's file in another one. Of a submission nothing is taken
//! but the files of the exercises, by handle and through no link. So nothing that a submission does, says or changes
//! can make a check pass, but a program that does what is asked.

mod compile;
mod csv;
mod examine;
pub mod hidden;
mod junit;
pub mod outcome;
mod pool;
mod room;
pub mod submission;
mod terminal;
mod text;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::{Args, Subcommand};
use process::{Error, OrCall, Result};
use tempfile::TempDir;

use crate::compile::Libraries;
use crate::lab::{Limits, files};
use crate::{Exercise, catalog};
use outcome::Class;
use submission::Submission;

/// What an instructor asks for.
#[derive(Debug, Subcommand)]
pub enum Grade {
    /// Grade submissions: clones of the repository, or directories of exercises
    ///
    /// Exit code 0 if everything was graded, whatever the points; 1 if something could not be; 2 for a bad command line.
    Grade(GradeArgs),
    /// What hidden tests run the learner's program by
    #[command(name = "__lab", hide = true)]
    Lab(room::RoomArgs),
}

/// Options of `grade`.
#[derive(Debug, Args)]
pub struct GradeArgs {
    /// The submissions
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// More tests, of your own: DIR/EXERCISE/FILE, each an executable
    #[arg(long, value_name = "DIR")]
    hidden: Option<PathBuf>,
    /// Write everything there, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write everything there, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the points there, a line for each submission
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// How many exercises to grade at a time; as many as there are processors if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Grade only these exercises (again for more, or with commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How long a learner's program may run each time; compiling may take six times as long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
}

/// Does it.
///
/// # Errors
/// No compiler here, a report that cannot be written.
pub fn run(grade: &Grade) -> Result<ExitCode> {
    match grade {
        Grade::Lab(args) => room::enter(args),
        Grade::Grade(args) => all(args),
    }
}

/// The exit code for a command line that makes no sense, as clap has it.
const USAGE: u8 = 2;

fn all(args: &GradeArgs) -> Result<ExitCode> {
    let exercises = catalog::load()?;
    let (chosen, hidden) = match asked(args, &exercises) {
        Ok(asked) => asked,
        Err(error) => {
            process::cli::report(&error);
            return Ok(ExitCode::from(USAGE));
        }
    };
    let chapters = catalog::chapters()?;
    let open = |dir: &PathBuf| (dir.display().to_string(), Submission::open(dir, &chapters));
    let mut given: Vec<_> = args.dirs.iter().map(open).collect();
    distinguish(&mut given);
    let examiner = examiner(args, &chosen, hidden)?;
    crate::lab::stop_on_signals().or_call("sigaction", "SIGINT")?;
    let scratch = Scratch::new()?;
    let jobs = args.jobs.map_or_else(|| available_parallelism().map_or(1, Into::into), usize::from);
    let Some(submissions) = pool::grade(&examiner, &given, &chosen, jobs) else {
        eprintln!("interrupted: nothing is graded");
        return Ok(ExitCode::from(130));
    };
    drop(scratch);
    let class = Class { version: 1, submissions };
    write(args, &class, &chosen)?;
    process::cli::end_with_reader()?; // all rooms have ended, the reports are written
    print!("{}", terminal::render(&class));
    Ok(if class.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where all rooms have their directories, so that nothing stays whatever happens to one.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let dir = TempDir::with_prefix("cooper-grade-").or_call("mkdtemp", std::env::temp_dir().display())?.keep();
        let set = tempfile::env::override_temp_dir(&dir);
        set.map_err(|other| Error::invalid(format!("temporary files go to {} already", other.display())))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        files::remove(&self.0);
    }
}

/// What the command line asks for, as far as it can be told at once whether it makes sense.
fn asked<'a>(args: &GradeArgs, all: &'a [Exercise]) -> Result<(Vec<&'a Exercise>, hidden::ByExercise)> {
    let only = args.only.iter().map(|name| Ok(&catalog::find(all, name)?.name)).collect::<Result<Vec<_>>>()?;
    let is_asked = |exercise: &&Exercise| only.is_empty() || only.contains(&&exercise.name);
    let chosen: Vec<_> = all.iter().filter(is_asked).collect();
    for file in [&args.report, &args.junit, &args.csv].into_iter().flatten() {
        let above = file.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if file.is_dir() || !above.is_dir() {
            return Err(Error::invalid(format!("{}: no report can be written there", file.display())));
        }
    }
    let hidden = args.hidden.as_ref().map(|dir| hidden::find(dir, all)).transpose()?;
    Ok((chosen, hidden.unwrap_or_default()))
}

/// Two submissions of one name are called by their paths.
fn distinguish(given: &mut [pool::Given]) {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (_, submission) in given.iter() {
        if let Ok(submission) = submission {
            *names.entry(submission.name.clone()).or_default() += 1;
        }
    }
    for (path, submission) in given {
        if let Ok(submission) = submission
            && names[&submission.name] > 1
        {
            submission.name.clone_from(path);
        }
    }
}

fn examiner(args: &GradeArgs, chosen: &[&Exercise], hidden: hidden::ByExercise) -> Result<examine::Examiner> {
    let tool = std::env::current_exe().or_call("readlink", "/proc/self/exe")?;
    let mut limits = Limits::default();
    if let Some(seconds) = args.seconds {
        (limits.seconds, limits.cpu) = (seconds, seconds * 2);
    }
    let compiler = compile::Compiler::new(limits.seconds * 6)?;
    eprintln!("building what the exercises are compiled against; the first time, this takes some minutes");
    let mut libraries = BTreeMap::new();
    for exercise in chosen {
        libraries.entry(exercise.lab()).or_insert_with(|| Libraries::build(exercise));
    }
    Ok(examine::Examiner { tool, compiler, libraries, hidden, limits })
}

fn write(args: &GradeArgs, class: &Class, chosen: &[&Exercise]) -> Result<()> {
    let json = || serde_json::to_string_pretty(class).unwrap_or_default() + "\n";
    let reports: [(_, &dyn Fn() -> String); 3] =
        [(&args.report, &json), (&args.junit, &|| junit::render(class)), (&args.csv, &|| csv::render(class, chosen))];
    for (file, render) in reports {
        if let Some(file) = file {
            fs::write(file, render()).or_call("write", file.display())?;
        }
    }
    Ok(())
}
