//! Registries that lie, break and stall: each time a clear error, and a store that is as it was.

#[path = "site/image.rs"]
mod image;
#[path = "site/mod.rs"]
mod site;

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Done, Outcome, Run, Sandbox, Suite};
use image::{Layer, blob, files, gzip, manifest, put, put_document, put_for, sha256, tar};
use nix::sys::signal::Signal;
use serde_json::json;
use site::{Route, Site};
use tar::EntryType;

fn main() {
    Suite::new()
        .user("a wrong digest", wrong_digest)
        .user("a wrong size", wrong_size)
        .user("a wrong diff_id", wrong_diff_id)
        .user("a wrong manifest", wrong_manifest)
        .user("archives that want out", archives_that_want_out)
        .user("bombs", bombs)
        .user("a registry that stalls", stalls)
        .user("a connection that breaks is taken up again", resumes)
        .user("odd but honest layers", odd_layers)
        .user("an index: platforms and attestations", platforms)
        .user("tokens and passwords reach nobody else", secrets)
        .user("too many requests", too_many_requests)
        .user("what is no image is refused", no_image)
        .user("kill -9 in the middle of a pull", killed)
        .user("two pulls at once", two_at_once)
        .run();
}

/// A sandbox with a good image in its store, and the site that it came from.
struct Place {
    sandbox: Sandbox,
    site: Site,
    before: Vec<PathBuf>,
}

impl Place {
    fn new() -> Outcome<Self> {
        let (sandbox, site) = (Sandbox::new()?, Site::start());
        put(&site, "good", &[Layer::gzip(files(&[("etc/good", "good")]))]);
        let mut place = Self { sandbox, site, before: Vec::new() };
        place.pull("good").run()?.ok()?;
        place.before = tree(&place.sandbox.data())?;
        Ok(place)
    }

    fn step(&self, args: &[&str]) -> Run {
        self.sandbox.step(7).args(args).env("COOPER_REGISTRY_TIMEOUT", "1")
    }

    fn pull(&self, name: &str) -> Run {
        self.step(&["pull", &self.site.name(name)])
    }

    /// The pull fails and says this; nothing of it stays, and the good image is still served.
    fn refuses(&self, name: &str, says: &[&str]) -> Outcome<Done> {
        let done = self.pull(name).run()?;
        self.is_refused(done, says)
    }

    fn is_refused(&self, done: Done, says: &[&str]) -> Outcome<Done> {
        let mut done = done.code(125)?;
        for text in says {
            done = done.stderr_has(text)?;
        }
        assert_eq!(tree(&self.sandbox.data())?, self.before, "the store is as it was");
        self.step(&["inspect", &self.site.name("good")]).run()?.ok()?;
        let again = self.pull("good").run()?.ok()?;
        assert!(again.stdout.contains("Already exists") && again.stdout.contains("up to date"), "{}", again.stdout);
        Ok(done)
    }
}

/// Everything in the store, by path, without what is only there for a moment.
fn tree(data: &Path) -> Outcome<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![data.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The directory of the only layer of an image.
fn layer_of(place: &Place, name: &str) -> Outcome<PathBuf> {
    let shown = place.step(&["inspect", &place.site.name(name)]).run()?.ok()?.stdout;
    let json: serde_json::Value = serde_json::from_str(&shown)?;
    let lowers = json[0]["GraphDriver"]["Data"]["LowerDir"].as_str().unwrap().to_owned();
    Ok(lowers.split(':').next().unwrap().into())
}

fn wrong_digest() -> Outcome {
    let place = Place::new()?;
    let good = Layer::gzip(files(&[("a", "one")]));
    let evil = Layer::gzip(files(&[("a", "two")]));
    put(&place.site, "evil", std::slice::from_ref(&good));
    place.site.set(&blob("evil", &good.digest), Route::new(evil.blob.clone()));
    assert_eq!(good.blob.len(), evil.blob.len());
    place.refuses("evil", &["the digest is wrong", &format!("expected {}, got {}", good.digest, evil.digest)])?;
    // Rubbish is a wrong blob first of all, whatever it does to the decompressor.
    place.site.set(&blob("evil", &good.digest), Route::new(vec![b'x'; good.blob.len()]));
    place.refuses("evil", &["the digest is wrong", &good.digest])?;
    Ok(())
}

fn wrong_size() -> Outcome {
    let place = Place::new()?;
    let honest = Layer::gzip(files(&[("a", "one")]));
    for lie in [-3_isize, 3] {
        let layer = Layer { size: honest.size.checked_add_signed(lie).unwrap(), ..honest.clone() };
        put(&place.site, "evil", std::slice::from_ref(&layer));
        let wanted = format!("expected {} bytes, got {}", layer.size, honest.size);
        place.refuses("evil", &["the size is wrong", &wanted])?;
    }
    // Content-Length agrees with the manifest, and the body with neither.
    put(&place.site, "evil", std::slice::from_ref(&honest));
    place.site.change(&blob("evil", &honest.digest), |route| {
        route.length = Some(route.body.len());
        route.body.truncate(20);
    });
    place.refuses("evil", &["ended early"])?;
    Ok(())
}

fn wrong_diff_id() -> Outcome {
    let place = Place::new()?;
    let layer = Layer { diff_id: sha256(b"another"), ..Layer::gzip(files(&[("a", "one")])) };
    put(&place.site, "evil", std::slice::from_ref(&layer));
    let got = format!("expected {}, got {}", layer.diff_id, sha256(&layer.tar));
    place.refuses("evil", &["the unpacked layer", &got])?;
    // Of several layers one is wrong: the others are not seen either.
    let fine = Layer::gzip(files(&[("b", "fine")]));
    put(&place.site, "evil", &[fine, layer]);
    let done = place.pull("evil").run()?.code(125)?.stderr_has("the unpacked layer")?;
    assert!(!done.stdout.contains("Digest:"), "{}", done.stdout);
    place.step(&["inspect", &place.site.name("evil")]).run()?.code(1)?.stderr_has("there is no image")?;
    Ok(())
}

fn wrong_manifest() -> Outcome {
    let place = Place::new()?;
    let digest = put(&place.site, "evil", &[Layer::gzip(files(&[("a", "one")]))]);
    place.site.change(&manifest("evil", &digest), |route| route.body.push(b' '));
    place.refuses(&format!("evil@{digest}"), &["the digest is wrong", &digest])?;
    place.site.change(&manifest("evil", "latest"), |route| route.body = vec![b' '; (4 << 20) + 1]);
    place.refuses("evil", &["larger than 4 MiB"])?;
    place.site.set(&manifest("evil", "latest"), Route::new("<html>hello</html>").header("Content-Type", "text/html"));
    place.refuses("evil", &["malformed"])?;
    place.site.set(&manifest("evil", "latest"), Route::new("{}").header("Docker-Content-Digest", digest.clone()));
    place.refuses("evil", &["the digest is wrong", &digest])?;
    place.refuses("nothing", &["was not found", "unknown here", "check the name"])?;
    Ok(())
}

fn archives_that_want_out() -> Outcome {
    let place = Place::new()?;
    let outside = place.sandbox.file("outside", "untouched")?;
    let target = outside.to_str().unwrap();
    let directory = outside.parent().unwrap().to_str().unwrap();
    use EntryType::{Link, Regular, Symlink};
    for (entries, says) in [
        (vec![(Regular, "../outside", "gotcha")], "leads out"),
        (vec![(Regular, "a/../../outside", "gotcha")], "leads out"),
        (vec![(Link, "hard", "../../../../outside")], "leads out"),
        (vec![(Link, "hard", target)], "which no layer has"),
        (vec![(Symlink, "out", directory), (Link, "hard", "out/outside")], "which no layer has"),
        (vec![(Regular, ".wh.", "")], "names nothing"),
        (vec![(Regular, ".wh...", "")], "names nothing"),
        (vec![(Symlink, "loop", "loop"), (Regular, "loop/x", "")], "ELOOP"),
    ] {
        put(&place.site, "evil", &[Layer::gzip(tar(&entries))]);
        place.refuses("evil", &[says])?;
        assert_eq!(std::fs::read_to_string(&outside)?, "untouched");
        place.step(&["rmi", "--force", &place.site.name("evil")]).run()?.code(1)?;
    }
    // A link out, and a file through it: it leads to a place inside, if to any.
    let entries = [(Symlink, "out", "/etc"), (EntryType::Directory, "etc", ""), (Regular, "out/passwd", "inside")];
    put(&place.site, "tricky", &[Layer::gzip(tar(&entries))]);
    place.pull("tricky").run()?.ok()?;
    assert_eq!(std::fs::read_to_string(layer_of(&place, "tricky")?.join("etc/passwd"))?, "inside");
    Ok(())
}

fn bombs() -> Outcome {
    let place = Place::new()?;
    let zeros = Layer::gzip(files(&[("zeros", &"\0".repeat(5 << 20))]));
    put(&place.site, "bomb", &[zeros]);
    let pull = || place.pull("bomb").env("COOPER_UNPACK_BYTES", "1000000");
    place.is_refused(pull().run()?, &["too many bytes", "COOPER_UNPACK_BYTES"])?;
    let many: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
    put(&place.site, "many", &[Layer::gzip(files(&many))]);
    place.is_refused(place.pull("many").env("COOPER_UNPACK_FILES", "49").run()?, &["too many files"])?;
    place.pull("bomb").run()?.ok()?;
    Ok(())
}

fn stalls() -> Outcome {
    let place = Place::new()?;
    let layer = Layer::gzip(files(&[("a", "some text that does not come")]));
    put(&place.site, "slow", std::slice::from_ref(&layer));
    place.site.change(&blob("slow", &layer.digest), |route| route.stall = Some(10));
    place.refuses("slow", &["said nothing for too long", "pull again"])?;
    place.site.change(&manifest("slow", "latest"), |route| route.stall = Some(0));
    place.refuses("slow", &["said nothing for too long"])?;
    Ok(())
}

/// Text that does not compress well, so that a layer has several pieces.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + ((state >> 33) % 90) as u8)
    };
    (0..length).map(|_| next()).collect()
}

fn resumes() -> Outcome {
    let place = Place::new()?;
    let text = noise(100_000);
    for ranges in [true, false] {
        let layer = Layer::gzip(files(&[("a", &text), (if ranges { "r" } else { "s" }, "")]));
        let name = if ranges { "ranges" } else { "whole" };
        put(&place.site, name, std::slice::from_ref(&layer));
        // With ranges each try brings a piece; without, the second one must be whole.
        place.site.change(&blob(name, &layer.digest), |route| (route.ranges, route.cut) = (ranges, Some(30_000)));
        if !ranges {
            let site = &place.site;
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(300));
                    site.change(&blob(name, &layer.digest), |route| route.cut = None);
                });
                place.pull(name).run()?.ok()
            })?;
        } else {
            place.pull(name).run()?.ok()?;
        }
        assert_eq!(std::fs::read_to_string(layer_of(&place, name)?.join("a"))?, text);
    }
    let asked = place.site.log().iter().filter(|line| line.contains("/ranges/blobs/")).count();
    assert!(asked >= 4, "{:?}", place.site.log());
    Ok(())
}

fn odd_layers() -> Outcome {
    let place = Place::new()?;
    let base = Layer::gzip(files(&[("etc/kept", "kept"), ("etc/gone", "gone"), ("shared", "text")]));
    let plain = files(&[("etc/.wh.gone", ""), ("plain", "")]);
    let plain = Layer::packed(plain.clone(), plain, "application/vnd.oci.image.layer.v1.tar");
    let entries = tar(&[(EntryType::Link, "second", "shared")]);
    let zstd = ruzstd::encoding::compress_to_vec(&entries[..], ruzstd::encoding::CompressionLevel::Fastest);
    let zstd = Layer::packed(entries, zstd, "application/vnd.oci.image.layer.v1.tar+zstd");
    let empty = Layer::gzip(files(&[]));
    let members = files(&[("members", "m")]);
    let halves = [gzip(&members[..700]), gzip(&members[700..])].concat();
    let members = Layer::packed(members, halves, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    put(&place.site, "odd", &[base, plain, zstd, empty.clone(), members, empty]);
    let done = place.pull("odd").run()?.ok()?;
    assert_eq!(done.stdout.matches("Pull complete").count(), 6, "{}", done.stdout);
    let shown = place.step(&["inspect", &place.site.name("odd")]).run()?.ok()?.stdout;
    let json: serde_json::Value = serde_json::from_str(&shown)?;
    let lowers: Vec<PathBuf> =
        json[0]["GraphDriver"]["Data"]["LowerDir"].as_str().unwrap().split(':').map(PathBuf::from).collect();
    assert_eq!(lowers.len(), 6, "topmost first");
    assert_eq!(std::fs::read_to_string(lowers[3].join("second"))?, "text", "a hard link to a lower layer");
    assert_eq!(std::fs::read_to_string(lowers[1].join("members"))?, "m");
    let whiteout = std::fs::symlink_metadata(lowers[4].join("etc/gone"))?;
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&whiteout.file_type()));
    // The same blob twice in one manifest is fetched once.
    let asked = place.site.log().iter().filter(|line| line.contains(&sha256(&gzip(&files(&[]))))).count();
    assert_eq!(asked, 1);
    // Without the image its layers go, and the good one's stay.
    place.step(&["rmi", &place.site.name("odd")]).run()?.ok()?;
    assert_eq!(tree(&place.sandbox.data())?, place.before);
    Ok(())
}

fn platforms() -> Outcome {
    let place = Place::new()?;
    let mut entries = Vec::new();
    for (architecture, text) in [("arm64", "arm"), ("amd64", "amd"), ("unknown", "statement")] {
        let digest = put_for(&place.site, "multi", &[Layer::gzip(files(&[("which", text)]))], architecture);
        entries.push((architecture, digest));
    }
    let size = |digest: &str| {
        // The documents were made here: their length is what the site serves.
        let mut length = 0;
        place.site.change(&manifest("multi", digest), |route| length = route.body.len());
        length
    };
    let manifests: Vec<_> = entries
        .iter()
        .map(|(architecture, digest)| {
            let os = if *architecture == "unknown" { "unknown" } else { "linux" };
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size(digest),
                   "platform": {"os": os, "architecture": architecture}})
        })
        .collect();
    let index =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests});
    let digest = put_document(&place.site, "multi", &index);
    let name = place.site.name("multi");
    for (platform, text) in [("linux/amd64", "amd"), ("linux/arm64/v8", "arm")] {
        let done = place.step(&["pull", "--platform", platform, &name]).run()?.ok()?;
        assert!(done.stdout.contains(&format!("Digest: {digest}")), "{}", done.stdout);
        assert_eq!(std::fs::read_to_string(layer_of(&place, "multi")?.join("which"))?, text);
    }
    let done = place.step(&["pull", "--platform", "linux/s390x", &name]).run()?.code(125)?;
    done.stderr_has("no image for linux/s390x")?.stderr_has("it has linux/arm64, linux/amd64")?;
    // By the digest of the index it is found here again.
    place.step(&["inspect", &format!("{name}@{digest}")]).run()?.ok()?;
    Ok(())
}

fn secrets() -> Outcome {
    let place = Place::new()?;
    let (storage, tokens) = (Site::start(), Site::start());
    let layer = Layer::gzip(files(&[("private", "")]));
    let digest = put(&place.site, "private", std::slice::from_ref(&layer));
    let challenge =
        format!(r#"Bearer realm="http://{}/token",service="s",scope="repository:private:pull""#, tokens.address);
    for path in [manifest("private", "latest"), manifest("private", &digest), blob("private", &layer.digest)] {
        place.site.change(&path, |route| {
            route.secret = Some("Bearer t0ken".into());
            *route = route.clone().header("WWW-Authenticate", challenge.clone());
        });
    }
    // ada:secret
    let auths = json!({"auths": {place.site.address.clone(): {"auth": "YWRhOnNlY3JldA=="}}});
    let config = place.sandbox.file("docker/config.json", auths.to_string())?;
    // The layer lies with somebody else, who must not see the token.
    storage.set("/data", Route::new(layer.blob.clone()));
    place.site.change(&blob("private", &layer.digest), |route| {
        route.status = 307;
        *route = route.clone().header("Location", format!("http://{}/data", storage.address));
    });
    tokens.set("/token", Route::new(r#"{"access_token":"t0ken"}"#));
    let pull = || place.pull("private").env("DOCKER_CONFIG", config.parent().unwrap());
    pull().run()?.ok()?;
    assert_eq!(storage.log(), ["GET /data"], "no Authorization for a stranger");
    assert_eq!(tokens.log(), ["GET /token?service=s&scope=repository:private:pull Basic YWRhOnNlY3JldA=="]);
    // A realm that is not encrypted is not asked at all.
    place.site.change(&manifest("private", "latest"), |route| {
        route.headers.retain(|(name, _)| name != "WWW-Authenticate");
        *route = route.clone().header("WWW-Authenticate", r#"Bearer realm="http://tokens.invalid/token""#);
    });
    pull().run()?.code(125)?.stderr_has("not encrypted")?;
    // Without a login there is a hint how to get one.
    place.site.change(&manifest("private", "latest"), |route| {
        route.headers.retain(|(name, _)| name != "WWW-Authenticate");
        *route = route.clone().header("WWW-Authenticate", "Basic realm=x");
    });
    place.pull("private").env("DOCKER_CONFIG", "/nonexistent").run()?.code(125)?.stderr_has("docker login")?;
    Ok(())
}

fn too_many_requests() -> Outcome {
    let place = Place::new()?;
    let route =
        Route::status(429, "{}").header("RateLimit-Limit", "100;w=21600").header("RateLimit-Remaining", "0;w=21600");
    place.site.set(&manifest("busy", "latest"), route.header("Retry-After", "120"));
    place.refuses("busy", &["0 of 100 in 6 hours remain", "try again in 2 minutes", "run host sh"])?;
    place
        .site
        .set(&manifest("busy", "latest"), Route::status(503, r#"{"errors":[{"message":"out of \u001b[31morder"}]}"#));
    let done = place.refuses("busy", &["out of [31morder", "try again later"])?;
    assert!(!done.stderr.contains("\u{1b}[31morder"), "a registry paints nobody's terminal");
    Ok(())
}

fn no_image() -> Outcome {
    let place = Place::new()?;
    put_document(&place.site, "old", &json!({"schemaVersion": 1, "fsLayers": []}));
    place.refuses("old", &["schema 1"])?;
    let layer = Layer::packed(vec![], vec![1], "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    put(&place.site, "foreign", &[layer]);
    place.refuses("foreign", &["not in the registry"])?;
    put(
        &place.site,
        "encrypted",
        &[Layer::packed(vec![], vec![1], "application/vnd.oci.image.layer.v1.tar+gzip+encrypted")],
    );
    place.refuses("encrypted", &["encrypted"])?;
    let chart = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": sha256(b""), "size": 0}});
    put_document(&place.site, "chart", &chart);
    place.refuses("chart", &["no container image", "helm"])?;
    for bad in ["UPPER", "a//b", "a:b:c"] {
        place.step(&["pull", bad]).run()?.code(2)?;
    }
    Ok(())
}

fn killed() -> Outcome {
    let place = Place::new()?;
    let layers: Vec<_> = ["a", "b", "c", "d"].map(|name| Layer::gzip(files(&[(name, &noise(200_000))]))).into();
    put(&place.site, "big", &layers);
    for layer in &layers {
        place.site.change(&blob("big", &layer.digest), |route| route.pause = Duration::from_millis(10));
    }
    for moment in [5, 40, 100, 200, 350, 500] {
        let pull = place.pull("big").spawn()?;
        std::thread::sleep(Duration::from_millis(moment));
        pull.signal(Signal::SIGKILL)?;
        pull.wait()?;
        let shown = place.step(&["images", "--quiet"]).run()?.ok()?.stdout;
        assert_eq!(shown.lines().count(), 1, "only the good one: {shown}");
        place.step(&["inspect", &place.site.name("good")]).run()?.ok()?;
    }
    let done = place.pull("big").run()?.ok()?;
    assert_eq!(done.stdout.matches("Pull complete").count(), 4, "{}", done.stdout);
    assert_eq!(std::fs::read_dir(place.sandbox.data().join("tmp"))?.count(), 0, "what was left is gone");
    place.step(&["rmi", &place.site.name("big")]).run()?.ok()?;
    assert_eq!(tree(&place.sandbox.data())?, place.before);
    Ok(())
}

fn two_at_once() -> Outcome {
    let place = Place::new()?;
    let layers: Vec<_> = ["a", "b"].map(|name| Layer::gzip(files(&[(name, &noise(100_000))]))).into();
    put(&place.site, "both", &layers);
    for layer in &layers {
        place.site.change(&blob("both", &layer.digest), |route| route.pause = Duration::from_millis(3));
    }
    let (one, other) = (place.pull("both").spawn()?, place.pull("both").spawn()?);
    one.wait()?.ok()?;
    other.wait()?.ok()?;
    assert_eq!(std::fs::read_dir(place.sandbox.data().join("tmp"))?.count(), 0);
    place.step(&["inspect", &place.site.name("both")]).run()?.ok()?;
    Ok(())
}
