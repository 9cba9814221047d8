//! An init that misses nobody: many orphans end while it cannot look.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::check::{Check, Failure, Verdict, same};
use crate::lab::{Lab, PROGRAM, Process, Running};

pub const CHECKS: [Check; 3] = [
    Check::new("children that end at once are all collected", at_once).points(3),
    Check::new("the main child's code, and no other's", code).points(2),
    Check::new("signals are passed on all the time", signals).points(2),
];

/// How long an init may take for what it should do at once.
const SOON: Duration = Duration::from_millis(1500);

/// Why an init ends although its program goes on.
const TOO_EARLY: &str =
    "an orphan's end is not the end of the program (and exit code 101 is a panic: is the todo!() still there?)";

/// The main child makes orphans, tells so, and waits for the end of its input.
const MAIN: &str = "i=0; while [ $i -lt $1 ]; do (exec sleep 300 & ); i=$((i+1)); done; echo $0; read line; exit $2";

struct Scene {
    running: Running,
    orphans: Vec<Process>,
    code: u32,
}

impl Scene {
    fn new(lab: &Lab, orphans: u32) -> Result<Self, Failure> {
        let (word, code) = (lab.nonce(), lab.number(2, 100));
        let mut running = lab.start(&["sh", "-c", MAIN, &word, &orphans.to_string(), &code.to_string()])?;
        running.wait_for("the main child's line", |running| running.stdout().contains(&word).then_some(()))?;
        let what = "the orphans as the init's children";
        let found = running.wait_for(what, |running| {
            let below: Vec<_> = children(running).into_iter().filter(|one| one.argv.contains(&"300".into())).collect();
            (below.len() == orphans as usize).then_some(below)
        })?;
        Ok(Self { running, orphans: found, code })
    }

    /// Ends orphans, and waits until they have ended, collected or not.
    fn end(&mut self, count: usize) -> Verdict {
        for orphan in self.orphans.drain(..count) {
            let _ = kill(Pid::from_raw(orphan.pid), Signal::SIGKILL);
            self.running.wait_for("an orphan's end", |_| matches!(state(&orphan), None | Some('Z')).then_some(()))?;
        }
        Ok(())
    }
}

/// The processes just below the learner's.
fn children(running: &Running) -> Vec<Process> {
    let all = running.processes();
    let Some(init) = init(&all) else { return Vec::new() };
    all.into_iter().filter(|process| process.parent == init.pid).collect()
}

fn init(all: &[Process]) -> Option<Process> {
    all.iter().find(|process| process.argv.first().is_some_and(|name| name == PROGRAM)).cloned()
}

fn state(process: &Process) -> Option<char> {
    process.status("State")?.chars().next()
}

fn at_once(lab: &Lab) -> Verdict {
    let count = lab.number(12, 20);
    let mut scene = Scene::new(lab, count)?;
    let init = init(&scene.running.processes()).ok_or_else(|| Failure::Machine("the program is gone".into()))?;
    scene.running.signal(Signal::SIGSTOP);
    scene.running.wait_for("a stop", |_| (state(&init) == Some('T')).then_some(()))?;
    scene.end(count as usize)?;
    scene.running.signal(Signal::SIGCONT);
    let since = Instant::now();
    let left = scene.running.wait_for("the init, and its main child", |running| {
        let all = running.processes();
        let lives = all.iter().any(|process| process.pid == init.pid && state(process) != Some('Z'));
        let left = all.iter().filter(|one| one.parent == init.pid && state(one) == Some('Z')).count();
        (lives && (left == 0 || since.elapsed() > SOON)).then_some(left)
    });
    let left = left.map_err(|failure| failure.note(TOO_EARLY))?;
    let what = format!("zombies below the init, after {count} orphans had ended while it was stopped");
    let note = "One SIGCHLD may stand for many ends: collect until nobody is left";
    same(&what, 0, left).map_err(|failure| failure.note(note))?;
    scene.running.hang_up();
    let done = scene.running.finish()?;
    same("the main child's code, after that", i64::from(scene.code), i64::from(done.code))
        .map_err(|failure| failure.note(TOO_EARLY))
}

fn code(lab: &Lab) -> Verdict {
    let mut scene = Scene::new(lab, 2)?;
    scene.end(1).map_err(|failure| failure.note(TOO_EARLY))?;
    scene.running.hang_up();
    let what =
        format!("the exit code: an orphan was ended by SIGKILL, then the main child called `exit {}`", scene.code);
    let done = scene.running.finish()?;
    same(&what, i64::from(scene.code), i64::from(done.code)).map_err(|failure| failure.note(TOO_EARLY))?;
    let done = lab.run(&["sh", "-c", "kill -KILL $$"])?;
    same("the exit code after SIGKILL has ended the main child", 137, done.code)
}

fn signals(lab: &Lab) -> Verdict {
    let mut scene = Scene::new(lab, 2)?;
    scene.end(1).map_err(|failure| failure.note(TOO_EARLY))?;
    let since = Instant::now();
    // The init has had its SIGCHLD. Wherever it is now, a signal must reach the program.
    scene.running.signal(Signal::SIGTERM);
    let gone = |running: &mut Running| {
        let lives = children(running).iter().any(|child| child.argv.first().is_some_and(|name| name == "sh"));
        (!lives || since.elapsed() > SOON).then_some(!lives)
    };
    let reached = scene.running.wait_for("the program's end", gone).or_else(|failure| match failure {
        Failure::Wrong { .. } => Ok(true), // it has ended already
        machine @ Failure::Machine(_) => Err(machine),
    })?;
    if !reached {
        let failure =
            Failure::wrong("SIGTERM for the init, after an orphan had ended", "the program gets it", "it does not");
        return Err(failure.note("perhaps the init sleeps in waitpid, until the next child ends"));
    }
    let done = scene.running.finish()?;
    same("the exit code after SIGTERM, which the main child does not handle", 143, done.code)
}
