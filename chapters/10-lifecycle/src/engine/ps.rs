//! `ps`

use std::process::ExitCode;

use clap::Args;
use namespaces::rootless;
use process::{Result, cli};
use serde_json::{Value, json};

use super::container::{Kept, short};
use super::filter::{Filter, passes};
use super::listing::Listing;
use super::{ports, text};
use crate::state::{HealthStatus, State, Status};
use crate::supervisor::stamp::Stamp;

/// The arguments of `ps`.
#[derive(Debug, Clone, Args)]
pub struct PsArgs {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Print the ids only
    #[arg(short, long)]
    quiet: bool,
    /// Only these: id=, name=, status=, label=, exited=, ancestor=, volume=, network=, health=, before=, since=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
    /// `json`, `table TEMPLATE` or a template such as '{{.ID}} {{.Names}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not shorten ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// The last N that were made, whatever their state
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    /// The last one that was made
    #[arg(short, long)]
    latest: bool,
    /// Show what each has written
    #[arg(short, long)]
    size: bool,
}

/// The columns' names (docker/cli, formatter/container.go).
const HEADS: [(&str, &str); 14] = [
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Size", "SIZE"),
];
const TABLE: &str = "{{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}";

impl PsArgs {
    /// Prints the list.
    ///
    /// # Errors
    /// A filter or a template that is none; an unreadable directory.
    pub fn run(self) -> Result<ExitCode> {
        cli::end_with_reader()?;
        rootless::enter()?;
        let table = if self.size { format!("{TABLE}\\t{{{{.Size}}}}") } else { TABLE.to_owned() };
        let format = self.format.as_deref().or(self.quiet.then_some("{{.ID}}"));
        let listing = Listing::new(format, &table)?;
        let all = Kept::all()?;
        let mut shown: Vec<_> = all.iter().filter(|kept| passes(kept, &self.filter, &all)).collect();
        // Whoever asks for a state, an exit code or the last ones means those that have ended, too.
        let ended = self.all || self.latest || self.last.is_some() || self.filter.iter().any(Filter::means_ended);
        shown.retain(|kept| ended || kept.is_alive() || kept.state.status == Status::Restarting);
        shown.truncate(if self.latest { 1 } else { self.last.unwrap_or(usize::MAX) });
        let rows: Vec<_> = shown.iter().map(|kept| self.row(kept)).collect();
        print!("{}", listing.render(&HEADS, &rows)?);
        Ok(ExitCode::SUCCESS)
    }

    fn row(&self, kept: &Kept) -> Value {
        let config = kept.dir.config();
        let created = kept.created();
        let options = kept.options().ok();
        let labels = options.map(|options| options.labels).unwrap_or_default();
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mounts: Vec<_> = super::inspect::mounts(kept).unwrap_or_default();
        let names: Vec<_> = mounts.iter().map(|mount| self.shorten(mount.shown(), 15)).collect();
        let at = created.fixed();
        json!({
            "ID": if self.no_trunc { kept.id() } else { short(kept) },
            "Image": kept.annotation("image"),
            "Command": format!("\"{}\"", self.shorten(&command(kept), 20)),
            "CreatedAt": format!("{} {} +0000 UTC", &at[..10], &at[11..19]),
            "RunningFor": format!("{} ago", text::duration(Stamp::now().since(created).as_secs())),
            "Status": status(&kept.state),
            "State": kept.state.status.name(),
            "Ports": ports::summary(kept),
            "Names": kept.name(),
            "Labels": labels.join(","),
            "Mounts": names.join(","),
            "LocalVolumes": config.volumes.len().to_string(),
            "Networks": ports::networks(kept).join(","),
            "Size": if self.size { sizes(kept) } else { "0B".to_owned() },
        })
    }

    fn shorten(&self, text: &str, width: usize) -> String {
        if self.no_trunc { text.to_owned() } else { text::ellipsis(text, width) }
    }
}

/// The command line as one would type it, after Docker's manner: quotes where there are spaces.
fn command(kept: &Kept) -> String {
    let quoted = |word: &std::ffi::OsString| {
        let word = word.to_string_lossy().into_owned();
        if word.is_empty() || word.contains(char::is_whitespace) { format!("'{word}'") } else { word }
    };
    kept.dir.config().command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// `Up 5 minutes (healthy)`, as Docker says it (moby, container/state.go, `String`).
pub fn status(state: &State) -> String {
    let ago = |at: Option<Stamp>| at.map(|at| text::duration(Stamp::now().since(at).as_secs())).unwrap_or_default();
    match state.status {
        Status::Running => {
            let health = state.health.as_ref().map_or("", |health| match health.status {
                HealthStatus::Starting => " (health: starting)",
                HealthStatus::Healthy => " (healthy)",
                HealthStatus::Unhealthy => " (unhealthy)",
            });
            format!("Up {}{health}", ago(state.started_at))
        }
        Status::Paused => format!("Up {} (Paused)", ago(state.started_at)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, ago(state.finished_at)),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
        Status::Created => "Created".to_owned(),
        Status::Exited if state.finished_at.is_none() => "Exited".to_owned(), // an earlier step's, which kept no code
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, ago(state.finished_at)),
    }
}

/// What it wrote, and that with the layers below it: `2.3kB (virtual 4.2MB)`.
fn sizes(kept: &Kept) -> String {
    let own = disk_usage(&kept.dir.upper());
    let below: u64 = kept.dir.config().layers.iter().map(|layer| disk_usage(layer)).sum();
    format!("{} (virtual {})", text::size(own), text::size(own + below))
}

/// The bytes of all files below `path`; what cannot be looked at counts nothing.
pub fn disk_usage(path: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => disk_usage(&entry.path()),
        Ok(about) if about.is_file() => about.len(),
        _ => 0,
    };
    entries.map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_in_dockers_words() {
        let now = Stamp::now();
        let ago = |seconds| Some(now.before(std::time::Duration::from_secs(seconds)));
        let state = |status, started_at, finished_at, exit_code| {
            super::status(&State { status, started_at, finished_at, exit_code, ..State::default() })
        };
        assert_eq!(state(Status::Created, None, None, 0), "Created");
        assert_eq!(state(Status::Running, ago(300), None, 0), "Up 5 minutes");
        assert_eq!(state(Status::Paused, ago(5), None, 0), "Up 5 seconds (Paused)");
        assert_eq!(state(Status::Exited, ago(500), ago(7200), 3), "Exited (3) 2 hours ago");
        assert_eq!(state(Status::Restarting, ago(9), ago(1), 1), "Restarting (1) 1 second ago");
    }
}
