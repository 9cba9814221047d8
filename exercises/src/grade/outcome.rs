//! What a grading finds: for each submission, exercise and check.

use serde::Serialize;

/// How it went with one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// This machine lacks what the exercise needs: no points for anybody.
    Skipped,
    /// It could not be looked at: neither right nor wrong.
    Error,
}

/// One check of one exercise of one submission.
#[derive(Debug, Clone, Serialize)]
pub struct CheckOutcome {
    /// The check's name; of a hidden test, its file's.
    pub name: String,
    /// Is it one of the instructor's own?
    pub hidden: bool,
    /// How it went.
    pub status: Status,
    /// What was earned.
    pub points: u32,
    /// What could be.
    pub possible: u32,
    /// Why it is not passed, or why it earns nothing.
    pub message: String,
    /// How long it took.
    pub seconds: f64,
    /// Does the starter fail it? Only such a check shows that something was done.
    #[serde(skip)]
    pub red: bool,
    /// The check without which it is worth nothing.
    #[serde(skip)]
    pub beside: Option<&'static str>,
}

/// One exercise of one submission.
#[derive(Debug, Clone, Serialize)]
pub struct ExerciseOutcome {
    /// The exercise's name.
    pub name: String,
    /// Its chapter's directory.
    pub chapter: String,
    /// What was earned.
    pub points: u32,
    /// What could be.
    pub possible: u32,
    /// What holds for all its checks: the file is missing, does not compile, is the starter.
    pub message: String,
    /// How long it took, with compiling.
    pub seconds: f64,
    /// Its checks.
    pub checks: Vec<CheckOutcome>,
}

/// One submission.
#[derive(Debug, Clone, Serialize)]
pub struct SubmissionOutcome {
    /// Its name: the last part of its path.
    pub name: String,
    /// Its path, as it was given.
    pub path: String,
    /// Why it could not be graded at all.
    pub error: Option<String>,
    /// What was earned.
    pub points: u32,
    /// What could be.
    pub possible: u32,
    /// Its exercises, in the order of the book.
    pub exercises: Vec<ExerciseOutcome>,
}

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub struct Class {
    /// The form of this report.
    pub version: u32,
    /// The submissions, as they were given.
    pub submissions: Vec<SubmissionOutcome>,
}

impl ExerciseOutcome {
    /// Sums up. What the starter passes as well (and every hidden test, of which that is not known) earns points only
    /// if at least one check passes that the starter fails: who has done nothing gets nothing.
    #[must_use]
    pub fn settle(mut self) -> Self {
        let passed: Vec<_> = self.checks.iter().filter(|check| check.status == Status::Passed).cloned().collect();
        let is_passed = |name: &str| passed.iter().any(|check| check.name == name && !check.hidden);
        let done = passed.iter().any(|check| check.red && check.beside.is_none_or(is_passed));
        for check in self.checks.iter_mut().filter(|check| check.status == Status::Passed) {
            match check.beside.filter(|other| !is_passed(other)) {
                _ if !done => check.message = "no points: nothing passes that the starter fails".into(),
                Some(other) => check.message = format!("no points without {other:?}"),
                None => check.points = check.possible,
            }
        }
        self.points = self.checks.iter().map(|check| check.points).sum();
        self.possible = self.checks.iter().map(|check| check.possible).sum();
        self
    }

    /// How many of its checks went so.
    pub fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }

    /// Are all of its checks passed?
    pub fn is_solved(&self) -> bool {
        self.count(Status::Passed) == self.checks.len()
    }

    /// What its checks are that went so.
    pub fn has(&self, status: Status) -> bool {
        self.count(status) > 0
    }
}

impl Class {
    /// Was everything graded?
    pub fn is_whole(&self) -> bool {
        let has_errors = |exercise: &ExerciseOutcome| exercise.has(Status::Error);
        self.submissions.iter().all(|one| one.error.is_none() && !one.exercises.iter().any(has_errors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exercise(checks: &[(bool, Status)]) -> ExerciseOutcome {
        let check = |&(red, status): &(bool, Status)| CheckOutcome {
            name: "c".into(),
            hidden: false,
            status,
            points: 0,
            possible: 2,
            message: String::new(),
            seconds: 0.0,
            red,
            beside: None,
        };
        let checks = checks.iter().map(check).collect();
        let empty = String::new;
        ExerciseOutcome {
            name: empty(),
            chapter: empty(),
            points: 0,
            possible: 0,
            message: empty(),
            seconds: 0.0,
            checks,
        }
        .settle()
    }

    #[test]
    fn who_does_nothing_gets_nothing() {
        assert_eq!(exercise(&[(true, Status::Failed), (false, Status::Passed)]).points, 0);
        assert_eq!(exercise(&[(true, Status::Passed), (false, Status::Passed)]).points, 4);
        assert_eq!(exercise(&[(true, Status::Passed), (true, Status::Failed), (false, Status::Failed)]).points, 2);
        assert_eq!(exercise(&[(true, Status::Skipped), (false, Status::Skipped)]).points, 0);
        assert_eq!(exercise(&[(true, Status::Error), (false, Status::Passed)]).possible, 4);
    }

    #[test]
    fn what_is_forbidden_counts_beside_honest_use() {
        let both = |other| {
            let mut outcome = exercise(&[(true, Status::Passed), (true, other)]);
            (outcome.checks[0].beside, outcome.checks[1].name) = (Some("honest use"), "honest use".into());
            outcome.checks.iter_mut().for_each(|check| check.points = 0);
            outcome.settle().points
        };
        assert_eq!((both(Status::Failed), both(Status::Passed)), (0, 4));
    }
}
