//! `[[registry]]` and `[[registry.mirror]]`, as containers-registries.conf(5) has them.

use harness::{Outcome, Run, Sandbox};

use crate::image::{Layer, blob, files, manifest, put};
use crate::site::{Route, Site};

/// A registry and a mirror of it; `r.invalid` is the name that both serve.
struct Pair {
    sandbox: Sandbox,
    mirror: Site,
    registry: Site,
    layer: Layer,
    digest: String,
}

impl Pair {
    fn new() -> Outcome<Self> {
        let (mirror, registry) = (Site::start(), Site::start());
        let layer = Layer::gzip(files(&[("a", "one")]));
        put(&mirror, "hub/box", std::slice::from_ref(&layer));
        let digest = put(&registry, "up/box", std::slice::from_ref(&layer));
        Ok(Self { sandbox: Sandbox::new()?, mirror, registry, layer, digest })
    }

    fn pull(&self, name: &str, more: &str) -> Outcome<Run> {
        let text = format!(
            "[[registry]]\nprefix = 'r.invalid'\nlocation = '{}/up'\n[[registry.mirror]]\nlocation = '{}/hub'\n{more}",
            self.registry.address, self.mirror.address
        );
        let file = self.sandbox.file("registries.conf", text)?;
        Ok(self.sandbox.step(7).args(["pull", name]).env("CONTAINERS_REGISTRIES_CONF", file))
    }
}

pub fn mirrors() -> Outcome {
    let pair = Pair::new()?;
    let done = pair.pull("r.invalid/box", "")?.run()?.ok()?;
    assert!(done.stdout.ends_with("r.invalid/box:latest\n"), "the name stays: {}", done.stdout);
    assert_eq!(pair.registry.log(), Vec::<String>::new(), "the mirror had it");
    pair.mirror.set(&manifest("hub/box", "latest"), Route::status(404, "{}"));
    pair.pull("r.invalid/box", "")?.run()?.ok()?;
    assert_eq!(pair.registry.log(), ["HEAD /v2/up/box/manifests/latest"], "what it is called is here");
    // Neither has it: both are named.
    let done = pair.pull("r.invalid/none", "")?.run()?.code(125)?;
    done.stderr_has(&pair.registry.address)?.stderr_has("mirrors failed too")?.stderr_has(&pair.mirror.address)?;
    Ok(())
}

/// The mirror has the manifest, and half of the blob: the registry brings the rest.
pub fn broken() -> Outcome {
    let pair = Pair::new()?;
    pair.mirror.change(&blob("hub/box", &pair.layer.digest), |route| route.cut = Some(20));
    pair.registry.change(&blob("up/box", &pair.layer.digest), |route| route.ranges = true);
    let done = pair.pull("r.invalid/box", "")?.arg("--explain").run()?;
    done.ok()?.stderr_has("a mirror has failed")?.stderr_has("from byte 20")?;
    Ok(())
}

pub fn digests() -> Outcome {
    let pair = Pair::new()?;
    let more = "pull-from-mirror = 'digest-only'\n";
    pair.pull("r.invalid/box", more)?.run()?.ok()?;
    assert_eq!(pair.mirror.log(), Vec::<String>::new());
    pair.pull(&format!("r.invalid/box@{}", pair.digest), more)?.run()?.ok()?;
    assert_eq!(pair.mirror.log().len(), 1, "the manifest; the rest is here");
    Ok(())
}

pub fn blocked() -> Outcome {
    let pair = Pair::new()?;
    let blocked = "[[registry]]\nprefix = 'r.invalid/evil'\nblocked = true\n";
    pair.pull("r.invalid/evil/box", blocked)?
        .run()?
        .code(125)?
        .stderr_has("is blocked by")?
        .stderr_has("registries.conf")?;
    pair.pull("r.invalid/box", blocked)?.run()?.ok()?;
    let done = pair.pull("r.invalid/box", "[[registry")?.run()?.code(125)?;
    done.stderr_has("containers-registries.conf(5)")?;
    Ok(())
}

/// The user's drop-in says where short names are; without it they are Docker Hub's.
pub fn short_names() -> Outcome {
    let pair = Pair::new()?;
    put(&pair.mirror, "tiny", std::slice::from_ref(&pair.layer));
    let text =
        format!("unqualified-search-registries = ['{}']\n[aliases]\nnick = 'r.invalid/box'\n", pair.mirror.address);
    let file = pair.sandbox.file("config/containers/registries.conf.d/50-mine.conf", text)?;
    let home = file.ancestors().nth(3).unwrap();
    let step = |args: &[&str]| pair.sandbox.step(7).args(args).env("XDG_CONFIG_HOME", home);
    let whole = pair.mirror.name("tiny:latest");
    let done = step(&["pull", "tiny"]).run()?.ok()?;
    assert!(done.stdout.ends_with(&format!("{whole}\n")), "{}", done.stdout);
    step(&["inspect", "tiny"]).run()?.ok()?;
    step(&["inspect", &whole]).run()?.ok()?;
    step(&["pull", "nick"]).run()?.code(125)?.stderr_has("r.invalid")?;
    pair.sandbox.step(7).args(["inspect", "tiny"]).run()?.code(1)?.stderr_has("there is no image")?;
    Ok(())
}
