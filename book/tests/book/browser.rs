//! The served book in a real browser: Debian's chromium, driven by its chromedriver (W3C WebDriver).

use std::time::{Duration, Instant};

use harness::{Background, Outcome, Sandbox, Suite};

use crate::server::Server;
use crate::web::ask;

const NEEDS: &[&str] = &["userns", "chromium", "chromedriver"];

pub fn add(suite: Suite) -> Suite {
    suite
        .user("a reader presses Run and sees the output", run)
        .needs(NEEDS)
        .user("the keyboard is enough", keyboard)
        .needs(NEEDS)
        .user("a cell's terminal is a terminal", terminal)
        .needs(NEEDS)
        .user("at 360 pixels nothing scrolls sideways but listings", narrow)
        .needs(NEEDS)
        .user("what was read is marked, in this browser", progress)
        .needs(NEEDS)
        .user("the built book works from its files, without a server", files)
        .needs(NEEDS)
}

const PAGE: &str = "# A page\n\n```console cell=six\n$ echo $((6*7))\n42\n```\n\n```console cell=differs\n$ echo two\none\n```\n\n\
                    ```console cell=typed tty\n$ sh\n< echo $((6*7))\n< exit\n```\n\n\
                    ```text\na line that is very long indeed, longer than any telephone is wide, even if it is turned around\n```\n";

/// A browser window; it closes with this.
struct Browser {
    _driver: Background,
    _sandbox: Sandbox,
    port: u16,
    session: String,
}

impl Browser {
    fn open() -> Outcome<Self> {
        let sandbox = Sandbox::new()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let driver = sandbox.program("chromedriver").arg(format!("--port={port}")).env("HOME", sandbox.path());
        let mut driver = driver.spawn()?;
        driver.says("started successfully")?;
        let arguments =
            r#"["--headless=new","--no-sandbox","--disable-gpu","--disable-dev-shm-usage","--window-size=1200,900"]"#;
        let wanted = format!(
            r#"{{"capabilities":{{"alwaysMatch":{{"goog:chromeOptions":{{"args":{arguments}}},"goog:loggingPrefs":{{"browser":"ALL"}}}}}}}}"#
        );
        let mut browser = Self { _driver: driver, _sandbox: sandbox, port, session: String::new() };
        let answer = browser.drive("POST", "/session", &wanted)?;
        let id = answer.get("sessionId").and_then(|id| id.as_str()).ok_or("no session")?;
        browser.session = format!("/session/{id}");
        Ok(browser)
    }

    fn drive(&self, method: &str, path: &str, body: &str) -> Outcome<serde_json::Value> {
        let host = format!("Host: 127.0.0.1:{}", self.port);
        let path = format!("{}{path}", self.session);
        let answer = ask(self.port, method, &path, &[&host, "Content-Type: application/json"], body)?;
        let mut json: serde_json::Value = serde_json::from_str(&answer.body)?;
        if answer.status == 200 { Ok(json["value"].take()) } else { Err(format!("{method} {path}: {json}").into()) }
    }

    fn go(&self, address: &str) -> Outcome {
        self.drive("POST", "/url", &serde_json::json!({ "url": address }).to_string())?;
        Ok(())
    }

    /// What a script gives.
    fn script(&self, text: &str) -> Outcome<serde_json::Value> {
        self.drive("POST", "/execute/sync", &serde_json::json!({ "script": text, "args": [] }).to_string())
    }

    /// Waits until an expression is true.
    fn wait(&self, expression: &str) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.script(&format!("return !!({expression})"))? != true {
            if Instant::now() > deadline {
                let page = self.script("return document.body.innerText")?;
                return Err(
                    format!("not so: {expression}\nthe page: {page}\nits console: {:?}", self.console()?).into()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Presses keys, one after the other.
    fn keys(&self, keys: &str) -> Outcome {
        let press = |key: char| {
            [("keyDown", key), ("keyUp", key)].map(|(kind, key)| serde_json::json!({ "type": kind, "value": key }))
        };
        let actions: Vec<_> = keys.chars().flat_map(press).collect();
        let actions = serde_json::json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] });
        self.drive("POST", "/actions", &actions.to_string())?;
        Ok(())
    }

    /// What the browser complains of.
    fn console(&self) -> Outcome<Vec<String>> {
        let log = self.drive("POST", "/se/log", r#"{"type":"browser"}"#)?;
        let lines = log.as_array().into_iter().flatten().map(|entry| entry["message"].to_string());
        Ok(lines.filter(|line| !line.contains("favicon.ico")).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.drive("DELETE", "", "");
    }
}

fn open(page: &str) -> Outcome<(Server, Browser)> {
    let (server, browser) = (Server::new(page, &[])?, Browser::open()?);
    browser.go(&format!("http://127.0.0.1:{}{}page.html", server.port, server.base))?;
    browser.wait("document.querySelector('.page-bar')")?;
    Ok((server, browser))
}

fn run() -> Outcome {
    let (_server, browser) = open(PAGE)?;
    browser.script("document.querySelector('#cell-six button.run').click()")?;
    browser.wait("document.querySelector('#cell-six.same .live')?.textContent.includes('42')")?;
    browser.script("document.querySelector('#cell-differs button.run').click()")?;
    browser.wait("document.querySelector('#cell-differs.differs .more')?.textContent == 'two'")?;
    browser.wait("document.querySelector('#cell-differs .less').textContent == 'one'")?;
    assert_eq!(browser.console()?, Vec::<String>::new());
    Ok(())
}

fn keyboard() -> Outcome {
    let (_server, browser) = open(PAGE)?;
    let enter = '\u{e007}';
    browser.script("document.querySelector('main h1 a').focus()")?;
    // From the title on, the first button is reached by Tab alone.
    for _ in 0..6 {
        if browser.script("return document.activeElement.getAttribute('aria-label')")? == "Run: six" {
            break;
        }
        browser.keys("\u{e004}")?;
    }
    assert_eq!(browser.script("return document.activeElement.getAttribute('aria-label')")?, "Run: six");
    browser.keys(&enter.to_string())?;
    browser.wait("document.querySelector('#cell-six.same')")?;
    Ok(())
}

fn terminal() -> Outcome {
    let (_server, browser) = open(PAGE)?;
    browser.script(
        "[...document.querySelectorAll('#cell-typed button')].find(b => b.textContent == 'Type it yourself').click()",
    )?;
    let screen = "document.querySelector('#cell-typed .xterm-accessibility')?.textContent";
    browser.wait(&format!("{screen}.includes('$')"))?;
    std::thread::sleep(Duration::from_millis(500)); // until the shell within reads
    browser.keys("echo $((6*7))\u{e007}")?;
    browser.wait(&format!("{screen}.includes('42')"))?;
    browser.keys("exit\u{e007}")?;
    browser.wait("document.querySelector('#cell-typed.same')")?;
    Ok(())
}

fn narrow() -> Outcome {
    let (_server, browser) = open(PAGE)?;
    let size = r#"{"cmd":"Emulation.setDeviceMetricsOverride","params":{"width":360,"height":740,"deviceScaleFactor":1,"mobile":true}}"#;
    browser.drive("POST", "/goog/cdp/execute", size)?;
    browser.script("location.reload()")?;
    browser.wait("innerWidth == 360 && document.querySelector('.page-bar')")?;
    browser.script("document.querySelector('#cell-differs button.run').click()")?;
    browser.wait("document.querySelector('#cell-differs.differs')")?;
    assert_eq!(browser.script("return document.documentElement.scrollWidth")?, 360);
    let wide = "return [...document.querySelectorAll('main *, .page-bar, .page-bar *')].filter(e => e.getBoundingClientRect().right > 361 \
                && !e.closest('pre, .table-wrapper, figure.picture')).map(e => e.outerHTML.slice(0, 80))";
    assert_eq!(browser.script(wide)?, serde_json::json!([]));
    Ok(())
}

fn progress() -> Outcome {
    let (server, browser) = open("# A page\n\nShort.\n\n```console cell=six\n$ echo $((6*7))\n42\n```\n")?;
    browser.wait("document.querySelector('.sidebar a.read')")?;
    browser.script("document.querySelector('#cell-six button.run').click()")?;
    browser.wait("document.querySelector('#cell-six.same')")?;
    browser.go(&format!("http://127.0.0.1:{}{}page.html", server.port, server.base))?;
    browser.wait("JSON.parse(localStorage.getItem('cooper-progress')).page.cells.six")?;
    Ok(())
}

fn files() -> Outcome {
    let book = crate::Copy::of(PAGE)?;
    book.book(&["build", "--dest", "out"]).current_dir(book.dir()).run()?.ok()?;
    let browser = Browser::open()?;
    browser.go(&format!("file://{}/out/page.html", book.dir().display()))?;
    browser.wait("document.querySelector('.sidebar a.active')")?;
    assert_eq!(browser.script("return document.querySelectorAll('.page-bar, button.run').length")?, 0);
    assert_eq!(browser.console()?, Vec::<String>::new());
    Ok(())
}
