//! Step 10: containers that are kept, and looked after. The commands are in program.rs.

use std::process::ExitCode;

use clap::Parser;
use lifecycle::program::Command;
use process::cli::{self, Common};

/// Chapter 10: lifecycle. Containers that outlive the command that started them
#[derive(Parser)]
#[command(name = "step10", version)]
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn no_option_stands_twice() {
        super::Cli::command().debug_assert();
    }
}
