//! The kernel's other fences: labels, Landlock, and a keyring of one's own. Not every kernel has each; what is not
//! there is refused when it is asked for, and that is tested in its place.

use std::path::Path;

use harness::{Outcome, Run, Sandbox, Suite};

type Make = fn() -> Outcome<Sandbox>;
type Test = fn(&Sandbox) -> Outcome;

const TESTS: [(&str, Test); 4] = [
    ("Landlock leaves what was named", landlock),
    ("AppArmor by profile, or refused", apparmor),
    ("SELinux by label, or refused", selinux),
    ("a session keyring of its own", keyring),
];

fn main() {
    let mut suite = Suite::new();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in TESTS {
            let (name, test) = (format!("{who}: {name}"), move || test(&make()?));
            suite = suite.vm(format!("{name} (vm)"), test);
            suite = if who == "root" {
                suite.root(name, test)
            } else {
                suite.user(name, test).needs(&["userns", "subuid"])
            };
        }
    }
    suite.run()
}

fn container(sandbox: &Sandbox, options: &[&str], script: &str) -> Run {
    let run = sandbox.step(9).args(["run", "--rm", "--network", "none"]).args(options);
    run.args(["host", "sh", "-c", script])
}

fn inside(sandbox: &Sandbox, options: &[&str], script: &str) -> Outcome<String> {
    Ok(container(sandbox, options, script).run()?.ok()?.stdout)
}

fn landlock(sandbox: &Sandbox) -> Outcome {
    let fence = ["--security-opt", "landlock=ro:/usr", "--security-opt", "landlock=rw:/tmp"];
    let links = ["--security-opt", "landlock=ro:/etc/hosts", "--security-opt", "landlock=rw:/dev"];
    let options = [fence, links].concat();
    let script = "echo x > /tmp/x && cat /tmp/x; cat /etc/hosts > /dev/null && echo hosts; \
                  (cat /etc/passwd) 2>/dev/null && echo read; (echo x > /etc/hosts) 2>/dev/null && echo written; \
                  (mkdir /usr/new) 2>/dev/null && echo made; (ls /proc/1) 2>/dev/null && echo listed; \
                  (mv /tmp/x /root/x) 2>/dev/null && echo moved; true";
    let done = container(sandbox, &options, script).run()?;
    if done.code == 125 {
        done.stderr_has("no Landlock")?.stderr_has("help:")?;
        return Ok(());
    }
    assert_eq!(done.ok()?.stdout, "x\nhosts\n");
    let both = [&options[..], &["--security-opt", "no-new-privileges", "--user", "1000"]].concat();
    assert_eq!(inside(sandbox, &both, script)?, "x\nhosts\n");
    let missing = container(sandbox, &["--security-opt", "landlock=ro:/no/such"], "true").run()?;
    missing.code(125)?.stderr_has("/no/such")?;
    Ok(())
}

fn apparmor(sandbox: &Sandbox) -> Outcome {
    let has = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.trim() == "Y");
    assert_eq!(inside(sandbox, &["--security-opt", "apparmor=unconfined"], "echo runs")?, "runs\n");
    let done = container(sandbox, &["--security-opt", "apparmor=no-such-profile"], "true").run()?.code(125)?;
    done.stderr_has(if has { "apparmor_parser" } else { "no AppArmor" })?;
    Ok(())
}

fn selinux(sandbox: &Sandbox) -> Outcome {
    assert_eq!(inside(sandbox, &["--security-opt", "label=disable"], "echo runs")?, "runs\n");
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        let done = container(sandbox, &["--security-opt", "label=type:container_t"], "true").run()?.code(125)?;
        done.stderr_has("no SELinux")?.stderr_has("label=disable")?;
    }
    container(sandbox, &["--security-opt", "label=colour:red"], "true").run()?.fails()?.stderr_has("colour")?;
    Ok(())
}

/// Masked as it is by default, /proc/keys tells nothing; shown, it has the container's keyring and not the session's.
fn keyring(sandbox: &Sandbox) -> Outcome {
    assert_eq!(inside(sandbox, &[], "cat /proc/keys")?, "");
    let script = "cat /proc/keys; trap 'exit 0' TERM; echo ready; sleep 1000 & wait";
    let options = ["--name", "one", "--security-opt", "systempaths=unconfined"];
    let mut running = container(sandbox, &options, script).spawn()?;
    running.says("ready")?;
    let keys = running.output().0;
    let rings = |keys: &str| -> Vec<String> {
        let names = keys.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with("_ses")));
        names.map(str::to_owned).collect()
    };
    if keys.lines().count() > 1 {
        assert!(rings(&keys).iter().any(|ring| ring.starts_with("_ses.")), "{keys}");
        assert!(!rings(&keys).iter().any(|ring| ring == "_ses:"), "the session's of whoever started it: {keys}");
        let done = sandbox.step(9).args(["exec", "one", "cat", "/proc/keys"]).run()?.ok()?;
        assert!(rings(&done.stdout).iter().any(|ring| ring.starts_with("_ses.")), "{done:?}");
    }
    sandbox.step(9).args(["exec", "one", "sh", "-c", "kill -TERM 1"]).run()?;
    running.wait()?.ok()?;
    Ok(())
}
