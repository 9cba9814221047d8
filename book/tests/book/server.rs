//! The served book: who may ask, for what, and what is left when it ends.

use harness::{Background, Outcome, Suite};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Copy;
use crate::safety::{running, wait_for};
use crate::web::{Socket, ask};

pub fn add(suite: Suite) -> Suite {
    suite
        .user("the served book answers who knows the token, and nobody else", token)
        .user("a foreign host, a foreign origin, another site and another verb are refused", foreign)
        .user("a page runs no script but the server's files", policy)
        .user("a cell is run by name and hash, never by command", by_hash)
        .needs(&["userns"])
        .user("output comes as it is said, and differences are marked", marked)
        .needs(&["userns"])
        .user("the reader types on a cell's terminal", by_hand)
        .needs(&["userns"])
        .user("Stop ends all that a cell has started, and so does closing the page", stop)
        .needs(&["userns"])
        .user("nothing is left of a server that is killed with signal 9", killed)
        .needs(&["userns"])
        .user("a server that is told to end leaves no files", told_to_end)
        .root("a control group of root's cells ends with a server that is killed with signal 9", killed_group)
        .needs(&["mount"])
        .user("nothing is left of a hundred runs", hundred)
        .needs(&["userns"])
        .user("a page is built anew when its author writes", reload)
        .root("root's cells are not this machine's root's, unless it is said", host_root)
}

const PAGE: &str = "# A page\n\n```console cell=six\n$ echo $((6*7))\n42\n$ echo one; echo two\none\nthree\n```\n\n\
                    ```console cell=sleep timeout=60\n$ echo begun; setsid sleep 4322 & sleep 4322\n```\n\n\
                    ```console cell=root needs=root\n$ id -u; ls /root\n0\ncooper\n```\n\n\
                    ```console cell=typed tty\n$ sh\n< exit\n```\n";

/// A served book; it ends with this.
pub struct Server {
    pub book: Copy,
    process: Background,
    pub port: u16,
    /// `/TOKEN/`
    pub base: String,
}

impl Server {
    pub fn new(page: &str, args: &[&str]) -> Outcome<Self> {
        let book = Copy::of(page)?;
        // One that is killed leaves its built pages: they go with the copy.
        let mut process = book.book(&["--port", "0"]).args(args).env("TMPDIR", book.sandbox.path()).spawn()?;
        process.says("The address is the key")?;
        let (told, _) = process.output();
        let address =
            told.lines().next().and_then(|line| line.strip_prefix("http://127.0.0.1:")).ok_or("no address")?;
        let (port, base) = address.split_once('/').ok_or("no token")?;
        Ok(Self { book, process, port: port.parse()?, base: format!("/{base}") })
    }

    pub fn get(&self, path: &str, headers: &[&str]) -> Outcome<crate::web::Answer> {
        let host = format!("Host: 127.0.0.1:{}", self.port);
        let own = headers.iter().any(|line| line.starts_with("Host:"));
        let all: Vec<&str> = headers.iter().copied().chain((!own).then_some(host.as_str())).collect();
        ask(self.port, "GET", path, &all, "")
    }

    fn socket(&self) -> Outcome<Socket> {
        Socket::open(self.port, &format!("{}run/page", self.base), &format!("http://127.0.0.1:{}", self.port))
    }

    /// The order to run this cell, as the page sends it.
    fn order(&self, cell: &str) -> Outcome<String> {
        let page = self.get(&format!("{}page.html", self.base), &[])?.body;
        let rest = page.split_once(&format!("data-cell=\"{cell}\"")).ok_or("no such cell")?.1;
        let hash = rest.split_once("data-hash=\"").and_then(|(_, rest)| rest.split('"').next()).ok_or("no hash")?;
        Ok(format!(r#"{{"run":{{"cell":"{cell}","hash":"{hash}"}}}}"#))
    }
}

fn token() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let good = server.get(&server.base, &[])?;
    assert_eq!(good.status, 200);
    assert!(good.body.contains("data-served"), "{}", good.body);
    let wrong = format!("/{}/", "0".repeat(32));
    for path in ["/", "/index.html", &wrong, &server.base[..20], "/favicon.ico"] {
        assert_eq!(server.get(path, &[])?.status, 403, "{path}");
    }
    for path in ["../../../etc/passwd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "none.html"] {
        assert_eq!(server.get(&format!("{}{path}", server.base), &[])?.status, 404, "{path}");
    }
    // Another server has another token, and the address is this machine's own alone.
    assert_ne!(Server::new(PAGE, &[])?.base, server.base);
    let listening = std::fs::read_to_string("/proc/net/tcp")?;
    assert!(listening.contains(&format!("0100007F:{:04X} 00000000:0000 0A", server.port)), "{listening}");
    Ok(())
}

fn foreign() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let port = server.port;
    let refused = [
        "Host: evil.example".to_owned(),
        format!("Host: evil.example:{port}"),
        "Origin: http://evil.example".to_owned(),
        "Origin: null".to_owned(),
        format!("Origin: http://127.0.0.1:{}", port ^ 1),
        "Sec-Fetch-Site: cross-site".to_owned(),
        "Sec-Fetch-Site: same-site".to_owned(),
    ];
    for line in &refused {
        let answer = server.get(&server.base, &[line])?;
        assert_eq!(answer.status, 403, "{line}");
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
    let own = format!("Host: 127.0.0.1:{port}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(ask(port, method, &server.base, &[&own], "")?.status, 403, "{method}");
    }
    assert!(Socket::open(port, &format!("{}run/page", server.base), "http://evil.example").is_err());
    assert!(Socket::open(port, "/wrong/run/page", &format!("http://127.0.0.1:{port}")).is_err());
    Ok(())
}

fn policy() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let answer = server.get(&format!("{}page.html", server.base), &[])?;
    let policy = answer.head.lines().find(|line| line.starts_with("content-security-policy:")).ok_or("no policy")?;
    assert!(policy.contains("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe-eval") && !policy.contains("http"), "{policy}");
    for line in ["referrer-policy: no-referrer", "x-content-type-options: nosniff", "cache-control: no-store"] {
        assert!(answer.head.contains(line), "{}", answer.head);
    }
    assert!(!answer.head.contains("access-control") && !answer.body.contains("<script>"), "{}", answer.body);
    Ok(())
}

fn by_hash() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let mut socket = server.socket()?;
    let order = server.order("six")?;
    let hash = order.rsplit('"').nth(1).ok_or("no hash")?;
    // What is no order is not heard, and what names no cell by its hash is not run.
    socket.send(r#"{"run":{"command":"touch /tmp/x"}}"#)?;
    socket.send(&order.replace("\"cell\"", "\"command\":\"id\",\"cell\""))?;
    for wrong in [order.replace(hash, &"0".repeat(32)), order.replace("six", "sleep")] {
        socket.send(&wrong)?;
        let told = socket.until(r#"{"ended""#)?;
        assert!(told.contains("the page has changed") && !told.contains("output"), "{told}");
    }
    socket.send(&order)?;
    let told = socket.until(r#"{"done""#)?;
    assert!(told.contains(r#"{"output":"42\n"}"#), "{told}");
    Ok(())
}

fn marked() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let mut socket = server.socket()?;
    socket.send(&server.order("six")?)?;
    let told = socket.until(r#"{"done""#)?;
    assert!(told.contains(r#"[" ","42"]"#) && told.contains(r#"["-","three"],["+","two"]"#), "{told}");
    assert!(told.contains(r#""same":false"#), "{told}");
    // As it is said, not when it ends.
    socket.send(&server.order("sleep")?)?;
    socket.until(r#"{"output":"begun"#)?;
    assert_eq!(running("sleep\x004322"), 2);
    Ok(())
}

fn by_hand() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let mut socket = server.socket()?;
    socket.send(&server.order("typed")?.replace("}}", ",\"by_hand\":true}}"))?;
    socket.until(r#"{"output":"#)?;
    socket.send(r#"{"size":[30,100]}"#)?;
    socket.send(r#"{"type":"stty size; exit 3\n"}"#)?;
    let told = socket.until(r#"{"done""#)?;
    assert!(told.contains("30 100") && told.contains(r#"{"code":3}"#), "{told}");
    Ok(())
}

fn stop() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let mut socket = server.socket()?;
    socket.send(&server.order("sleep")?)?;
    wait_for(2)?;
    socket.send(r#""stop""#)?;
    let told = socket.until(r#"{"ended""#)?;
    assert!(told.contains("stopped"), "{told}");
    wait_for(0)?;
    // The page goes on: a new shell.
    socket.send(&server.order("six")?)?;
    socket.until(r#"{"done""#)?;
    socket.send(&server.order("sleep")?)?;
    wait_for(2)?;
    drop(socket);
    wait_for(0)
}

fn killed() -> Outcome {
    for _ in 0..3 {
        let server = Server::new(PAGE, &[])?;
        let mut socket = server.socket()?;
        socket.send(&server.order("sleep")?)?;
        wait_for(2)?;
        kill(Pid::from_raw(server.process.pid()), Signal::SIGKILL)?;
        wait_for(0)?;
    }
    Ok(())
}

fn told_to_end() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let built = || std::fs::read_dir(server.book.sandbox.path()).into_iter().flatten().flatten();
    let left = || built().filter(|entry| entry.file_name().to_string_lossy().starts_with("cooper-book-")).count();
    assert_eq!(left(), 1);
    let mut socket = server.socket()?;
    socket.send(&server.order("sleep")?)?;
    wait_for(2)?;
    server.process.signal(Signal::SIGINT)?;
    wait_for(0)?;
    assert_eq!(left(), 0);
    Ok(())
}

fn killed_group() -> Outcome {
    let page = "# A page\n\n```console cell=a needs=root timeout=60\n$ mkdir -p /sys/fs/cgroup{,/unified}/mine 2>/dev/null; setsid sleep 4322 & sleep 4322\n```\n";
    let server = Server::new(page, &["--host-root"])?;
    let mut socket = server.socket()?;
    socket.send(&server.order("a")?)?;
    wait_for(2)?;
    let groups = || -> usize {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let names = roots.into_iter().filter_map(|root| std::fs::read_dir(root).ok()).flatten().flatten();
        let own = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("book-"));
        own.filter(|entry| entry.path().join("mine").exists()).count()
    };
    let has_v2 = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|root| format!("{root}/cgroup.controllers"));
    let has_v2 = has_v2.iter().any(|file| std::path::Path::new(file).exists());
    assert_eq!(groups(), usize::from(has_v2));
    kill(Pid::from_raw(server.process.pid()), Signal::SIGKILL)?;
    wait_for(0)?;
    for _ in 0..100 {
        if groups() == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(groups(), 0);
    Ok(())
}

fn hundred() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let mut socket = server.socket()?;
    let (six, sleep) = (server.order("six")?, server.order("sleep")?);
    let before = left_by(server.process.pid());
    for run in 0..100 {
        if run % 10 == 9 {
            socket.send(&sleep)?;
            socket.until(r#"{"output":"begun"#)?;
            socket.send(r#""stop""#)?;
        } else {
            socket.send(&six)?;
            socket.until(r#"{"done""#)?;
            socket.send(r#""reset""#)?;
        }
        socket.until(r#"{"ended""#)?;
    }
    let after = left_by(server.process.pid());
    assert!(after.iter().zip(before).all(|(after, before)| *after <= before), "{after:?}, before it {before:?}");
    wait_for(0)
}

/// Children, descriptors and mounts of a process.
fn left_by(pid: i32) -> [usize; 3] {
    let count = |path: String| std::fs::read_dir(path).map(Iterator::count).unwrap_or(0);
    let lines = |path: String| std::fs::read_to_string(path).map(|text| text.split_whitespace().count()).unwrap_or(0);
    [
        lines(format!("/proc/{pid}/task/{pid}/children")),
        count(format!("/proc/{pid}/fd")),
        lines(format!("/proc/{pid}/mounts")),
    ]
}

fn reload() -> Outcome {
    let server = Server::new(PAGE, &[])?;
    let mut socket = server.socket()?;
    server.book.write("pages/page.md", "# Another page\n")?;
    socket.until(r#""reload""#)?;
    assert!(server.get(&format!("{}page.html", server.base), &[])?.body.contains("Another page"));
    server.book.write("pages/page.md", "# A page\n\n{{#item none.rs::None}}\n")?;
    let told = socket.until(r#"{"trouble""#)?;
    assert!(told.contains("pages/page.md:3: read none.rs"), "{told}");
    // What stood before still stands.
    assert!(server.get(&format!("{}page.html", server.base), &[])?.body.contains("Another page"));
    Ok(())
}

fn host_root() -> Outcome {
    let book = Copy::of(PAGE)?;
    drop(book);
    let server = Server::new(PAGE, &["--host-root"])?;
    let mut socket = server.socket()?;
    socket.send(&server.order("root")?)?;
    let told = socket.until(r#"{"done""#)?;
    assert!(told.contains(r#""same":true"#), "{told}");
    Ok(())
}
