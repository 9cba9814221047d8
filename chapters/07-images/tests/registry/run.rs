//! What an image's configuration says is done.

use std::path::PathBuf;
use std::time::Duration;

use harness::{Outcome, Registry, Run, Sandbox, busybox_image, debian_image};

use crate::step;

/// An image with everything in its configuration, made by a tool that is not ours.
fn configured() -> Outcome<String> {
    let work = tempfile::tempdir()?;
    let layout = work.path().join("layout");
    let run = |program: &str, args: &[&str]| {
        let mut command = std::process::Command::new(program);
        command.args(args);
        Run::new(command).run()?.ok()
    };
    let (from, to) = (format!("oci:{}", busybox_image()?.display()), format!("oci:{}:c", layout.display()));
    run("skopeo", &["--insecure-policy", "copy", "--quiet", &from, &to])?;
    let image = format!("{}:c", layout.display());
    run(
        "umoci",
        &[
            "config",
            "--image",
            &image,
            "--config.entrypoint",
            "/bin/echo",
            "--config.entrypoint",
            "said",
            "--config.cmd",
            "words",
            "--config.env",
            "FROM_IMAGE=yes",
            "--config.workingdir",
            "/not/there",
            "--config.user",
            "nobody",
            "--config.volume",
            "/var/kept",
            "--config.stopsignal",
            "SIGQUIT",
            "--config.label",
            "k=v",
        ],
    )?;
    let whole = Registry::shared()?.name("configured");
    run(
        "skopeo",
        &[
            "--insecure-policy",
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
            &format!("oci:{image}"),
            &format!("docker://{whole}"),
        ],
    )?;
    Ok(whole)
}

pub fn configuration() -> Outcome {
    honoured(&Sandbox::new()?)
}

pub fn configuration_ordinary() -> Outcome {
    honoured(&Sandbox::ordinary()?)
}

fn honoured(sandbox: &Sandbox) -> Outcome {
    if harness::find_program("umoci").is_none() {
        return Err("needs the program umoci: apt-get install umoci".into());
    }
    let name = configured()?;
    let run = |options: &[&str], command: &[&str]| {
        step(sandbox, &["run", "--rm", "--network", "none"]).args(options).arg(&name).args(command).run()?.ok()
    };
    assert_eq!(run(&[], &[])?.text(), "said words");
    assert_eq!(run(&[], &["other", "words"])?.text(), "said other words");
    let shell = ["-c", "id -u; id -g; pwd; echo $FROM_IMAGE $MINE; stat -c %u:%a .; grep -c /var/kept /proc/mounts"];
    let done = run(&["--entrypoint", "sh", "-e", "MINE=too"], &shell)?;
    assert_eq!(done.text(), "65534\n65534\n/not/there\nyes too\n0:755\n1");
    let done = run(&["--entrypoint", "sh", "-u", "0:0", "-w", "/tmp"], &["-c", "id -u; pwd; touch /root/mine"])?;
    assert_eq!(done.text(), "0\n/tmp");
    step(sandbox, &["run", "--rm", "--entrypoint", "", &name]).run()?.code(125)?.stderr_has("no command")?;
    step(sandbox, &["run", "--rm", "-u", "eve", &name])
        .run()?
        .code(125)?
        .stderr_has("\"eve\" in the root's /etc/passwd")?;
    step(sandbox, &["run", "--rm", "--platform", "linux/s390x", &name]).run()?.code(125)?.stderr_has("linux/s390x")?;
    step(sandbox, &["run", "--rm", "--pull", "never", "busybox:nowhere"])
        .run()?
        .code(125)?
        .stderr_has("--pull never")?;
    // By its ID too, and without asking the registry.
    let id = step(sandbox, &["images", "--quiet"]).run()?.ok()?.text().to_owned();
    let done = step(sandbox, &["run", "--rm", "--network", "none", &id]).run()?.ok()?;
    assert_eq!((done.text(), done.stderr.as_str()), ("said words", ""));
    let left = step(sandbox, &["ls"]).run()?.ok()?.stdout;
    assert_eq!(left.lines().count(), 1, "--rm leaves nothing: {left}");
    Ok(())
}

pub fn debian() -> Outcome {
    let name = Registry::shared()?.push(debian_image()?, "debian")?;
    let command = [
        "run",
        "--rm",
        "--network",
        "none",
        name.as_str(),
        "sh",
        "-c",
        ". /etc/os-release; echo $ID; stat -c %u:%g:%a /etc/shadow /usr/bin/passwd /tmp; dpkg --verify base-files | grep -v /usr/share/doc; echo intact",
    ];
    for sandbox in [Sandbox::new()?, Sandbox::ordinary()?] {
        let done = step(&sandbox, &command).timeout(Duration::from_secs(180)).run()?.ok()?;
        assert_eq!(done.text(), "debian\n0:42:640\n0:0:4755\n0:0:1777\nintact");
        let layers: Vec<PathBuf> =
            std::fs::read_dir(sandbox.data().join("layers"))?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?;
        assert_eq!(layers.len(), 1);
        step(&sandbox, &["rmi", &name]).run()?.ok()?;
    }
    Ok(())
}
