//! From the program to the log, and from the log to its readers.

use std::time::{Duration, Instant};

use harness::Outcome;
use lifecycle::supervisor::log::{Driver, Settings, older};

use crate::shim::{Shim, until};
use crate::stub::Spec;

pub fn log() -> Outcome {
    let script =
        r#"printf '<out>&\n'; echo err >&2; sleep 0.1; printf 'tab\t\377'; head -c 20000 /dev/zero | tr '\0' x"#;
    let mut shim = Shim::start(&Spec::shell(script))?;
    assert_eq!(shim.end()?.exit_code, 0);
    assert_eq!(shim.life()?, "start ended");
    let raw = std::fs::read_to_string(shim.log_path())?;
    assert!(raw.contains(r#"{"log":"\u003cout\u003e\u0026\n","stream":"stdout","time":"2"#), "{raw}");
    let log = shim.log()?;
    let of = |stream: &str| log.iter().filter(|entry| entry.stream == stream).cloned().collect::<Vec<_>>();
    assert_eq!(of("stderr")[0].log, "err\n");
    let out = of("stdout");
    assert_eq!(out.len(), 3, "a line and a long one in two parts");
    assert!(out[1].log.starts_with("tab\t\u{fffd}xxx") && out[1].log.chars().count() == 16 * 1024);
    assert_eq!(out[2].log.len(), 20_005 - 16 * 1024, "the unfinished line is there, without an end");
    assert_eq!(out[1].time, out[2].time, "the parts of a line have one time");
    assert_eq!(shim.errors()?, "");
    Ok(())
}

pub fn speed() -> Outcome {
    let (lines, line) = (400_000, "0123456789 abcdefghijklmnopqrstuvwxyz <&> 0123456789");
    let mut spec = Spec::shell(&format!("yes '{line}' | head -n {lines}; sleep 0.3; cat"));
    spec.stdin = true;
    let mut shim = Shim::start(&spec)?;
    let size = || std::fs::metadata(shim.log_path()).map_or(0, |log| log.len());
    until("all lines", || {
        let before = size();
        std::thread::sleep(Duration::from_millis(200));
        Ok(before > lines * 100 && size() == before)
    })?;
    // Its own memory; what the loader has read of the program's file comes on top, until it rests.
    let own = shim.memory("RssAnon")?;
    assert!(own < 2 * 1024, "{own} kB");
    shim.is_small()?;
    drop(shim.attach(&shim.client()?, None)?);
    shim.end()?;
    let log = shim.log()?;
    assert_eq!(log.len() as u64, lines);
    assert!(log.iter().all(|entry| entry.log.trim_end() == line));
    Ok(())
}

pub fn follow() -> Outcome {
    let mut spec = Spec::shell("seq 1 30000; sleep 0.2; seq 30001 60000; printf end");
    spec.log = Settings { driver: Driver::JsonFile, max_size: Some(200_000), max_file: 100 };
    let mut shim = Shim::new(&spec)?;
    let early = shim.logs(&["--follow"])?.spawn()?;
    shim.go()?;
    let late = shim.logs(&["-f", "--tail", "all"])?.spawn()?;
    let wanted: String = (1..=60_000).map(|number| format!("{number}\n")).chain(["end".to_owned()]).collect();
    for reader in [early, late] {
        let done = reader.wait()?.ok()?;
        assert!(done.stdout == wanted, "{} bytes instead of {}", done.stdout.len(), wanted.len());
    }
    shim.end()?;
    assert!(older(&shim.log_path(), 5).exists(), "it was rotated");
    let done = shim.logs(&["-f"])?.run()?.ok()?;
    assert!(done.stdout == wanted, "after the end it does not wait");
    Ok(())
}

pub fn options() -> Outcome {
    let mut shim = Shim::start(&Spec::shell("echo one; sleep 0.3; echo two >&2; sleep 0.3; printf three"))?;
    shim.end()?;
    let log = shim.log()?;
    let run = |words: &[&str]| -> Outcome<(String, String)> {
        let done = shim.logs(words)?.run()?.ok()?;
        Ok((done.stdout, done.stderr))
    };
    let pair = |out: &str, err: &str| (out.to_owned(), err.to_owned());
    assert_eq!(run(&[])?, pair("one\nthree", "two\n"));
    assert_eq!(run(&["--tail", "1"])?, pair("three", ""));
    assert_eq!(run(&["-n", "0"])?, pair("", ""));
    assert_eq!(run(&["--since", &log[1].time])?, pair("three", "two\n"));
    assert_eq!(run(&["--until", &log[1].time])?, pair("one\n", "two\n"));
    assert_eq!(run(&["--since", "10m", "--until", "5m"])?, pair("", ""));
    let (out, _) = run(&["-t", "--tail", "1"])?;
    assert!(out.ends_with("Z three") && out.len() == 30 + 6, "{out}");
    Ok(())
}

pub fn none() -> Outcome {
    let mut spec = Spec::shell("echo lost");
    spec.log.driver = Driver::None;
    let mut shim = Shim::start(&spec)?;
    assert_eq!(shim.end()?.exit_code, 0);
    assert!(!shim.log_path().exists());
    Ok(())
}

pub fn holder() -> Outcome {
    let begin = Instant::now();
    // A process outside of the container's own, as after an `exec`, has the pipe open and writes without end.
    let mut shim = Shim::start(&Spec::shell("(timeout 5 yes) & sleep 0.1; exit 3"))?;
    assert_eq!(shim.end()?.exit_code, 3);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    until("the end of the other process", || Ok(begin.elapsed() > Duration::from_secs(6)))?;
    Ok(())
}
