//! Where an image is fetched from, and as whom: registries.conf, credentials, helpers.

mod credentials;
#[path = "../site/image.rs"]
#[allow(dead_code)]
mod image;
mod mirrors;
#[path = "../site/mod.rs"]
#[allow(dead_code)]
mod site;

use harness::Suite;

fn main() {
    Suite::new()
        .user("mirrors first, then the registry", mirrors::mirrors)
        .user("a mirror that breaks in the middle", mirrors::broken)
        .user("mirrors for digests only", mirrors::digests)
        .user("what is blocked, and what cannot be read", mirrors::blocked)
        .user("short names and the user's own files", mirrors::short_names)
        .user("a credential helper", credentials::helper)
        .user("credentials of one repository", credentials::repository)
        .user("a login without a password", credentials::identity)
        .run();
}
