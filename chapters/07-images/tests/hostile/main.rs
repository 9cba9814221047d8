//! Registries that lie, break and stall: each time a clear error, and a store that is as it was.

mod archives;
mod choice;
mod connections;
#[path = "../site/image.rs"]
mod image;
mod lies;
mod moments;
#[path = "../site/place.rs"]
mod place;
mod secrets;
#[path = "../site/mod.rs"]
mod site;

use harness::Suite;

fn main() {
    Suite::new()
        .user("a wrong digest", lies::wrong_digest)
        .user("a wrong size", lies::wrong_size)
        .user("a wrong diff_id", lies::wrong_diff_id)
        .user("a wrong manifest", lies::wrong_manifest)
        .user("archives that want out", archives::archives_that_want_out)
        .user("bombs", archives::bombs)
        .user("a registry that stalls", connections::stalls)
        .user("a connection that breaks is taken up again", connections::resumes)
        .user("odd but honest layers", archives::odd_layers)
        .user("an index: platforms and attestations", choice::platforms)
        .user("tokens and passwords reach nobody else", secrets::secrets)
        .user("too many requests", connections::too_many_requests)
        .user("a registry that trickles", connections::trickles)
        .user("trouble that passes is waited for", connections::tries_again)
        .user("garbage instead of HTTP", connections::garbage)
        .user("documents of 100 MB and 10,000 levels", lies::too_much)
        .user("redirects to where nobody should go", secrets::redirects)
        .user("a token that expires", secrets::expired)
        .user("what is no image is refused", lies::no_image)
        .user("kill -9 in the middle of a pull", moments::killed)
        .user("two pulls at once", moments::two_at_once)
        .run();
}
