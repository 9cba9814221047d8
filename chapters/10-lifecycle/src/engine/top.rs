//! `top`: the host's ps, of which the container's processes are shown. No program of the image is run for it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, ExitCode};

use clap::Args;
use namespaces::{find_program, rootless};
use process::{Error, OrCall, Result, cli};

use super::container::Kept;
use super::transitions::Action;

/// The arguments of `top`.
#[derive(Debug, Clone, Args)]
pub struct TopArgs {
    /// The container's name or id
    #[arg(value_name = "NAME")]
    name: String,
    /// Options of ps(1), instead of -ef; PID must be among the columns
    #[arg(value_name = "PS-OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl TopArgs {
    /// Prints the processes.
    ///
    /// # Errors
    /// A container that does not run; no ps, or options that it does not take.
    pub fn run(self) -> Result<ExitCode> {
        cli::end_with_reader()?;
        rootless::enter()?;
        let kept = Kept::find(&self.name)?;
        kept.may(Action::Top)?;
        let pids = processes(&kept)?;
        let ps = find_program("ps").ok_or_else(|| {
            Error::unsupported("this machine has no program ps").help("install it: sudo apt-get install procps")
        })?;
        let mut command = Command::new(ps);
        if self.options.is_empty() {
            command.arg("-ef")
        } else {
            command.args(&self.options)
        };
        let output = command.output().or_call("exec", "ps")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::invalid(format!("ps: {}", said.lines().next().unwrap_or("it failed"))));
        }
        print!("{}", table(&String::from_utf8_lossy(&output.stdout), &pids)?);
        Ok(ExitCode::SUCCESS)
    }
}

/// The processes of a container: those of its group; without one, those that share its init's PID namespace.
///
/// # Errors
/// [`Kind::Conflict`](process::Kind::Conflict) if it does not run.
pub fn processes(kept: &Kept) -> Result<BTreeSet<i32>> {
    let running = kept.running()?;
    if let Ok(group) = kept.group() {
        let mut all = BTreeSet::new();
        below(group.path(), &mut all);
        if !all.is_empty() {
            return Ok(all);
        }
    }
    let namespace = |pid: i32| fs::metadata(format!("/proc/{pid}/ns/pid")).map(|about| about.ino()).ok();
    let own = namespace(running.pid);
    if own.is_none() || own == namespace(std::process::id().cast_signed()) {
        return Ok(BTreeSet::from([running.pid]));
    }
    let entries = fs::read_dir("/proc").or_call("open", "/proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Ok(pids.filter(|&pid| namespace(pid) == own).collect())
}

/// The processes of a group and of those below it.
fn below(group: &std::path::Path, all: &mut BTreeSet<i32>) {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    all.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir()).for_each(|entry| below(&entry.path(), all));
}

/// The lines of ps that belong to `pids`, in Docker's columns: twenty wide, the last one as long as it is.
fn table(text: &str, pids: &BTreeSet<i32>) -> Result<String> {
    let mut lines = text.lines();
    let heads: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    let at = heads.iter().position(|head| *head == "PID").ok_or_else(|| {
        Error::invalid("ps shows no column PID").help("choose options that do, as in `top NAME -o pid,comm`")
    })?;
    let mut rows = vec![heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>()];
    for line in lines {
        let row = columns(line, heads.len());
        if row.get(at).and_then(|pid| pid.parse().ok()).is_some_and(|pid| pids.contains(&pid)) {
            rows.push(row);
        }
    }
    let line = |row: &Vec<String>| {
        let (last, others) = row.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
        let others: String = others.iter().map(|cell| format!("{cell:<20}")).collect();
        format!("{others}{last}\n")
    };
    Ok(rows.iter().map(line).collect())
}

/// The last column may have spaces.
fn columns(line: &str, count: usize) -> Vec<String> {
    let mut columns = Vec::new();
    let mut rest = line.trim();
    while columns.len() + 1 < count && !rest.is_empty() {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        columns.push(word.to_owned());
        rest = after.trim_start();
    }
    columns.push(rest.to_owned());
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines() {
        let text = "UID          PID    PPID CMD\nroot           1       0 /sbin/init a b\nroot          42       1 sleep 10\n";
        let shown = table(text, &BTreeSet::from([42, 99])).unwrap();
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<_> = shown.lines().map(cells).collect();
        assert_eq!(lines, [cells("UID PID PPID CMD"), cells("root 42 1 sleep 10")]);
        assert!(table("USER COMMAND\n", &BTreeSet::new()).is_err());
    }
}
