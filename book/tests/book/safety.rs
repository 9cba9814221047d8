//! What a cell cannot do, and what is left of it.

use std::time::{Duration, Instant};

use harness::{Outcome, Suite};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Copy;

pub fn add(suite: Suite) -> Suite {
    suite
        .user("a cell writes to its scratch places, and to nothing else", read_only)
        .needs(&["userns"])
        .user("time, output, processes and memory are limited", limits)
        .needs(&["userns"])
        .user("what a page leaves running ends with it", ends)
        .needs(&["userns"])
        .user("nothing is left of a check that is killed with signal 9", killed)
        .needs(&["userns"])
}

fn read_only() -> Outcome {
    let page = "# A page\n\n```console cell=a fails\n$ touch x ~/cooper/x /etc/x /usr/x 2>/dev/null; ls x /etc/x /usr/x 2>&1 | grep -c 'No such'\n\
                $ touch ~/x /tmp/x /run/user/1000/x && echo scratch\n$ ls /home /tmp\n$ kill -9 1; echo \"$?: pid 1 is not ours\"; false\n```\n";
    let book = Copy::of(page)?;
    book.book(&["bless"]).run()?.ok()?;
    let page = book.read("pages/page.md")?;
    assert!(page.contains("\n3\n$ touch") && page.contains("\nscratch\n"), "{page}");
    assert!(page.contains("/home:\nreader\n\n/tmp:\nx\n"), "{page}");
    assert!(!book.dir().join("x").exists());
    Ok(())
}

fn limits() -> Outcome {
    let cases = [
        ("timeout=1", "sleep 60", "it took longer than its time limit"),
        ("timeout=30", "yes", "it said more than a page can hold"),
        ("timeout=30", "b() { b | b & }; b; sleep 60", "it made more than 500 processes"),
        ("timeout=30", "head -c 1500m /dev/zero | tail", "it took more than 1024 MiB of memory"),
    ];
    for (options, command, wanted) in cases {
        let book = Copy::of(&format!("# A page\n\n```console cell=a {options}\n$ {command}\n```\n"))?;
        let start = Instant::now();
        book.book(&["check"]).run()?.code(1)?.stdout_has(wanted)?;
        assert!(start.elapsed() < Duration::from_secs(30), "{command} took {:?}", start.elapsed());
    }
    Ok(())
}

fn ends() -> Outcome {
    let page = "# A page\n\n```console cell=a\n$ setsid sleep 4321 & disown\n$ unshare --user --pid --fork sleep 4321 &\n```\n";
    let book = Copy::of(page)?;
    for _ in 0..20 {
        book.book(&["check"]).run()?.ok()?;
    }
    assert_eq!(running("sleep\x004321"), 0);
    Ok(())
}

fn killed() -> Outcome {
    let book = Copy::of("# A page\n\n```console cell=a timeout=60\n$ setsid sleep 4322 & sleep 4322\n```\n")?;
    for _ in 0..5 {
        let check = book.book(&["check"]).spawn()?;
        wait_for(2)?;
        kill(Pid::from_raw(check.pid()), Signal::SIGKILL)?;
        wait_for(0)?;
    }
    Ok(())
}

/// Waits until so many of the sleepers are there.
pub fn wait_for(count: usize) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(20);
    while running("sleep\x004322") != count {
        if Instant::now() > deadline {
            return Err(format!("{} are running, not {count}", running("sleep\x004322")).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// How many processes have this in their command line.
pub fn running(words: &str) -> usize {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.starts_with(words.as_bytes())).count()
}
