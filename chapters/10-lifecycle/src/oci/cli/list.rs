//! `list`: all containers of this root directory.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use process::{Error, Result, cli};

use super::{Context, Verb};
use crate::oci::state::Report;

/// List the containers
#[derive(Debug, Args)]
pub(super) struct List {
    /// How they are printed
    #[arg(short, long, value_enum, default_value = "table")]
    format: Format,
    /// Print their ids only
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

impl Verb for List {
    fn run(self, context: &Context) -> Result<ExitCode> {
        cli::end_with_reader()?;
        let mut found = Vec::new();
        for entry in context.store.list()? {
            match entry.look() {
                Ok((state, status)) => found.push((state, status, entry.owner())),
                // Removed while we looked, or not ours: the others are still worth telling.
                Err(error) => context.log.debug(|| format!("{}: {error}", entry.path().display())),
            }
        }
        let reports: Vec<_> =
            found.iter().map(|(state, status, owner)| Report::new(state, *status, owner.clone())).collect();
        if self.quiet {
            reports.iter().for_each(|report| println!("{}", report.id()));
        } else if self.format == Format::Json {
            let text = serde_json::to_string(&reports);
            println!("{}", text.map_err(|error| Error::invalid(format!("JSON: {error}")))?);
        } else {
            table(&reports);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// runc's columns.
fn table(reports: &[Report<'_>]) {
    let width = |title: &str, longest: Option<usize>| longest.unwrap_or(0).max(title.len()).max(9) + 3;
    let ids = width("ID", reports.iter().map(|report| report.id().len()).max());
    let bundles = width("BUNDLE", reports.iter().map(|report| report.bundle.as_os_str().len()).max());
    let created = width("CREATED", reports.iter().map(|report| report.created.len()).max());
    println!("{:ids$}{:12}{:12}{:bundles$}{:created$}OWNER", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
    for report in reports {
        let Report { pid, status, bundle, created: when, owner, .. } = report;
        println!("{:ids$}{pid:<12}{status:<12}{:bundles$}{when:created$}{owner}", report.id(), bundle.display());
    }
}
