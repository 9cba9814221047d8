//! The plain commands.

use std::fs;

use exercises::catalog::Kind;
use exercises::source::Variant;
use harness::{Outcome, Suite};

use crate::learner::Learner;

pub fn add(suite: Suite) -> Suite {
    suite
        .user("run tells what is wrong, and then that it is solved", run)
        .needs(&["userns"])
        .user("three hints, each saying more", hints)
        .user("list shows all, and which are solved", list)
        .needs(&["userns"])
        .user("reset keeps what was there, every time", reset)
        .user("our solution is shown to who has one", solution)
        .needs(&["userns"])
        .user("a prediction is recorded before anything is revealed", prediction)
        .needs(&["userns"])
        .user("what does not compile is the compiler's to tell", compiler)
        .user("bad input is told, and loses nothing", bad_input)
        .user("who reads us may have had enough", reader_gone)
        .user("doctor", doctor)
        .needs(&["userns"])
}

fn run() -> Outcome {
    let learner = Learner::new()?;
    let first = &learner.exercise(0).name;
    let done = learner.runner(&["run"]).run()?.code(1)?.stdout_has("not yet")?.stdout_has("expected:")?;
    done.stdout_has(first)?.stdout_has("This is the starter")?.stdout_has(&learner.progress(0))?;
    learner.save(0, &Variant::Solution)?;
    let done = learner.runner(&["run", first]).run()?.ok()?.stdout_has("Solved.")?;
    done.stdout_has(&learner.progress(1))?;
    // Without a name it is the next one now.
    learner.runner(&["run"]).run()?.code(1)?.stdout_has(&learner.exercise(1).name)?;
    // What was right and is wrong again is not solved.
    learner.save(0, &Variant::Starter)?;
    learner.runner(&["run", first]).run()?.code(1)?.stdout_has(&learner.progress(0))?;
    Ok(())
}

fn hints() -> Outcome {
    let learner = Learner::new()?;
    let exercise = learner.exercise(0);
    for (level, hint) in [("1 of 3", 0), ("2 of 3", 1), ("3 of 3", 2), ("3 of 3 (there are no more)", 2)] {
        let done = learner.runner(&["hint", &exercise.name]).run()?.ok()?;
        done.stdout_has(&format!("hint {level}: {}", exercise.about.hints[hint]))?;
    }
    Ok(())
}

fn list() -> Outcome {
    let learner = Learner::new()?;
    learner.save(0, &Variant::Solution)?;
    fs::write(learner.file(1), "fn main() {}\n")?;
    learner.runner(&["run"]).run()?.ok()?;
    let done = learner.runner(&["list"]).run()?.ok()?.stdout_has(&learner.progress(1))?;
    let line = |name: &str| done.stdout.lines().find(|line| line.contains(&format!(" {name} "))).unwrap_or_default();
    assert!(line(&learner.exercise(0).name).contains("solved"), "{}", done.stdout);
    assert!(line(&learner.exercise(1).name).starts_with("> begun"), "{}", done.stdout);
    Ok(())
}

fn reset() -> Outcome {
    let learner = Learner::new()?;
    let name = &learner.exercise(0).name;
    let starter = fs::read(learner.file(0))?;
    for number in [1, 2] {
        let mine = format!("// attempt {number}\nfn main() {{}}\n");
        fs::write(learner.file(0), &mine)?;
        let done = learner.runner(&["reset", name]).run()?.ok()?;
        done.stdout_has("yours is kept in")?;
        assert_eq!(fs::read(learner.file(0))?, starter);
        assert_eq!(fs::read_to_string(learner.dir().join(format!("progress/kept/{name}-{number}.rs")))?, mine);
    }
    // Nothing to keep.
    let done = learner.runner(&["reset", name]).run()?.ok()?;
    assert!(!done.stdout.contains("kept"), "{}", done.stdout);
    fs::remove_file(learner.file(0))?;
    learner.runner(&["run", name]).run()?.fails()?.stderr_has("reset")?;
    learner.runner(&["reset", name]).run()?.ok()?;
    assert_eq!(fs::read(learner.file(0))?, starter);
    Ok(())
}

fn solution() -> Outcome {
    let learner = Learner::new()?;
    let name = &learner.exercise(0).name;
    learner.runner(&["solution", name]).run()?.fails()?.stderr_has("not solved yet")?;
    let ours = learner.exercise(0).source.render(&Variant::Solution);
    assert_eq!(learner.runner(&["solution", name, "--anyway"]).run()?.ok()?.stdout, ours);
    learner.save(0, &Variant::Solution)?;
    learner.runner(&["run"]).run()?.ok()?;
    assert_eq!(learner.runner(&["solution", name]).run()?.ok()?.stdout, ours);
    Ok(())
}

fn prediction() -> Outcome {
    let learner = Learner::new()?;
    let number = learner.number_of(|exercise| exercise.about.kind == Kind::Predict)?;
    let name = &learner.exercise(number).name;
    let wrong = Variant::Wrong(learner.exercise(number).about.wrong[0].name.clone());
    let done = learner.runner(&["run", name]).run()?.code(1)?.stdout_has("one to every question")?;
    assert!(!done.stdout.contains("recorded. Now"), "{}", done.stdout);
    learner.save(number, &wrong)?;
    learner
        .runner(&["run", name])
        .run()?
        .code(1)?
        .stdout_has("Your prediction is recorded.")?
        .stdout_has("expected:")?;
    // Once: what is changed after the kernel has spoken is no prediction.
    learner.save(number, &Variant::Solution)?;
    let done = learner.runner(&["run", name]).run()?.ok()?.stdout_has("You predicted first:")?;
    assert!(!done.stdout.contains("recorded. Now"), "{}", done.stdout);
    let state = fs::read_to_string(learner.dir().join("progress/state.json"))?;
    assert!(state.contains("\"predicted\": \""), "{state}");
    Ok(())
}

fn compiler() -> Outcome {
    let learner = Learner::new()?;
    fs::write(learner.file(0), "fn main() { let x: u8 = \"\"; }\n")?;
    let done = learner.runner(&["run"]).run()?.code(1)?;
    done.stdout_has("mismatched types")?.stdout_has("does not compile yet")?.stdout_has(&learner.progress(0))?;
    Ok(())
}

fn bad_input() -> Outcome {
    let learner = Learner::new()?;
    for command in ["run", "hint", "reset", "solution"] {
        learner
            .runner(&[command, "no_such"])
            .run()?
            .fails()?
            .stderr_has("no exercise \"no_such\"")?
            .stderr_has("help:")?;
    }
    learner.runner(&["frobnicate"]).run()?.code(2)?;
    let state = learner.dir().join("progress/state.json");
    fs::create_dir_all(learner.dir().join("progress"))?;
    fs::write(&state, "{ no json")?;
    learner.runner(&["list"]).run()?.fails()?.stderr_has("state.json")?.stderr_has("help:")?;
    assert_eq!(fs::read_to_string(state)?, "{ no json");
    Ok(())
}

fn reader_gone() -> Outcome {
    let learner = Learner::new()?;
    for command in ["list", "run", "solution exit_code --anyway", ""] {
        // The pipe is full before it is closed, so the next line meets nobody.
        let script = format!("(\"$RUNNER\" {command}; echo $? > code) </dev/null | true; cat code");
        let done = learner.shell(&script).run()?.ok()?;
        assert!(done.stderr.is_empty(), "{command}: {}", done.stderr);
        assert!(["141\n", "0\n", "1\n"].contains(&done.stdout.as_str()), "{command}: {}", done.stdout);
    }
    Ok(())
}

fn doctor() -> Outcome {
    let learner = Learner::new()?;
    learner
        .runner(&["doctor"])
        .run()?
        .ok()?
        .stdout_has("works   the compiler")?
        .stdout_has("works   a room to check in")?;
    Ok(())
}
