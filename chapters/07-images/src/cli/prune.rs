//! `image prune`

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use process::{Error, Result};

use super::filter::{Filter, Filters};
use super::text::human_size;
use crate::Store;
use crate::store::Removed;

/// Options of `image prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Also images that have a name, if no container stands on them
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only images that fit: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
}

impl Prune {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        let others: Vec<_> = self.filter.iter().filter(|filter| !filter.is_not_dangling()).cloned().collect();
        let filters = Filters::new(store, &others)?;
        // Docker's other word for --all: it says nothing of the single image.
        let all = self.all || self.filter.iter().any(Filter::is_not_dangling);
        if !self.force && !confirmed(all)? {
            return Ok(ExitCode::SUCCESS);
        }
        let (removed, bytes) = store.prune(all, |image| filters.image(image))?;
        if !removed.is_empty() {
            println!("Deleted Images:");
            removed.iter().for_each(|one| match one {
                Removed::Untagged(name) => println!("untagged: {name}"),
                Removed::Deleted(id) => println!("deleted: {id}"),
            });
            println!();
        }
        println!("Total reclaimed space: {}", human_size(bytes));
        Ok(ExitCode::SUCCESS)
    }
}

fn confirmed(all: bool) -> Result<bool> {
    let which = if all { "images without at least one container associated to them" } else { "dangling images" };
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::invalid(format!("this would remove all {which}, and nobody is there to be asked"))
            .help("add --force if that is meant"));
    }
    print!("WARNING! This will remove all {which}.\nAre you sure you want to continue? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = stdin.lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
