//! TLS: whose certificate is believed.

use std::time::Duration;

use harness::{Background, Outcome, Run, Sandbox, busybox_image};

use crate::{program, step};

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

/// A registry there, with an image `box`.
struct Server {
    _server: Background,
    _address: Address,
    sandbox: Sandbox,
    /// The certificate of the CA that has signed the registry's.
    ca: String,
    name: String,
}

/// How it is talked to.
#[derive(PartialEq)]
enum Speaks {
    Plain,
    Tls,
    /// TLS, and who asks needs a certificate too.
    Mutual,
}

impl Server {
    fn start(speaks: &Speaks) -> Outcome<Self> {
        let (address, sandbox) = (Address::add()?, Sandbox::new()?);
        let dir = sandbox.dir("tls")?;
        let path = |name: &str| dir.join(name).display().to_string();
        let (key, cert, ca) = (path("box.key"), path("box.cert"), path("ca.pem"));
        certificates(&sandbox, &key, &cert, &ca)?;
        let tls = match speaks {
            Speaks::Plain => String::new(),
            Speaks::Tls => format!(", tls: {{certificate: {cert}, key: {key}}}"),
            Speaks::Mutual => format!(", tls: {{certificate: {cert}, key: {key}, clientcas: [{ca}]}}"),
        };
        let configuration = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{ADDRESS}:5443', secret: x{tls}}}\n",
            path("storage")
        );
        let file = sandbox.file("tls/config.yml", configuration)?;
        let server = sandbox.program("docker-registry").arg("serve").arg(file).spawn()?;
        for _ in 0..500 {
            if std::net::TcpStream::connect((ADDRESS, 5443)).is_ok() {
                break; // before that, skopeo would try its luck with plain HTTP
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let name = format!("{ADDRESS}:5443/box");
        let push = ["--insecure-policy", "copy", "--quiet", "--retry-times=5", "--dest-tls-verify=false"];
        let (to, from) = (format!("docker://{name}"), format!("oci:{}", busybox_image()?.display()));
        let own: &[&str] =
            if *speaks == Speaks::Mutual { &["--dest-cert-dir", dir.to_str().unwrap_or("")] } else { &[] };
        sandbox.program("skopeo").args(push).args(own).arg(from).arg(to).run()?.ok()?;
        Ok(Self { _server: server, _address: address, sandbox, ca, name })
    }

    /// A pull by somebody with nothing set up, whoever runs the tests.
    fn pull(&self) -> Outcome<Run> {
        let (home, conf) = (self.sandbox.dir("config")?, self.sandbox.file("none.conf", "")?);
        let run = step(&self.sandbox, &["pull", &self.name]).env("XDG_CONFIG_HOME", home);
        Ok(run.env("CONTAINERS_REGISTRIES_CONF", conf).env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    }

    fn pull_insecure(&self) -> Outcome<Run> {
        let text = format!("[[registry]]\nlocation = '{ADDRESS}:5443'\ninsecure = true\n");
        Ok(self.pull()?.env("CONTAINERS_REGISTRIES_CONF", self.sandbox.file("insecure.conf", text)?))
    }
}

/// A CA, and a certificate for the address that it has signed.
fn certificates(sandbox: &Sandbox, key: &str, cert: &str, ca: &str) -> Outcome {
    let (ca_key, request) = (format!("{ca}-key"), format!("{cert}-request"));
    let names = sandbox.file("tls/extensions", format!("subjectAltName=IP:{ADDRESS}"))?.display().to_string();
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let made = |rest: &[&str]| program("openssl", &[&["req"], &new_key[..], rest].concat());
    made(&["-x509", "-subj", "/CN=a private CA", "-days", "2", "-keyout", &ca_key, "-out", ca])?;
    made(&["-subj", "/CN=registry", "-keyout", key, "-out", &request])?;
    let signed = ["x509", "-req", "-in", &request, "-CA", ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", "2"];
    program("openssl", &[&signed[..], &["-extfile", &names, "-out", cert]].concat())
}

/// `certs.d` has a CA for this registry, and our own certificate where it wants one.
pub fn certs_d() -> Outcome {
    let server = Server::start(&Speaks::Mutual)?;
    let directory = format!("config/containers/certs.d/{ADDRESS}:5443");
    let put = |from: &str, to: &str| -> Outcome {
        server.sandbox.file(&format!("{directory}/{to}"), std::fs::read(from)?)?;
        Ok(())
    };
    server.pull()?.run()?.code(125)?.stderr_has("certs.d")?;
    put(&server.ca, "ca.crt")?;
    server.pull()?.run()?.code(125)?; // the registry wants to see a certificate
    let tls = server.sandbox.dir("tls")?;
    for name in ["box.cert", "box.key"] {
        put(&tls.join(name).display().to_string(), name)?;
    }
    server.pull()?.run()?.ok()?;
    server.sandbox.file(&format!("{directory}/ca.crt"), "rubbish")?;
    server.pull()?.run()?.code(125)?.stderr_has("has no certificate in PEM form")?;
    Ok(())
}

/// `insecure = true` takes any certificate, and plain HTTP where there is none.
pub fn insecure() -> Outcome {
    for speaks in [Speaks::Tls, Speaks::Plain] {
        let server = Server::start(&speaks)?;
        server.pull()?.run()?.code(125)?.stderr_has("cannot be reached")?;
        let scheme = if speaks == Speaks::Tls { "GET https://" } else { "GET http://" };
        server.pull_insecure()?.arg("--explain").run()?.ok()?.stderr_has(scheme)?;
    }
    Ok(())
}

/// A private CA by its file, and a proxy.
pub fn tls() -> Outcome {
    let server = Server::start(&Speaks::Tls)?;
    // The system's own trust does not know the certificate.
    server.pull()?.run()?.code(125)?.stderr_has("SSL_CERT_FILE")?;
    let pull = || Ok::<_, harness::Failed>(server.pull()?.env("SSL_CERT_FILE", &server.ca));
    pull()?.run()?.ok()?;
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
    pull()?.env("HTTPS_PROXY", &address).env("NO_PROXY", ADDRESS).run()?.ok()?;
    pull()?.env("HTTPS_PROXY", &address).run()?.code(125)?.stderr_has("HTTPS_PROXY")?;
    let asked = asked.join().map_err(|_| "the proxy failed")??;
    assert!(asked.starts_with(&format!("CONNECT {ADDRESS}:5443")), "{asked}");
    Ok(())
}
