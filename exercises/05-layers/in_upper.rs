//! What stands in `upper`?
//!
//! A layer has these files, all with something in them, and directories with a file `x` in each:
//!
//! ```text
//! read  mode  open  old  one  gone  deep/x  tree/x  again/x  dir/x
//! ```
//!
//! An overlay is mounted on it as the book's engine does it. In the merged directory a shell runs the commands below,
//! each once. Then the overlay is unmounted, and you look into the upper directory. What stands at the place that the
//! question names? Answer with one of
//!
//! - `nothing`
//! - `file`
//! - `whiteout`
//! - `directory`, if the layer's directory at its place is still seen through it
//! - `opaque`, for a directory that hides the layer's
//!
//! and, where a number of bytes is asked for, with that number. `in_upper` prints your answers; the check does all of
//! it.
//!
//! Read: the book, chapter 5, "The first write: copy-up" and "The first deletion: whiteouts".

/// A question, and your answer.
const ANSWERS: [(&str, &str); 12] = [
    ("cat read: upper/read", "?"),
    ("chmod 600 mode: upper/mode", "?"),
    ("chmod 600 mode (a file of 100000 bytes): the bytes of upper/mode", "?"),
    ("exec 3>> open (opens it and writes nothing): upper/open", "?"),
    ("mv old new: upper/old", "?"),
    ("mv old new: upper/new", "?"),
    ("ln one two (a hard link): upper/one", "?"),
    ("mv dir moved (mv does that by copying): upper/dir", "?"),
    ("rm deep/x: upper/deep", "?"),
    ("rm -r tree: upper/tree", "?"),
    ("rm -r again; mkdir again: upper/again", "?"),
    ("echo hello > fresh; rm fresh: upper/fresh", "?"),
];

fn main() {
    for (question, answer) in ANSWERS {
        println!("{question} = {answer}");
    }
}
