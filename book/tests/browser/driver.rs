//! A real browser, driven by the WebDriver protocol (W3C): Debian's chromium by its chromedriver.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::Outcome;
use serde_json::{Value, json};

/// How long a page may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A browser with one window; it ends on drop.
pub struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// A browser whose page is so many pixels wide.
    pub fn start(width: u32) -> Outcome<Self> {
        let profile = tempfile::tempdir()?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            // Its profiles lie there, and go with it. One that is named to the browser starts slowly.
            .envs(["HOME", "TMPDIR"].map(|name| (name, profile.path())))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let said = BufReader::new(driver.stdout.take().ok_or("no pipe")?);
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let port = line.split("successfully on port ").nth(1)?.trim_end_matches('.');
            port.parse::<u16>().ok()
        });
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(4 * PATIENCE)).build();
        let session = format!("http://127.0.0.1:{}/session", port.unwrap_or_default());
        let mut browser = Self { driver, session, agent: config.into(), _profile: profile };
        port.ok_or("chromedriver ended before it listened")?;
        // As root chromium must do without its own sandbox; /dev/shm may be small.
        let args = [
            "--host-resolver-rules=MAP evil.example 127.0.0.1",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": args, "mobileEmulation": {"deviceMetrics": {
                "width": width, "height": 800, "pixelRatio": 1.0, "touch": false, "mobile": false,
            }}},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = browser.post("", &wanted)?;
        let id = made["sessionId"].as_str().ok_or_else(|| format!("no session: {made}"))?.to_owned();
        browser.session = format!("{}/{id}", browser.session);
        Ok(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        let mut response = self.agent.post(format!("{}{path}", self.session)).send(body.to_string())?;
        let mut answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{path}: {error}: {}", answer["value"]["message"]).into()),
            None => Ok(answer["value"].take()),
        }
    }

    /// Goes there.
    pub fn open(&self, address: &str) -> Outcome {
        self.post("/url", &json!({"url": address}))?;
        Ok(())
    }

    /// What the function body `script` returns in the page.
    pub fn eval(&self, script: &str) -> Outcome<Value> {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until `script` returns something true.
    pub fn wait(&self, script: &str) -> Outcome<Value> {
        let begun = Instant::now();
        loop {
            let value = self.eval(script)?;
            if !matches!(value, Value::Null | Value::Bool(false)) && value != json!("") && value != json!(0) {
                return Ok(value);
            }
            if begun.elapsed() > PATIENCE {
                let text = self.eval("return document.body?.innerText")?;
                let complaints = self.complaints()?;
                return Err(format!("never true: {script}; the page says {text}, the browser: {complaints:#?}").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses keys where the focus is: text, or the code points of WebDriver's key actions (`\u{E004}` is Tab, `\u{E007}` Enter).
    pub fn keys(&self, keys: &str) -> Outcome {
        let presses = keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})));
        let presses: Vec<_> = presses.collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses}]}))?;
        Ok(())
    }

    /// Presses the mouse on the first element that `selector` finds.
    pub fn click(&self, selector: &str) -> Outcome {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}))?;
        let id = found.as_object().and_then(|object| object.values().next()).and_then(Value::as_str);
        let id = id.ok_or_else(|| format!("{selector}: {found}"))?;
        self.post(&format!("/element/{id}/click"), &json!({}))?;
        Ok(())
    }

    /// What the browser complained of since the last question: scripts that were blocked, files that are missing.
    pub fn complaints(&self) -> Outcome<Vec<String>> {
        let entries = self.post("/se/log", &json!({"type": "browser"}))?;
        let severe = |entry: &Value| entry["level"] == "SEVERE";
        let all = entries.as_array().into_iter().flatten().filter(|entry| severe(entry));
        Ok(all.map(|entry| entry["message"].to_string()).collect())
    }

    /// Writes what is seen to a file, if `COOPER_SCREENSHOTS` names a directory for such.
    pub fn screenshot(&self, name: &str) -> Outcome {
        let Some(dir) = std::env::var_os("COOPER_SCREENSHOTS") else { return Ok(()) };
        let mut response = self.agent.get(format!("{}/screenshot", self.session)).call()?;
        let answer: Value = serde_json::from_str(&response.body_mut().with_config().limit(64 << 20).read_to_string()?)?;
        let text = answer["value"].as_str().ok_or("no picture")?;
        let file = std::fs::File::create(Path::new(&dir).join(format!("{name}.png")))?;
        let mut child = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(file).spawn()?;
        std::io::Write::write_all(&mut child.stdin.take().ok_or("no pipe")?, text.as_bytes())?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
