//! Running cells: recording, comparing, and what a cell may rely on.

use harness::{Outcome, Suite};

use crate::Copy;

pub fn add(suite: Suite) -> Suite {
    suite
        .user("the cells of a page share one shell", shared)
        .needs(&["userns"])
        .user("what is recorded passes, and is recorded without noise", quiet)
        .needs(&["userns"])
        .user("a difference is shown as one", differs)
        .needs(&["userns"])
        .user("an expected failure keeps its exit code, another is an error", exit_codes)
        .needs(&["userns"])
        .user("a cell has a terminal if it asks for one", terminal)
        .needs(&["userns"])
        .user("the page's foot tells where it was recorded", foot)
        .needs(&["userns"])
        .user("what cannot run is skipped with its reason, or fails where it is required", skipped)
        .needs(&["userns"])
        .user("a report for those who collect them", junit)
        .needs(&["userns"])
        .user("cargo run starts what was built", cargo)
        .needs(&["userns"])
        .root("root's cells are root's, with a network of their own", root)
        .root("an ordinary user's cells have a range of ids to hand out, as outside", ordinary)
        .needs(&["newuidmap", "unshare"])
        .root("a cell for control groups runs in the virtual machine", machine)
        .needs(&["qemu-system-x86_64", "busybox", "apt-get"])
}

fn shared() -> Outcome {
    let book = Copy::new()?;
    let done = book.book(&["check"]).run()?.ok()?;
    done.stdout_has("2 passed, 0 failed, 0 skipped")?;
    Ok(())
}

fn quiet() -> Outcome {
    let page = "# A page\n\n```console cell=a\n$ echo pid $$; date; cat /proc/sys/kernel/random/uuid | cut -c1-4\n\
                x\n[..]\n```\n\n```console cell=b compare=shape\n$ ps\n```\n\nThe end.\n";
    let book = Copy::of(page)?;
    book.book(&["bless"]).run()?.ok()?;
    let first = book.read("pages/page.md")?;
    assert!(first.contains("recorded.user = { kernel = \"Linux "), "{first}");
    assert!(first.ends_with("The end.\n") && first.contains("pid "), "{first}");
    // What varies and is not known to: the author says so, and it stays.
    let line = first.lines().skip_while(|line| !line.starts_with("pid ")).nth(2).ok_or("no third line")?;
    let told = first
        .replace(line, "[..]")
        .replace(first.lines().skip_while(|l| !l.starts_with("pid ")).nth(1).ok_or("?")?, "[..]");
    book.write("pages/page.md", &told)?;
    for _ in 0..2 {
        book.book(&["bless"]).run()?.ok()?;
        assert_eq!(book.read("pages/page.md")?, told);
    }
    book.book(&["check"]).run()?.ok()?;
    Ok(())
}

fn differs() -> Outcome {
    let book = Copy::of("# A page\n\n```console cell=a\n$ echo two; echo three\none\nthree\n```\n")?;
    let done = book.book(&["check"]).run()?.code(1)?;
    done.stdout_has("pages/page.md:3 a")?.stdout_has("    -one\n    +two\n")?.stdout_has("0 passed, 1 failed")?;
    Ok(())
}

fn exit_codes() -> Outcome {
    let book = Copy::of("# A page\n\n```console cell=a fails\n$ (exit 3)\n$ echo $?\n```\n")?;
    book.book(&["bless"]).run()?.ok()?;
    let page = book.read("pages/page.md")?;
    assert!(page.contains("$ (exit 3)\n[exit 3]\n$ echo $?\n3\n```"), "{page}");
    book.book(&["check"]).run()?.ok()?;
    book.write("pages/page.md", &page.replace("[exit 3]", "[exit 4]"))?;
    book.book(&["check"]).run()?.code(1)?.stdout_has("exit code 3, recorded was 4")?;
    book.write("pages/page.md", &page.replace(" fails", ""))?;
    book.book(&["bless"]).run()?.code(1)?.stdout_has("say `fails`")?;
    Ok(())
}

fn terminal() -> Outcome {
    let page = "# A page\n\n```console cell=a tty fails\n$ tty | cut -c1-9; stty size; sh\n< echo $((6*7))\n< exit 5\n```\n\n\
                ```console cell=b\n$ [ -t 0 ] || echo no terminal\n```\n";
    let book = Copy::of(page)?;
    book.book(&["bless"]).run()?.ok()?;
    let page = book.read("pages/page.md")?;
    assert!(page.contains("/dev/pts/\n24 80\n") && page.contains("\n42\n") && page.contains("[exit 5]"), "{page}");
    assert!(page.contains("no terminal\n```"), "{page}");
    Ok(())
}

fn foot() -> Outcome {
    let book = Copy::of("# A page\n\n```console cell=a\n$ echo here\n```\n")?;
    book.book(&["bless"]).run()?.ok()?;
    book.book(&["build", "--dest", "out"]).current_dir(book.dir()).run()?.ok()?;
    let html = book.read("out/page.html")?;
    assert!(html.contains("<li>as an ordinary user: Linux ") && html.contains("commit <code>"), "{html}");
    Ok(())
}

fn skipped() -> Outcome {
    let book = Copy::of("# A page\n\n```console cell=a needs=no-such-program\n$ no-such-program\n```\n")?;
    let done = book.book(&["check"]).env("COOPER_REQUIRE", "").run()?.ok()?;
    done.stdout_has("a: needs the program no-such-program")?.stdout_has("0 passed, 0 failed, 1 skipped")?;
    book.book(&["check"]).env("COOPER_REQUIRE", "root,vm").run()?.code(1)?.stdout_has("1 failed")?;
    Ok(())
}

fn junit() -> Outcome {
    let book = Copy::of("# A page\n\n```console cell=a\n$ echo '<&\"'\n```\n\n```console cell=b\n$ true\n```\n")?;
    let file = book.dir().join("report.xml");
    book.book(&["check", "--junit"]).arg(&file).run()?.code(1)?;
    let xml = book.read("report.xml")?;
    assert!(xml.contains("tests=\"2\" failures=\"1\" skipped=\"0\""), "{xml}");
    assert!(xml.contains("classname=\"page\" name=\"a\"") && xml.contains("&lt;&amp;&quot;"), "{xml}");
    Ok(())
}

fn cargo() -> Outcome {
    let page = "# A page\n\n```console cell=a fails\n$ cargo run -p step01 -- run sh -c 'exit 7'\n$ cargo test\n$ step01 --version | cut -c1-6\n```\n";
    let book = Copy::of(page)?;
    // The program is there already: the small book is no workspace to build.
    harness::step(1)?;
    book.book(&["bless"]).run()?.ok()?;
    let page = book.read("pages/page.md")?;
    assert!(page.contains("[exit 7]\n$ cargo test\nerror: the book's sandbox only has `cargo run`"), "{page}");
    assert!(page.contains("\nstep01\n"), "{page}");
    Ok(())
}

fn root() -> Outcome {
    let page = "# A page\n\n```console cell=a needs=root,ip\n$ id -u; pwd; hostname\n$ ls /sys/class/net\n\
                $ mount -t tmpfs t /mnt && ip link add dummy type veth && echo done\n```\n\n\
                ```console cell=b\n$ id -u; ls /sys/class/net\n```\n";
    let book = Copy::of(page)?;
    book.book(&["bless"]).run()?.ok()?;
    let page = book.read("pages/page.md")?;
    assert!(page.contains("\n0\n/root/cooper\ncooper\n$ ls /sys/class/net\nlo\nuplink\n$ mount"), "{page}");
    assert!(page.contains("\ndone\n") && page.contains("\n1000\nlo\nuplink\n"), "{page}");
    assert!(page.contains("recorded.root = ") && page.contains("recorded.user = "), "{page}");
    Ok(())
}

fn machine() -> Outcome {
    harness::second_kernel()?;
    let page = "# A page\n\n```console cell=a needs=cgroup2\n$ id -u; mkdir /sys/fs/cgroup/x\n\
                $ cat /sys/fs/cgroup/cgroup.controllers\n```\n";
    let second = "# Second\n\n```console cell=a needs=vm tty\n$ bash --norc\n< echo $((6*7)); exit\n```\n";
    // The virtual machine has a /tmp of its own: what it shall see lies in cargo's directory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (pages, sandbox) = (dir.path().join("pages"), harness::Sandbox::new()?);
    std::fs::create_dir(&pages)?;
    let files =
        [("SUMMARY", "# Summary\n\n- [Page](page.md)\n- [Second](second.md)\n"), ("page", page), ("second", second)];
    for (name, text) in files {
        std::fs::write(pages.join(format!("{name}.md")), text)?;
    }
    let bless = sandbox.program(env!("CARGO_BIN_EXE_book")).arg("--book").arg(dir.path()).arg("bless");
    bless.timeout(std::time::Duration::from_secs(300)).run()?.ok()?;
    let page = std::fs::read_to_string(pages.join("page.md"))?;
    assert!(page.contains("recorded.vm = ") && page.contains("memory") && page.contains("pids"), "{page}");
    assert!(std::fs::read_to_string(pages.join("second.md"))?.contains("\n42\n"));
    Ok(())
}

/// Where the book is run by an ordinary user, that user's own range is handed in.
fn ordinary() -> Outcome {
    let sandbox = harness::Sandbox::ordinary()?;
    let page = "# A page\n\n```console cell=a needs=subuid\n$ id -u; touch /etc/x 2>/dev/null || echo no\n1000\nno\n\
                $ unshare --user --map-auto --map-root-user sh -c 'touch ~/x; chown 7:7 ~/x; stat -c %u:%g ~/x'\n7:7\n\
                $ cat /sys/class/net/uplink/operstate; hostname\nup\ncooper\n```\n";
    sandbox.file("book/pages/SUMMARY.md", "# Summary\n\n- [Page](page.md)\n")?;
    sandbox.file("book/pages/page.md", page)?;
    let book = sandbox.path().join("book");
    let done = sandbox.program(env!("CARGO_BIN_EXE_book")).arg("--book").arg(book).arg("check").run()?.ok()?;
    done.stdout_has("1 passed, 0 failed, 0 skipped")?;
    Ok(())
}
