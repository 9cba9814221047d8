//! Who is not the book's reader: a page of another site, another name for this machine, a guess at the token.

use std::io::{Read, Write};
use std::net::TcpListener;

use harness::{Outcome, Suite};

use crate::driver::Browser;
use crate::served::Served;
use crate::{NEEDS, PAGE};

pub fn add(suite: Suite) -> Suite {
    let suite = suite.user("another site's page can neither read nor run", foreign_origin).needs(NEEDS);
    let suite = suite.user("another name for this machine is refused", foreign_host).needs(NEEDS);
    suite.user("a wrong token is refused", wrong_token).needs(NEEDS)
}

fn foreign_origin() -> Outcome {
    let (served, browser) = (Served::page(PAGE)?, Browser::start(800)?);
    let site = foreign_site()?;
    browser.open(&format!("http://127.0.0.1:{site}/"))?;
    let page = served.address("page.html");
    let socket = served.address("run/page").replacen("http:", "ws:", 1);
    let attempts = [
        ("fetch", format!("fetch('{page}').then(() => done('read'), () => done('refused'))")),
        (
            "blind fetch",
            // What cannot be read can still be asked for: it must do nothing, and tell nothing.
            format!(
                "fetch('{page}', {{mode: 'no-cors'}}).then(r => done(r.type == 'opaque' ? 'refused' : 'read'), () => done('refused'))"
            ),
        ),
        (
            "socket",
            format!(
                "const s = new WebSocket('{socket}'); s.onopen = () => done('open'); s.onerror = () => done('refused')"
            ),
        ),
        (
            "frame",
            format!(
                "const f = document.createElement('iframe'); f.src = '{page}'; f.onload = () => {{ \
                 let seen = 'refused'; try {{ if (f.contentDocument.body.innerText) seen = 'read' }} catch {{}} done(seen) }}; \
                 document.body.append(f)"
            ),
        ),
        (
            "script",
            format!(
                "const s = document.createElement('script'); s.src = '{page}'; s.onload = () => done('ran'); s.onerror = () => done('refused'); document.head.append(s)"
            ),
        ),
    ];
    for (what, script) in attempts {
        let before = "window.answer = ''; const done = what => { window.answer = what }; ";
        browser.eval(&format!("{before}{script}"))?;
        assert_eq!(browser.wait("return window.answer")?, "refused", "{what}");
    }
    Ok(())
}

/// A server of another site, on another port: an empty page for whoever asks.
fn foreign_site() -> Outcome<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let page = "<!doctype html><title>evil</title><body>evil</body>";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    Ok(port)
}

/// What DNS rebinding comes to: a name of the attacker's that leads to 127.0.0.1.
fn foreign_host() -> Outcome {
    let (served, browser) = (Served::page(PAGE)?, Browser::start(800)?);
    browser.open(&format!("http://evil.example:{}/{}/page.html", served.port(), served.token()))?;
    let said = browser.eval("return document.body.innerText")?;
    assert_eq!(said.as_str().map(str::trim), Some("that is not this server's name"));
    Ok(())
}

fn wrong_token() -> Outcome {
    let (served, browser) = (Served::page(PAGE)?, Browser::start(800)?);
    let mut guess = served.token().to_owned();
    guess.pop();
    for token in [guess.as_str(), "", "0"] {
        browser.open(&format!("http://127.0.0.1:{}/{token}/page.html", served.port()))?;
        let said = browser.eval("return document.body.innerText")?;
        assert!(said.as_str().is_some_and(|said| said.contains("lacks its token")), "{token:?}: {said}");
    }
    Ok(())
}
