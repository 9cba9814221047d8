//! The book's program: builds it, checks it, runs its cells.

use std::path::PathBuf;
use std::process::ExitCode;

use book::run::report::Report;
use book::{Book, Error, Page, Result, build, lint, run, serve};
use clap::{Parser, Subcommand};
use colored::Colorize;
use process::cli;

/// The book, served on this machine with a Run button on every cell
#[derive(Parser)]
#[command(name = "book", version)]
struct Cli {
    /// Another book than this repository's: a directory with pages/
    #[arg(long, global = true, value_name = "DIR")]
    book: Option<PathBuf>,
    /// The repository that another book speaks of: its own directory if not given
    #[arg(long, global = true, value_name = "DIR", requires = "book")]
    root: Option<PathBuf>,
    /// Where to serve it
    #[arg(long, default_value_t = 7070)]
    port: u16,
    /// Let cells that need root run as root of this machine, in namespaces of their own; else the virtual machine has them
    #[arg(long)]
    host_root: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Build the pages; the result needs nothing installed and no network
    Build {
        /// Where to: target/book if not given
        #[arg(long, value_name = "DIR")]
        dest: Option<PathBuf>,
    },
    /// List what the pages forgot: code not shown, code typed by hand, links that lead nowhere
    Lint,
    /// Run the cells and compare what they say with the record
    Check {
        /// Pages by name, all if none: 01-process
        pages: Vec<String>,
        /// Write a report for those who collect them
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// Run the cells and record what they say; what still matches stays as it stands
    Bless {
        /// Pages by name, all if none: 01-process
        pages: Vec<String>,
    },
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(done) = run::inner(&words) {
        return done.unwrap_or(ExitCode::FAILURE); // told to the session
    }
    let cli = Cli::parse();
    let mut book = cli.book.map_or_else(Book::here, Book::at);
    book.root = cli.root.unwrap_or(book.root);
    let done = match cli.command {
        None => serve::serve(book, cli.port, cli.host_root).map(|()| ExitCode::SUCCESS),
        Some(Command::Build { dest }) => build_book(&book, dest),
        Some(Command::Lint) => lint_book(&book),
        Some(Command::Check { pages, junit }) => check(&book, &pages, junit),
        Some(Command::Bless { pages }) => bless(&book, &pages),
    };
    done.unwrap_or_else(|error| cli::report(&error))
}

fn build_book(book: &Book, dest: Option<PathBuf>) -> Result<ExitCode> {
    let dest = dest.unwrap_or_else(|| target().join("book"));
    let built = build::build(book, &dest)?;
    built.warnings.iter().for_each(|warning| eprintln!("{} {warning}", "warning:".yellow().bold()));
    println!("{} pages: {}", built.pages.len(), dest.join("index.html").display());
    Ok(ExitCode::SUCCESS)
}

fn lint_book(book: &Book) -> Result<ExitCode> {
    let found = lint::lint(book)?;
    found.iter().for_each(|problem| println!("{problem}"));
    match found.len() {
        0 => Ok(ExitCode::SUCCESS),
        count => Err(Error::invalid(format!("{count} problems"))),
    }
}

fn check(book: &Book, names: &[String], junit: Option<PathBuf>) -> Result<ExitCode> {
    let mut report = Report::default();
    run::check::check(book, &chosen(book, names)?, &mut report)?;
    if let Some(file) = junit {
        report.junit(&file)?;
    }
    Ok(conclude(&report))
}

fn bless(book: &Book, names: &[String]) -> Result<ExitCode> {
    let mut report = Report::default();
    run::bless::bless(book, &chosen(book, names)?, &mut report)?;
    Ok(conclude(&report))
}

fn conclude(report: &Report) -> ExitCode {
    println!("{}", report.summary());
    if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The pages of these names: `01-process`, `01-process.md` or a path that ends so.
fn chosen(book: &Book, names: &[String]) -> Result<Vec<Page>> {
    let mut pages = book.pages()?;
    let wanted: Vec<&str> =
        names.iter().map(|name| name.rsplit('/').next().unwrap_or_default().trim_end_matches(".md")).collect();
    if let Some(unknown) = wanted.iter().find(|name| pages.iter().all(|page| page.name() != **name)) {
        let known = pages.iter().map(Page::name).collect::<Vec<_>>().join(", ");
        return Err(Error::not_found(format!("no page is called {unknown}")).help(format!("the summary has: {known}")));
    }
    pages.retain(|page| wanted.is_empty() || wanted.contains(&page.name().as_str()));
    Ok(pages)
}

/// Cargo's target directory: this program lies in target/debug.
fn target() -> PathBuf {
    run::target_dir().parent().map_or_else(|| "target".into(), PathBuf::from)
}
