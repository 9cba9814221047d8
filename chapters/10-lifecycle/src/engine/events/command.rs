//! `events`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use namespaces::rootless;
use process::{OrCall, Result, cli};
use serde_json::Value;

use super::filter::{Filter, passes};
use super::follow::Follow;
use super::shape::{Known, Shown};
use crate::engine::template::Template;
use crate::engine::when::When;
use crate::supervisor::stamp::Stamp;

/// The arguments of `events`.
#[derive(Debug, Clone, Args)]
pub struct EventsArgs {
    /// Begin with what happened at this time: 2026-01-02T15:04:05, Unix seconds, or 10m ago
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// End with what happened until this time
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// Only these: type=, event=, container=, image=, label=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
    /// `json`, or a template such as '{{.Action}} {{.Actor.Attributes.name}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

impl EventsArgs {
    /// Prints what happened, and what happens.
    ///
    /// # Errors
    /// A time or a template that is none; as reading the file.
    pub fn run(self) -> Result<ExitCode> {
        cli::end_with_reader()?;
        rootless::enter()?;
        let now = Stamp::now();
        let (since, until) = (self.since.map(|when| when.0), self.until.map(|when| when.0));
        let template = match self.format.as_deref() {
            None => None,
            Some("json") => Some(Template::parse("{{json .}}")?),
            Some(text) => Some(Template::parse(text)?),
        };
        // Without --since only what comes; with --until alone, what was.
        let first = since.unwrap_or(if self.until.is_some() { Stamp::default() } else { now });
        let (mut follow, mut known) = (Follow::new()?, Known::default());
        loop {
            for event in follow.read()? {
                let event = known.complete(event);
                let at = event.time_nano;
                let in_time = at >= first.nanoseconds() && until.is_none_or(|until| at <= until.nanoseconds());
                if in_time && passes(&event, &self.filter) {
                    print(&event, template.as_ref())?;
                }
            }
            let left = until.map(|until| until.since(Stamp::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(ExitCode::SUCCESS);
            }
            follow.wait(left)?;
        }
    }
}

fn print(event: &Shown, template: Option<&Template>) -> Result<()> {
    let line = match template {
        Some(template) => template.render(&serde_json::to_value(event).unwrap_or(Value::Null))?,
        None => text(event),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).or_call("write", "standard output")
}

/// `2026-01-02T03:04:05.123456789Z container start ID (image=…, name=…)`
fn text(event: &Shown) -> String {
    let nanos = u32::try_from(event.time_nano.rem_euclid(1_000_000_000)).unwrap_or_default();
    let when = Stamp::new(event.time_nano.div_euclid(1_000_000_000), nanos).fixed();
    let attributes: Vec<_> = event.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let about = if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join(", ")) };
    format!("{when} {} {} {}{about}", event.kind, event.action, event.actor.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::exit::Event;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        events: EventsArgs,
    }

    #[test]
    fn filters() {
        let event = Event::now("exec_create: sh", "0123", "web").with("image", "busybox:1").with("tier", "front");
        let event = Known::default().complete(Event { time: Stamp::new(1, 7), ..event });
        for (filters, fits) in [
            (&["container=web"][..], true),
            (&["container=01"], true),
            (&["container=", "container=x"], false),
            (&["event=exec_create", "event=die"], true),
            (&["event=exec"], false),
            (&["image=busybox", "label=tier=front", "label=x"], true),
            (&["label=tier", "type=image"], false),
        ] {
            let line = ["x"].into_iter().chain(filters.iter().flat_map(|one| ["--filter", one]));
            let args = Cli::try_parse_from(line).unwrap().events;
            assert_eq!(passes(&event, &args.filter), fits, "{filters:?}");
        }
        assert!(Cli::try_parse_from(["x", "--filter", "colour=red"]).is_err());
        let wanted =
            "1970-01-01T00:00:01.000000007Z container exec_create: sh 0123 (image=busybox:1, name=web, tier=front)";
        assert_eq!(text(&event), wanted);
    }
}
