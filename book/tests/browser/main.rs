//! The served book in a real browser: what a reader presses and sees, and what others must not.

mod driver;
mod served;
mod strangers;

use harness::{Outcome, Suite};
use serde_json::Value;

use driver::Browser;
use served::Served;

const NEEDS: &[&str] = &["userns", "chromium", "chromedriver"];

/// A page with one cell that is as recorded, one that is not, and one on a terminal.
const PAGE: &str = r#"# A page

```console cell=same
$ echo "6 times 7 is $((6 * 7))"
6 times 7 is 42
```

```console cell=other compare=exact
$ printf 'one\ntwo\nthree\n'
one
2
three
```

```console cell=screen tty
$ test -t 1 && echo a terminal
a terminal
```
"#;

fn main() {
    let suite = Suite::new();
    let suite = suite.user("Run shows what the cell says, beside the record", run).needs(NEEDS);
    let suite = suite.user("the keyboard is enough", keyboard).needs(NEEDS);
    let suite = suite.user("a cell on a terminal has one in the page", terminal).needs(NEEDS);
    let suite = suite.user("Stop ends what runs", stop).needs(NEEDS);
    let suite = suite.user("progress is kept in the browser", progress).needs(NEEDS);
    let suite = suite.user("a page that is changed comes anew", reload).needs(NEEDS);
    let suite = suite.user("no page scrolls sideways at 360 pixels, light or dark", narrow).needs(NEEDS);
    let suite = suite.user("the built book works from its files, without a server", files).needs(NEEDS);
    strangers::add(suite).run();
}

fn run() -> Outcome {
    let (served, browser) = (Served::page(PAGE)?, Browser::start(1100)?);
    browser.open(&served.address("page.html"))?;
    browser.wait("return document.querySelector('figure.cell .run')")?;
    browser.click("figure[data-cell=same] .run")?;
    browser.wait("return document.querySelector('figure[data-cell=same].same')")?;
    let live = browser.eval("return document.querySelector('figure[data-cell=same] .live').textContent")?;
    assert!(live.as_str().is_some_and(|live| live.contains("6 times 7 is 42")), "{live}");
    // All above it runs first, and it says what differs.
    browser.click("figure[data-cell=other] .run")?;
    browser.wait("return document.querySelector('figure[data-cell=other].differs')")?;
    let marks = browser.eval(
        "return ['.less', '.more'].map(c => document.querySelector('figure[data-cell=other] .live ' + c)?.textContent).join()",
    )?;
    assert_eq!(marks, "2,two");
    browser.screenshot("run")?;
    no_complaints(&browser)
}

/// Nothing was blocked, nothing was missing.
fn no_complaints(browser: &Browser) -> Outcome {
    let complaints = browser.complaints()?;
    assert!(complaints.is_empty(), "{complaints:#?}");
    Ok(())
}

fn keyboard() -> Outcome {
    let (served, browser) = (Served::page(PAGE)?, Browser::start(1100)?);
    browser.open(&served.address("page.html"))?;
    browser.wait("return document.querySelector('figure.cell .run')")?;
    let focused = "return document.activeElement.getAttribute('aria-label')";
    for _ in 0..60 {
        if browser.eval(focused)? == "Run: same" {
            break;
        }
        browser.keys("\u{E004}")?;
    }
    assert_eq!(browser.eval(focused)?, "Run: same", "Tab never came to the button");
    let outline = browser.eval("return getComputedStyle(document.activeElement).outlineStyle")?;
    assert_ne!(outline, "none", "nobody sees where the focus is");
    browser.keys("\u{E007}")?;
    browser.wait("return document.querySelector('figure[data-cell=same].same')").map(drop)
}

fn terminal() -> Outcome {
    let (served, browser) = (Served::page(PAGE)?, Browser::start(1100)?);
    browser.open(&served.address("page.html"))?;
    browser.wait("return document.querySelector('figure.cell .run')")?;
    browser.click("figure[data-cell=screen] .run")?;
    browser.wait("return document.querySelector('figure[data-cell=screen].same')")?;
    browser
        .wait("return document.querySelector('figure[data-cell=screen] .xterm')?.innerText.includes('a terminal')")?;
    browser.screenshot("terminal")?;
    no_complaints(&browser)
}

fn stop() -> Outcome {
    let page = "# A page\n\n```console cell=long timeout=60\n$ echo begins; sleep 7654\n```\n";
    let (served, browser) = (Served::page(page)?, Browser::start(1100)?);
    browser.open(&served.address("page.html"))?;
    browser.wait("return document.querySelector('figure.cell .run')")?;
    browser.click("figure[data-cell=long] .run")?;
    browser.wait("return document.querySelector('.live').textContent.includes('begins')")?;
    let stop = "return [...document.querySelectorAll('.page-bar button')].find(b => b.textContent == 'Stop')";
    browser.eval(&format!("{}.click()", stop.trim_start_matches("return ")))?;
    browser.wait("return document.querySelector('figure[data-cell=long].broken')")?;
    assert!(!served::runs("sleep\x007654"), "the program still runs");
    Ok(())
}

fn progress() -> Outcome {
    let (served, browser) = (Served::page(PAGE)?, Browser::start(1100)?);
    browser.open(&served.address("page.html"))?;
    browser.wait("return document.querySelector('figure.cell .run')")?;
    browser.eval("window.scrollTo(0, document.body.scrollHeight)")?;
    browser.wait("return localStorage.getItem('cooper-progress')?.includes('read')")?;
    browser.open(&served.address("page.html"))?;
    browser.wait("return document.querySelector('.sidebar a.read')").map(drop)
}

fn reload() -> Outcome {
    let (served, browser) = (Served::page(PAGE)?, Browser::start(1100)?);
    browser.open(&served.address("page.html"))?;
    browser.wait("return document.querySelector('figure.cell .run')")?;
    served.write("page.md", "# Another page\n\nIt is new.\n")?;
    browser.wait("return document.body?.innerText.includes('It is new.')").map(drop)
}

/// Every page of the real book.
fn narrow() -> Outcome {
    let served = Served::this_book()?;
    let browser = Browser::start(360)?;
    browser.open(&served.address(""))?;
    browser.wait("return document.querySelector('.sidebar a[href]')")?;
    let pages = browser.eval(
        "return [...new Set([...document.querySelectorAll('.sidebar a[href]')].map(a => a.href.split('#')[0]))]",
    )?;
    let pages: Vec<_> = pages.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    for theme in ["light", "navy"] {
        browser.eval(&format!("localStorage.setItem('mdbook-theme', '{theme}')"))?;
        for page in &pages {
            browser.open(page)?;
            let name = page.rsplit('/').next().unwrap_or_default().trim_end_matches(".html");
            let wide = browser.eval("return document.documentElement.scrollWidth")?;
            assert!(wide.as_u64().is_some_and(|wide| wide <= 360), "{name} is {wide} wide in {theme}");
            browser.screenshot(&format!("{name}-{theme}"))?;
        }
    }
    no_complaints(&browser)
}

fn files() -> Outcome {
    let sandbox = harness::Sandbox::new()?;
    let out = sandbox.path().join("out");
    sandbox.program(env!("CARGO_BIN_EXE_book")).args(["build", "--dest"]).arg(&out).run()?.ok()?;
    let browser = Browser::start(1100)?;
    browser.open(&format!("file://{}/01-process.html", out.display()))?;
    browser.wait("return document.querySelector('.sidebar a.active')")?;
    assert_eq!(browser.eval("return document.querySelectorAll('.page-bar, button.run').length")?, 0);
    no_complaints(&browser)
}
