//! Chapter 6: a network. netlink, veth, bridge, NAT, published ports, and pasta without root

fn main() {}
