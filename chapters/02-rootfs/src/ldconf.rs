//! Where libraries lie on this machine: `/etc/ld.so.conf`, and what every loader knows by itself (ld.so(8)).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::elf::Abi;

/// The directories that `/etc/ld.so.conf` at `conf` names, those of included files in their place (ldconfig(8)).
///
/// What cannot be read is passed over, as ldconfig does.
pub fn directories(conf: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    read(conf, &mut BTreeSet::new(), &mut found);
    found
}

fn read(conf: &Path, seen: &mut BTreeSet<PathBuf>, found: &mut Vec<PathBuf>) {
    // A file that includes itself, by whatever name, is read once.
    if !conf.canonicalize().is_ok_and(|path| seen.insert(path)) {
        return;
    }
    for line in std::fs::read_to_string(conf).unwrap_or_default().lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split(|one: char| one.is_whitespace() || one == ':' || one == ',');
        match words.clone().next() {
            Some("include") => {
                let patterns = words.skip(1).filter(|word| !word.is_empty());
                patterns.for_each(|pattern| matching(conf, pattern).iter().for_each(|file| read(file, seen, found)));
            }
            Some("hwcap") => {}
            _ => {
                // A directory may carry a type that nobody uses any more: `/usr/lib=libc6`.
                let paths = words.by_ref().map(|word| word.split('=').next().unwrap_or_default());
                found.extend(paths.filter(|path| path.starts_with('/')).map(PathBuf::from));
            }
        }
    }
}

/// The files that `pattern` means, sorted; a relative one is seen from the file it stands in.
fn matching(conf: &Path, pattern: &str) -> Vec<PathBuf> {
    let pattern = conf.parent().unwrap_or(Path::new("/")).join(pattern);
    let (Some(directory), Some(names)) = (pattern.parent(), pattern.file_name()) else { return Vec::new() };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = names.as_encoded_bytes();
    let fits = |path: &PathBuf| path.file_name().is_some_and(|name| like(names, name.as_encoded_bytes()));
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(fits).collect();
    files.sort();
    files
}

/// Does `name` fit a pattern of `*` and `?` (glob(7))? A leading dot must be asked for.
fn like(pattern: &[u8], name: &[u8]) -> bool {
    fn rest(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', more @ ..], _) => (0..=name.len()).any(|at| rest(more, &name[at..])),
            ([b'?', more @ ..], [_, name @ ..]) => rest(more, name),
            ([one, more @ ..], [same, name @ ..]) => one == same && rest(more, name),
            _ => false,
        }
    }
    (name.first() != Some(&b'.') || pattern.first() == Some(&b'.')) && rest(pattern, name)
}

/// The directories built into a loader, in its order: the multiarch ones where a distribution has them.
pub fn defaults(abi: Abi) -> Vec<PathBuf> {
    let triplets: &[&str] = match (abi.machine, abi.bits) {
        (elf::abi::EM_X86_64, 64) => &["x86_64-linux-gnu"],
        (elf::abi::EM_X86_64, _) => &["x86_64-linux-gnux32"],
        (elf::abi::EM_386, _) => &["i386-linux-gnu"],
        (elf::abi::EM_AARCH64, _) => &["aarch64-linux-gnu"],
        (elf::abi::EM_ARM, _) => &["arm-linux-gnueabihf", "arm-linux-gnueabi"],
        (elf::abi::EM_RISCV, 64) => &["riscv64-linux-gnu"],
        (elf::abi::EM_PPC64, _) => &["powerpc64le-linux-gnu", "powerpc64-linux-gnu"],
        (elf::abi::EM_S390, _) => &["s390x-linux-gnu"],
        (elf::abi::EM_LOONGARCH, _) => &["loongarch64-linux-gnu"],
        (elf::abi::EM_MIPS, 64) => &["mips64el-linux-gnuabi64"],
        (elf::abi::EM_MIPS, _) => &["mipsel-linux-gnu"],
        _ => &[],
    };
    let multiarch = triplets.iter().flat_map(|name| [format!("/lib/{name}"), format!("/usr/lib/{name}")]);
    let wide: &[&str] = if abi.bits == 64 { &["/lib64", "/usr/lib64"] } else { &["/lib32", "/usr/lib32"] };
    let plain = wide.iter().chain(&["/lib", "/usr/lib"]).map(|&path| path.to_owned());
    multiarch.chain(plain).map(PathBuf::from).filter(|path| path.is_dir()).collect()
}

/// The directories of musl's loader: the file that it reads, and the list of it or the one it knows (musl, `dynlink.c`).
///
/// None if `interpreter` is another loader.
pub fn musl(interpreter: &Path) -> Option<(PathBuf, Vec<PathBuf>)> {
    let machine = interpreter.file_name()?.to_str()?.strip_prefix("ld-musl-")?.strip_suffix(".so.1")?;
    let file = PathBuf::from(format!("/etc/ld-musl-{machine}.path"));
    let list = std::fs::read_to_string(&file).unwrap_or("/lib:/usr/local/lib:/usr/lib".to_owned());
    Some((file, list.split([':', '\n']).filter(|path| path.starts_with('/')).map(PathBuf::from).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_with_includes_comments_and_a_circle() {
        let etc = tempfile::tempdir().unwrap();
        let path = |name: &str| etc.path().join(name);
        std::fs::create_dir(path("ld.so.conf.d")).unwrap();
        let main = "# all\ninclude ld.so.conf.d/*.conf\n/opt/a:/opt/b, /opt/c=libc6 # d\nhwcap 0 nosegneg\nrelative\n";
        std::fs::write(path("ld.so.conf"), main).unwrap();
        std::fs::write(path("ld.so.conf.d/2.conf"), "/second\ninclude ../ld.so.conf\n").unwrap();
        std::fs::write(path("ld.so.conf.d/1.conf"), format!("/first\ninclude {}\n", path("ld.so.conf").display()))
            .unwrap();
        std::fs::write(path("ld.so.conf.d/.hidden.conf"), "/hidden\n").unwrap();
        std::fs::write(path("ld.so.conf.d/other"), "/other\n").unwrap();
        let found = directories(&path("ld.so.conf"));
        assert_eq!(found, ["/first", "/second", "/opt/a", "/opt/b", "/opt/c"].map(PathBuf::from));
        assert!(directories(&path("missing")).is_empty());
    }

    #[test]
    fn patterns() {
        assert!(like(b"*.conf", b"a.conf") && like(b"a?c", b"abc") && like(b"*", b"") && like(b"a*b*c", b"a-b-b-c"));
        assert!(!like(b"*.conf", b"a.con") && !like(b"a?c", b"ac") && !like(b"*", b".a"));
    }

    #[test]
    fn musl_is_known_by_its_loader() {
        let (file, list) = musl(Path::new("/lib/ld-musl-riscv64.so.1")).unwrap();
        assert_eq!(file, Path::new("/etc/ld-musl-riscv64.path"));
        assert!(list.contains(&PathBuf::from("/usr/lib")));
        assert!(musl(Path::new("/lib64/ld-linux-x86-64.so.2")).is_none());
    }
}
