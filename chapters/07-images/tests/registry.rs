//! A real registry, real images, and tools that are not ours: pull, run, read back.

use std::path::PathBuf;
use std::time::Duration;

use harness::{Outcome, Registry, Run, Sandbox, Suite, busybox_image, debian_image};

const REGISTRY: &[&str] = &["docker-registry", "skopeo", "busybox"];

fn main() {
    Suite::new()
        .user("pull, list, tag, inspect, remove", commands)
        .needs(REGISTRY)
        .user("nothing is fetched twice", nothing_twice)
        .needs(REGISTRY)
        .user("another tool reads our store", read_back)
        .needs(REGISTRY)
        .user("Docker's media types", docker_media_types)
        .needs(REGISTRY)
        .user("damage in the store is noticed and mended", damage)
        .needs(REGISTRY)
        .user("the image host needs no registry", host)
        .user("an ordinary user runs the image host", || host_runs(Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .root("root runs the image host", || host_runs(Sandbox::new()?))
        .root("the image's configuration is honoured", configuration)
        .needs(REGISTRY)
        .root("the image's configuration is honoured for an ordinary user", configuration_ordinary)
        .needs(REGISTRY)
        .root("TLS with a private CA, through a proxy or not", tls)
        .needs(&["docker-registry", "openssl", "ip"])
        .root("a container keeps its image", in_use)
        .root("a shell on a terminal", terminal)
        .root("Debian, run by root and by an ordinary user", debian)
        .needs(&["docker-registry", "skopeo", "mmdebstrap"])
        .run();
}

/// A busybox in the registry that all tests share; its whole name.
fn busybox(name: &str) -> Outcome<String> {
    Registry::shared()?.push(busybox_image()?, name)
}

fn step(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.step(7).args(args)
}

fn json(text: &str) -> Outcome<serde_json::Value> {
    Ok(serde_json::from_str(text)?)
}

fn commands() -> Outcome {
    let (sandbox, name) = (Sandbox::new()?, busybox("commands")?);
    let pulled = step(&sandbox, &["pull", &name]).run()?.ok()?;
    for line in
        ["latest: Pulling from commands", ": Pull complete", "Digest: sha256:", "Status: Downloaded newer image"]
    {
        assert!(pulled.stdout.contains(line), "{line}: {}", pulled.stdout);
    }
    let listed = step(&sandbox, &["images"]).run()?.ok()?.stdout;
    let heads: Vec<_> =
        listed.lines().next().unwrap().split("   ").map(str::trim).filter(|head| !head.is_empty()).collect();
    assert_eq!(heads, ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    assert!(listed.contains(&name) && listed.contains("MB"), "{listed}");
    let id = step(&sandbox, &["images", "--quiet"]).run()?.ok()?.text().to_owned();
    assert_eq!(id.len(), 12);
    step(&sandbox, &["tag", &id, "mine:1"]).run()?.ok()?;
    step(&sandbox, &["tag", "mine:1", "host"]).run()?.code(125)?.stderr_has("is kept for")?;
    let shown = json(&step(&sandbox, &["inspect", "mine:1"]).run()?.ok()?.stdout)?;
    assert_eq!(shown[0]["RepoTags"].as_array().unwrap().len(), 2);
    assert_eq!(shown[0]["Config"]["Cmd"][0], "sh");
    let history = step(&sandbox, &["history", &id]).run()?.ok()?.stdout;
    assert!(history.contains("the tests") && history.contains(&id), "{history}");
    step(&sandbox, &["rmi", &id]).run()?.code(1)?.stderr_has("has several names")?;
    let removed = step(&sandbox, &["rmi", "mine:1", &name]).run()?.ok()?.stdout;
    assert_eq!((removed.matches("Untagged").count(), removed.matches("Deleted: sha256:").count()), (2, 2), "{removed}");
    step(&sandbox, &["rmi", &name]).run()?.code(1)?.stderr_has("there is no image")?;
    assert_eq!(std::fs::read_dir(sandbox.data().join("images/blobs/sha256"))?.count(), 0);
    assert_eq!(std::fs::read_dir(sandbox.data().join("layers"))?.count(), 0);
    let script = step(&sandbox, &["completion", "bash"]).run()?.ok()?.stdout;
    assert!(script.contains("--entrypoint"), "the options complete");
    Ok(())
}

fn nothing_twice() -> Outcome {
    let registry = Registry::start()?;
    let (sandbox, name) = (Sandbox::new()?, registry.push(busybox_image()?, "one")?);
    let other = registry.push(busybox_image()?, "two")?;
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    for name in [&name, &other] {
        let again = step(&sandbox, &["--explain", "pull", name]).run()?.ok()?;
        assert!(again.stdout.contains("Already exists"), "{}", again.stdout);
        assert!(!again.stderr.contains("/blobs/"), "only the manifest is asked for: {}", again.stderr);
    }
    // What is here runs without the registry.
    drop(registry);
    step(&sandbox, &["inspect", &name]).run()?.ok()?;
    step(&sandbox, &["pull", &name]).run()?.code(125)?.stderr_has("cannot be reached")?.stderr_has("run host sh")?;
    Ok(())
}

fn read_back() -> Outcome {
    let (sandbox, name) = (Sandbox::new()?, busybox("back")?);
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    step(&sandbox, &["pull", "host"]).run()?.ok()?;
    let layout = sandbox.data().join("images");
    let copies = sandbox.dir("copies")?;
    for image in [name.as_str(), "localhost/host:latest"] {
        let image = if image.contains("latest") { image.to_owned() } else { format!("{image}:latest") };
        let from = format!("oci:{}:{image}", layout.display());
        let to = format!("oci:{}:copy", copies.display());
        sandbox.program("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to]).run()?.ok()?;
        let theirs = sandbox.program("skopeo").args(["inspect", "--raw", &to]).run()?.ok()?.stdout;
        let ours = json(&step(&sandbox, &["inspect", &image]).run()?.ok()?.stdout)?;
        assert_eq!(
            images::digest::of(theirs.as_bytes()).to_string(),
            ours[0]["Descriptor"]["digest"],
            "the same bytes"
        );
    }
    Ok(())
}

fn docker_media_types() -> Outcome {
    let sandbox = Sandbox::new()?;
    let name = Registry::shared()?.push_as(busybox_image()?, "v2s2", &["--format", "v2s2"])?;
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    let shown = json(&step(&sandbox, &["inspect", &name]).run()?.ok()?.stdout)?;
    assert_eq!(shown[0]["Descriptor"]["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    let missing = Registry::shared()?.name("v2s2:none");
    step(&sandbox, &["pull", &missing]).run()?.code(125)?.stderr_has("was not found")?;
    let digest = shown[0]["Descriptor"]["digest"].as_str().unwrap();
    let pinned = format!("{name}@{digest}");
    step(&sandbox, &["pull", &pinned]).run()?.ok()?;
    step(&sandbox, &["inspect", &pinned]).run()?.ok()?;
    Ok(())
}

fn damage() -> Outcome {
    let (sandbox, name) = (Sandbox::new()?, busybox("damage")?);
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    let shown = json(&step(&sandbox, &["inspect", &name]).run()?.ok()?.stdout)?;
    let blob = |digest: &serde_json::Value| {
        let hex = digest.as_str().unwrap().trim_start_matches("sha256:").to_owned();
        sandbox.data().join("images/blobs/sha256").join(hex)
    };
    for file in [blob(&shown[0]["Descriptor"]["digest"]), blob(&shown[0]["Id"])] {
        let mut bytes = std::fs::read(&file)?;
        bytes[10] ^= 1;
        std::fs::write(&file, bytes)?;
        step(&sandbox, &["inspect", &name]).run()?.code(1)?.stderr_has("the digest is wrong")?;
        step(&sandbox, &["pull", &name]).run()?.ok()?;
        step(&sandbox, &["inspect", &name]).run()?.ok()?;
    }
    // A layer that has gone is fetched again.
    std::fs::remove_dir_all(sandbox.data().join("layers"))?;
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    let layers = std::fs::read_dir(sandbox.data().join("layers"))?.count();
    assert_eq!(layers, 1);
    Ok(())
}

fn host() -> Outcome {
    let sandbox = Sandbox::new()?;
    let pulled = step(&sandbox, &["pull", "host"]).env("HTTPS_PROXY", "http://127.0.0.1:1").run()?.ok()?.stdout;
    assert!(pulled.contains("this machine's own programs"), "{pulled}");
    let first = json(&step(&sandbox, &["inspect", "host"]).run()?.ok()?.stdout)?;
    assert_eq!(first[0]["RepoTags"][0], "host:latest");
    assert_eq!(first[0]["Config"]["Cmd"][0], "/bin/sh");
    // The same programs give the same layer.
    let again = step(&sandbox, &["pull", "host"]).run()?.ok()?.stdout;
    assert!(again.contains("up to date"), "{again}");
    step(&sandbox, &["pull", "host:other"]).run()?.code(125)?.stderr_has("only as host:latest")?;
    Ok(())
}

fn host_runs(sandbox: Sandbox) -> Outcome {
    let command =
        ["run", "--rm", "--network", "none", "host", "sh", "-c", "id -u; ls -ld /tmp; cat /etc/hostname; exit 7"];
    let done = step(&sandbox, &command).run()?.code(7)?;
    assert!(done.stdout.starts_with("0\ndrwxrwxrwt"), "{}", done.stdout);
    assert!(done.stderr.contains("not here yet"), "{}", done.stderr);
    let done = step(&sandbox, &command).run()?.code(7)?;
    assert_eq!(done.stderr, "", "the second time it is here");
    step(&sandbox, &["rmi", "host"]).run()?.ok()?;
    Ok(())
}

/// An image with everything in its configuration, made by a tool that is not ours.
fn configured() -> Outcome<String> {
    let work = tempfile::tempdir()?;
    let layout = work.path().join("layout");
    let run = |program: &str, args: &[&str]| {
        let mut command = std::process::Command::new(program);
        command.args(args);
        Run::new(command).run()?.ok()
    };
    let (from, to) = (format!("oci:{}", busybox_image()?.display()), format!("oci:{}:c", layout.display()));
    run("skopeo", &["--insecure-policy", "copy", "--quiet", &from, &to])?;
    let image = format!("{}:c", layout.display());
    run(
        "umoci",
        &[
            "config",
            "--image",
            &image,
            "--config.entrypoint",
            "/bin/echo",
            "--config.entrypoint",
            "said",
            "--config.cmd",
            "words",
            "--config.env",
            "FROM_IMAGE=yes",
            "--config.workingdir",
            "/not/there",
            "--config.user",
            "nobody",
            "--config.volume",
            "/var/kept",
            "--config.stopsignal",
            "SIGQUIT",
            "--config.label",
            "k=v",
        ],
    )?;
    let whole = Registry::shared()?.name("configured");
    run(
        "skopeo",
        &[
            "--insecure-policy",
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
            &format!("oci:{image}"),
            &format!("docker://{whole}"),
        ],
    )?;
    Ok(whole)
}

fn configuration() -> Outcome {
    honoured(&Sandbox::new()?)
}

fn configuration_ordinary() -> Outcome {
    honoured(&Sandbox::ordinary()?)
}

fn honoured(sandbox: &Sandbox) -> Outcome {
    if harness::find_program("umoci").is_none() {
        return Err("needs the program umoci: apt-get install umoci".into());
    }
    let name = configured()?;
    let run = |options: &[&str], command: &[&str]| {
        step(sandbox, &["run", "--rm", "--network", "none"]).args(options).arg(&name).args(command).run()?.ok()
    };
    assert_eq!(run(&[], &[])?.text(), "said words");
    assert_eq!(run(&[], &["other", "words"])?.text(), "said other words");
    let shell = ["-c", "id -u; id -g; pwd; echo $FROM_IMAGE $MINE; stat -c %u:%a .; grep -c /var/kept /proc/mounts"];
    let done = run(&["--entrypoint", "sh", "-e", "MINE=too"], &shell)?;
    assert_eq!(done.text(), "65534\n65534\n/not/there\nyes too\n0:755\n1");
    let done = run(&["--entrypoint", "sh", "-u", "0:0", "-w", "/tmp"], &["-c", "id -u; pwd; touch /root/mine"])?;
    assert_eq!(done.text(), "0\n/tmp");
    step(sandbox, &["run", "--rm", "--entrypoint", "", &name]).run()?.code(125)?.stderr_has("no command")?;
    step(sandbox, &["run", "--rm", "-u", "eve", &name])
        .run()?
        .code(125)?
        .stderr_has("\"eve\" in the root's /etc/passwd")?;
    step(sandbox, &["run", "--rm", "--platform", "linux/s390x", &name]).run()?.code(125)?.stderr_has("linux/s390x")?;
    step(sandbox, &["run", "--rm", "--pull", "never", "busybox:nowhere"])
        .run()?
        .code(125)?
        .stderr_has("--pull never")?;
    // By its ID too, and without asking the registry.
    let id = step(sandbox, &["images", "--quiet"]).run()?.ok()?.text().to_owned();
    let done = step(sandbox, &["run", "--rm", "--network", "none", &id]).run()?.ok()?;
    assert_eq!((done.text(), done.stderr.as_str()), ("said words", ""));
    let left = step(sandbox, &["ls"]).run()?.ok()?.stdout;
    assert_eq!(left.lines().count(), 1, "--rm leaves nothing: {left}");
    Ok(())
}

fn in_use() -> Outcome {
    let sandbox = Sandbox::new()?;
    step(&sandbox, &["run", "--name", "user", "--network", "none", "host", "true"]).run()?.ok()?;
    step(&sandbox, &["rmi", "host"]).run()?.code(1)?.stderr_has("is used by the container")?;
    let forced = step(&sandbox, &["rmi", "--force", "host"]).run()?.ok()?.stdout;
    assert_eq!(forced.matches("Deleted").count(), 1, "only the image: its layer is the container's: {forced}");
    step(&sandbox, &["diff", "user"]).run()?.ok()?;
    step(&sandbox, &["rm", "user"]).run()?.ok()?;
    // The next sweep takes what was the container's alone.
    step(&sandbox, &["pull", "host"]).run()?.ok()?;
    step(&sandbox, &["rmi", "host"]).run()?.ok()?;
    assert_eq!(std::fs::read_dir(sandbox.data().join("layers"))?.count(), 0);
    Ok(())
}

fn terminal() -> Outcome {
    let sandbox = Sandbox::new()?;
    step(&sandbox, &["pull", "--quiet", "host"]).run()?.ok()?;
    let mut shell = step(&sandbox, &["run", "--rm", "--network", "none", "host", "sh"]).pty()?;
    shell.send("tty; echo $((6*7))\n")?;
    shell.expect("/dev/pts/0")?;
    shell.expect("42")?;
    shell.send("exit 3\n")?;
    assert_eq!(shell.wait()?, 3);
    Ok(())
}

fn debian() -> Outcome {
    let name = Registry::shared()?.push(debian_image()?, "debian")?;
    let command = [
        "run",
        "--rm",
        "--network",
        "none",
        name.as_str(),
        "sh",
        "-c",
        ". /etc/os-release; echo $ID; stat -c %u:%g:%a /etc/shadow /usr/bin/passwd /tmp; dpkg --verify base-files | grep -v /usr/share/doc; echo intact",
    ];
    for sandbox in [Sandbox::new()?, Sandbox::ordinary()?] {
        let done = step(&sandbox, &command).timeout(Duration::from_secs(180)).run()?.ok()?;
        assert_eq!(done.text(), "debian\n0:42:640\n0:0:4755\n0:0:1777\nintact");
        let layers: Vec<PathBuf> =
            std::fs::read_dir(sandbox.data().join("layers"))?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?;
        assert_eq!(layers.len(), 1);
        step(&sandbox, &["rmi", &name]).run()?.ok()?;
    }
    Ok(())
}

/// A program of the machine, which must succeed.
fn program(name: &str, args: &[&str]) -> Outcome {
    let mut command = std::process::Command::new(name);
    command.args(args);
    Run::new(command).run()?.ok().map(drop)
}

/// An address of this machine that is no loopback address: there the registry must speak TLS.
struct Address;

const ADDRESS: &str = "10.99.7.1";

impl Address {
    fn add() -> Outcome<Self> {
        program("ip", &["address", "add", &format!("{ADDRESS}/32"), "dev", "lo"])?;
        Ok(Self)
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        let _ = program("ip", &["address", "del", &format!("{ADDRESS}/32"), "dev", "lo"]);
    }
}

fn tls() -> Outcome {
    let (_address, sandbox) = (Address::add()?, Sandbox::new()?);
    let dir = sandbox.dir("tls")?;
    let path = |name: &str| dir.join(name).display().to_string();
    let (key, cert, ca) = (path("key.pem"), path("cert.pem"), path("ca.pem"));
    let (ca_key, request) = (path("ca-key.pem"), path("request.pem"));
    let extensions = sandbox.file("tls/extensions", format!("subjectAltName=IP:{ADDRESS}"))?.display().to_string();
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let made = |rest: &[&str]| program("openssl", &[&["req"], &new_key[..], rest].concat());
    made(&["-x509", "-subj", "/CN=a private CA", "-days", "2", "-keyout", &ca_key, "-out", &ca])?;
    made(&["-subj", "/CN=registry", "-keyout", &key, "-out", &request])?;
    let signed = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", "2"];
    program("openssl", &[&signed[..], &["-extfile", &extensions, "-out", &cert]].concat())?;
    let configuration = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
         http: {{addr: '{ADDRESS}:5443', secret: x, tls: {{certificate: {cert}, key: {key}}}}}\n",
        path("storage")
    );
    let file = sandbox.file("tls/config.yml", configuration)?;
    let _server = sandbox.program("docker-registry").arg("serve").arg(file).spawn()?;
    let listens = || std::net::TcpStream::connect((ADDRESS, 5443)).is_ok();
    for _ in 0..500 {
        if listens() {
            break; // before that, skopeo would try its luck with plain HTTP
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let name = format!("{ADDRESS}:5443/box");
    let push = ["--insecure-policy", "copy", "--quiet", "--retry-times=5", "--dest-tls-verify=false"];
    let from = format!("oci:{}", busybox_image()?.display());
    sandbox.program("skopeo").args(push).arg(from).arg(format!("docker://{name}")).run()?.ok()?;
    // The system's own trust does not know the certificate.
    let done =
        step(&sandbox, &["pull", &name]).env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt").run()?.code(125)?;
    done.stderr_has("SSL_CERT_FILE")?;
    step(&sandbox, &["pull", &name]).env("SSL_CERT_FILE", &ca).run()?.ok()?;
    // A proxy is asked to connect; NO_PROXY leaves it out.
    let proxy = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", proxy.local_addr()?);
    let asked = std::thread::spawn(move || -> std::io::Result<String> {
        let (mut stream, _) = proxy.accept()?;
        let mut head = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut head)?;
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n")?;
        Ok(head)
    });
    let pull = || step(&sandbox, &["pull", &name]).env("SSL_CERT_FILE", &ca).env("HTTPS_PROXY", &address);
    pull().env("NO_PROXY", ADDRESS).run()?.ok()?;
    pull().run()?.code(125)?.stderr_has("HTTPS_PROXY")?;
    let asked = asked.join().map_err(|_| "the proxy failed")??;
    assert!(asked.starts_with(&format!("CONNECT {ADDRESS}:5443")), "{asked}");
    Ok(())
}
