//! Step 7: `run ubuntu sh`. The recipe is in program.rs.

use std::process::ExitCode;

use clap::Parser;
use images::program::Command;
use process::cli::{self, Common};

/// Chapter 7: images. The OCI layout, pulling from a registry, and run ubuntu sh
#[derive(Parser)]
#[command(name = "step07", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    network::attend_if_asked();
    cli::main(|cli: Cli| cli.command.run::<Cli>())
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}
