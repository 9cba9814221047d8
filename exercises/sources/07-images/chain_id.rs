//! The name of a layer and all below it.
//!
//! A layer's *diff id* is the digest of its archive, unpacked: it says what the layer itself changes. What a directory
//! looks like after it also depends on the layers below. So the OCI has a second name, the *chain id*, for a layer
//! together with all below it. Engines name their unpacked layers by it: containerd its snapshots, Docker its
//! directories, the book's store those in `layers/`.
//!
//! `chain_id DIFF-ID…` is given the diff ids of an image, the lowest layer first. It prints the chain id of each, a
//! line each. Write [`chain_ids`].
//!
//! By hand: `cargo run -p lab07 --bin chain_id -- $(printf %s one | sha256sum | sed 's/^/sha256:/; s/ .*//')`.
//! Read: the book, chapter 7, "Reading the documents"; the OCI image specification, config.md, "Layer ChainID".

//@ starter
#![allow(unused, reason = "until the gap is filled")]

//@ solution
//@ end
use sha2::{Digest, Sha256};

fn main() {
    let diff_ids: Vec<String> = std::env::args().skip(1).collect();
    for id in chain_ids(&diff_ids) {
        println!("{id}");
    }
}

/// `sha256:` and 64 hexadecimal digits: the digest of these bytes.
fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The chain id of each layer; the lowest layer is the first.
fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    //@ starter
    todo!("one chain id for each of {} layers, made with digest()", diff_ids.len())
    //@ solution
    let mut chain: Vec<String> = Vec::new();
    for id in diff_ids {
        chain.push(match chain.last() {
            Some(below) => digest(format!("{below} {id}").as_bytes()),
            None => id.clone(),
        });
    }
    chain
    //@ wrong lowest-is-hashed
    let mut below = String::new();
    let next = |id: &String| {
        below = digest(format!("{below} {id}").trim().as_bytes());
        below.clone()
    };
    diff_ids.iter().map(next).collect()
    //@ wrong without-algorithm
    let mut chain: Vec<String> = Vec::new();
    for id in diff_ids {
        chain.push(match chain.last() {
            Some(below) => digest(format!("{below} {id}").replace("sha256:", "").as_bytes()),
            None => id.clone(),
        });
    }
    chain
    //@ wrong diff-ids-only
    let pairs = diff_ids.windows(2).map(|pair| digest(format!("{} {}", pair[0], pair[1]).as_bytes()));
    diff_ids.first().cloned().into_iter().chain(pairs).collect()
    //@ end
}
