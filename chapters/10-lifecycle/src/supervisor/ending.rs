//! The program has ended: what is still on the way is fetched, the end is recorded once, and all are told.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use process::{Error, Exit, OrCall, Result};

use super::exit::{Event, end_helpers, was_oom_killed};
use super::handover::{exec, inherit, keep_back};
use super::input::Input;
use super::light::{Light, PATIENCE};
use super::output::Piece;
use super::restart::back_off;
use super::stamp::Stamp;
use crate::state::{Probe, Status};

impl Light {
    /// Collects the children that have ended: the program, a health check, a helper.
    pub(super) fn reap(&mut self) -> Result<()> {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
                Err(Errno::EINTR) => continue,
                status => status.or_call("waitpid", "any child")?,
            };
            let (Some(pid), Some(exit)) = (status.pid(), Exit::from_wait(status)) else { continue };
            if pid == Pid::from_raw(self.handover.pid) && self.restart_at.is_none() {
                self.program_ended(exit.code().into())?;
            } else if let Some(probe) = self.monitor.as_mut().and_then(|one| one.ended(pid, exit.code().into())) {
                self.judge(probe);
            }
            self.handover.helpers.retain(|&helper| helper != pid.as_raw());
        }
    }

    /// A health check has a result.
    pub(super) fn judge(&mut self, probe: Probe) {
        let (Some(monitor), Some(health)) = (&mut self.monitor, &mut self.state.health) else { return };
        if monitor.judge(health, probe, Instant::now()) {
            let action = format!("health_status: {}", health.status.name());
            self.event(Event::now(action, &self.handover.id, &self.handover.name));
        }
        self.note();
    }

    fn event(&self, event: Event) {
        let appended = self.handover.events.as_ref().map_or(Ok(()), |path| event.append(path));
        if let Err(error) = appended {
            eprintln!("{} {}", Stamp::now(), error.what());
        }
    }

    /// Everything that follows from the program's end; then this process becomes the heavy phase, or waits to do so.
    fn program_ended(&mut self, exit_code: i32) -> Result<()> {
        self.accept(); // who called in time gets what the program said
        (0..self.outputs.len()).for_each(|at| self.drain(at));
        (self.outputs, self.terminal, self.log) = (Vec::new(), None, None);
        self.input = Input::new(None, false, false);
        self.kill_at = None;
        self.monitor.take().into_iter().for_each(|mut monitor| monitor.stop());
        self.record(exit_code);
        self.tell_end();
        self.clients.drain(..).for_each(|client| client.finish());
        end_helpers(&std::mem::take(&mut self.handover.helpers));
        self.keep.clear();
        if self.state.status == Status::Restarting {
            self.restart_at = Some(Instant::now() + Duration::from_millis(self.state.back_off_ms));
            return Ok(());
        }
        Err(self.become_heavy(false))
    }

    /// Fetches what was on the way when the program ended. Others may have the other end open still, and may write
    /// without end; they are not waited for.
    fn drain(&mut self, at: usize) {
        let until = Instant::now() + PATIENCE;
        let mut left = self.outputs[at].waiting().max(1);
        while left > 0 {
            match self.copy(at) {
                Piece::Bytes(count) => left = left.saturating_sub(count),
                Piece::End => break,
                Piece::Nothing if self.terminal.is_none() => break,
                Piece::Nothing => {}
            }
            if self.terminal.is_some() {
                // What a program wrote to a terminal comes a moment later (tty buffers are flushed by a kernel thread);
                // its end is certain when all have closed it, which reads as EIO.
                left = left.max(1);
                if Instant::now() >= until {
                    break;
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        let (output, log) = (&mut self.outputs[at], &mut self.log);
        let stream = output.stream;
        output.lines.finish(Stamp::now(), &mut |part, stamp| {
            log.iter_mut().for_each(|log| log.add(part, stream, stamp));
        });
    }

    /// Writes the end into the state, once, and decides what comes next.
    fn record(&mut self, exit_code: i32) {
        let ran = self.started.elapsed();
        let state = &mut self.state;
        state.finished_at = Some(Stamp::now());
        (state.exit_code, state.pid, state.start_time) = (exit_code, 0, 0);
        state.oom_killed = self.handover.cgroup.as_deref().is_some_and(was_oom_killed);
        let is_over = state.manually_stopped || self.is_leaving;
        state.status = if self.handover.restart.wants(exit_code, is_over, state.restart_count) {
            state.back_off_ms = back_off(Duration::from_millis(state.back_off_ms), ran).as_millis() as u64;
            state.restart_count += 1;
            Status::Restarting
        } else {
            state.back_off_ms = 0;
            Status::Exited
        };
        self.write();
        let (id, name) = (&self.handover.id, &self.handover.name);
        if self.state.oom_killed {
            self.event(Event::now("oom", id, name));
        }
        let died = Event::now("die", id, name).with("exitCode", exit_code).with("execDuration", ran.as_secs());
        self.event(died);
    }

    fn write(&self) {
        if let Err(error) = self.state.write(&self.handover.directory) {
            eprintln!("{} {}", Stamp::now(), error.what());
        }
    }

    /// The container will not be started again after all.
    pub(super) fn give_up(&mut self) -> Error {
        (self.state.status, self.state.back_off_ms) = (Status::Exited, 0);
        self.write();
        self.tell_end();
        self.become_heavy(false)
    }

    /// Becomes the heavy phase again. Returns only if that failed.
    pub(super) fn become_heavy(&mut self, restart: bool) -> Error {
        if restart && self.is_leaving {
            return self.give_up();
        }
        self.peers.clear();
        let control = if restart { inherit(&self.control) } else { keep_back(&self.control) };
        let ready = control.and_then(|()| self.carry.iter().try_for_each(inherit)).and_then(|()| {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).or_call("sigprocmask", "")
        });
        let then = &self.handover.then;
        let argv = if restart { &then.restart } else { &then.ended };
        ready.err().unwrap_or_else(|| exec(&then.program, argv))
    }
}
