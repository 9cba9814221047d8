//! Several containers in one command: the others go on when one cannot (docker/cli, `parallelOperation`).

use std::process::ExitCode;

use process::{Result, cli};

/// Does `act` for each of `names`, and prints each name that it was done for. Failures are told, and exit with 1.
pub fn each(names: &[String], mut act: impl FnMut(&str) -> Result<()>) -> ExitCode {
    print_each(names, |name| act(name).map(|()| name.to_owned()))
}

/// The same, where `act` says what to print.
pub fn print_each(names: &[String], mut act: impl FnMut(&str) -> Result<String>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for name in names {
        match act(name) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                cli::report(&error);
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
