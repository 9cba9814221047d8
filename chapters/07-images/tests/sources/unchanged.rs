//! A pull of what is here already: Docker Hub counts each GET of a manifest, and no HEAD.

use harness::{Outcome, Run, Sandbox};
use serde_json::json;

use crate::image::{Layer, files, manifest, put, put_document};
use crate::site::Site;

const HEAD: &str = "HEAD /v2/box/manifests/latest";
const GET: &str = "GET /v2/box/manifests/latest";

struct Hub {
    sandbox: Sandbox,
    site: Site,
}

impl Hub {
    /// An image `box` in the registry and in the store.
    fn new() -> Outcome<Self> {
        let hub = Self { sandbox: Sandbox::new()?, site: Site::start() };
        put(&hub.site, "box", &[Layer::gzip(files(&[("a", "one")]))]);
        hub.pull("box").run()?.ok()?;
        let log = hub.site.news();
        assert!(log[0] == GET && log.iter().all(|line| !line.starts_with("HEAD")), "nothing to ask for: {log:?}");
        Ok(hub)
    }

    fn pull(&self, name: &str) -> Run {
        self.sandbox.step(7).args(["pull", &self.site.name(name)])
    }

    /// The requests of a pull of what is up to date.
    fn again(&self) -> Outcome<Vec<String>> {
        self.pull("box").run()?.ok()?.stdout_has("Image is up to date")?;
        Ok(self.site.news())
    }
}

pub fn unchanged() -> Outcome {
    let hub = Hub::new()?;
    assert_eq!(hub.again()?, [HEAD]);
    // The tag has moved, and what it means now is another image.
    put(&hub.site, "box", &[Layer::gzip(files(&[("a", "two")]))]);
    hub.pull("box").run()?.ok()?.stdout_has("Downloaded newer image")?;
    assert_eq!(hub.site.news()[..2], [HEAD, GET]);
    assert_eq!(hub.again()?, [HEAD]);
    // Of an index, neither it nor the manifest in it.
    let child = put(&hub.site, "box", &[Layer::gzip(files(&[("a", "three")]))]);
    let mut size = 0;
    hub.site.change(&manifest("box", &child), |route| size = route.body.len());
    let entry = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": child, "size": size});
    let index = "application/vnd.oci.image.index.v1+json";
    put_document(&hub.site, "box", &json!({"schemaVersion": 2, "mediaType": index, "manifests": [entry]}));
    hub.pull("box").run()?.ok()?.stdout_has("Downloaded newer image")?;
    hub.site.news();
    assert_eq!(hub.again()?, [HEAD]);
    // By a digest: what it means is here, though under another name.
    hub.pull(&format!("box@{child}")).run()?.ok()?;
    assert_eq!(hub.site.news(), [format!("HEAD /v2/box/manifests/{child}")]);
    Ok(())
}

pub fn without_head() -> Outcome {
    let hub = Hub::new()?;
    let latest = manifest("box", "latest");
    for status in [405, 404, 503] {
        hub.site.change(&latest, |route| route.head = Some(status));
        assert_eq!(hub.again()?, [HEAD, GET], "{status}");
    }
    // No digest, or one that nothing here has.
    for digest in [None, Some(format!("sha256:{}", "1".repeat(64))), Some("rubbish".into())] {
        hub.site.change(&latest, |route| {
            route.head = None;
            route.headers.retain(|(name, _)| name != "Docker-Content-Digest");
            route.headers.extend(digest.filter(|_| true).map(|digest| ("Docker-Content-Digest".into(), digest)));
        });
        let lies = hub.site.name("box");
        let done = hub.sandbox.step(7).args(["pull", &lies]).run()?;
        assert_eq!(hub.site.news(), [HEAD, GET]);
        // What GET brings is compared with what it claims, as ever.
        if done.code != 0 {
            done.stderr_has("the digest is wrong")?;
        }
    }
    // The copy here was damaged: it is not what the registry means.
    let hub = Hub::new()?;
    let blobs = hub.sandbox.data().join("images/blobs/sha256");
    let shown =
        hub.sandbox.step(7).args(["inspect", "-f", "{{.Descriptor.digest}}", &hub.site.name("box")]).run()?.ok()?;
    let file = blobs.join(shown.text().trim_start_matches("sha256:"));
    std::fs::write(&file, "{}")?;
    hub.pull("box").run()?.ok()?;
    assert!(hub.site.news().contains(&GET.to_owned()));
    assert!(std::fs::metadata(&file)?.len() > 2, "mended");
    Ok(())
}
