//! `check`: runs the cells and holds what they say against the record.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use process::Kind;

use crate::cell::Cell;
use crate::run::report::{Outcome, Report};
use crate::run::session::{Ran, Session};
use crate::run::{Lane, Place, difference, lane, matches, programs};
use crate::{Book, Error, Page, Result};

/// The cells of one page in one lane: they share a shell.
pub struct Group<'a> {
    /// Their page.
    pub page: &'a Page,
    /// Their lane.
    pub lane: Lane,
    /// The cells, in order.
    pub cells: Vec<&'a Cell>,
}

/// What the cells of a group did, as far as they ran.
pub struct Done<'a> {
    /// The group.
    pub group: Group<'a>,
    /// Each cell: what its commands did and how long that took, or why it was not run.
    pub cells: Vec<(Result<Vec<Ran>, String>, Duration)>,
    /// Kernel and control groups of the machine that they ran on.
    pub machine: (String, String),
}

/// The groups of these pages, those for the virtual machine last.
pub fn groups(pages: &[Page]) -> Vec<Group<'_>> {
    let mut groups = Vec::new();
    for page in pages {
        let mut lanes: BTreeMap<Lane, Vec<&Cell>> = BTreeMap::new();
        page.cells.iter().for_each(|cell| lanes.entry(Lane::of(cell)).or_default().push(cell));
        groups.extend(lanes.into_iter().map(|(lane, cells)| Group { page, lane, cells }));
    }
    groups.sort_by_key(|group| group.lane == Lane::Vm);
    groups
}

/// Runs all cells of these pages; `each` is told of every group as it ends. The virtual machine boots once.
///
/// # Errors
/// The programs do not build.
pub fn run<'a>(book: &Book, pages: &'a [Page], mut each: impl FnMut(Done<'a>)) -> Result<()> {
    programs::build(&book.root, pages.iter().flat_map(|page| &page.cells))?;
    let mut machine: Option<Session> = None;
    for group in groups(pages) {
        let network = group.cells.iter().any(|cell| cell.needs.iter().any(|need| need == "network"));
        let place = match group.lane.place(true) {
            Ok(place) => place,
            Err(reason) => {
                each(Done::none(group, &reason));
                continue;
            }
        };
        let kept = if place == Place::Machine { machine.take() } else { None };
        let session = match kept {
            Some(session) => session.reopen(&book.root, group.lane, network),
            None => Session::open(&book.root, group.lane, place, network),
        };
        match session {
            Ok(mut session) => {
                each(run_group(&mut session, group));
                if place == Place::Machine {
                    machine = Some(session);
                }
            }
            Err(error) if error.kind() == Kind::Unsupported => each(Done::none(group, &error.to_string())),
            Err(error) => each(Done::broken(group, &error)),
        }
    }
    Ok(())
}

impl<'a> Done<'a> {
    /// What this machine cannot run: a skip, unless it is required.
    fn none(group: Group<'a>, reason: &str) -> Self {
        let cells = group.cells.iter().map(|_| (Err(reason.to_owned()), Duration::ZERO)).collect();
        Self { group, cells, machine: Default::default() }
    }

    /// What this machine should have run: a failure.
    fn broken(group: Group<'a>, error: &Error) -> Self {
        let ended = || vec![Ran { output: String::new(), code: Err(error.to_string()) }];
        let cells = group.cells.iter().map(|_| (Ok(ended()), Duration::ZERO)).collect();
        Self { group, cells, machine: Default::default() }
    }
}

fn run_group<'a>(session: &mut Session, group: Group<'a>) -> Done<'a> {
    let mut cells = Vec::new();
    for cell in &group.cells {
        let start = Instant::now();
        let ran = match lane::lacking(cell) {
            Some(reason) => Err(reason),
            None => Ok(run_cell(session, cell)),
        };
        cells.push((ran, start.elapsed()));
    }
    let machine = session.machine.clone();
    Done { group, cells, machine }
}

fn run_cell(session: &mut Session, cell: &Cell) -> Vec<Ran> {
    let mut all = Vec::new();
    for command in &cell.commands {
        let ran = session.run(cell, command);
        let ran = ran.unwrap_or_else(|error| Ran { output: String::new(), code: Err(error.to_string()) });
        let over = ran.code.is_err();
        all.push(ran);
        if over {
            break;
        }
    }
    all
}

/// Runs the pages' cells and compares; prints each as it ends.
///
/// # Errors
/// As [`run`].
pub fn check(book: &Book, pages: &[Page], report: &mut Report) -> Result<()> {
    run(book, pages, |done| {
        let Done { group, cells, .. } = done;
        for (cell, (ran, took)) in group.cells.iter().zip(cells) {
            let outcome = match ran {
                Err(reason) if group.lane.required() || any_required() => Outcome::Failed(reason),
                Err(reason) => Outcome::Skipped(reason),
                Ok(ran) => judge(cell, &ran).map_or_else(Outcome::Failed, |()| Outcome::Passed),
            };
            report.add(group.page, cell, outcome, took);
        }
    })
}

/// Where `COOPER_REQUIRE` names any lane, the user's is required with its programs.
fn any_required() -> bool {
    std::env::var_os("COOPER_REQUIRE").is_some_and(|list| !list.is_empty())
}

/// What is wrong with how a cell went.
///
/// # Errors
/// That, as a person reads it.
pub fn judge(cell: &Cell, all: &[Ran]) -> Result<(), String> {
    let mut problems = String::new();
    for (command, ran) in cell.commands.iter().zip(all) {
        let shown = format!("  $ {}\n", command.text);
        match &ran.code {
            Err(why) => problems += &format!("{shown}    ended: {why}; it had said:\n{}", ran.output),
            Ok(code) if *code != command.exit => {
                problems +=
                    &format!("{shown}    exit code {code}, recorded was {}; it said:\n{}\n", command.exit, ran.output);
            }
            Ok(_) if !matches(cell, &command.output, &ran.output) => {
                problems += &shown;
                problems += &difference(cell, &command.output, &crate::run::plain(&ran.output));
            }
            Ok(_) => {}
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
