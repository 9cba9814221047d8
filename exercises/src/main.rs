//! The exercises: the runner for learners, the grader for instructors.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use exercises::{Result, catalog, generate, grade, judge, lab, runner};

/// The exercises of the book: without a command, shows the next one and checks it on every save
#[derive(Parser)]
#[command(name = "exercises", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Check one exercise, or the next that is not solved; exit code 1 if it is not
    Run {
        /// Its name, or its file
        name: Option<String>,
    },
    /// Show a hint; asked again, a better one (three in all)
    Hint {
        /// Its name, or its file
        name: Option<String>,
    },
    /// Show all exercises, and which are solved
    List,
    /// Put the starter back; your file is kept in exercises/progress
    Reset {
        /// Its name, or its file
        name: String,
    },
    /// Check all exercises; exit code 1 if any is not solved
    Verify,
    /// Show our solution of an exercise that you have solved
    Solution {
        /// Its name, or its file
        name: String,
        /// Also if it is not solved yet
        #[arg(long)]
        anyway: bool,
    },
    /// Say what this machine lacks, and how to mend it
    Doctor,
    /// Write the starters and the chapters' lists from the sources (for who writes exercises; overwrites)
    Generate {
        /// Only tell what differs; exit code 1 if anything does
        #[arg(long)]
        check: bool,
    },
    #[command(flatten)]
    Grade(grade::Grade),
    #[command(name = "__room", hide = true)]
    Room { spec: String },
    #[command(name = "__check", hide = true)]
    Check { name: String, program: PathBuf },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(cli.command).unwrap_or_else(|error| process::cli::report(&error))
}

fn run(command: Option<Command>) -> Result<ExitCode> {
    let all = catalog::load;
    match command {
        None => runner::watch(&all()?),
        Some(Command::Run { name }) => runner::run(&all()?, name.as_deref()),
        Some(Command::Hint { name }) => runner::hint(&all()?, name.as_deref()),
        Some(Command::List) => runner::list(&all()?, None),
        Some(Command::Reset { name }) => runner::reset(&all()?, &name),
        Some(Command::Verify) => runner::verify(&all()?),
        Some(Command::Solution { name, anyway }) => runner::solution(&all()?, &name, anyway),
        Some(Command::Doctor) => runner::doctor(&all()?),
        Some(Command::Generate { check }) => {
            let changed = generate::write(&all()?, check)?;
            changed.iter().for_each(|path| println!("{}", path.display()));
            Ok(if check && !changed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Some(Command::Grade(asked)) => grade::run(&asked),
        Some(Command::Room { spec }) => lab::room::enter(&spec),
        Some(Command::Check { name, program }) => judge::answer(&name, program),
    }
}
