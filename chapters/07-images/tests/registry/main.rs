//! A real registry, real images, and tools that are not ours: pull, run, read back.

mod host;
mod run;
mod store;
mod tls;

use harness::{Outcome, Registry, Run, Sandbox, Suite, busybox_image};

const REGISTRY: &[&str] = &["docker-registry", "skopeo", "busybox"];

fn main() {
    Suite::new()
        .user("pull, list, tag, inspect, remove", store::commands)
        .needs(REGISTRY)
        .user("nothing is fetched twice", store::nothing_twice)
        .needs(REGISTRY)
        .user("another tool reads our store", store::read_back)
        .needs(REGISTRY)
        .user("Docker's media types", store::docker_media_types)
        .needs(REGISTRY)
        .user("damage in the store is noticed and mended", store::damage)
        .needs(REGISTRY)
        .user("the image host needs no registry", host::host)
        .user("an ordinary user runs the image host", || host::host_runs(Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .root("root runs the image host", || host::host_runs(Sandbox::new()?))
        .root("the image's configuration is honoured", run::configuration)
        .needs(REGISTRY)
        .root("the image's configuration is honoured for an ordinary user", run::configuration_ordinary)
        .needs(REGISTRY)
        .root("TLS with a private CA, through a proxy or not", tls::tls)
        .needs(&["docker-registry", "openssl", "ip"])
        .root("certs.d: a CA and our own certificate", tls::certs_d)
        .needs(&["docker-registry", "openssl", "ip"])
        .root("an insecure registry, with TLS or without", tls::insecure)
        .needs(&["docker-registry", "openssl", "ip"])
        .root("a container keeps its image", host::in_use)
        .root("a running container keeps its image, whatever is forced", host::in_use_now)
        .root("a shell on a terminal", host::terminal)
        .root("Debian, run by root and by an ordinary user", run::debian)
        .needs(&["docker-registry", "skopeo", "mmdebstrap"])
        .run();
}

/// A busybox in the registry that all tests share; its whole name.
fn busybox(name: &str) -> Outcome<String> {
    Registry::shared()?.push(busybox_image()?, name)
}

fn step(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.step(7).args(args)
}

fn json(text: &str) -> Outcome<serde_json::Value> {
    Ok(serde_json::from_str(text)?)
}

/// A program of the machine, which must succeed.
fn program(name: &str, args: &[&str]) -> Outcome {
    let mut command = std::process::Command::new(name);
    command.args(args);
    Run::new(command).run()?.ok().map(drop)
}
