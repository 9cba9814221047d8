//! Files that a container shares: volumes, its own layer on the host's disk, /etc/hosts.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use harness::{Outcome, Sandbox};

use crate::place::{Place, SECRET, volume};

/// Leaves a program that makes everybody root, as it were.
const SET_USER_ID: &str = "cp $(command -v id) DIR/id && chmod 4755 DIR/id";

/// CVE-2021-30465, CVE-2024-45310: a second volume's target lies within the first, where a neighbour swaps it for a link
/// while the engine is about to mount.
pub fn swapped_target(place: &Place) -> Outcome {
    let (shared, other, outside) =
        (place.sandbox.dir("shared")?, place.sandbox.dir("other")?, place.sandbox.dir("outside")?);
    fs::write(outside.join("mark"), "")?;
    let first = volume(&shared, "/x");
    let victim = |place: &Place| {
        let second = volume(&other, "/x/target/below");
        place
            .container(&["-v", &first, "-v", &second], &["sh", "-c", "test -e /x/target/mark && echo outside; true"])
            .run()
    };
    // What a path would do: a program that follows it makes its directory outside.
    symlink(&outside, shared.join("target"))?;
    place.sandbox.program("mkdir").arg(shared.join("target/naive")).run()?.ok()?;
    assert!(outside.join("naive").is_dir());
    fs::remove_dir(outside.join("naive"))?;
    let still = victim(place)?;
    assert!([0, 125].contains(&still.code) && still.stdout.is_empty(), "{still:?}");
    fs::remove_file(shared.join("target"))?;

    let swap = format!(
        "trap 'exit 0' TERM; echo ready; while :; do ln -s {} /v/target; rm -rf /v/target; mkdir /v/target; rm -rf /v/target; done 2>/dev/null",
        outside.display()
    );
    let neighbour = place.container(&["--name", "swap", "-v", &volume(&shared, "/v")], &["sh", "-c", &swap]);
    let mut neighbour = neighbour.spawn()?;
    neighbour.says("ready")?;
    for _ in 0..20 {
        let done = victim(place)?;
        assert!([0, 125].contains(&done.code) && done.stdout.is_empty(), "{done:?}");
    }
    place.end("swap", neighbour)?;
    let left: Vec<_> = fs::read_dir(&outside)?.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["mark"], "made outside");
    Ok(())
}

/// CVE-2021-41091: a set-user-ID program in a container's layer or volume is a file of the host's disk. No user of the
/// host may reach it.
pub fn reached_from_outside(place: &Place) -> Outcome {
    if place.is_ordinary() {
        return Ok(()); // what its containers write belongs to the user; see the next test
    }
    let script = ["/tmp", "/data"].map(|dir| SET_USER_ID.replace("DIR", dir)).join("; ");
    let running = place.idle("one", &["-v", "named:/data"])?;
    place.engine().args(["exec", "one", "sh", "-c", &script]).run()?.ok()?;
    let mut found = Vec::new();
    find(&place.sandbox.data(), &mut found)?;
    find(&place.sandbox.run_dir(), &mut found)?;
    assert!(found.len() >= 2, "in the layer and in the volume: {found:?}");
    let ordinary = Sandbox::ordinary()?;
    let mut open = Vec::new();
    for file in &found {
        let done = ordinary.program("sh").args(["-c", "\"$0\" -u || stat \"$0\""]).arg(file).run()?;
        if done.code == 0 {
            open.push(format!("{}: {}", file.display(), done.text()));
        }
    }
    assert!(open.is_empty(), "a user of the host gets at {open:?}");
    // The same file, where the directories above are open.
    let reachable = place.sandbox.path().join("id");
    fs::copy(&found[0], &reachable)?;
    fs::set_permissions(&reachable, PermissionsExt::from_mode(0o4755))?;
    assert_eq!(ordinary.program(&reachable).arg("-u").run()?.ok()?.text(), "0");
    place.end("one", running)
}

/// Set-user-ID programs below a directory.
fn find(directory: &Path, found: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(directory)?.flatten() {
        let about = entry.metadata()?;
        if about.is_dir() {
            find(&entry.path(), found)?;
        } else if about.is_file() && about.mode() & 0o4000 != 0 {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// A set-user-ID program on a volume works inside as Docker has it work; no-new-privileges closes that. On the host it
/// is root's only if the engine is.
pub fn set_user_id(place: &Place) -> Outcome {
    let shared = place.sandbox.dir("shared")?;
    let volume = volume(&shared, "/v");
    place.inside(&["-v", &volume], &SET_USER_ID.replace("DIR", "/v"))?;
    let become_root =
        |options: &[&str]| place.inside(&[&["-v", &volume, "--user", "1000"], options].concat(), "/v/id -u");
    assert_eq!(become_root(&[])?, "0\n");
    assert_eq!(become_root(&["--security-opt", "no-new-privileges"])?, "1000\n");
    let owner = fs::metadata(shared.join("id"))?.uid();
    assert_eq!(owner, place.sandbox.user().map_or(0, harness::User::uid));
    Ok(())
}

/// /etc/hosts and its like are files of the host, one for each container: what one writes no other reads.
pub fn own_etc(place: &Place) -> Outcome {
    let names = ["hosts", "hostname", "resolv.conf"];
    let before = names.map(|name| fs::read(Path::new("/etc").join(name)).unwrap_or_default());
    let first = place.idle("first", &[])?;
    let second = place.idle("second", &[])?;
    let exec = |name: &str, script: &str| -> Outcome<String> {
        Ok(place.engine().args(["exec", name, "sh", "-c", script]).run()?.ok()?.stdout)
    };
    let write = "for name in hosts hostname resolv.conf; do echo evil > /etc/$name; chmod 4777 /etc/$name; \
                 rm /etc/$name 2>/dev/null && echo removed; done; grep -c evil /etc/hosts; \
                 cp $(command -v id) /tmp/x; cat /tmp/x > /etc/hostname; /etc/hostname 2>/dev/null && echo executed; true";
    assert_eq!(exec("first", write)?, "1\n");
    let read = "cat /etc/hosts /etc/hostname /etc/resolv.conf | grep -c evil; test -e /tmp/x && echo seen; true";
    assert_eq!(exec("second", read)?, "0\n");
    assert_eq!(place.inside(&[], read)?, "0\n", "nor a later one");
    for (name, before) in names.iter().zip(&before) {
        assert_eq!(&fs::read(Path::new("/etc").join(name)).unwrap_or_default(), before, "the host's /etc/{name}");
    }
    place.end("first", first)?;
    place.end("second", second)?;
    // An image that has a link there: to a file of the host's, and to one of the kernel's.
    let layer = fs::read_dir(place.sandbox.data().join("layers"))?.next().ok_or("no layer")??.path().join("diff");
    let hosts = layer.join("etc/hosts");
    for target in [place.secret.as_str(), "/proc/self/fd/7", "/proc/sys/kernel/core_pattern"] {
        let _ = fs::remove_file(&hosts);
        symlink(target, &hosts)?;
        let done = place.container(&[], &["sh", "-c", "echo evil > /etc/hosts; true"]).run()?;
        assert!([0, 125].contains(&done.code), "{done:?}");
        assert_eq!(fs::read_to_string(&place.secret)?, SECRET, "by a link to {target}");
    }
    Ok(())
}

/// "Shocker": any file of the file system that a volume lies on, by its handle.
pub fn handles(place: &Place) -> Outcome {
    let shared = place.sandbox.dir("shared")?;
    let outside = Place::new(Sandbox::new()?)?;
    let handle = outside.tries_outside(&[&format!("handle-of:{}", place.secret)])?;
    if handle[0] == "EOPNOTSUPP" {
        return Ok(()); // this file system has none
    }
    let attack = format!("handle:/v:{}", handle[0]);
    let volume = volume(&shared, "/v");
    let open = |options: &[&str]| place.tries(&[&["-v", &volume], options].concat(), &[&attack]);
    assert_eq!(open(&[])?, ["EPERM"]);
    assert_eq!(open(&["--security-opt", "seccomp=unconfined"])?, ["EPERM"], "the capability");
    let given = open(&["--cap-add", "DAC_READ_SEARCH"])?;
    if place.is_ordinary() {
        // Newer kernels let a user namespace have what lies within its own mounts; this file does not.
        assert!(["EPERM", "ESTALE", "EACCES"].contains(&given[0].as_str()), "{given:?}");
    } else {
        assert_eq!(given, [SECRET]);
    }
    Ok(())
}
