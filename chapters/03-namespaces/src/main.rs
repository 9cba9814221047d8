//! Chapter 3: namespaces. Eight views of the system, pivot_root, and containers without root

fn main() {}
