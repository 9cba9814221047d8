//! Real drivers with `cooper-runtime` as their runtime: Podman, containerd, Docker.
//!
//! Each test starts what it needs with directories and sockets of its own, and ends it. On a host where cgroup v1 holds
//! the controllers the drivers' default limits are switched off, since they are refused there, with the reason.

mod containerd;
mod docker;
mod podman;
mod world;

use harness::Suite;

fn main() {
    let suite = Suite::new();
    docker::add(containerd::add(podman::add(suite))).run()
}
