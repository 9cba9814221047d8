//! An init that misses nobody: many orphans end while it cannot look.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::check::{Check, Failure, Verdict, same, that};
use crate::lab::{Lab, PROGRAM, Process, Running};

pub const CHECKS: [Check; 3] = [
    Check::new("children that end at once are all collected", at_once).points(3),
    Check::new("the main child's code, and no other's", code).points(2),
    Check::new("signals are passed on all the time", signals).points(2),
];

/// How long an init may work at most on what it should do at once.
const LONGEST: Duration = Duration::from_secs(2);

/// How often a process must be seen asleep, one glance after the other, to be believed that it has nothing more to do.
const ASLEEP: u32 = 3;

/// Why an init ends although its program goes on.
const TOO_EARLY: &str = "an orphan's end is not the end of the program";

/// The main child makes orphans, tells so, and waits for the end of its input.
const MAIN: &str = "i=0; while [ $i -lt $1 ]; do (exec sleep 300 & ); i=$((i+1)); done; echo $0; read line; exit $2";

struct Scene {
    running: Running,
    init: Process,
    orphans: Vec<Process>,
    code: u32,
}

impl Scene {
    fn new(lab: &Lab, orphans: u32) -> Result<Self, Failure> {
        let (word, code) = (lab.nonce(), lab.number(2, 100));
        let mut running = lab.start(&["sh", "-c", MAIN, &word, &orphans.to_string(), &code.to_string()])?;
        running.wait_for("the main child's line", |running| running.stdout().contains(&word).then_some(()))?;
        let init = running.wait_for("the init", |running| {
            let is_it = |process: &Process| process.argv.first().is_some_and(|name| name == PROGRAM);
            running.processes().into_iter().find(is_it)
        })?;
        let mut scene = Self { running, init, orphans: Vec::new(), code };
        let pid = scene.init.pid;
        scene.orphans = scene.running.wait_for("the orphans as the init's children", |running| {
            let below = children(running, pid).into_iter().filter(|one| one.argv.contains(&"300".into()));
            Some(below.collect::<Vec<_>>()).filter(|below| below.len() == orphans as usize)
        })?;
        Ok(scene)
    }

    /// Ends orphans, and waits until they have ended, collected or not.
    fn end(&mut self, count: usize) -> Verdict {
        for orphan in self.orphans.drain(..count) {
            let _ = kill(Pid::from_raw(orphan.pid), Signal::SIGKILL);
            let has_ended = |_: &mut Running| matches!(state(&orphan), None | Some('Z')).then_some(());
            self.running.wait_for("an orphan's end", has_ended).map_err(|failure| failure.note(TOO_EARLY))?;
        }
        Ok(())
    }

    /// Waits until the init, and with it whoever else is named, sleeps: then it has done all that it wanted to do.
    fn settle(&mut self, beside: Option<&Process>) -> Verdict {
        let (init, since, mut glances) = (self.init.clone(), Instant::now(), 0);
        self.running.wait_for("the init, and its main child", |_| {
            let asleep = [Some(&init), beside].into_iter().flatten().all(|process| state(process) == Some('S'));
            glances = if asleep { glances + 1 } else { 0 };
            (glances == ASLEEP || since.elapsed() > LONGEST).then_some(())
        })
    }

    /// The end of the main child's input, which ends it, and the init's exit code.
    fn hang_up(mut self) -> Result<i32, Failure> {
        self.running.hang_up();
        Ok(self.running.finish()?.code)
    }
}

fn children(running: &Running, of: i32) -> Vec<Process> {
    running.processes().into_iter().filter(|process| process.parent == of).collect()
}

fn state(process: &Process) -> Option<char> {
    process.status("State")?.chars().next()
}

fn at_once(lab: &Lab) -> Verdict {
    let count = lab.number(12, 20);
    let mut scene = Scene::new(lab, count)?;
    let init = scene.init.clone();
    scene.running.signal(Signal::SIGSTOP);
    scene.running.wait_for("a stop", |_| (state(&init) == Some('T')).then_some(()))?;
    scene.end(count as usize)?;
    scene.running.signal(Signal::SIGCONT);
    scene.settle(None).map_err(|failure| failure.note(TOO_EARLY))?;
    let left = children(&scene.running, init.pid).iter().filter(|child| state(child) == Some('Z')).count();
    let what = format!("zombies below the init, after {count} orphans had ended while it was stopped");
    let note = "One SIGCHLD may stand for many ends: collect until nobody is left";
    same(&what, 0, left).map_err(|failure| failure.note(note))?;
    let code = i64::from(scene.code);
    same("the exit code of the main child, which ended after that", code, i64::from(scene.hang_up()?))
        .map_err(|failure| failure.note(TOO_EARLY))
}

fn code(lab: &Lab) -> Verdict {
    let mut scene = Scene::new(lab, 2)?;
    scene.end(1)?;
    let code = i64::from(scene.code);
    let what = format!("the exit code: an orphan was ended by SIGKILL, then the main child called `exit {code}`");
    same(&what, code, i64::from(scene.hang_up()?)).map_err(|failure| failure.note(TOO_EARLY))?;
    let done = lab.run(&["sh", "-c", "kill -KILL $$"])?;
    same("the exit code after SIGKILL has ended the main child", 137, done.code)
}

fn signals(lab: &Lab) -> Verdict {
    let mut scene = Scene::new(lab, 2)?;
    let main = children(&scene.running, scene.init.pid)
        .into_iter()
        .find(|child| child.argv.first().is_some_and(|name| name == "sh"));
    let main = main.ok_or_else(|| Failure::wrong("the main child", "a process below the init", "none"))?;
    scene.end(1)?;
    scene.settle(None).map_err(|failure| failure.note(TOO_EARLY))?;
    // The init has had its SIGCHLD. Wherever it sleeps now, a signal must reach the program.
    scene.running.signal(Signal::SIGTERM);
    match scene.settle(Some(&main)) {
        Err(machine @ Failure::Machine(_)) => return Err(machine),
        Err(Failure::Wrong { .. }) => {} // it has ended
        Ok(()) => {
            let failure =
                Failure::wrong("SIGTERM for the init, after an orphan had ended", "the program gets it", "it does not");
            return Err(failure.note("perhaps the init sleeps in waitpid, until the next child ends"));
        }
    }
    let done = scene.running.finish()?;
    that(done.code == 143, "the exit code after SIGTERM, which the main child does not handle", 143, done.code)
        .map_err(|failure| failure.note(TOO_EARLY))
}
