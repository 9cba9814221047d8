//! A redirect to a name: where that leads is the registry's choice, and may be a door that only we can reach.

use std::process::Command;

use harness::{Outcome, Run, Sandbox};
use serde_json::json;

use crate::image::{Layer, blob, files, manifest, put};
use crate::site::{Route, Site};

/// Addresses of this machine, and names for them and for others, as long as this lives.
struct Names(Vec<String>);

fn program(name: &str, args: &[&str]) -> Outcome {
    let mut command = Command::new(name);
    command.args(args);
    Run::new(command).run()?.ok().map(drop)
}

impl Names {
    fn new(sandbox: &Sandbox, addresses: &[&str], names: &str) -> Outcome<Self> {
        let mut own = Self(Vec::new());
        for address in addresses {
            program("ip", &["address", "add", &format!("{address}/32"), "dev", "lo"])?;
            own.0.push(format!("{address}/32"));
        }
        let hosts = sandbox.file("hosts", names)?;
        program("mount", &["--bind", hosts.to_str().unwrap_or_default(), "/etc/hosts"])?;
        Ok(own)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = program("umount", &["/etc/hosts"]);
        for address in &self.0 {
            let _ = program("ip", &["address", "del", address, "dev", "lo"]);
        }
    }
}

/// A registry at a name, whose only layer lies elsewhere.
struct Away {
    sandbox: Sandbox,
    site: Site,
    host: String,
    blob: String,
}

impl Away {
    fn new(address: &str, name: &str) -> Outcome<Self> {
        let (sandbox, site) = (Sandbox::new()?, Site::at(address));
        let layer = Layer::gzip(files(&[("a", "one")]));
        put(&site, "away", std::slice::from_ref(&layer));
        let host = site.address.replace(address, name);
        Ok(Self { sandbox, site, host, blob: blob("away", &layer.digest) })
    }

    /// Pulls, while the layer is said to be at `location`; logged in or not.
    fn pull(&self, location: &str, login: bool) -> Outcome<String> {
        self.site.set(&self.blob, Route::status(307, "").header("Location", location));
        self.site.change(&manifest("away", "latest"), |route| {
            route.secret = login.then(|| "Basic YWRhOnNlY3JldA==".into());
            route.headers.push(("WWW-Authenticate".into(), "Basic realm=x".into()));
        });
        let auths = json!({"auths": {&self.host: {"auth": "YWRhOnNlY3JldA=="}}});
        let config = self.sandbox.file("docker/config.json", auths.to_string())?;
        let insecure = format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", self.host);
        let run = self.sandbox.step(7).args(["pull", &format!("{}/away", self.host)]);
        let run = run.env("CONTAINERS_REGISTRIES_CONF", self.sandbox.file("registries.conf", insecure)?);
        let run = run.env("DOCKER_CONFIG", config.parent().unwrap()).env("COOPER_REGISTRY_TIMEOUT", "1");
        Ok(run.run()?.code(125)?.stderr)
    }
}

pub fn names() -> Outcome {
    let sandbox = Sandbox::new()?;
    // 203.0.113.0/24 is for documentation (RFC 5737): to a client an address like any other.
    let names = "127.0.0.1 localhost\n203.0.113.1 registry.test\n203.0.113.2 cdn.test\n10.98.0.1 office.test\n\
        10.98.0.2 vault.test\n203.0.113.2 both.test\n10.98.0.2 both.test\n127.0.0.1 own.test\n\
        169.254.169.254 metadata.test\n";
    let _names = Names::new(&sandbox, &["203.0.113.1", "203.0.113.2", "10.98.0.1", "10.98.0.2"], names)?;
    let (storage, vault) = (Site::at("203.0.113.2"), Site::at("10.98.0.2"));
    let port = |site: &Site| site.address.rsplit(':').next().unwrap_or_default().to_owned();
    let away = Away::new("203.0.113.1", "registry.test")?;
    // Who gets as far as to the storage hears no TLS from it.
    let reached = |said: &str| said.contains("cannot be reached");
    let (cdn, inside) = (format!("https://cdn.test:{}/x", port(&storage)), format!("vault.test:{}", port(&vault)));
    for login in [true, false] {
        let said = away.pull(&cdn, login)?;
        assert!(reached(&said), "{said}");
        for (own, address) in [("own.test:1", "127.0.0.1"), ("metadata.test", "169.254.169.254")] {
            let said = away.pull(&format!("https://{own}/x"), login)?;
            assert!(
                said.contains(&format!("the registry redirects to {own}, which is {address}: an address of this")),
                "{said}"
            );
        }
    }
    let said = away.pull(&format!("https://{inside}/x"), true)?;
    assert!(
        said.contains(&format!("the registry redirects to {inside}, which is 10.98.0.2: a private address")),
        "{said}"
    );
    assert!(said.contains("an address of the same network"), "{said}");
    let said = away.pull(&format!("https://{inside}/x"), false)?;
    assert!(reached(&said), "without a login: {said}");
    // One of its addresses is enough, whichever comes first.
    let said = away.pull(&format!("https://both.test:{}/x", port(&storage)), true)?;
    assert!(said.contains("which is 10.98.0.2: a private address"), "{said}");
    // A registry that is private itself has its storage beside it; but on this machine it has not.
    let office = Away::new("10.98.0.1", "office.test")?;
    let said = office.pull(&format!("https://{inside}/x"), true)?;
    assert!(reached(&said), "{said}");
    let said = office.pull("https://own.test:1/x", true)?;
    assert!(said.contains("which is 127.0.0.1: an address of this machine"), "{said}");
    let sent = [&storage, &vault].map(Site::log).concat().join("\n");
    assert!(!sent.contains("YWRhOnNlY3JldA=="), "{sent}");
    Ok(())
}
