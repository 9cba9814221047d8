//! What comes out: terminal, JSON, JUnit, CSV, exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exercises::source::Variant;
use harness::Outcome;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::class::{Class, NAME, of, variant};

pub fn thirty() -> Outcome {
    let class = Class::new()?;
    let (solution, starter) = (variant(&Variant::Solution)?, variant(&Variant::Starter)?);
    let partly = variant(&Variant::Wrong("no-signals".into()))?;
    let names: Vec<_> = (0..30).map(|number| format!("learner-{number:02}")).collect();
    let expected = |number: usize| [0, 4, 2, 0][number % 4];
    for (number, name) in names.iter().enumerate() {
        match number % 4 {
            0 => class.hand_in(name, &starter)?,
            1 => class.hand_in(name, &solution)?,
            // That directory of exercises itself.
            2 => class.file(name, "01-process/exit_code.rs", &partly)?,
            _ => class.file(name, "exercises/01-process/another.rs", "")?,
        }
    }
    let (done, report) = class.grade(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[])?;
    let done = done.ok()?;
    for (number, name) in names.iter().enumerate() {
        assert_eq!(of(&report, name)["points"], expected(number), "{:#}", of(&report, name));
        assert!(done.stdout.contains(name) && done.stderr.contains(&format!("{name}: {} points", expected(number))));
    }
    assert!(done.stderr.contains("[30/30]"), "{}", done.stderr);
    Ok(())
}

/// Without what may differ: how long it took.
fn scores(report: &Value) -> String {
    let mut report = report.clone();
    for exercise in
        report["submissions"].as_array_mut().into_iter().flatten().flat_map(|one| one["exercises"].as_array_mut())
    {
        for one in exercise {
            one["seconds"] = 0.into();
            one["checks"].as_array_mut().into_iter().flatten().for_each(|check| check["seconds"] = 0.into());
        }
    }
    report.to_string()
}

pub fn ten_times() -> Outcome {
    let class = Class::new()?;
    class.hand_in("partly", variant(&Variant::Wrong("no-signals".into()))?)?;
    let (_, first) = class.grade(&["partly"], &[])?;
    assert_eq!(of(&first, "partly")["points"], 2);
    for _ in 1..10 {
        let (done, again) = class.grade(&["partly"], &[])?;
        done.ok()?;
        assert_eq!(scores(&again), scores(&first));
    }
    Ok(())
}

pub fn documents() -> Outcome {
    let class = Class::new()?;
    let name = "=1+1, \"<&'>";
    class.hand_in(name, variant(&Variant::Wrong("always-one".into()))?)?;
    class.hand_in("broken", "fn main() { let \u{1b}[31m x = \"<![CDATA[ ]]>\"; }\n")?;
    let [xml, csv] = ["report.xml", "report.csv"].map(|name| class.sandbox.path().join(name));
    let args = ["--junit", &xml.display().to_string(), "--csv", &csv.display().to_string()];
    let (done, report) = class.grade(&[name, "broken"], &args)?;
    let done = done.ok()?;
    assert!(!done.stdout.contains('\u{1b}'), "{}", done.stdout);
    let checks = of(&report, name)["exercises"][0]["checks"].as_array().ok_or("no checks")?;
    for check in checks {
        assert!(check["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{check}");
        assert_eq!(check["message"] == "", check["points"] != 0, "{check}");
    }
    let csv = fs::read_to_string(csv)?;
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!(lines[0], format!("submission,{NAME},total,possible,remarks"));
    assert_eq!(lines[1], "\"'=1+1, \"\"<&'>\",0,0,4,");
    assert_eq!(lines[2], "broken,0,0,4,exit_code: it does not compile");
    let xml = fs::read_to_string(xml)?;
    assert!(xml.contains("&lt;![CDATA[ ]]&gt;") && !xml.contains('\u{1b}'), "{xml}");
    well_formed(&xml)?;
    Ok(())
}

/// Asks a parser, where there is one.
fn well_formed(xml: &str) -> Outcome {
    let Some(python) = harness::find_program("python3") else { return Ok(()) };
    let script = "import sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
for suite in root:
    cases = suite.findall('testcase')
    assert int(suite.get('tests')) == len(cases)
    assert int(suite.get('failures')) == sum(case.find('failure') is not None for case in cases)
print(len(root))";
    let run = harness::Run::new(std::process::Command::new(python)).args(["-c", script]).stdin(xml);
    assert_eq!(run.run()?.ok()?.stdout.trim(), "2");
    Ok(())
}

pub fn missing() -> Outcome {
    let class = Class::new()?;
    class.hand_in("honest", variant(&Variant::Solution)?)?;
    fs::create_dir(class.dir("empty"))?;
    fs::write(class.dir("file"), "")?;
    fs::create_dir(class.dir("links"))?;
    std::os::unix::fs::symlink(class.dir("honest").join("exercises"), class.dir("links").join("exercises"))?;
    let names = ["missing", "honest", "empty", "file", "links"];
    let (done, report) = class.grade(&names, &[])?;
    let done = done.code(1)?;
    assert_eq!(of(&report, "honest")["points"], 4);
    for name in ["missing", "empty", "file", "links"] {
        let path = class.dir(name).display().to_string();
        let one = of(&report, &path);
        assert!(one["error"].as_str().is_some_and(|error| error.contains(&path)), "{one:#}");
        assert!(done.stdout.contains(&path), "{}", done.stdout);
    }
    Ok(())
}

pub fn usage() -> Outcome {
    let class = Class::new()?;
    class.hand_in("honest", variant(&Variant::Solution)?)?;
    class.sandbox.dir("hidden/no_such_exercise")?;
    class.sandbox.file(&format!("closed/{NAME}/test"), "#!/bin/sh\n")?;
    let path = |name: &str| class.sandbox.path().join(name).display().to_string();
    let honest = class.dir("honest").display().to_string();
    for (words, says) in [
        (vec![], "<DIR>"),
        (vec![honest.clone(), "--only".into(), "no_such".into()], "no_such"),
        (vec![honest.clone(), "--hidden".into(), path("hidden")], "no_such_exercise"),
        (vec![honest.clone(), "--hidden".into(), path("nowhere")], "nowhere"),
        (vec![honest.clone(), "--hidden".into(), path("closed")], "chmod +x"),
        (vec![honest.clone(), "--csv".into(), path("no/such.csv")], "such.csv"),
        (vec![honest.clone(), "--jobs".into(), "0".into()], "--jobs"),
    ] {
        class.grader().arg("grade").args(words).run()?.code(2)?.stderr_has(says)?;
    }
    Ok(())
}

pub fn skips() -> Outcome {
    // None of ours can be skipped on every machine: the rule is tested where it is made, here its words on this one.
    let class = Class::new()?;
    let report = class.sandbox.path().join("all.json");
    class.hand_in("starter", variant(&Variant::Starter)?)?;
    let done = class.grader().arg("grade").arg(class.dir("starter")).arg("--report").arg(&report).run()?.ok()?;
    let report: Value = serde_json::from_slice(&fs::read(report)?)?;
    for exercise in of(&report, "starter")["exercises"].as_array().into_iter().flatten() {
        for check in exercise["checks"].as_array().into_iter().flatten().filter(|check| check["status"] == "skipped") {
            assert_eq!(check["points"], 0);
            assert!(check["message"].as_str().is_some_and(|why| why.starts_with("needs ")), "{check}");
            let name = exercise["name"].as_str().unwrap_or_default();
            assert!(done.stdout.contains(&format!("skipped for all: {name}")), "{}", done.stdout);
        }
    }
    Ok(())
}

pub fn interrupted() -> Outcome {
    let class = Class::new()?;
    for number in 0..4 {
        class.hand_in(&format!("{number}"), "fn main() { loop {} }\n")?;
    }
    let dirs = (0..4).map(|number| class.dir(&number.to_string()));
    let grader = class.grader().args(["grade", "--only", NAME, "--seconds", "60"]).args(dirs).spawn()?;
    let tmp = class.sandbox.path().join("tmp");
    let entries =
        |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let is_lab = |path: &PathBuf| path.to_string_lossy().contains("cooper-lab-");
    let runs = || entries(&tmp).iter().flat_map(|dir| entries(dir)).any(|path| is_lab(&path));
    let deadline = std::time::Instant::now() + Duration::from_secs(300);
    while !runs() {
        assert!(std::time::Instant::now() < deadline, "no room after five minutes: {:?}", grader.output());
        std::thread::sleep(Duration::from_millis(20));
    }
    grader.signal(Signal::SIGINT)?;
    let done = grader.wait()?.code(130)?;
    assert!(done.stderr.contains("interrupted"), "{}", done.stderr);
    assert_eq!(fs::read_dir(tmp)?.count(), 0);
    Ok(())
}
