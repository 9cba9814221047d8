//! The virtual machine while it runs the tests: one process, whose output is read as it comes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use harness::{Event, Outcome, Report, VM_TESTS};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::plan::Program;

/// A machine that says nothing for so long hangs: each test has a shorter limit of its own.
const SILENCE: Duration = Duration::from_secs(600);

/// The line that says which program runs next, by its number.
const PROGRAM: &str = "@cooper-program ";

/// The machine; ended on drop.
pub struct Machine {
    programs: Vec<Program>,
    running: Option<(Child, Receiver<String>)>,
    /// The program that runs in it.
    current: usize,
    /// What was printed since the last report.
    output: String,
    results: HashMap<String, Event>,
}

impl Machine {
    /// A machine that will run all tests of these programs.
    pub fn new(programs: Vec<Program>) -> Self {
        Self { programs, running: None, current: 0, output: String::new(), results: HashMap::new() }
    }

    /// Boots it, if that has not been done.
    pub fn start(&mut self) -> Outcome {
        if self.running.is_none() {
            self.running = Some(self.boot()?);
        }
        Ok(())
    }

    /// How the test of this title ended; waits for it. After [`start`](Self::start).
    pub fn result_of(&mut self, title: &str) -> Outcome<Event> {
        loop {
            if let Some(event) = self.results.remove(title) {
                return Ok(event);
            }
            let (_, lines) = self.running.as_ref().ok_or("the machine was not started")?;
            match lines.recv_timeout(SILENCE) {
                Ok(line) => self.take(&line),
                Err(RecvTimeoutError::Timeout) => {
                    Err(format!("the machine has said nothing for {SILENCE:?}; before that:\n{}", self.output))?;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    Err(format!("the machine ended before this test did; it said:\n{}", self.output))?;
                }
            }
        }
    }

    fn take(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix(PROGRAM) {
            self.current = number.trim().parse().unwrap_or(0);
            self.output.clear();
            return;
        }
        let Some(Report { name, event }) = Report::parse(line) else {
            self.output.push_str(line);
            self.output.push('\n');
            return;
        };
        let output = std::mem::take(&mut self.output);
        let event = match event {
            Event::Begin => return,
            Event::Failed(message) => Event::Failed(format!("{message}\n{output}")),
            other => other,
        };
        self.results.insert(self.programs[self.current].title(&name), event);
    }

    fn boot(&self) -> Outcome<(Child, Receiver<String>)> {
        let runner =
            std::env::var("COOPER_VM_RUNNER").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/vm/run").into());
        let mut command = Command::new("sh");
        // The runner may have arguments of its own: the shell splits it.
        command.args(["-c", "exec $0 -- sh -c \"$1\" 2>&1", &runner, &self.script()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("no pipe")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Ok((child, lines))
    }

    /// What the machine does: one program after the other, whatever becomes of each.
    fn script(&self) -> String {
        let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let word = |path: &PathBuf| quote(&path.to_string_lossy());
        let mut script = String::from("exec 2>&1\nexport COOPER_LANE=vm\n");
        for (number, program) in self.programs.iter().enumerate() {
            let (dir, path, tests) = (word(&program.dir), word(&program.path), quote(&program.tests.join("\n")));
            script += &format!("echo '{PROGRAM}{number}'; cd {dir} && {VM_TESTS}={tests} {path} --color never\n");
        }
        script
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some((mut child, lines)) = self.running.take() {
            // Nobody waits for anything any more: let it power off, or end it.
            while lines.recv_timeout(Duration::from_secs(20)).is_ok() {}
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}
