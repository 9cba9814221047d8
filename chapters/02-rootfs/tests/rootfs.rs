//! Chapter 2 from outside: roots are built, entered and left.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Outcome, Sandbox, Suite};
use nix::sys::signal::Signal;

fn main() {
    Suite::new()
        .user("the default root is complete", default_root)
        .user("an ordinary user builds a root too", ordinary_user)
        .user("a missing program is left out and told", missing_program)
        .user("without any program there is no root", no_program)
        .user("a directory with something in it is refused", not_empty)
        .user("hostile programs are left out, one by one", hostile)
        .user("a killed build leaves no half root", killed)
        .user("a program from elsewhere is found by its name", elsewhere)
        .user("an ordinary user is told the way out of chroot", needs_root)
        .user("completion", completion)
        .root("chroot into a root works", chroot)
        .root("every program of the root starts", every_program)
        .root("run: root, environment, user and exit codes", run)
        .root("run: roots that are none", no_root)
        .root("run: the default root is made once, also by three at once", default_at_once)
        .root("set-user-ID bits go, unless they are asked for", set_user_id)
        .root("the escape escapes", escape)
        .root("the escape needs no directory of its own", escape_from_read_only)
        .root("a machine that has nothing but busybox", busybox_only)
        .needs(&["busybox"])
        .run();
}

/// A root with the given programs (the default set if none), and what mkroot said.
fn mkroot(sandbox: &Sandbox, programs: &[&str]) -> Outcome<(PathBuf, String)> {
    let dir = sandbox.dir("roots")?.join("root");
    let done = sandbox.step(2).arg("mkroot").arg(&dir).args(programs).run()?.ok()?;
    Ok((dir, done.stdout))
}

/// The names in a directory.
fn names(dir: &Path) -> Outcome<Vec<String>> {
    let mut names: Vec<_> =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().display().to_string())).collect::<Outcome<_>>()?;
    names.sort();
    Ok(names)
}

fn default_root() -> Outcome {
    let sandbox = Sandbox::new()?;
    let (root, said) = mkroot(&sandbox, &[])?;
    assert!(said.lines().next().is_some_and(|line| line.contains(" programs, ") && line.ends_with(" MB")), "{said}");
    for name in ["dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "usr", "var"] {
        assert!(root.join(name).is_dir(), "{name}");
    }
    assert_eq!(fs::metadata(root.join("tmp"))?.mode() & 0o7777, 0o1777);
    let merged = |path: &str| fs::read_link(Path::new("/").join(path)).ok();
    for path in ["bin", "lib", "sbin"] {
        assert_eq!(fs::read_link(root.join(path)).ok(), merged(path), "{path} as on this machine");
    }
    let text = fs::read_to_string(root.join("etc/os-release"))?;
    assert!(text.starts_with("PRETTY_NAME=\"Cooper host root, "), "{text}");
    assert_eq!(names(root.parent().unwrap())?, ["root"], "nothing beside it");
    Ok(())
}

fn ordinary_user() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let (root, said) = mkroot(&sandbox, &["sh", "ls"])?;
    let owner = fs::metadata(root.parent().unwrap())?.uid();
    assert_eq!(fs::metadata(&root)?.uid(), owner);
    assert_eq!(fs::metadata(root.join("usr"))?.uid(), owner);
    assert!(owner == 0 || said.contains("only root makes devices"), "{said}");
    Ok(())
}

fn missing_program() -> Outcome {
    let sandbox = Sandbox::new()?;
    let (root, said) = mkroot(&sandbox, &["sh", "no-such-1", "no-such-2"])?;
    assert!(said.contains(": 1 program, ") && said.contains("no-such-1 no-such-2: not on this machine"), "{said}");
    assert!(root.join("bin/sh").is_symlink() || root.join("bin/sh").exists());
    Ok(())
}

fn no_program() -> Outcome {
    let sandbox = Sandbox::new()?;
    let dir = sandbox.path().join("root");
    let done = sandbox.step(2).arg("mkroot").arg(&dir).args(["no-such-1", "no-such-2"]).run()?;
    done.code(125)?.stderr_has("no-such-1 no-such-2: not on this machine")?.stderr_has("command -v")?;
    assert!(names(sandbox.path())?.is_empty(), "nothing is left");
    Ok(())
}

fn not_empty() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.file("root/mine", "precious")?;
    let dir = sandbox.path().join("root");
    let done = sandbox.step(2).arg("mkroot").arg(&dir).arg("sh").run()?;
    done.code(125)?.stderr_has("is not empty")?.stderr_has("rm -r")?;
    assert_eq!(names(&dir)?, ["mine"]);
    fs::remove_file(dir.join("mine"))?;
    sandbox.step(2).arg("mkroot").arg(&dir).arg("sh").run()?.ok()?;
    Ok(())
}

/// A program in the sandbox with these contents.
fn program(sandbox: &Sandbox, name: &str, contents: impl AsRef<[u8]>) -> Outcome<String> {
    let path = sandbox.file(name, contents)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

fn hostile() -> Outcome {
    let sandbox = Sandbox::new()?;
    let shell = fs::read("/bin/sh")?;
    let mut absurd = shell.clone();
    absurd[32..40].fill(0xff);
    let mut swapped = shell.clone();
    swapped[18] ^= 0x40; // e_machine: its loader is for another one
    let torn = program(&sandbox, "torn", &shell[..shell.len() / 2])?;
    let absurd = program(&sandbox, "absurd", absurd)?;
    let swapped = program(&sandbox, "swapped", swapped)?;
    let circle = program(&sandbox, "circle", format!("#!{}\n", sandbox.path().join("circle").display()))?;
    let huge = program(&sandbox, "huge", "")?;
    fs::File::options().write(true).open(&huge)?.set_len(1 << 40)?;
    let (_, said) = mkroot(&sandbox, &["sh", &torn, &absurd, &swapped, &circle, &huge])?;
    assert!(said.contains(": 1 program, "), "{said}");
    for (name, why) in
        [(&torn, "sound"), (&absurd, "sound"), (&swapped, "loader"), (&circle, "so on"), (&huge, "1 GiB")]
    {
        let told = said.lines().any(|line| line.contains(name.as_str()) && line.contains(why));
        assert!(told, "{name}: {why} in\n{said}");
    }
    Ok(())
}

fn killed() -> Outcome {
    let sandbox = Sandbox::new()?;
    let dir = sandbox.path().join("root");
    for millis in [1, 5, 10, 20, 40] {
        let run = sandbox.step(2).arg("mkroot").arg(&dir).spawn()?;
        std::thread::sleep(Duration::from_millis(millis));
        run.signal(Signal::SIGKILL)?;
        run.wait()?;
        if dir.exists() {
            assert!(dir.join("etc/os-release").exists(), "complete or not at all");
            fs::remove_dir_all(&dir)?;
        }
    }
    sandbox.step(2).arg("mkroot").arg(&dir).run()?.ok()?;
    assert_eq!(names(sandbox.path())?, ["root"], "the next build clears away what the killed ones left");
    Ok(())
}

fn elsewhere() -> Outcome {
    let sandbox = Sandbox::new()?;
    let hello = program(&sandbox, "opt/hello", "#!/usr/bin/env sh\necho hello\n")?;
    let (root, _) = mkroot(&sandbox, &[&hello])?;
    assert_eq!(fs::read_link(root.join("usr/local/bin/hello"))?, Path::new(&hello));
    assert!(root.join("usr/bin/env").exists() && root.join("usr/bin/sh").is_symlink() | root.join("bin/sh").exists());
    Ok(())
}

fn needs_root() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    let (root, _) = mkroot(&sandbox, &["sh"])?;
    let done = sandbox.step(2).args(["run", "--root"]).arg(&root).args(["sh", "-c", "true"]).run()?;
    done.code(125)?.stderr_has("EPERM")?.stderr_has("step03")?;
    Ok(())
}

fn completion() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.step(2).args(["completion", "bash"]).run()?.ok()?.stdout_has("mkroot")?;
    Ok(())
}

fn chroot() -> Outcome {
    let sandbox = Sandbox::new()?;
    let (root, _) = mkroot(&sandbox, &[])?;
    let done = sandbox.program("chroot").arg(&root).args(["/bin/sh", "-c", "echo ok; ls /"]).run()?.ok()?;
    assert!(done.stdout.starts_with("ok\n") && done.stdout.contains("\nusr\n"), "{}", done.stdout);
    assert_eq!(done.stderr, "");
    Ok(())
}

/// The dynamic loader finds everything, and links such as awk's lead somewhere.
fn every_program() -> Outcome {
    let sandbox = Sandbox::new()?;
    let (root, _) = mkroot(&sandbox, &[])?;
    // 126 and 127: not to be executed, or a library is missing.
    let script = r#"
        for dir in /usr/bin /bin /usr/sbin /sbin; do
            for program in "$dir"/*; do
                [ -e "$program" ] || { echo "$program leads nowhere"; continue; }
                timeout 10 "$program" --version < /dev/null > /dev/null 2>&1
                case $? in 124|126|127) echo "$program does not start: $?";; esac
            done
        done
        echo 'a b' | awk '{ print $2 }'
        tar -cf - /etc/passwd 2> /dev/null | tar -tf -
        TERM=xterm clear > /dev/null && echo a terminal is known
        getent passwd root | cut -d: -f1
        getent hosts localhost > /dev/null && echo a name is known
    "#;
    let done = sandbox.step(2).args(["run", "--root"]).arg(&root).args(["sh", "-c", script]).run()?.ok()?;
    assert_eq!(done.text(), "b\netc/passwd\na terminal is known\nroot\na name is known", "{}", done.stderr);
    Ok(())
}

fn run() -> Outcome {
    let sandbox = Sandbox::new()?;
    let (root, _) = mkroot(&sandbox, &["sh", "id", "env", "pwd"])?;
    let run = |args: &[&str]| {
        let run = sandbox.step(2).env("SECRET", "of the host").args(["run", "--root"]).arg(&root);
        run.args(args).run()
    };
    assert_eq!(
        run(&["sh", "-c", "echo /*"])?.ok()?.text(),
        "/bin /dev /etc /home /lib /lib32 /lib64 /libx32 /mnt /proc /root /run /sbin /sys /tmp /usr /var"
            .split(' ')
            .filter(|path| root.join(&path[1..]).exists())
            .collect::<Vec<_>>()
            .join(" ")
    );
    assert!(!run(&["env"])?.ok()?.stdout.contains("SECRET"));
    assert_eq!(run(&["-u", "nobody", "id", "-u"])?.ok()?.text(), "65534");
    assert_eq!(run(&["-w", "/tmp", "pwd"])?.ok()?.text(), "/tmp");
    run(&["sh", "-c", "exit 7"])?.code(7)?;
    run(&["sh", "-c", "kill -9 $$"])?.code(137)?;
    run(&["no-such-program"])?.code(127)?;
    run(&["/etc/passwd"])?.code(126)?;
    let explained =
        sandbox.step(2).args(["--explain", "run", "--root"]).arg(&root).args(["sh", "-c", ":"]).run()?.ok()?;
    explained.stderr_has("chroot(")?.stderr_has("chapter 2")?;
    Ok(())
}

fn no_root() -> Outcome {
    let sandbox = Sandbox::new()?;
    let run = |root: &str| sandbox.step(2).args(["run", "--root", root, "true"]).run();
    run("/")?.code(125)?.stderr_has("the root of this machine")?;
    run("/no/such")?.code(125)?.stderr_has("mkroot")?;
    run("/etc/passwd")?.code(125)?.stderr_has("no directory")?;
    Ok(())
}

fn default_at_once() -> Outcome {
    let sandbox = Sandbox::new()?;
    let start = || sandbox.step(2).args(["run", "sh", "-c", "grep -c ^ID=cooper-host /etc/os-release"]).spawn();
    let runs = [start()?, start()?, start()?];
    for run in runs {
        assert_eq!(run.wait()?.ok()?.text(), "1");
    }
    let base = sandbox.data().join("host-root");
    assert_eq!(names(&base)?.len(), 2, "one root and the lock");
    let root = base.join("1");
    let made = fs::metadata(&root)?.ino();
    sandbox.step(2).args(["run", "true"]).run()?.ok()?;
    assert_eq!(fs::metadata(&root)?.ino(), made, "used again");
    Ok(())
}

fn set_user_id() -> Outcome {
    let sandbox = Sandbox::new()?;
    let program = program(&sandbox, "opt/suid", fs::read("/bin/sh")?)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755))?;
    let mode = |root: &Path| fs::metadata(root.join(&program[1..])).map(|about| about.mode() & 0o7777);
    let (root, said) = mkroot(&sandbox, &[&program])?;
    assert!(said.contains("set-user-ID"), "{said}");
    assert_eq!(mode(&root)?, 0o755);
    let kept = sandbox.path().join("kept");
    sandbox.step(2).args(["mkroot", "--keep-setuid"]).arg(&kept).arg(&program).run()?.ok()?;
    assert_eq!(mode(&kept)?, 0o6755);
    Ok(())
}

fn escape() -> Outcome {
    let sandbox = Sandbox::new()?;
    let (root, _) = mkroot(&sandbox, &["sh"])?;
    let marker = sandbox.file("marker", "only the host has this")?;
    let escape = || sandbox.step(2).args(["escape", "--root"]).arg(&root);
    let done = escape().arg("cat").arg(&marker).run()?.ok()?;
    done.stdout_has("only the host has this")?.stdout_has("before: / is inode")?.stdout_has("escaped")?;
    let ours = format!("after:  / is inode {} ", fs::metadata("/")?.ino());
    escape().run()?.ok()?.stdout_has(&ours)?.stdout_has("PRETTY_NAME=")?;
    escape().args(["sh", "-c", "exit 3"]).run()?.code(3)?;
    assert!(!root.join(".escape").exists(), "the hole is closed behind");
    // The same file is out of reach for who stays inside.
    let stay =
        sandbox.step(2).args(["run", "--root"]).arg(&root).args(["sh", "-c", "test -e \"$1\"", "sh"]).arg(&marker);
    stay.run()?.code(1)?;
    Ok(())
}

fn escape_from_read_only() -> Outcome {
    let sandbox = Sandbox::new()?;
    let (root, _) = mkroot(&sandbox, &["sh"])?;
    let mount = |args: &[&str]| sandbox.program("mount").args(args).arg(&root).run();
    mount(&["--bind", &root.display().to_string()])?.ok()?;
    mount(&["-o", "remount,bind,ro"])?.ok()?;
    let done = sandbox.step(2).args(["escape", "--root"]).arg(&root).run();
    sandbox.program("umount").arg(&root).run()?.ok()?;
    done?.ok()?.stdout_has("escaped")?;
    Ok(())
}

/// As on Alpine: every program is a link to one file. The machine is a root of our own, with step02 in it.
fn busybox_only() -> Outcome {
    let sandbox = Sandbox::new()?;
    let step = harness::step(2)?.display().to_string();
    let (machine, _) = mkroot(&sandbox, &["busybox", &step])?;
    let busybox = harness::find_program("busybox").ok_or("no busybox")?;
    for applet in ["sh", "ls", "cat"] {
        symlink(&busybox, machine.join("usr/bin").join(applet))?;
    }
    let inside = |args: &[&str]| sandbox.step(2).args(["run", "--root"]).arg(&machine).args(args).run();
    inside(&["step02", "mkroot", "/new"])?.ok()?.stdout_has(" 3 programs, ")?.stdout_has("not on this machine")?;
    inside(&["step02", "run", "--root", "/new", "ls", "/etc/os-release"])?.ok()?.stdout_has("/etc/os-release")?;
    // The way out of a root within a root leads past both.
    let ours = format!("after:  / is inode {} ", fs::metadata("/")?.ino());
    inside(&["step02", "escape", "--root", "/new", "true"])?.ok()?.stdout_has(&ours)?;
    Ok(())
}
