//! Submissions in which something else stands where a file should be, or more than that.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use exercises::source::Variant;
use harness::Outcome;

use crate::class::{Class, FILE, of, variant};

pub fn refused() -> Outcome {
    let class = Class::new()?;
    let canary = class.sandbox.file("canary", "sings")?;
    let solution = variant(&Variant::Solution)?;
    class.hand_in("honest", &solution)?;
    let honest = class.dir("honest").join(FILE);
    let open = |name: &str| class.file(name, "exercises/02-rootfs/README", "").map(|()| class.dir(name));
    let below = |name: &str| {
        open(name)?;
        fs::create_dir_all(class.dir(name).join("exercises/01-process"))?;
        Outcome::Ok(class.dir(name).join(FILE))
    };
    symlink(&honest, below("link")?)?;
    symlink("../02-rootfs/README", below("inner-link")?)?;
    symlink("/etc/shadow", below("shadow")?)?;
    symlink("/proc/self/environ", below("magic-link")?)?;
    symlink(class.dir("honest").join("exercises/01-process"), open("dir-link")?.join("exercises/01-process"))?;
    assert!(Command::new("mkfifo").arg(below("pipe")?).status()?.success());
    std::os::unix::net::UnixListener::bind(below("socket")?)?;
    fs::create_dir(below("directory")?)?;
    class.hand_in("large", format!("{solution}//{}", "x".repeat(256 << 10)))?;
    below("missing")?;
    let told = [
        ("link", "link"),
        ("inner-link", "link"),
        ("shadow", "link"),
        ("magic-link", "link"),
        ("dir-link", "link"),
        ("pipe", "no regular file"),
        ("socket", "no regular file"),
        ("directory", "no regular file"),
        ("large", "larger than 256 KiB"),
        ("missing", "no such file"),
    ];
    besides(&class, &canary.display().to_string(), &solution)?;
    let others = ["honest", "build-script", "edited-tests"];
    let names: Vec<_> = told.iter().map(|(name, _)| *name).chain(others).collect();
    let (done, report) = class.grade(&names, &[])?;
    done.ok()?;
    for (name, says) in told {
        let exercise = &of(&report, name)["exercises"][0];
        assert_eq!(exercise["points"], 0, "{name}: {exercise:#}");
        assert!(exercise["message"].as_str().is_some_and(|message| message.contains(says)), "{name}: {exercise:#}");
    }
    let points = others.map(|name| of(&report, name)["points"].as_u64());
    assert_eq!(points, [Some(4), Some(4), Some(0)], "{report:#}");
    assert_eq!(fs::read_to_string(canary)?, "sings");
    Ok(())
}

/// What a submission has besides is not looked at: an honest file gets its points beside it, and no other one does.
fn besides(class: &Class, canary: &str, solution: &str) -> Outcome {
    let harm =
        format!("fn main() {{ std::fs::write({canary:?}, \"broken\").unwrap(); println!(\"cargo::rustc-cfg=ok\"); }}");
    let script = format!("#!/bin/sh\necho broken >{canary}\nexec \"$@\"\n");
    class.hand_in("build-script", solution)?;
    for dir in ["", "exercises/", "exercises/01-process/"] {
        class.file("build-script", &format!("{dir}build.rs"), &harm)?;
        class.file(
            "build-script",
            &format!("{dir}Cargo.toml"),
            "[package]\nname = \"lab01\"\nbuild = \"build.rs\"\n",
        )?;
        class.file("build-script", &format!("{dir}.cargo/config.toml"), "[build]\nrustc-wrapper = \"./wrapper\"\n")?;
        class.file("build-script", &format!("{dir}rust-toolchain.toml"), "[toolchain]\npath = \".\"\n")?;
        class.file("build-script", &format!("{dir}wrapper"), &script)?;
        let wrapper = class.dir("build-script").join(format!("{dir}wrapper"));
        fs::set_permissions(wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    class.hand_in("edited-tests", "fn main() {}\n")?;
    let passes = "pub const CHECKS: [Check; 1] = [Check::new(\"ok\", |_| Ok(())).points(100)];";
    class.file("edited-tests", "exercises/src/checks/c01/exit_code.rs", passes)?;
    class.file("edited-tests", "exercises/sources/01-process/exit_code.toml", "red = []")?;
    class.file("edited-tests", "exercises/src/grade.rs", "pub fn run() {}")
}
