//! What an image says of its files is what a container has: compared with umoci and buildah, file by file.

mod archive;
mod both;
#[path = "../site/image.rs"]
#[allow(dead_code)] // each test file takes its part
mod image;
mod one;
mod ordinary;
mod several;
#[path = "../site/mod.rs"]
#[allow(dead_code)]
mod site;
mod tree;

use harness::Suite;

fn main() {
    let needs = &["busybox", "skopeo", "umoci", "buildah"];
    Suite::new()
        .root("modes, owners, attributes and times", || one::same_by_all(one::described()))
        .needs(needs)
        .root("names: long ones, and any bytes", || one::same_by_all(one::named()))
        .needs(needs)
        .root("hard links", || one::same_by_all(one::linked()))
        .needs(needs)
        .root("hard links whose own description is another", || one::same(one::linked_in_passing()))
        .needs(needs)
        .root("sparse files", one::sparse)
        .needs(needs)
        .root("later entries replace earlier ones", || one::same(one::replaced()))
        .needs(needs)
        .root("whiteouts and opaque directories in either order", several::whiteouts)
        .needs(needs)
        .root("hard links to a layer below", several::across)
        .needs(needs)
        .root("120 layers", several::many)
        .needs(needs)
        .root("an ordinary user: all but devices", ordinary::same)
        .needs(needs)
        .needs(&["userns", "subuid"])
        .root("an ordinary user: beside umoci", ordinary::beside_umoci)
        .needs(needs)
        .needs(&["userns", "subuid"])
        .root("an ordinary user: owners beyond the range of ids", ordinary::ids_out_of_range)
        .needs(&["busybox", "userns", "subuid"])
        .run();
}
