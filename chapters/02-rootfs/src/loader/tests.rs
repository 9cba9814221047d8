//! The loader on machines of forged files: ELF files of a few hundred bytes that ask for whatever a test wants.

use super::*;
use elf::abi::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB, PT_DYNAMIC, PT_INTERP, PT_LOAD};

/// A machine of a few forged files, with a loader that knows its library directory.
struct Machine {
    dir: tempfile::TempDir,
    loader: Loader,
    interpreter: String,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("ld.so.conf");
        std::fs::write(&conf, format!("{}\n", dir.path().join("lib").display())).unwrap();
        let interpreter = Forge::default().at(&dir.path().join("lib"), "ld.so");
        Self { loader: Loader::new(&conf), interpreter: interpreter.to_str().unwrap().to_owned(), dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn library(&self, directory: &str, name: &str, forge: &Forge<'_>) {
        forge.at(&self.at(directory), name);
    }

    /// What a program `bin/program` needs, as paths below the machine's directory.
    fn needs(&mut self, forge: Forge<'_>) -> Result<Vec<String>> {
        let interpreter = self.interpreter.clone();
        let program = Forge { interpreter: &interpreter, ..forge }.at(&self.at("bin"), "program");
        let needs = self.loader.needs(&program)?;
        let below = |needed: &Needed| needed.path.strip_prefix(self.dir.path()).unwrap().display().to_string();
        let mut needs: Vec<_> = needs.iter().map(below).filter(|path| path != "lib/ld.so").collect();
        needs.sort();
        Ok(needs)
    }
}

#[test]
fn libraries_of_libraries_in_a_circle() {
    let mut machine = Machine::new();
    machine.library("lib", "liba.so", &Forge { needed: &["libb.so"], ..Forge::default() });
    machine.library("lib", "libb.so", &Forge { needed: &["liba.so", "libb.so"], ..Forge::default() });
    let needs = machine.needs(Forge { needed: &["liba.so"], ..Forge::default() }).unwrap();
    assert_eq!(needs, ["lib/liba.so", "lib/libb.so"]);
}

#[test]
fn rpath_is_for_the_libraries_too_and_runpath_is_not() {
    let mut machine = Machine::new();
    machine.library("private", "liba.so", &Forge { needed: &["libb.so"], ..Forge::default() });
    machine.library("private", "libb.so", &Forge::default());
    let needed = &["liba.so"];
    let origin = "$ORIGIN/../private";
    let needs = machine.needs(Forge { needed, rpath: origin, ..Forge::default() }).unwrap();
    assert_eq!(needs, ["bin/../private/liba.so", "bin/../private/libb.so"]);
    let mut machine = Machine { loader: Loader::new(&machine.at("ld.so.conf")), ..machine };
    let runpath = "/nowhere:${ORIGIN}/../private";
    let error = machine.needs(Forge { needed, runpath, ..Forge::default() }).unwrap_err();
    assert!(error.what().contains("library libb.so is nowhere (for "), "{error}");
}

#[test]
fn libraries_for_another_machine_are_passed_over() {
    let mut machine = Machine::new();
    machine.library("other", "liba.so", &Forge { machine: 0x1234, ..Forge::default() });
    machine.library("lib", "liba.so", &Forge::default());
    let needs = machine.needs(Forge { needed: &["liba.so"], runpath: "$ORIGIN/../other", ..Forge::default() });
    assert_eq!(needs.unwrap(), ["lib/liba.so"]);
}

#[test]
fn a_library_outside_the_loaders_own_directories_gets_a_link_there() {
    let mut machine = Machine::new();
    machine.library("lib", "liba.so", &Forge::default());
    machine.needs(Forge { needed: &["liba.so"], ..Forge::default() }).unwrap();
    let needs = machine.loader.needs(&machine.at("bin/program")).unwrap();
    let alias = needs.iter().find(|needed| needed.path.ends_with("liba.so")).unwrap().alias.clone();
    let abi = machine.loader.elf(&machine.at("bin/program")).unwrap().abi;
    assert_eq!(alias, ldconf::defaults(abi).first().cloned());
}

#[test]
fn what_cannot_run_is_told() {
    let mut machine = Machine::new();
    let error = |result: Result<Vec<String>>| result.unwrap_err().what().to_owned();
    assert!(
        error(machine.needs(Forge { needed: &["libcooper-none.so"], ..Forge::default() }))
            .ends_with("libcooper-none.so is nowhere")
    );
    let mut fresh = Machine::new();
    // A relative path would be another file in every directory: no way to copy it.
    assert!(error(fresh.needs(Forge { needed: &["../lib/liba.so"], ..Forge::default() })).contains("nowhere"));
    std::fs::write(machine.at("text"), "just text").unwrap();
    assert!(machine.loader.needs(&machine.at("text")).unwrap_err().what().contains("neither"));
    std::fs::write(machine.at("torn"), &Forge::default().bytes()[..90]).unwrap();
    assert_eq!(machine.loader.needs(&machine.at("torn")).unwrap_err().kind(), Kind::Corrupt);
    assert!(machine.loader.needs(Path::new("/dev/zero")).unwrap_err().what().contains("no regular file"));
    Forge { interpreter: "/etc/passwd", ..Forge::default() }.at(&machine.at("bin"), "spy");
    assert_eq!(machine.loader.needs(&machine.at("bin/spy")).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn scripts_bring_their_interpreters_and_never_without_end() {
    let mut machine = Machine::new();
    std::fs::write(machine.at("script"), "#!/usr/bin/env sh\n").unwrap();
    let needs = machine.loader.needs(&machine.at("script")).unwrap();
    assert!(needs.iter().any(|needed| needed.path == Path::new("/usr/bin/env")));
    assert!(needs.iter().any(|needed| needed.path.ends_with("bin/sh")));
    std::fs::write(machine.at("circle"), format!("#!{}\n", machine.at("circle").display())).unwrap();
    assert!(machine.loader.needs(&machine.at("circle")).unwrap_err().what().contains("and so on"));
}

#[test]
fn the_shell_needs_a_loader_and_a_c_library() {
    let shell = Path::new("/bin/sh");
    let needs = Loader::new(Path::new("/etc/ld.so.conf")).needs(shell).unwrap();
    let elf = Elf::parse(&contents(shell).unwrap()).unwrap();
    let paths: Vec<_> = needs.iter().map(|needed| needed.path.clone()).collect();
    assert!(paths.iter().all(|path| path.is_file()), "{paths:?}");
    assert!(elf.interpreter.is_none_or(|interpreter| paths.contains(&interpreter)));
    assert!(elf.needed.iter().all(|name| paths.iter().any(|path| path.ends_with(name))), "{paths:?}");
}

/// What the file says.
#[derive(Default)]
struct Forge<'a> {
    interpreter: &'a str,
    needed: &'a [&'a str],
    rpath: &'a str,
    runpath: &'a str,
    /// `e_machine`; x86-64 if 0.
    machine: u16,
}

impl Forge<'_> {
    /// A little-endian 64-bit file: header, three program headers, dynamic section, strings.
    fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut add = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.as_bytes());
            strings.push(0);
            at
        };
        let interpreter = add(self.interpreter);
        let mut dynamic: Vec<_> = self.needed.iter().map(|name| (DT_NEEDED, add(name))).collect();
        for (tag, text) in [(DT_RPATH, self.rpath), (DT_RUNPATH, self.runpath)] {
            dynamic.extend((!text.is_empty()).then(|| (tag, add(text))));
        }
        let start = 64 + 3 * 56;
        let table = 16 * (dynamic.len() as u64 + 2);
        dynamic.extend([(DT_STRTAB, start + table), (0, 0)]);
        let end = start + table + strings.len() as u64;
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
        bytes.resize(16, 0);
        let machine = if self.machine == 0 { elf::abi::EM_X86_64 } else { self.machine };
        [3, machine, 1, 0].iter().for_each(|half| bytes.extend(half.to_le_bytes()));
        [0_u64, 64, 0].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        [0_u16, 0, 64, 56, 3, 64, 0, 0].iter().for_each(|half| bytes.extend(half.to_le_bytes()));
        let kind = if self.interpreter.is_empty() { 0 } else { PT_INTERP };
        let name = (start + table + interpreter, self.interpreter.len() as u64 + 1);
        for (kind, (offset, size)) in [(PT_LOAD, (0, end)), (PT_DYNAMIC, (start, table)), (kind, name)] {
            [kind, 4].iter().for_each(|half| bytes.extend(half.to_le_bytes()));
            [offset, offset, offset, size, size, 8].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        }
        for (tag, value) in dynamic {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(strings);
        bytes
    }

    /// Writes it.
    fn at(&self, directory: &Path, name: impl AsRef<OsStr>) -> PathBuf {
        std::fs::create_dir_all(directory).unwrap();
        let path = directory.join(name.as_ref());
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }
}
