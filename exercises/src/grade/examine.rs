//! One exercise of one submission: take the file, compile it, look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use process::Result;

use super::compile::Compiler;
use super::hidden::{self, Hidden};
use super::outcome::{CheckOutcome, ExerciseOutcome, Status};
use super::submission::{Submission, Taken};
use super::text;
use super::watch::{self, Run};
use crate::compile::Libraries;
use crate::judge::{self, CGROUP2, Place};
use crate::lab::{Lab, Limits};
use crate::source::Variant;
use crate::{Exercise, Failure};

/// What is the same for all submissions: the pristine tree.
pub struct Examiner {
    /// Ourselves, who make rooms.
    pub tool: PathBuf,
    /// Compiles.
    pub compiler: Compiler,
    /// What learners' files are compiled against, by the chapters' packages; or why it does not build.
    pub libraries: BTreeMap<String, Result<Libraries>>,
    /// The instructor's tests.
    pub hidden: hidden::ByExercise,
    /// What a program may take.
    pub limits: Limits,
}

/// A check runs the program several times: for so many times of what one may take, it is waited for.
const PATIENCE: u64 = 12;

/// Nobody has begun.
pub const HANDED_OUT: &str = "the file is as it was handed out";

/// A class is graded in one place.
const IN_MACHINE: &str = "needs control groups (v2) of its own: grade in the virtual machine, tests/vm/run -- …";

/// How all checks of an exercise went, without any of them being made.
type All = (Status, String);

impl Examiner {
    /// Grades one exercise.
    pub fn examine(&self, submission: &Submission, exercise: &Exercise) -> ExerciseOutcome {
        let start = Instant::now();
        let mut outcome = ExerciseOutcome {
            name: exercise.name.clone(),
            chapter: exercise.chapter.clone(),
            points: 0,
            possible: 0,
            message: String::new(),
            seconds: 0.0,
            checks: self.blank(exercise),
        };
        if let Err((status, message)) = self.look(submission, exercise, &mut outcome.checks) {
            outcome.message = text::clean(&message);
            for check in &mut outcome.checks {
                check.status = status;
                check.message.clone_from(&outcome.message);
            }
        }
        outcome.seconds = start.elapsed().as_secs_f64();
        outcome.settle()
    }

    fn blank(&self, exercise: &Exercise) -> Vec<CheckOutcome> {
        let check = |name: &str, possible, hidden, red, beside| CheckOutcome {
            name: name.to_owned(),
            hidden,
            status: Status::Failed,
            points: 0,
            possible,
            message: String::new(),
            seconds: 0.0,
            red,
            beside,
        };
        let is_red = |name: &str| exercise.about.red.iter().any(|red| red == name);
        let own = exercise.checks().iter().map(|one| check(one.name, one.points, false, is_red(one.name), one.beside));
        let hidden = self.hidden_of(exercise).iter().map(|test| check(&test.name, test.points, true, false, None));
        own.chain(hidden).collect()
    }

    fn hidden_of(&self, exercise: &Exercise) -> &[Hidden] {
        self.hidden.get(&exercise.name).map(Vec::as_slice).unwrap_or_default()
    }

    fn look(&self, from: &Submission, exercise: &Exercise, checks: &mut [CheckOutcome]) -> Result<(), All> {
        match judge::place(exercise) {
            Place::Here => {}
            Place::Machine => return Err((Status::Skipped, IN_MACHINE.into())),
            Place::Nowhere(reason) => return Err((Status::Skipped, reason)),
        }
        let source = match from.take(exercise).map_err(|error| (Status::Error, error.to_string()))? {
            Taken::Text(source) => source,
            Taken::Refused(why) => return Err((Status::Failed, why)),
        };
        if source == exercise.source.render(&Variant::Starter).as_bytes() {
            return Err((Status::Failed, HANDED_OUT.into()));
        }
        let machine = |failure: Failure| (Status::Error, failure.to_string());
        let libraries = match self.libraries.get(&exercise.lab()) {
            Some(Ok(libraries)) => libraries,
            Some(Err(error)) => return Err((Status::Error, error.to_string())),
            None => return Err((Status::Error, format!("{} was not built", exercise.lab()))),
        };
        let program = self.compiler.compile(&self.tool, libraries, exercise, &source).map_err(machine)?;
        let program = program.map_err(|said| (Status::Failed, format!("it does not compile\n{said}")))?;
        let most = Duration::from_secs(self.limits.seconds * PATIENCE + 20);
        for (check, run) in checks.iter_mut().zip(self.runs(exercise, &program.program())) {
            (check.status, check.message, check.seconds) = watch::judge(run, most);
        }
        Ok(())
    }

    /// What makes the checks, in their order.
    fn runs(&self, exercise: &Exercise, program: &Path) -> Vec<Run> {
        let own = exercise.checks().iter().map(|check| {
            let (lab, run) = (self.lab(exercise, program), check.run);
            Box::new(move || run(&lab()?)) as Run
        });
        let hidden = self.hidden_of(exercise).iter().map(|test| {
            let (lab, test, limits) = (self.lab(exercise, program), test.clone(), self.limits);
            let (tool, program, name) = (self.tool.clone(), program.to_owned(), exercise.name.clone());
            Box::new(move || test.run(&tool, &program, &name, &lab()?.nonce(), limits)) as Run
        });
        own.chain(hidden).collect()
    }

    /// What makes a place for one check.
    fn lab(&self, exercise: &Exercise, program: &Path) -> impl Fn() -> Result<Lab, Failure> + Send + use<> {
        let (tool, program, limits) = (self.tool.clone(), program.to_owned(), self.limits);
        let cgroup = exercise.about.needs.iter().any(|need| need == CGROUP2);
        move || {
            let lab = Lab::new(&tool, &program)?.with_limits(limits);
            Ok(if cgroup { lab.with_cgroup() } else { lab })
        }
    }
}
