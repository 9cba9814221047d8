//! The engine's own file cannot be written from inside a container (CVE-2019-5736). Each attack is really tried, on a
//! copy of the program; afterwards the copy is compared, byte by byte.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use harness::{Outcome, Run, Sandbox, Suite};

type Make = fn() -> Outcome<Sandbox>;
type Test = fn(&Sandbox, &Path) -> Outcome;

const TESTS: [(&str, Test); 5] = [
    ("the init of --init", init),
    ("an entry point that is the engine", entry_point),
    ("a program of the image that the engine is made to load", preload),
    ("whoever joins by exec", joining),
    ("arguments, variables and descriptors are as they were", unchanged),
];

fn main() {
    let mut suite = Suite::new();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in TESTS {
            let attack = move || {
                let sandbox = make()?;
                let engine = copy(&sandbox)?;
                let before = (fs::read(&engine)?, engine.metadata()?.mode());
                test(&sandbox, &engine)?;
                assert!(
                    before == (fs::read(&engine)?, engine.metadata()?.mode()),
                    "the engine was written from inside"
                );
                Ok(())
            };
            let name = format!("{who}: {name}");
            suite = if who == "root" {
                suite.root(name, attack)
            } else {
                suite.user(name, attack).needs(&["userns", "subuid"])
            };
            if test as usize == preload as Test as usize {
                suite = suite.needs(&["cc"]);
            }
        }
    }
    suite
        .root("root: a container that may do everything", || {
            let sandbox = Sandbox::new()?;
            let engine = copy(&sandbox)?;
            let before = fs::read(&engine)?;
            privileged(&sandbox, &engine)?;
            assert!(before == fs::read(&engine)?, "the engine was written from inside");
            Ok(())
        })
        .run()
}

/// The engine, as a file that its user owns.
fn copy(sandbox: &Sandbox) -> Outcome<PathBuf> {
    let engine = sandbox.file("bin/engine", fs::read(harness::step(9)?)?)?;
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755))?;
    Ok(engine)
}

fn container(sandbox: &Sandbox, engine: &Path, options: &[&str], script: &str) -> Run {
    let run = sandbox.program(engine).args(["run", "--rm", "--network", "none"]).args(options);
    run.args(["host", "sh", "-c", script])
}

/// By a read-only mount the kernel says so; a copy in memory is being executed, and sealed after that.
const REFUSALS: [&str; 3] = ["Read-only file system", "Text file busy", "Operation not permitted"];

fn refused(said: &str) -> bool {
    REFUSALS.iter().any(|refusal| said.contains(refusal))
}

fn init(sandbox: &Sandbox, engine: &Path) -> Outcome {
    let script = "exec 3</proc/1/exe || exit 9; \
                  echo evil >> /proc/1/exe && echo written; echo evil > /proc/self/fd/3 && echo written; \
                  chmod 4777 /proc/1/exe && echo changed; chown 7:7 /proc/self/fd/3 && echo changed; \
                  stat -L -c %d:%i /proc/1/exe; true";
    let done = container(sandbox, engine, &["--init"], script).run()?.ok()?;
    assert!(!done.stdout.contains("written") && refused(&done.stderr), "{done:?}");
    if sandbox.user().is_none() {
        assert!(!done.stdout.contains("changed") && done.stderr.contains(REFUSALS[0]), "{done:?}");
    } else {
        let about = engine.metadata()?;
        let same = format!("{}:{}", about.dev(), about.ino());
        assert!(!done.stdout.contains(&same), "a copy, not the file itself: {done:?}");
    }
    Ok(())
}

fn entry_point(sandbox: &Sandbox, engine: &Path) -> Outcome {
    let script = "printf '#!/proc/self/exe\\n' > /evil; chmod 755 /evil; exec /evil";
    container(sandbox, engine, &[], script).run()?;
    // As the container's own first program: what the kernel executes then is the engine itself, inside.
    let host = sandbox.file("evil", "#!/proc/self/exe\n")?;
    fs::set_permissions(&host, fs::Permissions::from_mode(0o755))?;
    let volume = format!("{}:/evil", host.display());
    let run = sandbox.program(engine).args(["run", "--rm", "--network", "none", "-v", &volume, "host", "/evil"]);
    let done = run.run()?;
    assert!(done.code != 0 && done.stderr.contains("Usage"), "the engine's own words, from inside: {done:?}");
    Ok(())
}

/// The engine, executed inside, loads a library of the image, which opens the engine's file and goes on as a shell.
fn preload(sandbox: &Sandbox, engine: &Path) -> Outcome {
    let source = sandbox.file(
        "evil.c",
        r#"#include <fcntl.h>
           #include <unistd.h>
           __attribute__((constructor)) static void evil(void) {
               if (access("/tmp/once", F_OK) == 0) return;
               close(open("/tmp/once", O_CREAT | O_WRONLY, 0600));
               int fd = open("/proc/self/exe", O_RDONLY);
               dup2(fd, 9);
               unsetenv("LD_PRELOAD");
               execl("/bin/sh", "sh", "-c", "readlink /proc/self/fd/9; for try in 1 2 3; do "
                     "echo evil > /proc/self/fd/9 && echo written; sleep 0.1; done; true", (char *)0);
           }
           extern char **environ;
           int unsetenv(const char *);
        "#,
    )?;
    let library = sandbox.dir("volume")?.join("evil.so");
    let mut cc = std::process::Command::new("cc");
    let cc = cc.args(["-shared", "-fPIC", "-w", "-include", "stdlib.h", "-o"]).arg(&library).arg(&source).output()?;
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    let evil = sandbox.file("volume/evil", "#!/proc/self/exe\n")?;
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755))?;
    let volume = format!("{}:/evil", sandbox.path().join("volume").display());
    let options = ["run", "--rm", "--network", "none", "-v", &volume, "-e", "LD_PRELOAD=/evil/evil.so"];
    let done = sandbox.program(engine).args(options).args(["host", "/evil/evil"]).run()?;
    let done = done.ok()?;
    assert!(!done.stdout.contains("written") && refused(&done.stderr), "{done:?}");
    assert!(!done.stdout.contains(&engine.display().to_string()), "{done:?}");
    Ok(())
}

/// Who waits inside for processes that join, and takes hold of the file that they still execute.
fn joining(sandbox: &Sandbox, engine: &Path) -> Outcome {
    // In a shell of its own for each, since a redirection that fails ends the shell.
    let spy = "echo ready; while :; do for p in /proc/[0-9]*; do (exec 7<$p/exe && \
               case $(readlink /proc/self/fd/7) in /usr/*|/bin/*) ;; *) echo held; echo evil > /proc/self/fd/7 && echo written;; esac); \
               done; done 2>/dev/null";
    let mut running = container(sandbox, engine, &["--init", "--name", "spy"], spy).spawn()?;
    running.says("ready")?;
    for _ in 0..5 {
        sandbox.program(engine).args(["exec", "spy", "true"]).run()?.ok()?;
    }
    sandbox.program(engine).args(["exec", "--init", "spy", "sleep", "1"]).run()?.ok()?;
    sandbox.program(engine).args(["exec", "spy", "sh", "-c", "echo evil >> /proc/$PPID/exe"]).run()?;
    let said = running.output().0;
    let first = first_process(sandbox)?;
    running.signal(nix::sys::signal::Signal::SIGKILL)?;
    running.wait()?;
    // Its many shells take a moment to end; a group that has processes is not swept.
    for _ in 0..1000 {
        if !first.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // What a killed engine leaves is swept by the next start.
    container(sandbox, engine, &[], "true").run()?.ok()?;
    assert!(said.contains("held"), "the spy has got hold of nothing, not even the init's file: {said}");
    assert!(!said.contains("written"), "{said}");
    Ok(())
}

/// `/proc/PID` of the one container that runs.
fn first_process(sandbox: &Sandbox) -> Outcome<PathBuf> {
    let record = fs::read_dir(sandbox.run_dir().join("containers"))?.next().ok_or("no record")??;
    let record = fs::read_to_string(record.path())?;
    let pid = record.lines().find_map(|line| line.strip_prefix("pid ")).ok_or("no pid")?;
    Ok(Path::new("/proc").join(pid))
}

fn unchanged(sandbox: &Sandbox, engine: &Path) -> Outcome {
    let script = "echo \"$1|$2|$VALUE\"; cat; ls /proc/self/fd";
    let input = sandbox.file("input", "read\n")?;
    let outer = format!(
        "exec 8</etc/passwd; VALUE='a b' exec {} run -i --rm --network none -e VALUE host sh -c '{script}' -- '' 'x y' < {}",
        engine.display(),
        input.display()
    );
    let done = sandbox.program("bash").args(["-c", &outer]).run()?.ok()?;
    assert_eq!(done.stdout, "|x y|a b\nread\n0\n1\n2\n3\n");
    Ok(())
}

fn privileged(sandbox: &Sandbox, engine: &Path) -> Outcome {
    let script = "touch /tmp/x; mount --bind /proc/1/exe /tmp/x && mount -o remount,bind,rw /tmp/x && echo evil > /tmp/x && echo written; \
                  mount -o remount,bind,rw /proc/1/exe && echo evil >> /proc/1/exe && echo written; \
                  echo evil >> /proc/1/exe && echo written; true";
    let done = container(sandbox, engine, &["--privileged", "--init"], script).run()?.ok()?;
    assert!(!done.stdout.contains("written"), "{done:?}");
    Ok(())
}
