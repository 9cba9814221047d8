//! cooper

fn main() {}
