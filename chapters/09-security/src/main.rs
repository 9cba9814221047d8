//! Step 9: the same `run`, and a container that may do little more than it must. The recipe is in program.rs.

use std::process::ExitCode;

use clap::Parser;
use process::cli::{self, Common};
use security::program::Command;

/// Chapter 9: security. Capabilities, seccomp, masked paths, devices, limits, labels
#[derive(Parser)]
#[command(name = "step09", version)]
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
