//! Devices: nodes, and what the kernel lets a container open, whatever it calls it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use cgroups::{Group, Hierarchy};
use harness::{Outcome, Run, Sandbox, Suite};
use security::{DeviceRule, device_rules};

type Make = fn() -> Outcome<Sandbox>;
type Test = fn(&Sandbox) -> Outcome;

/// What holds for root and for an ordinary user alike.
const BOTH: [(&str, Test); 4] = [
    ("a device of the host", given),
    ("a directory of devices", directory),
    ("what is no device is refused", refused),
    ("links of the image lead no node out of the root", links),
];

/// The rules: where there is cgroup v2, a hybrid host's included.
const RULES: [(&str, Test); 6] = [
    ("what is not given cannot be opened", denied),
    ("only what is allowed of a device", access),
    ("a rule of one's own", own_rule),
    ("a container can only take away", nested),
    ("--privileged has no rules", privileged),
    ("rules are replaced, not added to", replaced),
];

fn main() {
    let mut suite = Suite::new();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in BOTH {
            let (name, test) = (format!("{who}: {name}"), move || test(&make()?));
            suite = if who == "root" {
                suite.root(name, test)
            } else {
                suite.user(name, test).needs(&["userns", "subuid"])
            };
        }
    }
    for (name, test) in RULES {
        suite = suite.vm(format!("root: {name}"), move || {
            let sandbox = Sandbox::new()?;
            assert!(has_rules(&sandbox)?, "with cgroup v2 there are rules");
            test(&sandbox)
        });
        suite = suite.root(format!("root, if groups can be made: {name}"), move || {
            let sandbox = Sandbox::new()?;
            if has_rules(&sandbox)? { test(&sandbox) } else { Ok(()) }
        });
    }
    suite
        .user("ordinary: rules cannot be asked for", || no_rules(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .run()
}

/// With the capability that the kernel wants for /dev/kmsg: what keeps it closed shall be the rules.
fn container(sandbox: &Sandbox, options: &[&str], script: &str) -> Run {
    let run = sandbox.step(9).args(["run", "--rm", "--network", "none", "--cap-add", "SYSLOG"]).args(options);
    run.args(["host", "sh", "-c", script])
}

fn inside(sandbox: &Sandbox, options: &[&str], script: &str) -> Outcome<String> {
    Ok(container(sandbox, options, script).run()?.ok()?.stdout)
}

fn given(sandbox: &Sandbox) -> Outcome {
    let options = ["--device", "/dev/zero:/dev/nil", "--device", "/dev/full:/data/deep/full", "--device", "/dev/null"];
    let script = "for path in /dev/nil /data/deep/full /dev/null; do stat -c '%F %t:%T %a' $path; done; \
                  head -c 3 /dev/nil | wc -c; echo x > /dev/nil && echo written";
    let said = inside(sandbox, &options, script)?;
    let node = "character special file";
    assert_eq!(said, format!("{node} 1:5 666\n{node} 1:7 666\n{node} 1:3 666\n3\nwritten\n"));
    Ok(())
}

fn directory(sandbox: &Sandbox) -> Outcome {
    // As seen by whoever may look into it; /dev has directories that an ordinary user may not.
    let said = inside(sandbox, &["--device", "/dev/net:/dev/wires"], "ls /dev/wires")?;
    assert_eq!(said, "tun\n");
    Ok(())
}

fn refused(sandbox: &Sandbox) -> Outcome {
    container(sandbox, &["--device", "/dev/no-such"], "true").run()?.code(125)?.stderr_has("does not exist")?;
    container(sandbox, &["--device", "/etc/passwd"], "true").run()?.code(125)?.stderr_has("use -v")?;
    container(sandbox, &["--device", "/dev/zero:/etc/passwd"], "true").run()?.code(125)?;
    for bad in ["null", "/dev/null:/x:rx", "/dev/null:/../x", "/a:/b:r:w"] {
        container(sandbox, &["--device", bad], "true").run()?.code(2)?;
    }
    for bad in ["c 1:3", "x 1:3 r", "c 1:3 q"] {
        container(sandbox, &["--device-cgroup-rule", bad], "true").run()?.code(2)?.stderr_has("help:")?;
    }
    Ok(())
}

fn links(sandbox: &Sandbox) -> Outcome {
    inside(sandbox, &[], "true")?;
    let outside = sandbox.dir("outside")?;
    let layers = fs::read_dir(sandbox.data().join("layers"))?.next().ok_or("no layer")??;
    let layer = layers.path().join("diff");
    symlink(&outside, layer.join("absolute"))?;
    symlink("../../../../../../../../tmp", layer.join("up"))?;
    symlink(outside.join("file"), layer.join("file"))?;
    container(sandbox, &["--device", "/dev/zero:/absolute/x"], "true").run()?.code(125)?;
    container(sandbox, &["--device", "/dev/zero:/file"], "true").run()?.code(125)?;
    let said = inside(sandbox, &["--device", "/dev/zero:/up/x"], "stat -c %t:%T /tmp/x")?;
    assert_eq!(said, "1:5\n", "above the root is the root");
    assert_eq!(fs::read_dir(&outside)?.count(), 0);
    Ok(())
}

/// A node may be made of anything (archives have them), but what is not allowed cannot be opened.
fn denied(sandbox: &Sandbox) -> Outcome {
    let script = "mknod /tmp/kmsg c 1 11 || exit 9; mknod /tmp/disk b 7 0; mknod /tmp/null c 1 3; \
                  for path in /tmp/kmsg /tmp/disk /tmp/null; do \
                  (exec 3<$path) 2>/dev/null && echo $path r; (exec 3>>$path) 2>/dev/null && echo $path w; done; \
                  mkdir /dev/d && mknod /dev/d/kmsg c 1 11 && (exec 3</dev/d/kmsg) 2>/dev/null && echo open; true";
    assert_eq!(inside(sandbox, &[], script)?, "/tmp/null r\n/tmp/null w\n");
    Ok(())
}

/// Root's suite may run where no group can be made; then there is no right to make nodes instead.
fn has_rules(sandbox: &Sandbox) -> Outcome<bool> {
    let done =
        container(sandbox, &[], "mknod /tmp/x c 1 11 2>/dev/null && (exec 3</tmp/x) 2>/dev/null && echo open; true");
    let said = done.run()?.ok()?.stdout;
    assert_eq!(said, "", "a device that was not given");
    let done = container(sandbox, &["--device-cgroup-rule", "c 1:11 r"], "true").run()?;
    if done.code == 125 {
        done.stderr_has("device rules")?;
        return Ok(false);
    }
    done.ok()?;
    Ok(true)
}

fn access(sandbox: &Sandbox) -> Outcome {
    let script = "(exec 3</dev/log) 2>/dev/null && echo r; (exec 3>>/dev/log) 2>/dev/null && echo w; \
                  (exec 3<>/dev/log) 2>/dev/null && echo rw; true";
    for (access, wanted) in [("r", "r\n"), ("w", "w\n"), ("rw", "r\nw\nrw\n"), ("m", "")] {
        assert_eq!(
            inside(sandbox, &["--device", &format!("/dev/kmsg:/dev/log:{access}")], script)?,
            wanted,
            "{access}"
        );
    }
    Ok(())
}

fn own_rule(sandbox: &Sandbox) -> Outcome {
    let script =
        "mknod /tmp/kmsg c 1 11; (exec 3</tmp/kmsg) && echo r; (exec 3>>/tmp/kmsg) 2>/dev/null && echo w; true";
    assert_eq!(inside(sandbox, &["--device-cgroup-rule", "c 1:* r"], script)?, "r\n");
    let done = container(sandbox, &["--explain"], "true").run()?.ok()?;
    done.stderr_has("bpf(PROG_ATTACH")?;
    Ok(())
}

/// Groups made below are held by the program above; exec is in the group, too.
fn nested(sandbox: &Sandbox) -> Outcome {
    let mut running =
        container(sandbox, &["--name", "one"], "trap 'exit 0' TERM; echo ready; sleep 1000 & wait").spawn()?;
    running.says("ready")?;
    let script = "mknod /tmp/kmsg c 1 11; (exec 3</tmp/kmsg) 2>/dev/null && echo open; true";
    let done = sandbox.step(9).args(["exec", "one", "sh", "-c", script]).run()?.ok()?;
    assert_eq!(done.stdout, "");
    let done = sandbox.step(9).args(["exec", "--privileged", "one", "sh", "-c", script]).run()?.ok()?;
    assert_eq!(done.stdout, "", "capabilities give no devices");
    sandbox.step(9).args(["exec", "one", "sh", "-c", "kill -TERM 1"]).run()?;
    running.wait()?.ok()?;
    Ok(())
}

fn privileged(sandbox: &Sandbox) -> Outcome {
    let script = "stat -c %t:%T /dev/kmsg; (exec 3</dev/kmsg) && echo open; mknod /tmp/kmsg c 1 11; (exec 3</tmp/kmsg) && echo open";
    assert_eq!(inside(sandbox, &["--privileged"], script)?, "1:b\nopen\nopen\n");
    Ok(())
}

fn no_rules(sandbox: &Sandbox) -> Outcome {
    let done = container(sandbox, &["--device-cgroup-rule", "c 1:11 r"], "true").run()?.code(125)?;
    done.stderr_has("device rules")?;
    Ok(())
}

/// A group of the tests, gone on drop.
struct TestGroup(PathBuf);

impl Drop for TestGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn replaced(_sandbox: &Sandbox) -> Outcome {
    let path = Hierarchy::find()?.mount.join(format!("cooper-test-{}", std::process::id()));
    fs::create_dir(&path)?;
    let group = TestGroup(path);
    let handle = Group::open(&group.0)?;
    let opens = |device: &str| -> Outcome<bool> {
        let script = "echo $$ > \"$1/cgroup.procs\" && exec head -c 1 \"$2\"";
        let mut shell = std::process::Command::new("sh");
        let done = shell.args(["-c", script, "sh"]).arg(&group.0).arg(device).output()?;
        Ok(done.status.success() && done.stdout == [0])
    };
    let rules = |texts: &[&str]| -> Outcome<Vec<DeviceRule>> {
        Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
    };
    assert!(opens("/dev/zero")?);
    for _ in 0..3 {
        device_rules::attach(&handle, &rules(&["c 1:3 rw"])?)?;
        assert!(!opens("/dev/zero")?);
        device_rules::attach(&handle, &rules(&["c 1:3 rw", "c 1:5 rw"])?)?;
        assert!(opens("/dev/zero")?, "the earlier program would still say no");
    }
    let longest: Vec<_> = (0..2000).map(|minor| format!("c 7:{minor} rwm")).collect();
    let longest: Vec<_> = longest.iter().map(String::as_str).collect();
    device_rules::attach(&handle, &rules(&longest)?)?;
    assert!(!opens("/dev/zero")?, "thousands of rules are no problem for the verifier");
    Ok(())
}
