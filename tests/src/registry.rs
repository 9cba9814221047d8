//! A real registry: Debian's `docker-registry` on loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Outcome, Run, hygiene};

/// A registry with an empty store of its own, ended and removed on drop. Needs `docker-registry` (and `skopeo` to push).
#[derive(Debug)]
pub struct Registry {
    child: Child,
    dir: TempDir,
    port: u16,
}

impl Registry {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No such program, or it does not answer within ten seconds; with its log.
    pub fn start() -> Outcome<Self> {
        let dir = tempfile::Builder::new().prefix("cooper-registry-").tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = dir.path().join("config.yml");
        let storage = dir.path().join("storage");
        fs::write(&config, configuration(&storage, port))?;
        let log = fs::File::create(dir.path().join("log"))?;
        // It must not outlive the tests, however they end.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "docker-registry", "serve"]).arg(config);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().map_err(|error| format!("docker-registry: {error}"))?;
        let registry = Self { child, dir, port };
        registry.wait_until_it_answers()?;
        Ok(registry)
    }

    /// One that all tests of the suite use, started on first use.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn shared() -> Outcome<&'static Self> {
        static SHARED: OnceLock<Result<Registry, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let registry = Self::start().map_err(|failed| failed.message().unwrap_or_default().to_owned())?;
            hygiene::keep(registry.child.id(), registry.dir.path());
            Ok(registry)
        });
        shared.as_ref().map_err(Into::into)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The name of an image in it: `127.0.0.1:PORT/NAME`.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address())
    }

    /// Where it keeps its blobs, to break one: `docker/registry/v2/blobs/sha256/XX/DIGEST/data` beneath.
    pub fn storage(&self) -> std::path::PathBuf {
        self.dir.path().join("storage")
    }

    /// Puts the image of an OCI layout there, as skopeo names it (`DIR` or `DIR:TAG`); gives its whole name.
    ///
    /// # Errors
    /// What skopeo says.
    pub fn push(&self, layout: impl AsRef<Path>, name: &str) -> Outcome<String> {
        self.push_as(layout, name, &[])
    }

    /// As [`push`](Self::push), with further options of `skopeo copy`, for example `["--format", "v2s2"]`.
    ///
    /// # Errors
    /// What skopeo says.
    pub fn push_as(&self, layout: impl AsRef<Path>, name: &str, options: &[&str]) -> Outcome<String> {
        let whole = self.name(name);
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]).args(options);
        skopeo.arg(format!("oci:{}", layout.as_ref().display())).arg(format!("docker://{whole}"));
        Run::new(skopeo).run()?.ok()?;
        Ok(whole)
    }

    fn wait_until_it_answers(&self) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                return Err(format!("docker-registry does not answer on port {}:\n{log}", self.port).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(storage: &Path, port: u16) -> String {
    format!(
        "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
         http: {{addr: '127.0.0.1:{port}', secret: none}}\n",
        storage.display()
    )
}
