//! The options about a container's life: restarts, its end, its log, its health.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::Signal;
use process::{OrCall, Result};
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::supervisor::restart::Policy;
use crate::supervisor::spawn::PROGRAM;
use crate::supervisor::{health, log};

/// Options about life.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Life cycle options")]
pub struct LifeArgs {
    /// Start it again when it has ended: no, on-failure[:TIMES], always, unless-stopped
    #[arg(long, value_name = "POLICY", default_value_t)]
    pub restart: Policy,
    /// Remove the container when it has ended, and what it wrote
    #[arg(long)]
    pub rm: bool,
    /// The signal that `stop` sends first; the image's, or SIGTERM, if none
    #[arg(long, value_name = "SIGNAL", value_parser = process::parse_signal)]
    pub stop_signal: Option<Signal>,
    /// Seconds that `stop` waits before it kills; -1 waits for ever
    #[arg(long, value_name = "SECONDS", default_value_t = 10, allow_negative_numbers = true)]
    pub stop_timeout: i64,
    /// Remember a word about the container
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub label: Vec<String>,
    /// Read labels from a file, one a line
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// Write the container's id to a new file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// Where its output is kept
    #[arg(long, value_name = "json-file|none", default_value = "json-file")]
    pub log_driver: String,
    /// How: max-size=10m, max-file=3
    #[arg(long, value_name = "NAME=VALUE")]
    pub log_opt: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub health: HealthArgs,
}

/// Options about health.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Health options")]
pub struct HealthArgs {
    /// A command that a shell in the container runs from time to time; it is healthy if that ends with 0
    #[arg(long, value_name = "CMD")]
    pub health_cmd: Option<String>,
    /// How often, such as 30s or 1m30s
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub health_interval: Option<Duration>,
    /// How long one may take
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub health_timeout: Option<Duration>,
    /// How long failures do not count after the start
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub health_start_period: Option<Duration>,
    /// How often during that time
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub health_start_interval: Option<Duration>,
    /// How many failures in a row make it unhealthy
    #[arg(long, value_name = "TIMES")]
    pub health_retries: Option<u32>,
    /// Do not check, whatever the image says
    #[arg(long, conflicts_with = "health_cmd")]
    pub no_healthcheck: bool,
}

/// How a container's health is checked. Times are nanoseconds, as in an image's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthCheck {
    /// `["CMD", argv…]` or `["CMD-SHELL", line]`; `["NONE"]` for no check.
    pub test: Vec<String>,
    /// Between the end of one check and the begin of the next.
    pub interval: u64,
    /// After which a check has failed.
    pub timeout: u64,
    /// During which failures do not count.
    pub start_period: u64,
    /// The interval during that time.
    pub start_interval: u64,
    /// How many failures in a row make it unhealthy.
    pub retries: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        let seconds = |seconds: u64| seconds * 1_000_000_000;
        Self {
            test: Vec::new(),
            interval: seconds(30),
            timeout: seconds(30),
            start_period: 0,
            start_interval: seconds(5),
            retries: 3,
        }
    }
}

impl HealthArgs {
    /// The check that the image has, as these options change it.
    pub fn over(&self, image: Option<HealthCheck>) -> Option<HealthCheck> {
        if self.no_healthcheck {
            return None;
        }
        let mut check = image.unwrap_or_default();
        if let Some(line) = &self.health_cmd {
            check.test = vec!["CMD-SHELL".to_owned(), line.clone()];
        }
        let set = |place: &mut u64, value: Option<Duration>| {
            if let Some(value) = value {
                *place = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
            }
        };
        set(&mut check.interval, self.health_interval);
        set(&mut check.timeout, self.health_timeout);
        set(&mut check.start_period, self.health_start_period);
        set(&mut check.start_interval, self.health_start_interval);
        check.retries = self.health_retries.unwrap_or(check.retries);
        // In an image, 0 means: as usual.
        let usual = HealthCheck::default();
        for (value, usual) in [
            (&mut check.interval, usual.interval),
            (&mut check.timeout, usual.timeout),
            (&mut check.start_interval, usual.start_interval),
        ] {
            if *value == 0 {
                *value = usual;
            }
        }
        check.retries = if check.retries == 0 { usual.retries } else { check.retries };
        (!check.test.is_empty() && check.test[0] != "NONE").then_some(check)
    }
}

impl HealthCheck {
    /// As the supervisor has it, for the container `id`.
    pub fn settings(&self, id: &str) -> Option<health::Settings> {
        let ms = |nanoseconds: u64| nanoseconds / 1_000_000;
        let words = [PROGRAM, "exec", id].map(str::to_owned);
        Some(health::Settings {
            argv: words.into_iter().chain(health::command(&self.test)?).collect(),
            interval_ms: ms(self.interval),
            timeout_ms: ms(self.timeout),
            retries: self.retries,
            start_period_ms: ms(self.start_period),
            start_interval_ms: ms(self.start_interval),
        })
    }
}

impl LifeArgs {
    /// How the log is kept.
    ///
    /// # Errors
    /// As [`log::Settings::parse`].
    pub fn log(&self) -> Result<log::Settings> {
        log::Settings::parse(&self.log_driver, &self.log_opt)
    }

    /// How long `stop` waits, in milliseconds; negative is for ever.
    pub fn stop_timeout_ms(&self) -> i64 {
        self.stop_timeout.saturating_mul(1000)
    }

    /// The labels of the options, each name with its value.
    ///
    /// # Errors
    /// An unreadable `--label-file`.
    pub fn labels(&self) -> Result<Vec<(String, String)>> {
        let mut lines = Vec::new();
        for file in &self.label_file {
            let text = std::fs::read_to_string(file).or_call("read", file.display())?;
            lines.extend(text.lines().map(|line| line.trim().to_owned()));
        }
        lines.extend(self.label.iter().cloned());
        let lines = lines.iter().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pair = |line: &String| match line.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (line.clone(), String::new()),
        };
        Ok(lines.map(pair).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_change_the_images_check() {
        let image: HealthCheck = serde_json::from_str(r#"{"Test":["CMD","true"],"Interval":0,"Retries":7}"#).unwrap();
        let check = HealthArgs::default().over(Some(image.clone())).unwrap();
        assert_eq!((check.interval, check.retries), (30_000_000_000, 7));
        let none = HealthArgs { no_healthcheck: true, ..HealthArgs::default() };
        assert_eq!(none.over(Some(image)), None);
        assert_eq!(HealthArgs::default().over(None), None);
        let mine = HealthArgs { health_cmd: Some("x".into()), health_retries: Some(1), ..HealthArgs::default() };
        assert_eq!(mine.over(None).unwrap().test, ["CMD-SHELL", "x"]);
    }
}
