//! Tests that the instructor adds.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use exercises::source::Variant;
use harness::Outcome;

use crate::class::{Class, NAME, of, variant};

const ECHOES: &str = r#"#!/bin/sh
# points: 3
test "$NAME" = exit_code || exit 9
said=$("$PROGRAM_ROOM" sh -c "echo $NONCE; echo oops >&2; exit 42" 2>err)
code=$?
test $code = 42 || { echo "expected 42, seen $code"; exit 1; }
test "$said" = "$NONCE" && grep -q oops err && test -d "$WORK"
"#;

const PYTHON: &str = "#!/usr/bin/env python3
# points: 2
import os, subprocess, sys
done = subprocess.run([os.environ['PROGRAM_ROOM'], 'cat'], input=b'typed\\n', capture_output=True)
assert done.stdout == b'typed\\n', done
sys.exit(done.returncode)
";

fn add(class: &Class, path: &str, text: &str) -> Outcome {
    let file = class.sandbox.file(&format!("hidden/{path}"), text)?;
    Ok(fs::set_permissions(file, PermissionsExt::from_mode(0o755))?)
}

pub fn tests() -> Outcome {
    let class = Class::new()?;
    let python = harness::find_program("python3").is_some();
    add(&class, &format!("{NAME}/echoes"), ECHOES)?;
    if python {
        add(&class, &format!("{NAME}/python"), PYTHON)?;
    }
    add(&class, &format!("{NAME}/never"), "#!/bin/sh\necho 'no \"points\" here'; exit 3\n")?;
    class.sandbox.file(&format!("hidden/{NAME}/data.txt"), "no test")?;
    class.hand_in("it's honest", variant(&Variant::Solution)?)?;
    class.hand_in("nothing", "fn main() {}\n")?;
    let dir = class.sandbox.path().join("hidden");
    let (done, report) = class.grade(&["it's honest", "nothing"], &["--hidden", &dir.display().to_string()])?;
    done.ok()?;
    let honest = of(&report, "it's honest");
    assert_eq!(honest["points"], if python { 9 } else { 7 }, "{honest:#}");
    assert_eq!(honest["possible"], if python { 10 } else { 8 });
    let checks = honest["exercises"][0]["checks"].as_array().ok_or("no checks")?;
    let hidden: Vec<_> = checks.iter().filter(|check| check["hidden"] == true).collect();
    let never = hidden.iter().find(|check| check["name"] == "never").ok_or("no `never`")?;
    assert_eq!(never["status"], "failed");
    assert!(
        never["message"].as_str().is_some_and(|said| said.contains("exit code 3") && said.contains("here")),
        "{never}"
    );
    assert_eq!(of(&report, "nothing")["points"], 0);
    Ok(())
}

pub fn limits() -> Outcome {
    let class = Class::new()?;
    add(&class, &format!("{NAME}/endless"), "#!/bin/sh\nsleep 1000 & \"$PROGRAM_ROOM\" sleep 1000\n")?;
    add(&class, &format!("{NAME}/floods"), "#!/bin/sh\nyes\n")?;
    add(&class, &format!("{NAME}/waits"), "#!/bin/sh\nsleep 1000\n")?;
    class.hand_in("honest", variant(&Variant::Solution)?)?;
    let dir = class.sandbox.path().join("hidden");
    let (done, report) = class.grade(&["honest"], &["--seconds", "1", "--hidden", &dir.display().to_string()])?;
    done.ok()?;
    let honest = of(&report, "honest");
    assert_eq!(honest["points"], 4, "{honest:#}");
    let told = honest.to_string();
    assert!(told.contains("the program had to be ended: it took longer than 1 s"), "{honest:#}");
    assert!(told.contains("it took longer than 6 s, or said too much"), "{honest:#}");
    Ok(())
}
