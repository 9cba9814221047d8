//! A disk that is full, a pull that is killed at any moment, and archives that are meant to exhaust something: each
//! time a clear error, nothing outside touched, and a store that serves what it served before.

#[path = "../fidelity/archive.rs"]
#[allow(dead_code)] // each test file takes its part
mod archive;
mod bombs;
mod full;
#[path = "../site/image.rs"]
#[allow(dead_code)]
mod image;
mod killed;
mod memory;
#[path = "../site/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "../site/mod.rs"]
#[allow(dead_code)]
mod site;

use harness::Suite;

fn main() {
    Suite::new()
        .user("extended headers that play tricks", bombs::tricks)
        .user("depth by way of links", bombs::depth)
        .user("more bytes than a blob of its size can have", bombs::ratio)
        .user("a window that would fill the memory", memory::window)
        .user("two layers of a gigabyte in 64 MB", memory::gigabytes)
        .root("a full disk", full::bytes)
        .root("a disk without room for one more file", full::inodes)
        .user("kill -9 at fifty moments", killed::fifty_times)
        .run();
}
