//! What is built of a page, and what is found wrong with it.

use harness::{Outcome, Suite};

use crate::Copy;

pub fn add(suite: Suite) -> Suite {
    suite
        .user("code stands on the page as it stands in the source", code)
        .user("what a page names must exist", missing)
        .user("tables are made of what the pages say", tables)
        .user("a picture follows the theme and can be heard", picture)
        .user("the built book loads nothing from elsewhere", offline)
        .user("lint lists what a page forgot", lint)
        .user("this book builds, and its links lead somewhere", own_book)
}

fn code() -> Outcome {
    let book = Copy::new()?;
    book.book(&["build", "--dest", "out"]).current_dir(book.dir()).run()?.ok()?;
    let page = book.read("out/first.html")?;
    let has = |text: &str| assert!(page.contains(text), "no {text:?} in {page}");
    has("/// Somewhere to be.\n#[derive(Debug)]\npub struct Place {\n    name: String, // as people say it\n}");
    has("/// Goes there.\npub fn enter(&amp;self) -&gt; Result&lt;()&gt; {\n    nix::unistd");
    has("place.rs:3–7, 10–17");
    has("+    two();");
    has("30 minutes · program");
    has("<code>{{#item FILE::NAME}}</code>");
    has("<span class=\"typed\">cat &lt;&lt;END\n&gt; one\n&gt; \n&gt; two\n&gt; END</span>");
    assert!(!page.contains("ANCHOR"), "{page}");
    Ok(())
}

fn missing() -> Outcome {
    let cases = [
        ("{{#item chapters/01-first/src/place.rs::Palace}}", "has no item `Palace`"),
        ("{{#item chapters/01-first/src/plaice.rs::Place}}", "read chapters/01-first/src/plaice.rs: ENOENT"),
        ("{{#item ../../etc/passwd::x}}", "is no path from the repository's root"),
        ("{{#anchor chapters/01-first/src/place.rs::leave}}", "has no `ANCHOR: leave`"),
        ("{{#main-diff step01 step44}}", "no chapter is called step44"),
        ("{{#picture none}}", "pictures/none.svg: ENOENT"),
        ("{{#include x}}", "no directive reads"),
        ("```console cell=a colour=red\n$ x\n```", "a cell has no option colour=red"),
    ];
    for (line, wanted) in cases {
        let book = Copy::of(&format!("+++\nminutes = 1\n+++\n# A page\n\n{line}\n"))?;
        let done = book.book(&["build"]).run()?.fails()?;
        done.stderr_has("pages/page.md:6: ")?.stderr_has(wanted)?;
    }
    let book = Copy::of("+++\nminuets = 1\n+++\n# A page\n")?;
    book.book(&["build"]).run()?.fails()?.stderr_has("pages/page.md:1: front matter")?;
    Ok(())
}

fn tables() -> Outcome {
    let book = Copy::new()?;
    book.book(&["build", "--dest", "out"]).current_dir(book.dir()).run()?.ok()?;
    let page = book.read("out/tables.html")?;
    let has = |text: &str| assert!(page.contains(text), "no {text:?} in {page}");
    has("<strong>All pages</strong></td><td style=\"text-align: right\">45</td>");
    has(">0:45</td>");
    // The call that an error names, the one that is narrated and the one that sys.rs wraps; a page shows the first two.
    has("<code>chdir</code>");
    has(
        "<code>Place::enter</code> <small>chapters/01-first/src/place.rs:11</small></td><td><a href=\"first.html#code-chapters-01-first-src-place-rs-3\">",
    );
    has("<code>pidfd_open</code>");
    Ok(())
}

fn picture() -> Outcome {
    let book = Copy::new()?;
    book.book(&["build", "--dest", "out"]).current_dir(book.dir()).run()?.ok()?;
    let page = book.read("out/first.html")?;
    let has = |text: &str| assert!(page.contains(text), "no {text:?} in {page}");
    has("aria-labelledby=\"dot-t dot-d\"");
    has("<title id=\"dot-t\">A dot</title>");
    has("html:is(.navy, .coal, .ayu) &");
    has("<circle");
    book.write("pages/pictures/dot.svg", "<svg viewBox=\"0 0 1 1\"/>")?;
    book.book(&["build"]).run()?.fails()?.stderr_has("nobody can hear it")?;
    Ok(())
}

fn offline() -> Outcome {
    let book = Copy::new()?;
    book.book(&["build", "--dest", "out"]).current_dir(book.dir()).run()?.ok()?;
    let page = book.read("out/first.html")?;
    assert!(!page.contains("<script>"), "a script within the page: {page}");
    for attribute in ["src=\"http", "src=\"//", "<link rel=\"stylesheet\" href=\"http", " onclick="] {
        assert!(!page.contains(attribute), "{attribute} in {page}");
    }
    Ok(())
}

fn lint() -> Outcome {
    let page = "# A page\n\n```rust\n1;\n2;\n3;\n4;\n5;\n6;\n```\n\n```console\n$ ls\n```\n\n```sh\n$ ls\n```\n\n\
                [no](none.md)\n[no anchor](#nowhere)\n![](pictures/dot.svg)\n\n```console cell=new\n$ ls\n```\n\n<div><b>open</div>\n";
    let book = Copy::of(page)?;
    book.write("pages/pictures/lost.svg", "<svg/>")?;
    let done = book.book(&["lint"]).run()?.fails()?;
    let told = [
        "pages/page.md:3: 6 lines of Rust typed by hand",
        "pages/page.md:12: a command that is no cell",
        "pages/page.md:16: a command in a block that is no cell",
        "pages/page.md:24: cell new was never recorded",
        "pages/page.md:22: an image without an alternative text",
        "page.html: none.html: there is no such file",
        "page.html: #nowhere: there is no such anchor",
        "unclosed HTML tag `<b>`",
        "pictures/lost.svg: no page shows it",
        "lost.svg: has no <title> and <desc>",
        "chapters/01-first/src/lib.rs:9: no page shows fn forgotten",
        "chapters/01-first/src/place.rs:5: no page shows struct Place",
        "chapters/01-first/src/sys.rs:4: no page shows fn pidfd",
    ];
    let done = told.into_iter().try_fold(done, |done, line| done.stdout_has(line))?;
    done.stderr_has(&format!("{} problems", told.len() + 6))?;
    Ok(())
}

/// Pages still to be written may lack code; what stands must build and link.
fn own_book() -> Outcome {
    let sandbox = harness::Sandbox::new()?;
    let done =
        sandbox.program(env!("CARGO_BIN_EXE_book")).arg("lint").timeout(std::time::Duration::from_secs(120)).run()?;
    let told = done.stdout.lines().filter(|line| !line.contains(": no page shows "));
    let told = told.filter(|line| !line.contains("was never recorded")).collect::<Vec<_>>().join("\n");
    if told.is_empty() { Ok(()) } else { Err(told.into()) }
}
