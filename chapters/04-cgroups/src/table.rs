//! The table of `stats`.

use std::time::Instant;

use namespaces::running::Running;

use crate::{Bytes, Group, Stats};

/// Two readings of one container: a rate needs both.
pub struct Row {
    name: String,
    now: Option<Stats>,
    /// CPU time that went by between the readings, as a share of one CPU.
    cpu_share: f64,
    state: &'static str,
    /// Why there is nothing to show.
    reason: Option<String>,
}

/// A container that is watched.
pub struct Watched {
    name: String,
    group: Result<Group, String>,
    last: Option<(Instant, u64)>,
}

impl Watched {
    /// Opens the group of `container`.
    pub fn new(container: &Running) -> Self {
        let group = Group::of_container(container);
        let mut watched =
            Self { name: container.name.clone(), group: group.map_err(|error| error.to_string()), last: None };
        watched.read();
        watched
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads once more; the first reading was at [`new`](Self::new). None once the group is gone.
    pub fn read(&mut self) -> Option<Row> {
        let name = self.name.clone();
        let group = match &self.group {
            Ok(group) => group,
            Err(reason) => {
                return Some(Row { name, now: None, cpu_share: 0.0, state: "", reason: Some(reason.clone()) });
            }
        };
        let stats = group.stats().ok()?;
        let (now, usage) = (Instant::now(), stats.cpu.usage_usec);
        let share = self.last.map_or(0.0, |(then, before)| {
            usage.saturating_sub(before) as f64 / now.duration_since(then).as_micros().max(1) as f64
        });
        self.last = Some((now, usage));
        let state = if group.is_frozen() { "paused" } else { "running" };
        Some(Row { name, now: Some(stats), cpu_share: share, state, reason: None })
    }
}

/// Prints the table: what is not measured is a `-`, and the reasons stand below.
pub fn render(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(9);
    let mut text = format!(
        "{:<width$}  {:<7}  {:>7}  {:>21}  {:>6}  {:>11}  {:>21}  {}\n",
        "CONTAINER",
        "STATE",
        "CPU %",
        "MEMORY / LIMIT",
        "MEM %",
        "PIDS / MAX",
        "READ / WRITTEN",
        "WAITING % cpu mem io"
    );
    for row in rows {
        text += &format!("{:<width$}  {}\n", row.name, row.cells());
    }
    for row in rows {
        if let Some(reason) = &row.reason {
            text += &format!("{}: {reason}\n", row.name);
        }
    }
    text
}

impl Row {
    fn cells(&self) -> String {
        let none = || "-".to_owned();
        let Some(stats) = &self.now else {
            return format!("{:<7}  {:>7}  {:>21}  {:>6}  {:>11}  {:>21}  -", "-", "-", "-", "-", "-", "-");
        };
        let limit = |max: Option<u64>| max.map_or("max".to_owned(), |max| Bytes(max).to_string());
        let memory = stats.memory.map_or_else(none, |it| format!("{} / {}", Bytes(it.used()), limit(it.max)));
        let of_limit = stats.memory.and_then(|it| Some(format!("{:.1}", percent(it.used(), it.max?))));
        let most = |max: Option<u64>| max.map_or("max".to_owned(), |max| max.to_string());
        let pids = stats.pids.map_or_else(none, |it| format!("{} / {}", it.current, most(it.max)));
        let io = stats.io.map_or_else(none, |it| format!("{} / {}", Bytes(it.rbytes), Bytes(it.wbytes)));
        let waiting = stats.pressure.map_or_else(none, |it| format!("{:.1} {:.1} {:.1}", it.cpu, it.memory, it.io));
        format!(
            "{:<7}  {:>7.1}  {memory:>21}  {:>6}  {pids:>11}  {io:>21}  {waiting}",
            self.state,
            self.cpu_share * 100.0,
            of_limit.unwrap_or_else(none)
        )
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Pids};

    #[test]
    fn a_row_shows_what_there_is_and_a_dash_for_the_rest() {
        let memory = Memory { current: 48 << 20, inactive_file: 16 << 20, max: Some(64 << 20), ..Memory::default() };
        let now = Stats { memory: Some(memory), pids: Some(Pids { current: 2, max: None }), ..Stats::default() };
        let row = |now, reason| Row { name: "web".into(), now, cpu_share: 0.5, state: "running", reason };
        let text = render(&[row(Some(now), None), row(None, Some("because".into()))]);
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "web running 50.0 32 MiB / 64 MiB 50.0 2 / max - -");
        assert_eq!(lines[2], "web - - - - - - -");
        assert_eq!(lines[3], "web: because");
    }
}
