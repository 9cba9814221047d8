//! The harness of every test that needs more than a function call: three lanes, no silent skip.
//!
//! | lane | needs | runs |
//! |---|---|---|
//! | [`user`](Suite::user) | nothing but a kernel with user namespaces | everywhere |
//! | [`root`](Suite::root) | root | where the tests run as root |
//! | [`vm`](Suite::vm) | root and cgroup v2 with all controllers | on a machine that has them; else in a virtual machine, booted once for all by `tests/tests/vm` |
//!
//! What cannot run here is reported as `ignored` with its reason. `COOPER_REQUIRE=root,vm` makes that a failure.
//!
//! # A test file
//! `chapters/NN-name/Cargo.toml`:
//! ```toml
//! [dev-dependencies]
//! harness.workspace = true
//!
//! [[test]]
//! name = "memory"      # tests/memory.rs
//! harness = false
//! ```
//! `chapters/NN-name/tests/memory.rs`:
//! ```no_run
//! use harness::{Outcome, Sandbox, Suite};
//!
//! fn main() {
//!     Suite::new()
//!         .user("an unknown option is refused", unknown_option)
//!         .root("a root needs no user namespace", no_user_namespace)
//!         .root("the bridge is made", bridge).needs(&["nft"])
//!         .vm("a limit arrives in memory.max", memory_max)
//!         .run();
//! }
//!
//! fn unknown_option() -> Outcome {
//!     let sandbox = Sandbox::new()?;                      // own COOPER_DATA and COOPER_RUN, gone on drop
//!     let done = sandbox.step(4).args(["run", "--no-such-option"]).run()?;
//!     done.code(2)?.stderr_has("--no-such-option")?;      // an error shows all that the command said
//!     Ok(())
//! }
//!
//! fn memory_max() -> Outcome {
//!     let sandbox = Sandbox::ordinary()?;                 // the same as an ordinary user with a subuid range
//!     let done = sandbox.step(4).args(["run", "--memory", "64m", "cat", "/sys/fs/cgroup/memory.max"]).run()?;
//!     assert_eq!(done.ok()?.stdout.trim(), "67108864");   // panics and errors both fail the test
//!     Ok(())
//! }
//! # fn no_user_namespace() -> Outcome { Ok(()) }
//! # fn bridge() -> Outcome { Ok(()) }
//! ```
//!
//! # What a test may rely on
//! - Run as root, a suite has a host of its own: a mount namespace and a network namespace which end with it. Its
//!   links are `lo` and `uplink`, the way to a world outside ([`outside_command`]). `/dev/net/tun` is open to all in it, and the account [`User`] exists.
//! - Tests run one at a time, on the main thread: each looks at the whole machine before and after. Mounts, links,
//!   addresses, nft rules, cgroups and processes that it leaves behind fail it.
//! - No fork, no unshare in a test: it runs programs. [`Run`] gives each a time limit, [`Pty`] a terminal.
//! - [`Registry`], [`Dockerd`], [`debian_image`] and [`busybox_image`] are real ones.
//! - [`Sandbox::step`] finds (or builds) the program of any chapter, also of another package.

//!
//! # Trying one test of the vm lane
//! `COOPER_VM_PACKAGES=step04 cargo test -p cooper-tests --test vm -- "a limit"` boots and runs what the filter selects.
//! `tests/vm/run -- CMD` runs any command in the virtual machine; `COOPER_VM_RUNNER` names another such program.

pub mod bench;
mod fixtures;
mod hygiene;
mod isolate;
mod needs;
mod pty;
mod registry;
mod report;
mod run;
mod sandbox;
mod server;
mod steps;
mod suite;
#[allow(unsafe_code)]
mod sys;
mod user;

pub use fixtures::{busybox_image, debian_image, second_kernel};
pub use isolate::{OUTSIDE_ADDRESS, host_command, outside_command};
pub use libtest_mimic::Failed;
pub use needs::{Lane, find_program, has_cgroup_v2, lacks, required};
pub use pty::Pty;
pub use registry::Registry;
pub use report::{Event, Report};
pub use run::{Background, Done, Run};
pub use sandbox::Sandbox;
pub use server::{Dockerd, Server, remove_groups};
pub use steps::{STEPS, step, target_dir};
pub use suite::{Suite, VM_LIST, VM_TESTS};
pub use user::User;

/// What a test gives: an error is anything that can be shown, so `?` takes every error and `Err("…")?` works.
pub type Outcome<T = ()> = Result<T, Failed>;
