//! The exercises: the runner for learners, the grader for instructors.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use exercises::{Result, catalog, generate, lab};

/// The exercises of the book: solve them one by one, with help
#[derive(Parser)]
#[command(name = "exercises", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the starters and the chapters' lists from the sources (for who writes exercises; overwrites)
    Generate {
        /// Only tell what differs; exit code 1 if anything does
        #[arg(long)]
        check: bool,
    },
    #[command(name = "__room", hide = true)]
    Room { spec: String },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(cli.command).unwrap_or_else(|error| process::cli::report(&error))
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Generate { check } => {
            let changed = generate::write(&catalog::load()?, check)?;
            changed.iter().for_each(|path| println!("{}", path.display()));
            Ok(if check && !changed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Command::Room { spec } => lab::room::enter(&spec),
    }
}
