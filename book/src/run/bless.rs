//! `bless`: runs the cells and records what they say. What still matches stays as it stands, so a run makes no noise.

use std::collections::BTreeMap;
use std::fs;

use process::OrCall;

use crate::cell::{self, Cell, Command};
use crate::front::{self, Record};
use crate::run::check::{self, Done};
use crate::run::report::{Outcome, Report};
use crate::run::session::Ran;
use crate::run::{matches, plain, record};
use crate::{Book, Page, Result};

/// What is new on a page: the lines between the fences of its cells, by the number of their first, and its records.
#[derive(Default)]
struct Changes {
    bodies: BTreeMap<usize, (Cell, String)>,
    records: BTreeMap<&'static str, Record>,
}

/// Runs the pages' cells and writes what they said into the pages.
///
/// # Errors
/// As [`check::run`]; a page that cannot be written.
pub fn bless(book: &Book, pages: &[Page], report: &mut Report) -> Result<()> {
    let commit = record::commit(&book.root);
    let mut changes: BTreeMap<String, Changes> = BTreeMap::new();
    check::run(book, pages, |done| {
        let Done { group, cells, machine } = done;
        let on_page = changes.entry(group.page.shown.clone()).or_default();
        let (mut changed, mut failed) = (false, false);
        for (cell, (ran, took)) in group.cells.iter().zip(cells) {
            let outcome = match ran.map(|ran| recorded(cell, &ran)) {
                Err(reason) => {
                    failed = true;
                    Outcome::Skipped(reason)
                }
                Ok(Err(problem)) => {
                    failed = true;
                    Outcome::Failed(problem)
                }
                Ok(Ok(None)) => Outcome::Passed,
                Ok(Ok(Some(body))) => {
                    changed = true;
                    on_page.bodies.insert(cell.body.start, ((*cell).clone(), body));
                    Outcome::Recorded
                }
            };
            report.add(group.page, cell, outcome, took);
        }
        // A record that holds keeps its date: only what is new is told anew.
        let first = !group.page.front.recorded.contains_key(group.lane.name());
        if changed || first && !failed {
            let (kernel, cgroup) = machine;
            on_page.records.insert(group.lane.name(), Record { kernel, cgroup, commit: commit.clone() });
        }
    })?;
    for page in pages {
        if let Some(changes) = changes.get(&page.shown) {
            write(book, page, changes)?;
        }
    }
    Ok(())
}

/// The new lines of a cell; none if the old ones are still true.
fn recorded(cell: &Cell, all: &[Ran]) -> Result<Option<String>, String> {
    let mut commands = Vec::new();
    for (old, ran) in cell.commands.iter().zip(all) {
        let code = ran
            .code
            .clone()
            .map_err(|why| format!("  $ {}\n    ended: {why}; it had said:\n{}", old.text, ran.output))?;
        let output = if matches(cell, &old.output, &ran.output) { old.output.clone() } else { plain(&ran.output) };
        commands.push(Command { output, exit: code, ..old.clone() });
    }
    let failed = commands.iter().find(|command| command.exit != 0);
    if let Some(command) = failed.filter(|_| !cell.fails) {
        let Command { text, exit, output, .. } = command;
        return Err(format!(
            "  $ {text}\n    exit code {exit}: say `fails` if that is what the cell shows; it said:\n{output}"
        ));
    }
    if cell.fails && failed.is_none() {
        return Err("    no command of it fails, and it says `fails`\n".into());
    }
    let body = cell::body(&commands);
    Ok(if cell::body(&cell.commands) == body { None } else { Some(body) })
}

/// Writes a page whose author may have gone on writing: only cells that still read as they ran are changed.
fn write(book: &Book, page: &Page, changes: &Changes) -> Result<()> {
    let path = book.pages_dir().join(&page.path);
    let text = fs::read_to_string(&path).or_call("read", &page.shown)?;
    let now = cell::parse(&page.shown, &page.name(), &text)?;
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut next = 0;
    for cell in &now {
        let change = changes.bodies.values().find(|(old, _)| old.name == cell.name && old.hash() == cell.hash());
        let Some((_, body)) = change else { continue };
        out.extend(lines[next..cell.body.start].iter().map(|line| format!("{line}\n")));
        out += body;
        next = cell.body.end;
    }
    out.extend(lines[next..].iter().map(|line| format!("{line}\n")));
    for (lane, record) in &changes.records {
        out = front::with_record(&out, lane, record);
    }
    if out == text {
        return Ok(());
    }
    let part = path.with_extension("md.part");
    fs::write(&part, &out).or_call("write", part.display())?;
    fs::rename(&part, &path).or_call("rename", path.display())
}
