//! `--log` and `--log-format`: where a driver reads what went wrong.
//!
//! The format is logrus's, which runc uses. Podman parses the whole file as one JSON object, so nothing but
//! the error goes there unless `--debug` asks for more.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use process::{Error, OrCall, Result};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::errors;

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `time="…" level=error msg="…"`
    #[default]
    Text,
    /// `{"level":"error","msg":"…","time":"…"}`
    Json,
}

/// Where messages go.
#[derive(Debug)]
pub struct Log {
    file: Option<File>,
    format: Format,
    debug: bool,
}

impl Log {
    /// Appends to the file at `path`; to standard error if there is none.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(path: Option<&Path>, format: Format, debug: bool) -> Result<Self> {
        let open =
            |path: &Path| OpenOptions::new().append(true).create(true).open(path).or_call("open", path.display());
        Ok(Self { file: path.map(open).transpose()?, format, debug })
    }

    /// Tells why we fail: in the log, and to a person on standard error.
    pub fn error(&self, error: &Error) {
        let line = errors::line(error);
        self.write("error", &line);
        if self.file.is_some() {
            eprintln!("{line}");
        }
    }

    /// Tells what went wrong beside the way.
    pub fn warning(&self, error: &Error) {
        self.write("warning", &errors::line(error));
    }

    /// Tells something that is not wrong, if `--debug` asks for it.
    pub fn debug(&self, message: impl FnOnce() -> String) {
        if self.debug {
            self.write("debug", &message());
        }
    }

    /// One write(2) for one line, so that several processes can share the file.
    fn write(&self, level: &str, message: &str) {
        let line = render(self.format, level, message, &now());
        let _ = match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

fn render(format: Format, level: &str, message: &str, time: &str) -> String {
    match format {
        Format::Json => format!("{}\n", json!({ "level": level, "msg": message, "time": time })),
        Format::Text => format!("time={time:?} level={level} msg={message:?}\n"),
    }
}

/// The time, as RFC 3339 writes it, in UTC.
pub fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_logruss() {
        let time = "2026-01-02T03:04:05Z";
        let text = render(Format::Text, "error", "no \"x\"", time);
        assert_eq!(text, "time=\"2026-01-02T03:04:05Z\" level=error msg=\"no \\\"x\\\"\"\n");
        let json = render(Format::Json, "error", "no \"x\"", time);
        assert_eq!(json, "{\"level\":\"error\",\"msg\":\"no \\\"x\\\"\",\"time\":\"2026-01-02T03:04:05Z\"}\n");
    }

    #[test]
    fn the_file_has_one_line_for_an_error_and_debug_is_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Log::open(Some(&path), Format::Json, false).unwrap();
        log.debug(|| "nothing".to_owned());
        log.error(&errors::missing());
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["msg"], "container does not exist");
    }
}
