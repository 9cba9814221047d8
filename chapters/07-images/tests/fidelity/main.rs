//! What an image says of its files is what a container has: compared with umoci, file by file.

mod archive;
mod both;
#[path = "../site/image.rs"]
#[allow(dead_code)] // each test file takes its part
mod image;
mod one;
mod several;
#[path = "../site/mod.rs"]
#[allow(dead_code)]
mod site;
mod tree;

use harness::Suite;

fn main() {
    let needs = &["busybox", "skopeo", "umoci"];
    Suite::new()
        .root("modes, owners, attributes and times", || one::same(one::described()))
        .needs(needs)
        .root("names: long ones, and any bytes", || one::same(one::named()))
        .needs(needs)
        .root("hard links", || one::same(one::linked()))
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
        .run();
}
