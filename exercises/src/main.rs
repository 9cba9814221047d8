//! A skeleton

fn main() {}
