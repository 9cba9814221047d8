//! A port is no tag.
//!
//! Before an engine can ask a registry for anything, it must take the name apart that a person typed:
//! `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]`. What is left out is filled in: the registry is `docker.io`, images of
//! one word on Docker Hub lie below `library/`, and the tag is `latest` if neither a tag nor a digest is given.
//!
//! This program prints the four parts of a name, a line each, and `-` for a part that there is not. It was tried with
//! `ubuntu` and `ghcr.io/team/app:1`, and it was found good. It is wrong for private registries
//! (`localhost:5000/image`), for pinned images (`ubuntu:24.04@sha256:…`) and for `docker.io/ubuntu`. Mend [`parse`].
//!
//! By hand: `cargo run -p lab07 --bin reference -- localhost:5000/image`.
//! Read: the book, chapter 7, "Names".

/// What a name means.
struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

fn main() {
    let text = std::env::args().nth(1).expect("reference NAME");
    let Reference { registry, repository, tag, digest } = parse(&text);
    println!("registry {registry}");
    println!("repository {repository}");
    println!("tag {}", tag.as_deref().unwrap_or("-"));
    println!("digest {}", digest.as_deref().unwrap_or("-"));
}

/// Takes a name apart, and fills in what is left out.
fn parse(text: &str) -> Reference {
    let (rest, tag) = match text.rsplit_once(':') {
        Some((rest, tag)) => (rest, tag),
        None => (text, "latest"),
    };
    let (name, digest) = match rest.split_once('@') {
        Some((name, digest)) => (name, Some(digest.to_owned())),
        None => (rest, None),
    };
    let (registry, repository) = split_registry(name);
    Reference { registry, repository, tag: Some(tag.to_owned()), digest }
}

/// The registry and the repository of a name without tag and digest.
fn split_registry(name: &str) -> (String, String) {
    let is_registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
    match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first.to_owned(), rest.to_owned()),
        Some(_) => ("docker.io".to_owned(), name.to_owned()),
        None => ("docker.io".to_owned(), format!("library/{name}")),
    }
}
