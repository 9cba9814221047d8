//! System calls that change the machine, each with arguments that would change nothing: how far does it get?

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::sys::{self, Arg, call};
use super::{DONE, Tried};

/// A path as the kernel takes it.
fn path(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// A call with numbers only.
fn plain(number: i64, args: &[u64]) -> Tried {
    let mut args: Vec<_> = args.iter().map(|&number| Arg::Is(number)).collect();
    call(number, &mut args).map(|_| DONE.into())
}

const HERE: u64 = libc::AT_FDCWD as i64 as u64;

/// Mounts, and what makes them.
pub fn mounts(name: &str, args: &[&str]) -> Option<Tried> {
    let none = None::<&str>;
    let place = args.first().copied().unwrap_or("/mnt");
    let tried = match name {
        "mount" => mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), none),
        "mount-proc" => mount(Some("proc"), place, Some("proc"), MsFlags::empty(), none),
        "bind" => mount(Some(place), "/mnt", none, MsFlags::MS_BIND | MsFlags::MS_REC, none),
        "remount" => mount(none, place, none, MsFlags::MS_REMOUNT | MsFlags::MS_BIND, none),
        "make-shared" => mount(none, place, none, MsFlags::MS_SHARED | MsFlags::MS_REC, none),
        "umount" => umount2(place, MntFlags::MNT_DETACH),
        "pivot_root" => nix::unistd::pivot_root("/", "/"),
        "fsopen" => return Some(call(libc::SYS_fsopen, &mut [Arg::Of(&mut path("tmpfs"))]).map(|_| DONE.into())),
        "open_tree" => {
            let mut root = path("/");
            let clone = Arg::Is(1); // OPEN_TREE_CLONE
            return Some(
                call(libc::SYS_open_tree, &mut [Arg::Is(HERE), Arg::Of(&mut root), clone]).map(|_| DONE.into()),
            );
        }
        "move_mount" => {
            // A directory that is no mount: whoever may move gets EINVAL.
            let (mut from, mut to) = (path("/tmp"), path("/mnt"));
            let args = &mut [Arg::Is(HERE), Arg::Of(&mut from), Arg::Is(HERE), Arg::Of(&mut to)];
            return Some(call(libc::SYS_move_mount, args).map(|_| DONE.into()));
        }
        "mount_setattr" => {
            let (mut root, mut nothing) = (path("/"), [0_u8; 32]);
            nothing[8..16].copy_from_slice(&1_u64.to_ne_bytes()); // take MOUNT_ATTR_RDONLY away
            let args = &mut [Arg::Is(HERE), Arg::Of(&mut root), Arg::Is(0), Arg::Of(&mut nothing), Arg::Is(32)];
            return Some(call(libc::SYS_mount_setattr, args).map(|_| DONE.into()));
        }
        _ => return None,
    };
    Some(tried.map(|()| DONE.into()))
}

/// The kernel itself.
pub fn kernel(name: &str) -> Option<Tried> {
    Some(match name {
        "kexec_load" => plain(libc::SYS_kexec_load, &[0, 1000]), // more segments than there may be
        "init_module" => plain(libc::SYS_init_module, &[]),
        "reboot" => plain(libc::SYS_reboot, &[]), // without the magic numbers
        "swapon" => {
            call(libc::SYS_swapon, &mut [Arg::Of(&mut path("/tmp")), Arg::Is(1 << 20)]).map(|_| DONE.into()) // no such flag
        }
        "acct" => call(libc::SYS_acct, &mut [Arg::Of(&mut path("/none"))]).map(|_| DONE.into()),
        "clock_settime" => {
            let mut never = [0xff_u8; 16];
            call(libc::SYS_clock_settime, &mut [Arg::Is(0), Arg::Of(&mut never)]).map(|_| DONE.into())
        }
        "syslog" => plain(libc::SYS_syslog, &[10]), // SYSLOG_ACTION_SIZE_BUFFER
        "bpf" => {
            let mut array = [0_u8; 48]; // BPF_MAP_CREATE: one element of 4 bytes
            for (at, word) in [2_u32, 4, 4, 1].into_iter().enumerate() {
                array[at * 4..at * 4 + 4].copy_from_slice(&word.to_ne_bytes());
            }
            call(libc::SYS_bpf, &mut [Arg::Is(0), Arg::Of(&mut array), Arg::Is(48)]).map(|_| DONE.into())
        }
        "perf_event_open" => plain(libc::SYS_perf_event_open, &[]),
        "userfaultfd" => plain(libc::SYS_userfaultfd, &[1]), // UFFD_USER_MODE_ONLY
        "io_uring_setup" => plain(libc::SYS_io_uring_setup, &[1]),
        "personality" => plain(libc::SYS_personality, &[0x0004_0000]), // ADDR_NO_RANDOMIZE
        #[cfg(target_arch = "x86_64")]
        "iopl" => plain(libc::SYS_iopl, &[3]),
        "sethostname" => nix::unistd::sethostname("taken").map(|()| DONE.into()),
        "socket-vsock" => plain(libc::SYS_socket, &[40, libc::SOCK_STREAM as u64, 0]),
        "unkillable" => std::fs::write("/proc/self/oom_score_adj", "-1000")
            .map(|()| DONE.into())
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0))),
        _ => return None,
    })
}

/// Namespaces, as a way to capabilities.
pub fn namespaces(name: &str) -> Option<Tried> {
    Some(match name {
        "unshare-user" => unshare(CloneFlags::CLONE_NEWUSER).map(|()| DONE.into()),
        "clone-user" => sys::clone(libc::CLONE_NEWUSER).map(|()| DONE.into()),
        "clone3" => plain(libc::SYS_clone3, &[]),
        "unshare-mount" => unshare(CloneFlags::CLONE_NEWNS).map(|()| DONE.into()),
        _ => return None,
    })
}
