//! `__lab DIR PROGRAM LIMITS -- ARGS`: what `$PROGRAM_ROOM` of a hidden test is. Runs the learner's program in a room,
//! and says what it says, as it says it.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use clap::Args;
use process::{Error, OrCall, Result};

use crate::Failure;
use crate::lab::{Lab, Limits, Running};

/// What it is told.
#[derive(Debug, Args)]
pub struct RoomArgs {
    dir: PathBuf,
    program: PathBuf,
    limits: String,
    #[arg(last = true)]
    args: Vec<String>,
}

/// Runs the program; its exit code is ours.
///
/// # Errors
/// There is no room on this machine.
pub fn enter(args: &RoomArgs) -> Result<ExitCode> {
    let limits: Limits = serde_json::from_str(&args.limits)
        .map_err(|error| Error::invalid(format!("__lab: {error}")).help("this is for the grader alone"))?;
    crate::lab::stop_on_signals().or_call("sigaction", "SIGTERM")?;
    let refused = |failure: Failure| Error::unsupported(failure.to_string());
    let tool = std::env::current_exe().map_err(|error| Error::io("readlink", "/proc/self/exe", &error))?;
    let words: Vec<_> = args.args.iter().map(String::as_str).collect();
    let lab = Lab::within(&tool, &args.program, &args.dir).with_limits(limits);
    let running = lab.start(&words).map_err(refused)?;
    relay(running).map_err(refused)
}

fn relay(mut running: Running) -> Result<ExitCode, Failure> {
    let typed = lines_of_stdin();
    let (mut out, mut err) = (0, 0);
    while !running.is_over()? {
        loop {
            match typed.try_recv() {
                Ok(line) => running.say(&line),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    running.hang_up();
                    break;
                }
            }
        }
        tell(whole_lines(&running.stdout()), &mut out, std::io::stdout());
        tell(whole_lines(&running.stderr()), &mut err, std::io::stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    let done = running.finish()?;
    tell(&done.stdout, &mut out, std::io::stdout());
    tell(&done.stderr, &mut err, std::io::stderr());
    if let Some(why) = done.ended {
        eprintln!("the program had to be ended: {why}");
    }
    Ok(ExitCode::from(u8::try_from(done.code).unwrap_or(u8::MAX)))
}

/// A line that is not whole yet may end in the middle of a character.
fn whole_lines(said: &str) -> &str {
    said.rfind('\n').map_or("", |end| &said[..=end])
}

/// Passes on what is new.
fn tell(said: &str, told: &mut usize, mut to: impl Write) {
    if let Some(new) = said.get(*told..) {
        let _ = to.write_all(new.as_bytes()).and_then(|()| to.flush());
    }
    *told = said.len();
}

fn lines_of_stdin() -> Receiver<String> {
    let (send, typed) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while std::io::stdin().lock().read_line(&mut line).is_ok_and(|count| count > 0) {
            if send.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    typed
}
