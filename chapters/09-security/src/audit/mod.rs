//! `audit`: what a container's process may still do, beside what the host's root may. Read from the kernel, not from what
//! was meant: /proc tells what a process is held to now.

mod facts;
mod rows;

use std::process::ExitCode;

use clap::Args;
use colored::Colorize;
use layers::ContainerDir;
use namespaces::{rootless, running};
use nix::unistd::Pid;
use process::{Error, Result};
use serde::Serialize;

use crate::Confinement;
use facts::Facts;

/// The arguments of `audit`.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// A running container's name or id, or the number of any process
    #[arg(value_name = "CONTAINER")]
    target: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How much of the host's root is left in one respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// Less than the host's root may, as is usual for a container.
    Held,
    /// More than containers usually may.
    Loose,
    /// As much as the host's root may.
    Free,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
struct Row {
    /// What about.
    about: &'static str,
    /// What the process may.
    here: String,
    /// What the host's root may.
    host: String,
    /// What that is.
    verdict: Verdict,
    /// What could be done with it, if it is more than usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl AuditArgs {
    /// Prints the table.
    ///
    /// # Errors
    /// That there is no such container or process, or that it is not ours to look into.
    pub fn run(self) -> Result<ExitCode> {
        process::cli::end_with_reader()?;
        rootless::enter()?;
        let (pid, meant) = self.find()?;
        let theirs = Facts::of(&pid.to_string())?;
        // Whoever asks may be less than root himself; process 1 is what the host has.
        let host = Facts::of("1").or_else(|_| Facts::of("self"))?;
        let rows = rows::all(&theirs, &host, meant.as_ref());
        if self.json {
            let text = serde_json::to_string_pretty(&rows).map_err(|error| Error::invalid(error.to_string()))?;
            println!("{text}");
        } else {
            print(&rows);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The process, and what its container was meant to be held to. A number is a process, everything else a container.
    fn find(&self) -> Result<(Pid, Option<Confinement>)> {
        if let Ok(pid) = self.target.parse::<i32>() {
            if pid < 1 || !std::path::Path::new(&format!("/proc/{pid}")).exists() {
                return Err(Error::not_found(format!("no process has the id {pid}")).help("`ps` lists those there are"));
            }
            return Ok((Pid::from_raw(pid), None));
        }
        let container = running::find(&self.target)?;
        let directory = ContainerDir::find(&container.id);
        let meant = directory.ok().and_then(|directory| Confinement::load(directory.path()).ok().flatten());
        Ok((container.pid(), meant))
    }
}

fn print(rows: &[Row]) {
    let width = |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0).min(44);
    let (first, second) = (width(|row| row.about), width(|row| &row.here));
    println!("{:<6} {:<first$}  {:<second$}  HOST'S ROOT", "", "WHAT", "THIS CONTAINER");
    for row in rows {
        let mark = match row.verdict {
            Verdict::Held => format!("{:<6}", "held").green(),
            Verdict::Loose => format!("{:<6}", "loose").yellow().bold(),
            Verdict::Free => format!("{:<6}", "free").red().bold(),
        };
        println!("{mark} {:<first$}  {:<second$}  {}", row.about, row.here, row.host);
        for line in row.why.iter() {
            println!("{:<6} {:<first$}  {}", "", "", line.dimmed());
        }
    }
    let count = |wanted| rows.iter().filter(|row| row.verdict == wanted).count();
    let (loose, free) = (count(Verdict::Loose), count(Verdict::Free));
    match (loose, free) {
        (0, 0) => println!("\nIn every respect it may less than the host's root."),
        _ => println!("\n{loose} loose: more than containers usually may. {free} free: as the host's root."),
    }
}
