//! A name taken apart: registry, repository, tag, digest.

use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("names without a port or a digest", plain),
    Check::new("a registry with a port", port),
    Check::new("names with a digest", digest),
    Check::new("docker.io, written out or left out", hub),
];

/// The name, and its registry, repository, tag and digest.
fn parts(lab: &Lab, name: &str, parts: [&str; 4], note: &str) -> Verdict {
    let lines = |[registry, repository, tag, digest]: [&str; 4]| {
        format!("registry {registry}\nrepository {repository}\ntag {tag}\ndigest {digest}")
    };
    let done = lab.run(&[name])?;
    let (expected, seen) = (lines(parts), done.stdout.trim());
    if seen == expected {
        return Ok(());
    }
    let seen = if seen.is_empty() { format!("exit code {}: {}", done.code, done.stderr) } else { seen.to_owned() };
    Err(Failure::wrong(format_args!("the parts of `{name}`"), expected, seen).note(note))
}

fn plain(lab: &Lab) -> Verdict {
    let (word, number) = (lab.nonce(), lab.number(1000, 9999).to_string());
    let digits = "A tag may consist of digits, and a port is never the last part of a name: what decides is whether a \
                  slash follows the colon.";
    let hub = format!("library/{word}");
    parts(lab, &format!("{word}:{number}"), ["docker.io", &hub, &number, "-"], digits)?;
    let name = format!("registry.example/team/{word}");
    parts(lab, &name, ["registry.example", &format!("team/{word}"), "latest", "-"], "Without a tag it is `latest`.")
}

fn port(lab: &Lab) -> Verdict {
    let (word, port) = (lab.nonce(), lab.number(2000, 65000));
    let note = "The colon of a port has a slash somewhere behind it; what follows a tag's colon has no slash.";
    let registry = format!("localhost:{port}");
    parts(lab, &format!("{registry}/{word}"), [&registry, &word, "latest", "-"], note)?;
    let (registry, tag) = (format!("192.0.2.7:{port}"), format!("v1.{port}"));
    let path = format!("team/{word}");
    parts(lab, &format!("{registry}/{path}:{tag}"), [&registry, &path, &tag, "-"], note)
}

fn digest(lab: &Lab) -> Verdict {
    let word = lab.nonce();
    let hex: String = (0..8).map(|_| format!("{:08x}", lab.number(0, u32::MAX - 1))).collect();
    let digest = format!("sha256:{hex}");
    let colon = "A digest has a colon of its own: cut it off, at the @, before you look for a tag.";
    let path = format!("library/{word}");
    parts(lab, &format!("{word}:24.04@{digest}"), ["docker.io", &path, "24.04", &digest], colon)?;
    let none = "With a digest no tag is filled in: the digest alone says which image is meant.";
    parts(lab, &format!("{word}@{digest}"), ["docker.io", &path, "-", &digest], none)?;
    let (registry, port) =
        (format!("localhost:{}", lab.number(2000, 65000)), "Here is a port, and a digest, and no tag.");
    parts(lab, &format!("{registry}/{word}@{digest}"), [&registry, &word, "-", &digest], port)
}

fn hub(lab: &Lab) -> Verdict {
    let (word, tag) = (lab.nonce(), lab.nonce());
    let note = "Images of one word on docker.io lie below `library/`, also if the registry is written out.";
    let path = format!("library/{word}");
    parts(lab, &format!("docker.io/{word}:{tag}"), ["docker.io", &path, &tag, "-"], note)?;
    let team = format!("team/{word}");
    parts(lab, &team, ["docker.io", &team, "latest", "-"], "`team` has no dot and no colon, so it is no registry.")?;
    let local = "`localhost` is a registry, as if it had a dot; `library/` belongs to docker.io only.";
    parts(lab, &format!("localhost/{word}"), ["localhost", &word, "latest", "-"], local)
}
