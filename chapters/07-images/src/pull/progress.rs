//! What a person sees of a pull: bars on a terminal, Docker's lines anywhere else.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use oci_spec::image::Descriptor;

use crate::digest;

/// Where a layer is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It will be fetched.
    Waiting,
    /// It is here already.
    Exists,
    /// It is here, verified and unpacked.
    Complete,
    /// It could not be had; the error says why.
    Failed,
}

impl State {
    /// Docker's words.
    fn words(self) -> &'static str {
        match self {
            Self::Waiting => "Pulling fs layer",
            Self::Exists => "Already exists",
            Self::Complete => "Pull complete",
            Self::Failed => "Failed",
        }
    }
}

/// Whoever wants to know how a pull goes. Called from several threads.
pub trait Progress: Sync {
    /// A line for the reader.
    fn message(&self, text: &str);

    /// The layer `number` is in another state.
    fn state(&self, number: usize, blob: &Descriptor, state: State);

    /// So many more bytes of the layer have come.
    fn advance(&self, number: usize, bytes: u64);
}

/// Bars if standard error is a terminal, lines otherwise; to standard output if `stdout`, which is a pull's
/// result, and to standard error when a container's output will follow.
pub fn for_terminal(stdout: bool, quiet: bool) -> Box<dyn Progress> {
    match () {
        () if quiet => Box::new(Silent),
        () if std::io::stderr().is_terminal() => Box::new(Bars::new()),
        () if stdout => Box::new(Lines::new(std::io::stdout())),
        () => Box::new(Lines::new(std::io::stderr())),
    }
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn message(&self, _: &str) {}
    fn state(&self, _: usize, _: &Descriptor, _: State) {}
    fn advance(&self, _: usize, _: u64) {}
}

/// Says on standard error only what somebody should know, not how far it is.
pub struct Notes;

impl Progress for Notes {
    fn message(&self, text: &str) {
        eprintln!("{text}");
    }
    fn state(&self, _: usize, _: &Descriptor, _: State) {}
    fn advance(&self, _: usize, _: u64) {}
}

/// One line per event.
pub struct Lines<W> {
    out: Mutex<W>,
}

impl<W: Write + Send> Lines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out: Mutex::new(out) }
    }
}

impl<W: Write + Send> Progress for Lines<W> {
    fn message(&self, text: &str) {
        // A reader who has gone away is no reason to stop pulling.
        let _ = writeln!(lock(&self.out), "{text}");
    }

    fn state(&self, _: usize, blob: &Descriptor, state: State) {
        self.message(&format!("{}: {}", digest::short(blob.digest()), state.words()));
    }

    fn advance(&self, _: usize, _: u64) {}
}

/// A bar per layer.
pub struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<usize, ProgressBar>>,
}

impl Bars {
    /// Draws on standard error.
    pub fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        Self { all, bars: Mutex::default() }
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bars {
    fn message(&self, text: &str) {
        let _ = self.all.println(text);
    }

    fn state(&self, number: usize, blob: &Descriptor, state: State) {
        let mut bars = lock(&self.bars);
        let bar = bars.entry(number).or_insert_with(|| {
            let style = "{prefix}: {msg:16} {bar:32.cyan/blue} {bytes:>10}/{total_bytes:<10} {bytes_per_sec}";
            let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = self.all.add(ProgressBar::new(blob.size()).with_style(style));
            bar.set_prefix(digest::short(blob.digest()).to_owned());
            bar
        });
        bar.set_message(state.words());
        if state != State::Waiting {
            let plain =
                ProgressStyle::with_template("{prefix}: {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(plain);
            bar.finish();
        }
    }

    fn advance(&self, number: usize, bytes: u64) {
        if let Some(bar) = lock(&self.bars).get(&number) {
            bar.inc(bytes);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
