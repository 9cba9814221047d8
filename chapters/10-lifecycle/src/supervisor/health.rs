//! Health checks: a command in the container, run again and again, whose exit codes make up a verdict.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, pipe2, read};
use process::{OrCall, Result};
use serde::{Deserialize, Serialize};

use super::stamp::Stamp;
use crate::state::{Health, HealthStatus, Probe};

/// How much of what a check says is kept (this and the next as moby, daemon/health.go).
const OUTPUT: usize = 4096;
/// How many checks are remembered.
const REMEMBERED: usize = 5;

/// How the checks are made. Docker's defaults are [`Settings::new`]'s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The program of the host that runs the check in the container, and its arguments: `step10 exec ID CMD…`.
    pub argv: Vec<String>,
    /// From the end of one check to the beginning of the next, and before the first.
    pub interval_ms: u64,
    /// How long one may take.
    pub timeout_ms: u64,
    /// How many must fail one after the other.
    pub retries: u32,
    /// So long after the start failures do not count, until a check succeeds.
    pub start_period_ms: u64,
    /// The interval during that time.
    pub start_interval_ms: u64,
}

impl Settings {
    /// Docker's defaults: every 30 s, 30 s long, three failures.
    pub fn new(argv: Vec<String>) -> Self {
        let (interval_ms, timeout_ms, start_interval_ms) = (30_000, 30_000, 5_000);
        Self { argv, interval_ms, timeout_ms, retries: 3, start_period_ms: 0, start_interval_ms }
    }
}

/// The command of an image's `HEALTHCHECK`: `["CMD", …]` as it is, `["CMD-SHELL", text]` by the shell, `["NONE"]` none.
pub fn command(test: &[String]) -> Option<Vec<String>> {
    match test {
        [kind, rest @ ..] if kind == "CMD" && !rest.is_empty() => Some(rest.to_vec()),
        [kind, text] if kind == "CMD-SHELL" => Some(["/bin/sh", "-c", text].map(str::to_owned).to_vec()),
        _ => None,
    }
}

/// What runs the checks.
#[derive(Debug)]
pub struct Monitor {
    settings: Settings,
    /// When the program was started.
    started: Instant,
    /// When the next check is due.
    next: Instant,
    running: Option<Check>,
}

/// A check that is under way.
#[derive(Debug)]
struct Check {
    pid: Pid,
    /// Its standard output and error, until it has closed them.
    pipe: Option<OwnedFd>,
    output: Vec<u8>,
    is_cut: bool,
    start: Stamp,
    /// When it will have taken too long; none if it has been killed for that.
    deadline: Option<Instant>,
}

impl Monitor {
    /// Checks of a program that was started just now.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let mut monitor = Self { settings, started: now, next: now, running: None };
        monitor.next = now + monitor.interval(HealthStatus::Starting, now);
        monitor
    }

    /// When something is to be done next.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.running {
            Some(check) => check.deadline,
            None => Some(self.next),
        }
    }

    /// The running check's output, to poll.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref()?.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Does what is due: begins a check, or kills one that takes too long. Gives a result if it could not even begin.
    pub fn tick(&mut self, now: Instant) -> Option<Probe> {
        if let Some(check) = &mut self.running {
            if check.deadline.is_some_and(|deadline| deadline <= now) {
                check.deadline = None;
                check.kill();
            }
            return None;
        }
        if self.next > now {
            return None;
        }
        let start = Stamp::now();
        match Check::begin(&self.settings.argv, now + Duration::from_millis(self.settings.timeout_ms)) {
            Ok(check) => {
                self.running = Some(check);
                None
            }
            Err(error) => Some(Probe { start, end: Stamp::now(), exit_code: -1, output: error.what().to_owned() }),
        }
    }

    /// Takes what the check says.
    pub fn read(&mut self) {
        if let Some(check) = &mut self.running {
            check.read();
        }
    }

    /// A child has ended: if it was the check, its result.
    pub fn ended(&mut self, pid: Pid, exit_code: i32) -> Option<Probe> {
        let mut check = self.running.take_if(|check| check.pid == pid)?;
        check.read();
        let mut output = String::from_utf8_lossy(&check.output).into_owned();
        if check.is_cut {
            output.push_str("...");
        }
        let timeout = Duration::from_millis(self.settings.timeout_ms);
        let (exit_code, output) = match check.deadline {
            Some(_) => (exit_code, output),
            None if output.is_empty() => (-1, format!("Health check exceeded timeout ({timeout:?})")),
            None => (-1, format!("Health check exceeded timeout ({timeout:?}): {output}")),
        };
        Some(Probe { start: check.start, end: Stamp::now(), exit_code, output })
    }

    /// Adds a result to what is known, and arranges the next check. True if the verdict is another one now.
    pub fn judge(&mut self, health: &mut Health, probe: Probe, now: Instant) -> bool {
        let before = health.status;
        let took = probe.end.since(probe.start);
        let began = now.saturating_duration_since(self.started).saturating_sub(took);
        if probe.exit_code == 0 {
            health.failing_streak = 0;
            health.status = HealthStatus::Healthy;
        } else if health.status != HealthStatus::Starting || began >= self.start_period() {
            health.failing_streak += 1;
            if health.failing_streak >= self.settings.retries.max(1) {
                health.status = HealthStatus::Unhealthy;
            }
        }
        let surplus = (health.log.len() + 1).saturating_sub(REMEMBERED);
        health.log.drain(..surplus);
        health.log.push(probe);
        self.next = now + self.interval(health.status, now);
        health.status != before
    }

    /// Postpones the next check: the container is paused.
    pub fn pause(&mut self, now: Instant) {
        self.next = now + Duration::from_millis(self.settings.interval_ms);
    }

    /// Ends a running check.
    pub fn stop(&mut self) {
        if let Some(check) = &self.running {
            check.kill();
        }
    }

    fn start_period(&self) -> Duration {
        Duration::from_millis(self.settings.start_period_ms)
    }

    /// As moby: the first check after the start period comes at once.
    fn interval(&self, status: HealthStatus, now: Instant) -> Duration {
        let interval = Duration::from_millis(self.settings.interval_ms);
        let remaining = self.start_period().saturating_sub(now.saturating_duration_since(self.started));
        if remaining.is_zero() {
            interval
        } else if status == HealthStatus::Starting {
            remaining.min(Duration::from_millis(self.settings.start_interval_ms))
        } else {
            remaining.min(interval)
        }
    }
}

impl Check {
    fn begin(argv: &[String], deadline: Instant) -> Result<Self> {
        let (name, arguments) = argv.split_first().ok_or_else(|| process::Error::invalid("no health command"))?;
        let (pipe, theirs) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).or_call("pipe2", "for a health check")?;
        nix::fcntl::fcntl(&theirs, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty())).or_call("fcntl", "F_SETFL")?;
        let also = theirs.try_clone().or_call("dup", "for a health check")?;
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::null()).stdout(theirs).stderr(also).process_group(0);
        // The Child of the standard library may be dropped: the supervisor collects all its children itself.
        let child = command.spawn().or_call("execve", name)?;
        let pid = Pid::from_raw(child.id().cast_signed());
        Ok(Self {
            pid,
            pipe: Some(pipe),
            output: Vec::new(),
            is_cut: false,
            start: Stamp::now(),
            deadline: Some(deadline),
        })
    }

    fn kill(&self) {
        let _ = killpg(self.pid, Signal::SIGKILL);
    }

    fn read(&mut self) {
        let mut buffer = [0; OUTPUT];
        // Bounded: one that speaks without end is read again in the next round.
        for _ in 0..16 {
            let Some(pipe) = &self.pipe else { return };
            match read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let kept = count.min(OUTPUT - self.output.len());
                    self.output.extend_from_slice(&buffer[..kept]);
                    self.is_cut |= kept < count;
                }
                Err(Errno::EINTR) => {}
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(exit_code: i32) -> Probe {
        Probe { start: Stamp::new(0, 0), end: Stamp::new(0, 0), exit_code, output: String::new() }
    }

    #[test]
    fn the_verdict_is_dockers() {
        let now = Instant::now();
        let settings = Settings { retries: 2, start_period_ms: 1000, ..Settings::new(vec![]) };
        let mut monitor = Monitor::new(settings, now);
        let mut health = Health::default();
        let mut judge = |code, millis| {
            let changed = monitor.judge(&mut health, probe(code), now + Duration::from_millis(millis));
            (health.status, health.failing_streak, changed, health.log.len())
        };
        use HealthStatus::{Healthy, Starting, Unhealthy};
        assert_eq!(judge(1, 10), (Starting, 0, false, 1), "a failure in the start period does not count");
        assert_eq!(judge(0, 20), (Healthy, 0, true, 2));
        assert_eq!(judge(1, 30), (Healthy, 1, false, 3), "after a success it does");
        assert_eq!(judge(7, 2000), (Unhealthy, 2, true, 4));
        assert_eq!(judge(0, 2100), (Healthy, 0, true, 5));
        assert_eq!(judge(0, 2200), (Healthy, 0, false, 5), "five are remembered");
    }

    #[test]
    fn intervals_in_and_after_the_start_period() {
        let now = Instant::now();
        let settings = Settings { start_period_ms: 12_000, ..Settings::new(vec![]) };
        let monitor = Monitor::new(settings, now);
        let wait = |status, seconds| monitor.interval(status, now + Duration::from_secs(seconds)).as_secs();
        assert_eq!(wait(HealthStatus::Starting, 0), 5);
        assert_eq!(wait(HealthStatus::Starting, 10), 2, "the end of the start period");
        assert_eq!(wait(HealthStatus::Starting, 20), 30);
        assert_eq!(wait(HealthStatus::Healthy, 1), 11);
    }

    #[test]
    fn the_forms_of_a_check() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(command(&words("CMD curl x")), Some(words("curl x")));
        assert_eq!(command(&words("CMD-SHELL true")), Some(words("/bin/sh -c true")));
        assert_eq!((command(&words("NONE")), command(&[])), (None, None));
    }
}
