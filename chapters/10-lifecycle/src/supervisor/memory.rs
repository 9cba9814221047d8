//! What the light phase gives back before it begins to wait.
//!
//! To get this far the program has touched megabytes of its own text and of its libraries', which the loop will not need
//! again: the dynamic loader's work, the parsing of JSON. The kernel maps such pages in blocks, and counts them as
//! resident. They are files' pages that nobody has changed, so they can go; what is needed again comes back by a fault.

use std::fs;

use super::sys;

/// Gives back every page of a file that is mapped and that this process has not changed.
pub fn give_back() {
    let text = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for (start, end) in clean_files(&text) {
        sys::drop_pages(start, end - start);
    }
}

/// The mappings of files that cannot be written and hold no page of the process's own (proc_pid_smaps(5)).
fn clean_files(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut here = None;
    for line in smaps.lines() {
        if let Some(range) = mapping(line) {
            here = range;
        } else if line.strip_prefix("Anonymous:").is_some_and(|rest| rest.trim() == "0 kB") {
            found.extend(here.take());
        }
    }
    found
}

/// `7f00-7f10 r-xp 00000000 fe:00 12 /lib/libc.so.6`: its range, if it is a file's and cannot be written. None if this
/// is no such line at all.
fn mapping(line: &str) -> Option<Option<(usize, usize)>> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    let rights = words.next()?;
    let file = words.nth(3).is_some_and(|path| path.starts_with('/'));
    Some((file && rights.starts_with('r') && !rights.contains('w')).then_some((start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unchanged_files_go() {
        let smaps = "\
1000-2000 r-xp 00000000 fe:00 12                         /bin/x
Rss:                   4 kB
Anonymous:             0 kB
2000-3000 r--p 00000000 fe:00 12                         /bin/x
Anonymous:             4 kB
3000-4000 rw-p 00000000 fe:00 12                         /bin/x
Anonymous:             0 kB
4000-5000 rw-p 00000000 00:00 0                          [heap]
Anonymous:             0 kB
5000-6000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
7000-8000 r--p 00000000 fe:00 12                         /lib/libc.so.6
Anonymous:             0 kB
";
        assert_eq!(clean_files(smaps), [(0x1000, 0x2000), (0x7000, 0x8000)]);
    }

    #[test]
    fn the_program_goes_on() {
        give_back();
        assert_eq!("still here".len(), 10);
    }
}
