//! Escapes: each attack is really tried, by this very program executed in a container; with the defence it fails, and
//! where that can be shown without harm, with the defence taken away it gets further. So each of these tests can fail.
//!
//! | attack | where it is tried |
//! |---|---|
//! | CVE-2016-9962: looking into a process that joins | [`processes`] |
//! | CVE-2018-15664, CVE-2026-41568, CVE-2026-42306: links and races under `cp` | chapter 10's tests/engine/cp.rs; of volumes: [`volumes`] |
//! | CVE-2019-5736: the engine's own file | tests/sealed.rs |
//! | CVE-2019-16884, CVE-2019-19921, CVE-2025-52881: something else in the place of /proc | tests/paths.rs, [`roots`] |
//! | CVE-2020-15157: credentials sent to a foreign address | chapter 7's tests/hostile.rs |
//! | CVE-2020-15257: abstract sockets of the host | [`network`] |
//! | CVE-2021-30465, CVE-2024-45310: a volume's target swapped for a link | [`volumes`] |
//! | CVE-2021-41091: set-user-ID programs of a container, run by a user of the host | [`volumes`] |
//! | CVE-2022-0492: release_agent by a user namespace | [`calls`] |
//! | CVE-2022-24769, CVE-2022-29162: inheritable capabilities | [`processes`] |
//! | CVE-2024-21626: a working directory of the host's, a leaked descriptor | [`roots`] |
//! | CVE-2025-31133, CVE-2026-41579: a false /dev/null, a linked /dev | tests/paths.rs |
//! | CVE-2025-52565: a false terminal | [`terminal`] |
//!
//! `COOPER_ESCAPES_STEP=10` tries the engine of chapter 10 instead.

mod act;
mod calls;
mod devices;
mod kernel;
mod keys;
mod network;
mod place;
mod privileged;
mod processes;
mod roots;
mod terminal;
mod volumes;

use harness::{Outcome, Sandbox, Suite};

use place::Place;

type Test = fn(&Place) -> Outcome;

/// For root's engine and an ordinary user's alike, under a second kernel too: it has other modules, other defaults.
const KERNELS: &[(&str, Test)] = &[
    ("mounts", calls::mounts),
    ("calls that change the machine", calls::machine),
    ("calls that have been the way into the kernel", calls::surface),
    ("capabilities by a user namespace (CVE-2022-0492)", calls::user_namespaces),
    ("files that command the kernel", kernel::files),
    ("processes of the host", processes::hosts),
    ("processes that join (CVE-2016-9962)", processes::joining),
    ("keys of the caller", keys::session),
    ("files by their handles (shocker)", volumes::handles),
    ("raw sockets and links", network::raw_sockets),
    ("the caller's terminal", terminal::type_ahead),
    ("nodes in /dev", devices::nodes),
];

/// For both, and the same under any kernel.
const BOTH: &[(&str, Test)] = &[
    ("the host's null device", kernel::masks),
    ("chroot", roots::chroot),
    ("roots, directories and descriptors of others", roots::links),
    ("a directory to start in (CVE-2024-21626)", roots::directories),
    ("exec where /proc is covered (CVE-2019-16884, CVE-2025-52881)", roots::false_proc),
    ("processes of a neighbour", processes::neighbours),
    ("capabilities of the caller (CVE-2022-24769)", processes::inherited),
    ("a target that a neighbour swaps (CVE-2021-30465, CVE-2024-45310)", volumes::swapped_target),
    ("programs of a container on the host's disk (CVE-2021-41091)", volumes::reached_from_outside),
    ("set-user-ID programs on a volume", volumes::set_user_id),
    ("/etc/hosts of a neighbour", volumes::own_etc),
    ("sockets without a file (CVE-2020-15257)", network::abstract_sockets),
    ("the caller's terminal is one still", terminal::still_a_terminal),
    ("false terminals (CVE-2025-52565)", terminal::false_terminals),
    ("--privileged is a container still", privileged::still_a_container),
    ("--privileged is no root but the engine's", privileged::nobody_on_the_host),
];

/// With disks of the host's.
const DISKS: &[(&str, Test)] =
    &[("a disk that was not given", devices::not_given), ("more of a disk than was given", devices::beyond)];

/// Where there is cgroup v2 with all controllers.
const GROUPS: &[(&str, Test)] = &[("control groups", kernel::groups)];

fn main() {
    let args: Vec<_> = std::env::args().collect();
    if args.get(1).is_some_and(|mode| mode == "act") {
        act::main(&args[2..]);
    }
    if args.get(1).is_some_and(|mode| mode == "with-key") {
        keys::main(&args[2..]);
    }
    let mut suite = Suite::new();
    for (name, test) in [KERNELS, BOTH].concat() {
        suite = suite.root(format!("root: {name}"), as_root(test));
        suite = suite.user(format!("ordinary: {name}"), as_ordinary(test)).needs(&["userns", "subuid"]);
    }
    for (name, test) in KERNELS.iter().copied() {
        suite = suite.vm(format!("root: {name} (vm)"), as_root(test));
        suite = suite.vm(format!("ordinary: {name} (vm)"), as_ordinary(test));
    }
    for (name, test) in DISKS.iter().copied() {
        suite = suite.root(format!("root: {name}"), as_root(test)).needs(&["losetup"]);
        suite = suite.root(format!("ordinary: {name}"), as_ordinary(test)).needs(&["losetup"]);
        suite = suite.vm(format!("root: {name} (vm)"), as_root(test)).needs(&["losetup"]);
    }
    for (name, test) in GROUPS.iter().copied() {
        suite = suite.vm(format!("root: {name}"), as_root(test));
    }
    suite.run()
}

fn as_root(test: Test) -> impl Fn() -> Outcome + Send + 'static {
    move || test(&Place::new(Sandbox::new()?)?)
}

fn as_ordinary(test: Test) -> impl Fn() -> Outcome + Send + 'static {
    move || test(&Place::new(Sandbox::ordinary()?)?)
}
