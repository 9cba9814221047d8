//! Where an image is fetched from, and as whom: registries.conf, credentials, helpers.

mod credentials;
#[path = "../site/image.rs"]
#[allow(dead_code)]
mod image;
mod mirrors;
mod private;
#[path = "../site/mod.rs"]
#[allow(dead_code)]
mod site;
mod unchanged;

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
        .user("what has not changed is asked for by HEAD alone", unchanged::unchanged)
        .user("registries that do not answer HEAD well", unchanged::without_head)
        .root("redirects to names of private addresses", private::names)
        .needs(&["ip", "mount"])
        .run();
}
