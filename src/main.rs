//! Cooper: a thin client of the engine in `chapters/`. It offers what the newest step does.

use std::process::ExitCode;

use clap::Parser;
use lifecycle::program::Command;
use process::cli::{self, Common};

/// An engine that runs containers, and that can be read in a weekend
#[derive(Parser)]
#[command(name = "cooper", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    lifecycle::supervisor::enter_if_asked();
    cli::main(|cli: Cli| cli.command.run::<Cli>())
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}
