//! The smallest ELF files that ask for something: a header, two segments, a dynamic section (elf(5)). Nothing runs them.

const EHDR: u64 = 64;
const PHDR: u64 = 56;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RUNPATH: u64 = 29;

/// A program for this kind of machine that names a loader, libraries and, if not empty, a DT_RUNPATH.
pub fn program(interpreter: &str, needed: &[&str], runpath: &str) -> Vec<u8> {
    let mut strings = vec![0];
    let mut string = |text: &str| {
        let at = strings.len() as u64;
        strings.extend(text.bytes().chain([0]));
        at
    };
    let loader = string(interpreter);
    let mut dynamic: Vec<(u64, u64)> = needed.iter().map(|name| (DT_NEEDED, string(name))).collect();
    if !runpath.is_empty() {
        dynamic.push((DT_RUNPATH, string(runpath)));
    }
    // The tables lie one after the other, at the same addresses as in the file.
    let at_dynamic = EHDR + 3 * PHDR;
    let length = 16 * (dynamic.len() as u64 + 3);
    let at_strings = at_dynamic + length;
    dynamic.extend([(DT_STRTAB, at_strings), (DT_STRSZ, strings.len() as u64), (0, 0)]);
    let whole = at_strings + strings.len() as u64;
    let mut bytes = header();
    segment(&mut bytes, PT_INTERP, at_strings + loader, interpreter.len() as u64 + 1);
    segment(&mut bytes, PT_LOAD, 0, whole);
    segment(&mut bytes, PT_DYNAMIC, at_dynamic, length);
    for (tag, value) in dynamic {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(strings);
    bytes
}

fn header() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(3_u16.to_le_bytes()); // ET_DYN
    bytes.extend(machine().to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for place in [0, EHDR, 0] {
        bytes.extend(place.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for size in [EHDR as u16, PHDR as u16, 3, 64, 0, 0] {
        bytes.extend(size.to_le_bytes());
    }
    bytes
}

/// `e_machine` of this machine's own programs.
fn machine() -> u16 {
    let shell = std::fs::read("/bin/sh").unwrap_or_default();
    shell.get(18..20).map_or(62, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn segment(bytes: &mut Vec<u8>, kind: u32, at: u64, length: u64) {
    bytes.extend(kind.to_le_bytes());
    bytes.extend(4_u32.to_le_bytes());
    for number in [at, at, at, length, length, 8] {
        bytes.extend(number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use rootfs::elf::Elf;

    #[test]
    fn it_is_read_as_it_was_written() {
        let elf = Elf::parse(&super::program("/no/loader", &["liba.so", "libb.so"], "$ORIGIN/lib:/x")).unwrap();
        assert_eq!(elf.interpreter.unwrap().to_str(), Some("/no/loader"));
        assert_eq!(
            (elf.needed, elf.runpath),
            (vec!["liba.so".into(), "libb.so".into()], vec!["$ORIGIN/lib".into(), "/x".into()])
        );
    }
}
