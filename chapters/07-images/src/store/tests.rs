use oci_spec::image::{Descriptor, MediaType};
use process::Kind;
use serde_json::json;

use super::*;
use crate::{Reference, digest};

/// An image without layers, which is all that names are about.
fn put(store: &Store, text: &str) -> Descriptor {
    let work = store.work().unwrap();
    let config =
        json!({"architecture": "amd64", "os": "linux", "author": text, "rootfs": {"type": "layers", "diff_ids": []}});
    let config = store.write_blob(work.path(), MediaType::ImageConfig, config.to_string().as_bytes()).unwrap();
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": config.media_type().as_ref(), "digest": config.digest().as_ref(), "size": config.size()}, "layers": []});
    store.write_blob(work.path(), MediaType::ImageManifest, manifest.to_string().as_bytes()).unwrap()
}

fn names(store: &Store) -> Vec<Vec<String>> {
    store.images().unwrap().iter().map(|image| image.names.iter().map(Reference::familiar).collect()).collect()
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

#[test]
fn names_move_and_nameless_images_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path()).unwrap();
    let (one, two) = (put(&store, "one"), put(&store, "two"));
    store.record(&reference("a"), &one).unwrap();
    store.record(&reference("b"), &one).unwrap();
    assert_eq!(names(&store), [["a:latest", "b:latest"]]);
    store.record(&reference("a"), &two).unwrap();
    store.record(&reference("b"), &two).unwrap();
    let all = names(&store);
    assert!(all.contains(&vec![]) && all.contains(&vec!["a:latest".into(), "b:latest".into()]), "{all:?}");
    // The nameless one is found by its ID, and has a name again when it is given one.
    let nameless = store.images().unwrap().into_iter().find(|image| image.names.is_empty()).unwrap();
    let found = store.find(digest::short(nameless.id())).unwrap();
    store.record(&reference("c"), &found.descriptor).unwrap();
    assert_eq!(names(&store).len(), 2);
    assert!(names(&store).contains(&vec!["c:latest".into()]));
}

#[test]
fn images_are_found_by_what_people_type() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path()).unwrap();
    let one = put(&store, "one");
    store.record(&reference("r.example/a:1"), &one).unwrap();
    let image = store.find("r.example/a:1").unwrap();
    for text in [image.id().as_ref(), digest::hex(image.id()), digest::short(image.id()), digest::short(one.digest())] {
        assert_eq!(store.find(text).unwrap().id(), image.id(), "{text}");
    }
    let pinned = format!("r.example/a@{}", one.digest());
    assert_eq!(store.find(&pinned).unwrap().id(), image.id());
    let elsewhere = format!("r.example/b@{}", one.digest());
    assert_eq!(store.find(&elsewhere).unwrap_err().kind(), Kind::NotFound);
    for text in ["r.example/a", "ubuntu", "0000000", "sha256:00"] {
        assert_eq!(store.find(text).unwrap_err().kind(), Kind::NotFound, "{text}");
    }
    assert_eq!(store.find("").unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn the_layout_is_an_oci_layout() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path()).unwrap();
    store.record(&reference("ubuntu"), &put(&store, "x")).unwrap();
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(store.layout().join(name)).unwrap()).unwrap()
    };
    assert_eq!(read("oci-layout")["imageLayoutVersion"], "1.0.0");
    let entry = &read("index.json")["manifests"][0];
    assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "docker.io/library/ubuntu:latest");
    // Opened again it is the same, and a half-written file of a dead process changes nothing.
    std::fs::write(store.layout().join("index.1.tmp"), "{").unwrap();
    assert_eq!(names(&Store::at(dir.path()).unwrap()), [["ubuntu:latest"]]);
}

#[test]
fn what_nobody_needs_is_swept_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path()).unwrap();
    let (one, two) = (put(&store, "one"), put(&store, "two"));
    store.record(&reference("a"), &one).unwrap();
    let hold = store.hold().unwrap();
    store.sweep().unwrap();
    assert!(store.has_blob(&two), "somebody holds the store");
    drop(hold);
    store.sweep().unwrap();
    assert!(store.has_blob(&one) && !store.has_blob(&two));
    assert_eq!(store.remove("a", false).unwrap()[0], Removed::Untagged("a:latest".into()));
    assert!(!store.has_blob(&one));
}

#[test]
fn a_damaged_blob_is_noticed_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path()).unwrap();
    let one = put(&store, "one");
    store.record(&reference("a"), &one).unwrap();
    let path = store.blob_path(one.digest());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(store.load(&one).unwrap_err().kind(), Kind::Corrupt);
    // What cannot be read might need anything: nothing is swept.
    let other = put(&store, "two");
    store.sweep().unwrap();
    assert!(store.has_blob(&other));
    put(&store, "one");
    store.load(&one).unwrap();
}

#[test]
fn work_of_the_dead_is_swept_and_work_of_the_living_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path()).unwrap();
    let mine = store.work().unwrap();
    let dead = dir.path().join("tmp/999-0");
    std::fs::create_dir_all(dead.join("0/diff")).unwrap();
    let other = store.work().unwrap();
    assert!(!dead.exists() && mine.path().exists() && other.path() != mine.path());
    drop((mine, other));
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}
