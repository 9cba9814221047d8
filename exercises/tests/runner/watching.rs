//! The watcher, in a terminal and in a pipe.

use exercises::source::Variant;
use harness::{Outcome, Suite};

use crate::learner::Learner;

pub fn add(suite: Suite) -> Suite {
    suite
        .user("a saved file is checked, the bar moves, the next one comes", saves)
        .needs(&["userns"])
        .user("keys work without Enter; Ctrl-C leaves the terminal as it was", keys)
        .needs(&["userns"])
        .user("what is saved during a check ends it, and the verdict is that of the new file", saved_meanwhile)
        .needs(&["userns"])
        .user("in a pipe, letters on lines do what keys do", pipe)
        .needs(&["userns"])
}

fn saves() -> Outcome {
    let learner = Learner::new()?;
    let mut terminal = learner.runner(&[]).pty()?;
    terminal.expect("red is where one starts")?;
    terminal.expect("q quit")?;
    learner.save(0, &Variant::Solution)?;
    terminal.expect("Solved.")?;
    terminal.expect(&learner.progress(1))?;
    terminal.send("n")?;
    terminal.expect(&learner.exercise(1).name)?;
    terminal.expect("q quit")?;
    // Another file than the one shown: who saves it works on it.
    learner.save(0, &Variant::Starter)?;
    terminal.expect("not yet")?;
    terminal.expect(&learner.progress(0))?;
    terminal.expect("q quit")?;
    terminal.send("q")?;
    terminal.expect("Until next time")?;
    assert_eq!(terminal.wait()?, 0);
    Ok(())
}

fn keys() -> Outcome {
    let learner = Learner::new()?;
    let shell =
        learner.shell("stty -a > before; \"$RUNNER\"; echo code $?; stty -a > after; cmp before after && echo same");
    let mut terminal = shell.pty()?;
    terminal.expect("q quit")?;
    terminal.send("h")?;
    terminal.expect(" 1 of 3: ")?;
    terminal.send("h")?;
    terminal.expect(" 2 of 3: ")?;
    terminal.send("l")?;
    terminal.expect(&learner.progress(0))?;
    terminal.send("x")?;
    terminal.expect("is the starter again")?;
    terminal.send("r")?;
    terminal.expect("not yet")?;
    terminal.expect("q quit")?;
    terminal.send("\x03")?;
    terminal.expect("code 0")?;
    terminal.expect("same")?;
    terminal.wait()?;
    Ok(())
}

fn saved_meanwhile() -> Outcome {
    let learner = Learner::new()?;
    let mut terminal = learner.runner(&[]).pty()?;
    terminal.expect("q quit")?;
    std::fs::write(learner.file(0), "fn main() { loop {} }\n")?;
    terminal.expect("checking")?;
    learner.save(0, &Variant::Solution)?;
    terminal.expect("Solved.")?;
    assert!(!terminal.transcript().contains("took longer"), "{}", terminal.transcript());
    terminal.send("q")?;
    assert_eq!(terminal.wait()?, 0);
    Ok(())
}

fn pipe() -> Outcome {
    let learner = Learner::new()?;
    let done = learner.runner(&[]).stdin("h\nl\nq\n").run()?.ok()?;
    done.stdout_has("hint 1 of 3")?.stdout_has(&learner.progress(0))?.stdout_has("Until next time")?;
    // The end of the input is the end, and nothing but text is printed.
    let done = learner.runner(&[]).stdin("").run()?.ok()?;
    assert!(!done.stdout.contains('\x1b'), "{:?}", done.stdout);
    Ok(())
}
