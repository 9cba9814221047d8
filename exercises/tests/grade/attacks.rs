//! Programs that would rather have points than do their work.

use std::fs;
use std::path::Path;
use std::time::Duration;

use exercises::source::Variant;
use harness::Outcome;

use crate::class::{Class, exercises, of, variant};

/// Name, what one of the messages says, and the body of `main`.
const ATTACKS: [(&str, &str, &str); 14] = [
    ("exits-early", "expected: 127", "std::process::exit(0)"),
    ("prints-ok", "expected: 127", r#"println!("ok 1\nok 2\ntest result: ok. 3 passed; 0 failed");"#),
    ("panics", "seen:     101", r#"panic!("passed")"#),
    ("endless", "had to be ended", "loop {}"),
    ("waits", "had to be ended", "loop { std::thread::sleep(std::time::Duration::from_secs(1)) }"),
    (
        "stays",
        "expected: 127",
        r#"let script = "trap '' HUP INT TERM; while :; do sleep 0.01; done";
           for _ in 0..9 { let _ = std::process::Command::new("setsid").args(["sh", "-c", script]).spawn(); }"#,
    ),
    ("kills", "", "let _ = nix::sys::signal::kill(Pid::from_raw(-1), nix::sys::signal::Signal::SIGKILL);"),
    ("memory", "had to be ended", "let mut all = Vec::new(); loop { all.push(vec![1_u8; 1 << 24]); }"),
    ("floods", "had to be ended", r#"loop { println!("{}", "ok ".repeat(1000)); }"#),
    (
        "fills-the-disk",
        "had to be ended",
        r#"for n in 0.. { let _ = std::fs::write(format!("/lab/work/{n}"), vec![1_u8; 32 << 20]); }"#,
    ),
    ("many-files", "had to be ended", r#"for n in 0.. { let _ = std::fs::write(format!("/lab/work/{n}"), ""); }"#),
    (
        "digs",
        "too deep",
        r#"for n in 0..20_000 { let _ = std::fs::create_dir("d").and_then(|()| std::env::set_current_dir("d")); }
           let _ = std::process::Command::new("mkfifo").arg("/lab/work/report").status();
           let _ = std::process::Command::new("chmod").args(["000", "/lab/work"]).status();"#,
    ),
    (
        "writes-outside",
        "expected: 127",
        r#"let script = "mount -o remount,bind,rw /usr; mount -o remount,rw /; umount -l /usr /etc /lab/work;
               for file in CANARY /usr/cooper-canary /etc/cooper-canary /proc/1/root/CANARY /proc/sysrq-trigger \
                   /proc/sys/kernel/core_pattern /sys/kernel/uevent_helper /lab/program; do
                   echo broken >$file; ln -sf $file /lab/work/; done; rm -rf / 2>/dev/null";
           let _ = std::process::Command::new("sh").args(["-c", script]).status();"#,
    ),
    (
        "looks-for-answers",
        "expected: 127",
        r#"let script = "cat /proc/*/cmdline /proc/*/environ CANARY; ls -R /tmp /home /root /var /lab; kill -9 -1";
           let _ = std::process::Command::new("sh").args(["-c", script]).status();"#,
    ),
];

pub fn programs() -> Outcome {
    let class = Class::new()?;
    let canary = class.sandbox.file("canary", "sings")?;
    fs::set_permissions(&canary, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    for (name, _, body) in ATTACKS {
        let body = body.replace("CANARY", &canary.display().to_string());
        class.hand_in(name, format!("use nix::unistd::Pid;\nfn main() {{ {body} }}\n"))?;
    }
    let before = machine();
    let names = ATTACKS.map(|(name, ..)| name);
    let (done, report) = class.grade(&names, &["--seconds", "2", "--jobs", "4"])?;
    done.ok()?;
    for (name, says, _) in ATTACKS {
        let exercise = &of(&report, name)["exercises"][0];
        assert_eq!(exercise["points"], 0, "{name}: {exercise:#}");
        assert!(exercise.to_string().contains(says), "{name} is told {exercise:#}");
        assert_eq!(exercise["message"], "", "{name} compiles: {exercise:#}");
    }
    assert_eq!(fs::read_to_string(canary)?, "sings");
    assert_eq!(machine(), before);
    Ok(())
}

/// Neither from one process nor from many threads: those beside it get their points all the same.
pub fn bombs() -> Outcome {
    let class = Class::new()?;
    let forks = r#"loop { let _ = std::process::Command::new("/proc/self/exe").spawn(); }"#;
    class.hand_in("forks", format!("fn main() {{ {forks} }}\n"))?;
    let threads = "loop { let _ = std::thread::Builder::new().spawn(|| loop {}); }";
    class.hand_in("threads", format!("fn main() {{ {threads} }}\n"))?;
    let honest = ["a", "b", "c", "d"];
    for name in honest {
        class.hand_in(name, variant(&Variant::Solution)?)?;
    }
    let names = ["forks", "a", "b", "c", "d", "threads"];
    let (done, report) = class.grade(&names, &["--seconds", "2", "--jobs", "2"])?;
    done.ok()?;
    assert_eq!(honest.map(|name| of(&report, name)["points"].as_u64()), [Some(4); 4], "{report:#}");
    for name in ["forks", "threads"] {
        let exercise = &of(&report, name)["exercises"][0];
        assert_eq!((&exercise["points"], &exercise["message"]), (&0.into(), &"".into()), "{exercise:#}");
    }
    Ok(())
}

/// What an attack would change.
fn machine() -> Vec<Option<String>> {
    let files =
        ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/usr/cooper-canary", "/etc/cooper-canary"];
    files.into_iter().map(Path::new).map(|file| fs::read_to_string(file).ok()).collect()
}

/// Of every exercise that there is: programs that end at once. Of one: the starter with a comment (the proofs show of all
/// that a starter passes no check that counts).
pub fn nothing() -> Outcome {
    let class = Class::new()?;
    let all = exercises()?;
    let programs = [
        ("well", "fn main() { println!(\"ok\"); }\n"),
        ("ill", "fn main() { println!(\"ok\"); std::process::exit(3) }\n"),
    ];
    for exercise in &all {
        let path = exercise.path().display().to_string();
        programs.iter().try_for_each(|(name, text)| class.file(name, &path, text))?;
    }
    let (path, starter) = (all[0].path().display().to_string(), all[0].source.render(&Variant::Starter));
    class.file("comment", &path, format!("{starter}\n// I shall begin tomorrow.\n"))?;
    let names = ["well", "ill", "comment"];
    let report = class.sandbox.path().join("all.json");
    let run = class.grader().args(["grade", "--seconds", "2", "--report"]).arg(&report);
    let done = run.args(names.map(|name| class.dir(name))).timeout(Duration::from_secs(1200)).run()?;
    done.ok()?;
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report)?)?;
    let mut paid = Vec::new();
    for name in names {
        let of_all = of(&report, name)["exercises"].as_array().ok_or("no exercises")?;
        assert_eq!(of_all.len(), all.len());
        let with_points = of_all.iter().filter(|exercise| exercise["points"] != 0);
        paid.extend(with_points.map(|exercise| format!("{name}: {exercise:#}")));
    }
    assert!(paid.is_empty(), "points for nothing:\n{}", paid.join("\n"));
    Ok(())
}
