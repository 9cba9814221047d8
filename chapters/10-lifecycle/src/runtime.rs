//! `cooper-runtime`: the OCI runtime on the command line, for Podman, containerd and Docker.

fn main() -> std::process::ExitCode {
    lifecycle::oci::cli::main()
}
