//! Which of five layers does a pull fetch?
//!
//! The store of the book's engine keeps each layer twice: packed, as it came, and unpacked, ready for overlayfs. Two
//! images are in it, and nothing else. Their layers, the lowest first; the digests are cut short:
//!
//! ```text
//! base:1    blob 1a1a   diff id d1d1    packed by gzip -9
//!           blob 2b2b   diff id d2d2    packed by gzip -9
//! tools:1   blob 4c4c   diff id d4d4
//! ```
//!
//! Now you pull `other.example/shop:2`, from a registry that the engine has never spoken to. Its layers are:
//!
//! ```text
//! layer 1   blob 1a1a   diff id d1d1
//! layer 2   blob 9f9f   diff id d2d2    packed by gzip -1
//! layer 3   blob 3e3e   diff id d3d3
//! layer 4   blob 4c4c   diff id d4d4
//! layer 5   blob 3e3e   diff id d3d3
//! ```
//!
//! Which of them are fetched from the registry, and which are unpacked? And how many layers does the store have then,
//! of all three images? Write `yes`, `no` or a number for each question. `five_layers` prints your answers; the check
//! makes such layers, pulls them and compares.
//!
//! Read: the book, chapter 7, "Reading the documents", "Pulling" and "The store".

/// A question, and your answer.
const ANSWERS: [(&str, &str); 12] = [
    ("layer 1 is fetched", "?"),
    ("layer 2 is fetched", "?"),
    ("layer 3 is fetched", "?"),
    ("layer 4 is fetched", "?"),
    ("layer 5 is fetched", "?"),
    ("packed layers in the store afterwards", "?"),
    ("layer 1 is unpacked", "?"),
    ("layer 2 is unpacked", "?"),
    ("layer 3 is unpacked", "?"),
    ("layer 4 is unpacked", "?"),
    ("layer 5 is unpacked", "?"),
    ("unpacked layers in the store afterwards", "?"),
];

fn main() {
    for (question, answer) in ANSWERS {
        println!("{question} = {answer}");
    }
}
