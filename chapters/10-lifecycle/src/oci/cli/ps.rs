//! `ps`: the processes of a container, as the host numbers them.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};
use process::{Error, OrCall, Result, cli};

use super::{Context, Verb};
use crate::oci::state::Status;
use crate::oci::{errors, members};

/// List the processes of a container
#[derive(Debug, Args)]
pub(super) struct Ps {
    /// How they are printed
    #[arg(short, long, value_enum, default_value = "table")]
    format: Format,
    /// The container
    id: String,
    /// Options of ps(1), for the table (default: -ef)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

impl Verb for Ps {
    fn run(self, context: &Context) -> Result<ExitCode> {
        cli::end_with_reader()?;
        let (state, status) = context.store.find(&self.id)?.look()?;
        if matches!(status, Status::Stopped | Status::Creating) {
            return Err(errors::not_running());
        }
        let pids: Vec<i32> = members::of(&state)?.into_iter().map(nix::unistd::Pid::as_raw).collect();
        match self.format {
            Format::Json => println!("{}", serde_json::json!(pids)),
            Format::Table => table(&self.options, &pids)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The lines of ps(1) about these processes.
fn table(options: &[OsString], pids: &[i32]) -> Result<()> {
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef");
    }
    let output = command.args(options).output().or_call("exec", "ps");
    let output = output.map_err(|error| error.help("install procps, or use --format json"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::invalid(format!("ps: {said}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    for line in select(&text, pids)? {
        println!("{line}");
    }
    Ok(())
}

/// The title, and those lines whose column PID has one of the numbers.
fn select<'a>(text: &'a str, pids: &[i32]) -> Result<Vec<&'a str>> {
    let mut lines = text.lines();
    let title = lines.next().unwrap_or_default();
    let column = title.split_whitespace().position(|word| word == "PID");
    let column = column.ok_or_else(|| Error::invalid("ps printed no column PID").help("have its options print one"))?;
    let ours = |line: &&str| {
        let number = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        number.is_some_and(|number| pids.contains(&number))
    };
    Ok(std::iter::once(title).chain(lines.filter(ours)).collect())
}

#[cfg(test)]
mod tests {
    use super::select;

    #[test]
    fn lines_are_chosen_by_their_pid() {
        let text = "UID  PID PPID CMD\nroot 7 1 a\nroot 77 7 b\nroot 1 0 7\n";
        assert_eq!(select(text, &[7]).unwrap(), ["UID  PID PPID CMD", "root 7 1 a"]);
        assert!(select("CMD\n", &[7]).is_err());
    }
}
