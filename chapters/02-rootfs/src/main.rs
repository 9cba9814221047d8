//! Chapter 2: a root of its own. chroot, a root built from this machine, and the way out of it

fn main() {}
