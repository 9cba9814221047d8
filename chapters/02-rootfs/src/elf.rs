//! What an ELF file asks for: its loader, its libraries, and where to look for them (elf(5)).
//!
//! The file is read, never run: `ldd` would execute what it is asked about (ldd(1), "Security").

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use elf::ElfBytes;
use elf::abi::{DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_STRTAB, EI_DATA, PT_DYNAMIC, PT_INTERP, PT_LOAD};
use elf::dynamic::DynamicTable;
use elf::endian::AnyEndian;
use elf::file::Class;
use elf::string_table::StringTable;
use process::{Error, Kind, Result};

/// More libraries than any real file names.
const MOST_LIBRARIES: usize = 4096;
/// The longest path of Linux (`PATH_MAX`, limits.h).
const PATH_MAX: usize = 4096;

/// The kind of machine code in a file. A loader passes over libraries of another kind (ld.so(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abi {
    /// 32 or 64.
    pub bits: u8,
    /// `e_machine`, for example 62 for x86-64 (elf.h, `EM_…`).
    pub machine: u16,
    big_endian: bool,
}

/// The few facts that decide what a file needs in order to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// What kind of code it is.
    pub abi: Abi,
    /// The loader that the kernel starts in the program's place (`PT_INTERP`); none if static, or a library.
    pub interpreter: Option<PathBuf>,
    /// The libraries (`DT_NEEDED`), in the order in which they are searched.
    pub needed: Vec<OsString>,
    /// Where to look for them, also for those that they need (`DT_RPATH`, the old way).
    pub rpath: Vec<OsString>,
    /// Where to look for its own ones only (`DT_RUNPATH`).
    pub runpath: Vec<OsString>,
}

impl Elf {
    /// The four bytes that every ELF file begins with.
    pub const MAGIC: &'static [u8] = b"\x7fELF";

    /// Reads the file whose contents are `bytes`. Nothing in it is believed before it is checked.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if a table or a string lies outside the file, or is of absurd size.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(corrupt)?;
        let abi = Abi {
            bits: if file.ehdr.class == Class::ELF64 { 64 } else { 32 },
            machine: file.ehdr.e_machine,
            big_endian: bytes.get(EI_DATA) == Some(&elf::abi::ELFDATA2MSB),
        };
        let mut elf = Self { abi, interpreter: None, needed: vec![], rpath: vec![], runpath: vec![] };
        for segment in file.segments().into_iter().flat_map(|table| table.iter()) {
            match segment.p_type {
                PT_INTERP => {
                    let path = file.segment_data(&segment).map_err(corrupt)?;
                    let path = string(path.split(|&byte| byte == 0).next().unwrap_or_default())?;
                    elf.interpreter = Some(path.into());
                }
                PT_DYNAMIC => {
                    let table = file.segment_data(&segment).map_err(corrupt)?;
                    elf.read_dynamic(&file, &DynamicTable::new(file.ehdr.endianness, file.ehdr.class, table))?;
                }
                _ => {}
            }
        }
        Ok(elf)
    }

    /// Reads the dynamic section, which the loader too finds by its segment, not by its name.
    fn read_dynamic(&mut self, file: &ElfBytes<'_, AnyEndian>, table: &DynamicTable<'_, AnyEndian>) -> Result<()> {
        let entries = || table.iter().take_while(|entry| entry.d_tag != DT_NULL);
        let Some(address) = entries().find(|entry| entry.d_tag == DT_STRTAB) else { return Ok(()) };
        let strings = loaded_at(file, address.d_ptr())?;
        let text = |offset: u64| {
            let offset = usize::try_from(offset).map_err(corrupt)?;
            string(strings.get_raw(offset).map_err(corrupt)?)
        };
        for entry in entries() {
            match entry.d_tag {
                DT_NEEDED if self.needed.len() == MOST_LIBRARIES => return Err(corrupt("too many libraries")),
                DT_NEEDED => self.needed.push(text(entry.d_val())?),
                DT_RPATH => self.rpath = split(&text(entry.d_val())?),
                DT_RUNPATH => self.runpath = split(&text(entry.d_val())?),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What of the file lies at `address` once it is loaded, up to the end of its segment.
fn loaded_at<'data>(file: &ElfBytes<'data, AnyEndian>, address: u64) -> Result<StringTable<'data>> {
    for segment in file.segments().into_iter().flat_map(|table| table.iter()) {
        let Some(within) = address.checked_sub(segment.p_vaddr) else { continue };
        if segment.p_type == PT_LOAD && within < segment.p_filesz {
            let data = file.segment_data(&segment).map_err(corrupt)?;
            let within = usize::try_from(within).map_err(corrupt)?;
            return Ok(StringTable::new(data.get(within..).unwrap_or_default()));
        }
    }
    Err(corrupt("its strings lie in no loaded segment"))
}

fn string(bytes: &[u8]) -> Result<OsString> {
    if bytes.is_empty() || bytes.len() >= PATH_MAX {
        return Err(corrupt(format!("a name of {} bytes", bytes.len())));
    }
    Ok(OsStr::from_bytes(bytes).to_owned())
}

/// Splits a list of directories; an empty one would mean the current directory, which nobody wants.
fn split(list: &OsStr) -> Vec<OsString> {
    let parts = list.as_bytes().split(|&byte| byte == b':');
    parts.filter(|part| !part.is_empty()).map(|part| OsStr::from_bytes(part).to_owned()).collect()
}

fn corrupt(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Corrupt, format!("not a sound ELF file: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Vec<u8> {
        std::fs::read("/bin/sh").unwrap()
    }

    #[test]
    fn our_own_program_names_its_loader_and_libraries() {
        let elf = Elf::parse(&std::fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert_eq!(u32::from(elf.abi.bits), usize::BITS);
        if cfg!(target_env = "gnu") {
            assert!(elf.interpreter.unwrap().is_absolute());
            assert!(elf.needed.iter().any(|name| name.as_bytes().starts_with(b"libc.so")), "{:?}", elf.needed);
        }
    }

    #[test]
    fn every_truncation_is_an_error_or_harmless() {
        let whole = shell();
        for length in (0..whole.len().min(4096)).chain([whole.len() / 2, whole.len() - 1]) {
            let _ = Elf::parse(&whole[..length]);
        }
        assert_eq!(Elf::parse(&whole[..100]).unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(Elf::parse(b"").unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn changed_bytes_never_panic() {
        let whole = shell();
        // Marsaglia's xorshift: the same bytes on every run.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        for _ in 0..20_000 {
            let mut bytes = whole[..whole.len().min(8192)].to_vec();
            for _ in 0..=random(8) {
                // Half of the blows fall on the headers, where they hurt.
                let at = if random(2) == 0 { random(bytes.len()) } else { random(64 + 12 * 56).min(bytes.len() - 1) };
                bytes[at] = [0, 1, 0x7f, 0xff, u8::try_from(random(256)).unwrap()][random(5)];
            }
            let _ = Elf::parse(&bytes);
        }
    }

    #[test]
    fn absurd_sizes_are_refused() {
        let mut bytes = shell();
        assert_eq!(bytes[4], 2, "the test knows the layout of 64-bit files");
        bytes[32..40].fill(0xff); // e_phoff
        assert_eq!(Elf::parse(&bytes).unwrap_err().kind(), Kind::Corrupt);
        assert!(string(&[b'a'; PATH_MAX]).is_err());
        assert!(string(b"").is_err());
    }

    #[test]
    fn lists_are_split_without_the_empty_ones() {
        assert_eq!(split(OsStr::new("$ORIGIN/../lib::/opt/lib:")), ["$ORIGIN/../lib", "/opt/lib"]);
        assert!(split(OsStr::new("")).is_empty());
    }
}
