//! All submissions, several exercises at a time.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use process::Result;

use super::examine::Examiner;
use super::outcome::{ExerciseOutcome, SubmissionOutcome};
use super::submission::Submission;
use crate::Exercise;
use crate::lab::{STOP, crowd};

/// What was given, and the submission there, if there is one.
pub type Given = (String, Result<Submission>);

/// A submission while it is graded.
struct Sheet {
    exercises: Vec<Option<ExerciseOutcome>>,
    left: usize,
}

/// Grades everything, `jobs` exercises at a time; `None` if interrupted.
pub fn grade(
    examiner: &Examiner,
    given: &[Given],
    chosen: &[&Exercise],
    jobs: usize,
) -> Option<Vec<SubmissionOutcome>> {
    let there: Vec<_> = given.iter().filter_map(|(_, submission)| submission.as_ref().ok()).collect();
    let blank = || Mutex::new(Sheet { exercises: vec![None; chosen.len()], left: chosen.len() });
    let sheets: Vec<_> = there.iter().map(|_| blank()).collect();
    let progress = Progress::new(there.len(), chosen.len());
    let next = AtomicUsize::new(0);
    let again = Mutex::new(Vec::new());
    let work = &|who| {
        crowd::set_who(who);
        while !STOP.load(Ordering::Relaxed) {
            let task = next.fetch_add(1, Ordering::Relaxed);
            let (which, what) = (task / chosen.len(), task % chosen.len());
            let Some(submission) = there.get(which) else { break };
            let start = Instant::now();
            let outcome = examiner.examine(submission, chosen[what]);
            if !outcome.is_solved() && crowd::by_others(start) {
                locked(&again).push(task);
                continue;
            }
            let mut sheet = locked(&sheets[which]);
            sheet.exercises[what] = Some(outcome);
            sheet.left -= 1;
            progress.tell(submission, &sheet);
        }
    };
    let alone = |task: usize| {
        let (which, what) = (task / chosen.len(), task % chosen.len());
        let mut sheet = locked(&sheets[which]);
        sheet.exercises[what] = Some(examiner.examine(there[which], chosen[what]));
        sheet.left -= 1;
        progress.tell(there[which], &sheet);
    };
    std::thread::scope(|scope| {
        for who in 1..=jobs.max(1) {
            scope.spawn(move || work(who));
        }
    });
    // What failed while somebody's fork bomb took the machine may have failed for that: once more, one by one.
    locked(&again).drain(..).filter(|_| !STOP.load(Ordering::Relaxed)).for_each(alone);
    progress.end();
    if STOP.load(Ordering::Relaxed) {
        return None;
    }
    let mut sheets = sheets.into_iter().map(|sheet| sheet.into_inner().unwrap_or_else(PoisonError::into_inner));
    Some(given.iter().map(|one| summed(one, &mut sheets)).collect())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn summed((path, submission): &Given, sheets: &mut impl Iterator<Item = Sheet>) -> SubmissionOutcome {
    let (name, error, exercises) = match submission {
        Ok(submission) => {
            let exercises = sheets.next().map(|sheet| sheet.exercises.into_iter().flatten().collect());
            (submission.name.clone(), None, exercises.unwrap_or_default())
        }
        Err(error) => (path.clone(), Some(error.to_string()), Vec::new()),
    };
    let sum = |of: fn(&ExerciseOutcome) -> u32| exercises.iter().map(of).sum();
    let (points, possible) = (sum(|one| one.points), sum(|one| one.possible));
    SubmissionOutcome { name, path: path.clone(), error, points, possible, exercises }
}

/// A bar on a terminal, lines elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    submissions: usize,
    done: AtomicUsize,
}

impl Progress {
    fn new(submissions: usize, exercises: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new((submissions * exercises) as u64);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} exercises, {eta} left  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, submissions, done: AtomicUsize::new(0) }
    }

    fn tell(&self, submission: &Submission, sheet: &Sheet) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
            bar.set_message(super::text::clean(&submission.name));
        }
        if sheet.left == 0 && !STOP.load(Ordering::Relaxed) {
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            let points: u32 = sheet.exercises.iter().flatten().map(|one| one.points).sum();
            if self.bar.is_none() {
                eprintln!("[{done}/{}] {}: {points} points", self.submissions, super::text::clean(&submission.name));
            }
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
