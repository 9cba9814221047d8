//! `cp`: Docker's rules, and everything that a container or an archive may try with it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use harness::Outcome;

use crate::site::Site;

/// Where each of these would land in a directory that has a file `f` and a directory `d` (docs.docker.com,
/// `docker container cp`; checked against docker 28.2.2 with dockerd 20.10).
pub fn rules(site: &Site) -> Outcome {
    site.sandbox.file("one", "1")?;
    site.sandbox.file("tree/a/b", "2")?;
    site.start("runs", "sleep 1000")?;
    site.create("stopped", "true")?;
    for name in ["runs", "stopped"] {
        fresh(site)?;
        site.ok(&["cp", "fresh", &format!("{name}:/w")])?; // a directory that is not there takes the name
        into(site, name)?;
        fresh(site)?;
        out_of(site, name)?;
        fs::remove_dir_all(site.sandbox.path().join("fresh"))?;
    }
    site.run(&["cp", "runs:/w", "stopped:/w"])?.fails()?.stderr_has("between containers is not supported")?;
    site.run(&["cp", "one", "two"])?.fails()?.stderr_has("neither end is in a container")?;
    site.run(&["cp", "nobody:/x", "."])?.fails()?.stderr_has("no such container: nobody")?;
    // What was copied into it while it did not run is there when it does.
    site.ok(&["start", "-a", "stopped"])?;
    assert!(site.ok(&["diff", "stopped"])?.contains("A /w/copy/a/b"));
    Ok(())
}

/// Files, a directory, and links to both and to nothing.
fn fresh(site: &Site) -> Outcome {
    site.sandbox.dir("fresh/d")?;
    site.sandbox.file("fresh/f", "old")?;
    for (target, link) in [("behind", "dangling"), ("d", "to-d"), ("f", "to-f")] {
        let _ = symlink(target, site.sandbox.path().join("fresh").join(link)); // it may be there from before
    }
    Ok(())
}

fn into(site: &Site, name: &str) -> Outcome {
    let here = site.sandbox.path().to_owned();
    let to = |path: &str| format!("{name}:{path}");
    let read = |path: &str| site.command(&["cp", &to(path), "back"]).run();
    for (from, path, lands) in [
        ("one", "/w/new", "/w/new"),
        ("one", "/w/d", "/w/d/one"),
        ("one", "/w/d/", "/w/d/one"),
        ("one", "/w/f", "/w/f"),
        ("tree", "/w/d", "/w/d/tree/a/b"),
        ("tree/", "/w/d/", "/w/d/tree/a/b"),
        ("tree/.", "/w/d", "/w/d/a/b"),
        ("tree", "/w/copy", "/w/copy/a/b"),
        ("tree/.", "/w/copy2", "/w/copy2/a/b"),
        ("tree", "/w/copy3/", "/w/copy3/a/b"),
        ("one", "w/relative", "/w/relative"),
        ("one", "/w/dangling", "/w/behind"),
        ("one", "/w/to-d", "/w/d/one"),
        ("one", "/w/to-f", "/w/f"),
    ] {
        site.ok(&["cp", from, &to(path)]).map_err(|error| format!("cp {from} {}: {error:?}", to(path)))?;
        let _ = fs::remove_file(here.join("back"));
        read(lands)?.ok()?;
        let wanted = if from == "one" { "1" } else { "2" };
        assert_eq!(fs::read_to_string(here.join("back"))?, wanted, "cp {from} {}", to(path));
    }
    for (from, path, words) in [
        ("one", "/w/none/", "destination directory /w/none/ must exist"),
        ("one", "/w/none/x", "no such directory: /w/none"),
        ("tree", "/w/f", "cannot copy a directory to /w/f, which is a file"),
        ("one", "/w/f/", "is not a directory"),
        ("nothing", "/w", "no such file or directory"),
        ("one/", "/w", "ENOTDIR"),
    ] {
        site.run(&["cp", from, &to(path)])?.fails()?.stderr_has(words)?;
    }
    Ok(())
}

/// The other way round.
fn out_of(site: &Site, name: &str) -> Outcome {
    let here = site.sandbox.path().to_owned();
    let to = |path: &str| format!("{name}:{path}");
    site.ok(&["cp", &to("/w/d/tree"), "fresh/d"])?;
    assert_eq!(fs::read_to_string(here.join("fresh/d/tree/a/b"))?, "2");
    site.ok(&["cp", &to("/w/d/tree/."), "fresh/d"])?;
    assert_eq!(fs::read_to_string(here.join("fresh/d/a/b"))?, "2");
    site.ok(&["cp", &to("/w/d/tree"), "fresh/named"])?;
    assert_eq!(fs::read_to_string(here.join("fresh/named/a/b"))?, "2");
    site.ok(&["cp", &to("/w/new"), "fresh/f"])?;
    assert_eq!(fs::read_to_string(here.join("fresh/f"))?, "1");
    site.run(&["cp", &to("/w/d"), "fresh/f"])?.fails()?.stderr_has("cannot copy a directory")?;
    site.run(&["cp", &to("/w/nothing"), "fresh"])?.fails()?.stderr_has("no such file or directory")?;
    site.run(&["cp", &to("/w/new"), "fresh/none/"])?.fails()?.stderr_has("must exist")?;
    Ok(())
}

pub fn attributes(site: &Site) -> Outcome {
    let here = site.sandbox.path().to_owned();
    let script = "mkdir /w; cd /w; echo x > plain; chmod 640 plain; touch -d @1000000000.5 plain; ln plain hard; ln -s plain soft; \
        ln -s /nowhere dangling; mkfifo pipe; echo s > suid; chmod 4755 suid; chown 12:34 plain; \
        mkdir sticky; chmod 1777 sticky; touch -d @1100000000 sticky; touch ready; sleep 1000";
    site.start("web", script)?;
    ready(site, "web")?;
    site.ok(&["cp", "web:/w", "out"])?;
    let out = here.join("out");
    let plain = fs::metadata(out.join("plain"))?;
    assert_eq!((plain.mode() & 0o7777, plain.mtime(), plain.mtime_nsec()), (0o640, 1_000_000_000, 500_000_000));
    assert_eq!(plain.ino(), fs::metadata(out.join("hard"))?.ino(), "one file with two names");
    assert_eq!(fs::read_link(out.join("soft"))?, Path::new("plain"));
    assert_eq!(fs::read_link(out.join("dangling"))?, Path::new("/nowhere"));
    assert_eq!(fs::metadata(out.join("suid"))?.mode() & 0o7777, 0o755, "a stranger's program does not run as us");
    let sticky = fs::metadata(out.join("sticky"))?;
    assert_eq!((sticky.mode() & 0o7777, sticky.mtime()), (0o1777, 1_100_000_000));
    let owner = fs::metadata(&here)?.uid();
    assert_eq!(plain.uid(), owner, "files that come out are ours");
    // -L follows the source itself, and nothing below it.
    site.ok(&["cp", "-L", "web:/w/soft", "followed"])?;
    assert!(fs::symlink_metadata(here.join("followed"))?.is_file());
    site.ok(&["cp", "web:/w/soft", "link"])?;
    assert!(fs::symlink_metadata(here.join("link"))?.is_symlink());
    // Into it: root's, unless -a says otherwise.
    site.ok(&["cp", "-a", "web:/w", "kept"])?;
    site.ok(&["cp", "-a", "kept", "web:/kept"])?;
    site.ok(&["cp", "kept", "web:/roots"])?;
    let about = |path: &str| site.ok(&["exec", "web", "stat", "-c", "%u:%g %a", path]);
    assert_eq!(about("/kept/plain")?, "12:34 640");
    assert_eq!(about("/roots/plain")?, "0:0 640");
    assert_eq!(about("/kept/suid")?, "0:0 4755");
    assert_eq!(about("/roots/suid")?, "0:0 755");
    Ok(())
}

/// Waits until the container has made the file /w/ready.
fn ready(site: &Site, name: &str) -> Outcome {
    for _ in 0..500 {
        if site.run(&["cp", &format!("{name}:/w/ready"), "-"])?.code == 0 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Err(format!("{name} is not ready: {:?}", site.run(&["logs", name])?).into())
}

pub fn streams(site: &Site) -> Outcome {
    site.start("web", "mkdir /w /to; echo hello > /w/file; touch /w/ready; sleep 1000")?;
    site.create("stopped", "true")?;
    ready(site, "web")?;
    let archive = site.sandbox.path().join("archive");
    let shell = |line: &str| site.sandbox.program("sh").args(["-c", line]).current_dir(site.sandbox.path()).run();
    let step10 = harness::step(10)?;
    let step10 = step10.display();
    shell(&format!("{step10} cp web:/w - > archive"))?.ok()?;
    let list = shell("tar tf archive")?.ok()?.stdout;
    assert!(list.contains("w/\n") && list.contains("w/file\n"), "{list}");
    for name in ["web", "stopped"] {
        shell(&format!("{step10} cp - {name}:/var < archive && {step10} cp {name}:/var/w/file back"))?.ok()?;
        assert_eq!(fs::read_to_string(site.sandbox.path().join("back"))?, "hello\n");
    }
    shell(&format!("{step10} cp web:/w - | {step10} cp - stopped:/tmp"))?.ok()?;
    site.run(&["cp", "-", "web:/etc/passwd"])?.fails()?.stderr_has("must be a directory")?;
    // Half an archive is an error, and so is what is none.
    let half = fs::read(&archive)?;
    fs::write(&archive, &half[..700])?;
    shell(&format!("{step10} cp - web:/to < archive"))?.fails()?;
    shell(&format!("head -c 5000 /dev/urandom | {step10} cp - web:/to"))?.fails()?;
    Ok(())
}

pub fn mounts(site: &Site) -> Outcome {
    let bind = site.sandbox.dir("bind")?;
    site.sandbox.file("one", "1")?;
    let bound = format!("{}:/bind", bind.display());
    let options = ["-v", &bound, "-v", "vol1:/vol", "--tmpfs", "/tmpfs"];
    site.start_with("web", &options, "echo v > /vol/file; echo t > /tmpfs/file; mkdir /w; touch /w/ready; sleep 1000")?;
    ready(site, "web")?;
    let here = site.sandbox.path().to_owned();
    site.ok(&["cp", "one", "web:/bind/running"])?;
    assert_eq!(fs::read_to_string(bind.join("running"))?, "1");
    site.ok(&["cp", "web:/vol/file", "vol"])?;
    assert_eq!(fs::read_to_string(here.join("vol"))?, "v\n");
    site.ok(&["cp", "web:/tmpfs/file", "tmpfs"])?;
    assert_eq!(fs::read_to_string(here.join("tmpfs"))?, "t\n");
    site.ok(&["cp", "one", "web:/etc/hosts"])?;
    assert_eq!(site.ok(&["exec", "web", "cat", "/etc/hosts"])?, "1", "what is mounted on a file is written to");
    site.ok(&["kill", "web"])?;
    site.ok(&["cp", "one", "web:/bind/stopped"])?;
    assert_eq!(fs::read_to_string(bind.join("stopped"))?, "1");
    site.ok(&["cp", "one", "web:/vol/more"])?;
    site.ok(&["cp", "web:/vol/.", "all"])?;
    assert_eq!(fs::read_to_string(here.join("all/file"))? + &fs::read_to_string(here.join("all/more"))?, "v\n1");
    // What can only be read stays so.
    let read_only = format!("{}:/bind:ro", bind.display());
    site.start_with("ro", &["-v", &read_only, "--read-only"], "sleep 1000")?;
    for _ in 0..2 {
        site.run(&["cp", "one", "ro:/bind/new"])?.fails()?.stderr_has("EROFS")?;
        site.run(&["cp", "one", "ro:/new"])?.fails()?.stderr_has("EROFS")?;
        site.ok(&["kill", "ro"]).or_else(|_| site.ok(&["stop", "ro"]))?;
    }
    assert!(!bind.join("new").exists());
    Ok(())
}

/// A file of the host that no container may reach, and one that none may make.
fn victim(site: &Site) -> Outcome<std::path::PathBuf> {
    site.sandbox.file("victim/secret", "untouched")
}

fn unharmed(secret: &Path) -> Outcome {
    assert_eq!(fs::read_to_string(secret)?, "untouched");
    let names: Vec<_> =
        fs::read_dir(secret.parent().ok_or("no parent")?)?.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["secret"]);
    Ok(())
}

pub fn escapes(site: &Site) -> Outcome {
    let secret = victim(site)?;
    let above = secret.parent().ok_or("no parent")?.display().to_string();
    site.sandbox.file("evil", "evil")?;
    let script = format!(
        "mkdir /w; cd /w; ln -s {above} abs; ln -s ../../../../../../../../..{above} rel; ln -s {above}/secret file; \
         ln -s {above}/new dangling; ln -s /proc/self/root self; ln -s /proc/1/root init; ln -s /proc/1/cwd cwd; ln -s /proc proc; ln -s /proc/1/oom_score_adj score; \
         touch ready; sleep 1000"
    );
    site.start("web", &script)?;
    ready(site, "web")?;
    site.create("stopped", "true")?;
    site.ok(&["cp", "web:/w", "links"])?;
    site.ok(&["cp", "links/.", "stopped:/w"])?;
    for name in ["web", "stopped"] {
        let to = |path: &str| format!("{name}:{path}");
        for path in
            ["abs/secret", "abs/new", "rel/secret", "file", "dangling", "abs", "init/tmp/x", "self/tmp/x", "cwd/x"]
        {
            let _ = site.run(&["cp", "evil", &to(&format!("/w/{path}"))])?;
            unharmed(&secret).map_err(|error| format!("cp evil {}: {error:?}", to(path)))?;
        }
        let up = format!("../../../../../../../..{}", secret.display());
        let _ = site.run(&["cp", "evil", &to(&up)])?;
        unharmed(&secret)?;
        for path in [
            "abs/secret",
            "rel/secret",
            "file",
            &format!("init{}", secret.display()),
            &format!("self{}", secret.display()),
            &up,
        ] {
            let _ = fs::remove_file(site.sandbox.path().join("got"));
            let _ = site.run(&["cp", "-L", &to(&format!("/w/{path}")), "got"])?;
            let got = fs::read_to_string(site.sandbox.path().join("got")).unwrap_or_default();
            assert_ne!(got, "untouched", "{} was read", to(path));
        }
    }
    // Magic links are no way, and /proc is no place.
    site.run(&["cp", "web:/w/init/etc/passwd", "-"])?.fails()?;
    site.run(&["cp", "evil", "web:/proc/sys/kernel/core_pattern"])?.fails()?;
    site.run(&["cp", "evil", "web:/w/proc/sysrq-trigger"])?.fails()?.stderr_has("kernel's own")?;
    site.run(&["cp", "evil", "web:/w/score"])?.fails()?.stderr_has("kernel's own")?;
    site.run(&["cp", "web:/proc/1/environ", "-"])?.fails()?.stderr_has("kernel's own")?;
    unharmed(&secret)
}

/// An archive as no honest tar writes it.
pub fn hostile(site: &Site) -> Outcome {
    let secret = victim(site)?;
    let above = secret.parent().ok_or("no parent")?.to_owned();
    site.start("web", "mkdir /w /to; touch /w/ready; sleep 1000")?;
    site.create("stopped", "mkdir /to")?;
    site.ok(&["start", "-a", "stopped"])?;
    ready(site, "web")?;
    let dots = format!("../../../../../../../../../..{}", above.display());
    let archives: [(&str, Vec<Entry>); 6] = [
        ("dots", vec![Entry::file(&format!("{dots}/new"))]),
        ("inner dots", vec![Entry::file(&format!("a/../../{dots}/new"))]),
        ("absolute", vec![Entry::file(&format!("{}/new", above.display()))]),
        ("a link, then through it", vec![Entry::link("l", &above.display().to_string()), Entry::file("l/new")]),
        ("a hard link to the host", vec![Entry::hard("h", &secret.display().to_string()), Entry::file("h")]),
        (
            "a link in a link",
            vec![Entry::link("a", "."), Entry::link("a/b", &dots), Entry::file("a/b/new"), Entry::file("b/secret")],
        ),
    ];
    for (what, entries) in archives {
        let bytes = write(&entries)?;
        for name in ["web", "stopped"] {
            let _ = site.command(&["cp", "-", &format!("{name}:/to")]).stdin(bytes.clone()).run()?;
            unharmed(&secret).map_err(|error| format!("{what} into {name}: {error:?}"))?;
        }
    }
    let dotted = site.command(&["cp", "-", "web:/to"]).stdin(write(&[Entry::file("../x")])?).run()?;
    dotted.fails()?.stderr_has("leads out of it")?;
    Ok(())
}

struct Entry {
    name: String,
    kind: u8,
    link: String,
}

impl Entry {
    fn file(name: &str) -> Self {
        Self { name: name.to_owned(), kind: b'0', link: String::new() }
    }

    fn link(name: &str, to: &str) -> Self {
        Self { name: name.to_owned(), kind: b'2', link: to.to_owned() }
    }

    fn hard(name: &str, to: &str) -> Self {
        Self { name: name.to_owned(), kind: b'1', link: to.to_owned() }
    }
}

/// A ustar archive of these, each file with five bytes. Names are as they are given.
fn write(entries: &[Entry]) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        if entry.name.len() > 99 || entry.link.len() > 99 {
            Err(format!("{} is too long for this test", entry.name))?;
        }
        let data: &[u8] = if entry.kind == b'0' { b"evil\n" } else { b"" };
        let mut header = [0_u8; 512];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, &entry.name);
        put(100, "0000644\0");
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{:011o}\0", data.len()));
        put(136, "00000000000\0");
        put(148, "        ");
        put(157, &entry.link);
        put(257, "ustar\x0000");
        header[156] = entry.kind;
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    Ok(bytes)
}

/// CVE-2018-15664: what was a directory when it was looked at is a link to the host when it is used.
pub fn race(site: &Site) -> Outcome {
    let secret = victim(site)?;
    let above = secret.parent().ok_or("no parent")?.display().to_string();
    site.sandbox.file("evil", "evil")?;
    site.sandbox.file("tree/secret", "evil")?;
    site.sandbox.file("tree/new", "evil")?;
    let script = format!(
        "mkdir -p /w/x; cd /w; echo inside > x/secret; ln -s {above} l; touch ready; \
         while :; do mv -T x y; mv -T l x; mv -T x l; mv -T y x; done"
    );
    site.start("web", &script)?;
    ready(site, "web")?;
    let out = site.sandbox.path().join("got");
    let (mut done, mut refused) = (0, 0);
    for round in 0..200 {
        let ended = match round % 4 {
            0 => site.run(&["cp", "evil", "web:/w/x/secret"])?,
            1 => site.run(&["cp", "tree", "web:/w/x"])?,
            2 => site.run(&["cp", "tree/.", "web:/w/x"])?,
            _ => {
                let _ = fs::remove_file(&out);
                let ended = site.run(&["cp", "web:/w/x/secret", "got"])?;
                assert_ne!(
                    fs::read_to_string(&out).unwrap_or_default(),
                    "untouched",
                    "round {round} has read the host's file"
                );
                ended
            }
        };
        if ended.code == 0 {
            done += 1
        } else {
            refused += 1
        }
        unharmed(&secret).map_err(|error| format!("round {round}: {error:?}"))?;
    }
    assert!(done > 0 && done + refused == 200, "{done} done, {refused} refused");
    assert_eq!(site.status("web")?, "running");
    Ok(())
}
