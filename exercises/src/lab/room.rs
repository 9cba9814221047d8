//! `__room`: a container for one program that nobody trusts, made of the chapters' own stages. It is root there, in
//! namespaces of its own, and nobody outside; it sees this machine's programs, read-only, and one directory to write in.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use namespaces::mount::{Mount, NODEV, NOSUID, Propagation, RDONLY};
use namespaces::{BindRoot, IdMap, IdRange, Isolation, PivotRoot, SystemMounts, UserNamespace, rootless};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use process::{Child, Container, Exit, OrCall, Program, Result, Stage};

use super::group::RoomGroup;
use super::spec::{Limits, News, PROGRAM, Spec, WORK};

/// Where the room's root is laid out, in a mount namespace of ours.
const ROOT: &str = "/tmp";

/// What of this machine a program may need, as far as it is there.
const SHOWN: [&str; 9] = ["/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/sbin", "/usr"];

/// `__room SPEC`: makes the room, runs the program, tells how it ended.
///
/// # Errors
/// Told in the report as well: this machine has no user namespaces, say.
pub fn enter(spec: &str) -> Result<ExitCode> {
    let spec: Spec = serde_json::from_str(spec)
        .map_err(|error| process::Error::invalid(format!("__room: {error}")).help("this is for the runner alone"))?;
    let mut report = File::options().append(true).open(&spec.report).or_call("open", spec.report.display())?;
    match run(&spec, &report) {
        Ok(exit) => {
            tell(&mut report, &News::Ended(exit.code()));
            Ok(exit.into())
        }
        Err(error) => {
            tell(&mut report, &News::NoRoom(error.to_string()));
            Err(error)
        }
    }
}

/// All ids that this user namespace has, by the same numbers; a range must lie in one range of ours (user_namespaces(7)).
fn all_of_ours() -> IdMap {
    let ranges = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let numbers = |line: &str| line.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>();
        let lines = text.lines().map(numbers);
        lines
            .filter(|line| line.len() == 3)
            .map(|line| IdRange { inside: line[0], outside: line[0], length: line[2] })
            .collect()
    };
    IdMap { uids: ranges("/proc/self/uid_map"), gids: ranges("/proc/self/gid_map") }
}

fn tell(mut report: impl Write, news: &News) {
    let _ = writeln!(report, "{}", serde_json::to_string(news).unwrap_or_default());
}

fn run(spec: &Spec, report: &File) -> Result<Exit> {
    process::sys::die_with_parent().or_call("prctl", "PR_SET_PDEATHSIG")?; // and with us, all that is in the room
    let was_root = nix::unistd::geteuid().is_root();
    if spec.cgroup {
        cgroups::delegate(); // from systemd, which knows us only as long as we are ourselves
    }
    rootless::enter()?;
    process::sys::die_with_parent().or_call("prctl", "PR_SET_PDEATHSIG")?; // and the room's init with us
    // Also as root of a user namespace: the room's processes are counted apart, whoever else is in that one.
    let map = if was_root { IdMap::of_root() } else { all_of_ours() };
    let owner = map.uids[0].outside;
    lchown(&spec.work, Some(owner), Some(owner)).or_call("chown", spec.work.display())?;
    let work = File::open(&spec.work).or_call("open", spec.work.display())?;
    unshare(CloneFlags::CLONE_NEWNS).or_call("unshare", "NEWNS")?;
    lay_out(spec, owner)?;
    let exit = container(spec, map, report.try_clone().or_call("dup", "the report")?).run()?.exit;
    // What it left there may belong to ids that our caller is not, and be closed to it.
    give_back(&Path::new("/proc/self/fd").join(std::os::fd::AsRawFd::as_raw_fd(&work).to_string()), 0);
    Ok(exit)
}

/// The recipe of a room.
fn container(spec: &Spec, map: IdMap, report: File) -> Container {
    let root = PathBuf::from(ROOT);
    let mut new = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    new.set(CloneFlags::CLONE_NEWCGROUP, spec.cgroup);
    let group = spec.cgroup.then(|| Box::new(RoomGroup::new(root.clone(), map.uids[0].outside, spec.limits)) as Box<_>);
    let stages: [Box<dyn Stage>; 6] = [
        Box::new(UserNamespace::new(map)),
        Box::new(Isolation { flags: new, hostname: "lab".into(), boot_offset: 0 }),
        Box::new(BindRoot::new(root.clone())),
        Box::new(SystemMounts::new(root.clone(), new)),
        Box::new(PivotRoot::new(root)),
        Box::new(Bounds { limits: spec.limits, report }),
    ];
    let mut stages = Vec::from(stages);
    stages.splice(4..4, group); // behind the system mounts: it mounts something into their /sys
    let env = spec.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let mut program = Program::new(&spec.argv, env);
    program.cwd = Some(WORK.into());
    program.init = true;
    Container::new(program, stages)
}

/// The room's root: links and directories as this machine has them, and scratch.
fn lay_out(spec: &Spec, owner: u32) -> Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).or_call("mount", "/ as private")?;
    let shown = SHOWN.iter().map(PathBuf::from).filter(|path| path.is_dir() && !path.is_symlink());
    let shown = shown.map(|path| (path.clone(), path)).chain(spec.binds.iter().cloned());
    // What shall be seen is taken up before anything is laid over it.
    let shown: Vec<_> = shown
        .map(|(from, to)| Ok((view(&from, RDONLY | NOSUID | NODEV)?, from.is_dir(), to)))
        .collect::<Result<_>>()?;
    let work = view(&spec.work, NOSUID | NODEV)?;
    mount(Some("tmpfs"), ROOT, Some("tmpfs"), MsFlags::empty(), Some("mode=755,size=256m"))
        .or_call("mount", "tmpfs")?;
    for link in SHOWN.iter().filter(|path| Path::new(path).is_symlink()) {
        let target = fs::read_link(link).or_call("readlink", link)?;
        std::os::unix::fs::symlink(target, place(Path::new(link))).or_call("symlink", link)?;
    }
    for dir in ["proc", "sys", "dev", "tmp", "run", "root", "var/tmp"] {
        fs::create_dir_all(place(Path::new(dir))).or_call("mkdir", dir)?;
    }
    for dir in ["tmp", "var/tmp"] {
        fs::set_permissions(place(Path::new(dir)), fs::Permissions::from_mode(0o1777)).or_call("chmod", dir)?;
    }
    for (view, is_dir, to) in shown {
        let target = make_place(&to, is_dir)?;
        view.attach(File::open(&target).or_call("open", target.display())?, &to.display().to_string())?;
    }
    let target = make_place(Path::new(WORK), true)?;
    work.attach(File::open(&target).or_call("open", target.display())?, WORK)?;
    // The room's root is nobody here, and shall write there.
    for dir in ["", "lab", "root", "run", "tmp", "var", "var/tmp"] {
        lchown(place(Path::new(dir)), Some(owner), Some(owner)).or_call("chown", dir)?;
    }
    Ok(())
}

fn view(from: &Path, attributes: u64) -> Result<Mount> {
    let view = Mount::tree_at(from, true)?;
    view.set(attributes, true)?;
    view.propagate(Propagation::Private, true)?;
    Ok(view)
}

/// Where a path of the room lies while it is laid out.
fn place(path: &Path) -> PathBuf {
    Path::new(ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

fn make_place(to: &Path, is_dir: bool) -> Result<PathBuf> {
    let target = place(to);
    let parent = if is_dir { Some(target.as_path()) } else { target.parent() };
    fs::create_dir_all(parent.unwrap_or(&target)).or_call("mkdir", to.display())?;
    if !is_dir {
        fs::write(&target, "").or_call("create", to.display())?;
    }
    Ok(target)
}

/// Everything below belongs to who asked for the room again, who can then look at it and remove it.
fn give_back(path: &Path, depth: usize) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = lchown(&path, Some(0), Some(0));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < 64 {
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o755));
            give_back(&path, depth + 1);
        }
    }
}

/// The stage that sets limits, and tells that the program is about to run.
struct Bounds {
    limits: Limits,
    report: File,
}

impl Stage for Bounds {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        let Limits { processes, file, cpu, .. } = self.limits;
        let limits = [
            (Resource::RLIMIT_NPROC, processes),
            (Resource::RLIMIT_FSIZE, file),
            (Resource::RLIMIT_CPU, cpu),
            (Resource::RLIMIT_CORE, 0),
            (Resource::RLIMIT_NOFILE, 1024),
        ];
        for (resource, most) in limits {
            setrlimit(resource, most, most).or_call("setrlimit", format!("{resource:?}"))?;
        }
        Ok(())
    }

    fn poststart(&mut self, child: &Child) -> Result<Option<Box<dyn process::Attend>>> {
        tell(&self.report, &News::Runs(child.pid().as_raw()));
        Ok(None)
    }
}

/// The file of the learner's program, as the room shows it.
pub fn program_bind(file: &Path) -> (PathBuf, PathBuf) {
    (file.to_owned(), PROGRAM.into())
}
