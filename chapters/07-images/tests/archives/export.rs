//! A container's files become an archive, and that an image.

use harness::{Outcome, Sandbox};

use crate::{ok, shown, step};

pub fn export(sandbox: &Sandbox) -> Outcome {
    let script = "echo new > /new; rm -r /usr/share; mkdir /bin/sub; chmod 4711 /new; echo gone > /dev/shm/x";
    ok(sandbox, &["run", "--name", "box", "--network", "none", "host", "sh", "-c", script])?;
    let file = sandbox.dir("out")?.join("root.tar");
    ok(sandbox, &["export", "--output", shown(&file), "box"])?;
    let mut names = Vec::new();
    let mut archive = tar::Archive::new(std::fs::File::open(&file)?);
    for entry in archive.entries()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name == "new" {
            assert_eq!((entry.header().mode()?, entry.size()), (0o4711, 4));
        }
        names.push(name);
    }
    assert!(["new", "usr/bin/sub/"].iter().all(|name| names.iter().any(|found| found == name)));
    assert!(names.iter().any(|name| name.ends_with("/sh")), "the image's own files");
    let strange = |name: &&String| name.contains(".wh.") || name.starts_with("usr/share/") || name.contains("shm/");
    assert_eq!(names.iter().find(strange), None);
    step(sandbox, &["export", "nobody"]).run()?.code(125)?.stderr_has("no container is called")?;
    // And it becomes an image.
    let change = "CMD [\"sh\", \"-c\", \"cat /new; echo $A\"]";
    let import = ["import", "-c", change, "--change", "ENV A=set", "-m", "why", shown(&file), "mine:1"];
    let id = ok(sandbox, &import)?;
    assert_eq!(ok(sandbox, &["run", "--rm", "--network", "none", "mine:1"])?, "new\nset\n");
    assert_eq!(ok(sandbox, &["inspect", "-f", "{{.Id}} {{.Comment}}", "mine:1"])?.trim(), format!("{} why", id.trim()));
    ok(sandbox, &["history", "mine:1"])?.contains("imported archive").then_some(()).ok_or("the history")?;
    Ok(())
}
