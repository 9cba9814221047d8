//! Memory that is given back: the parts of the program's file that its beginning needed and its loop does not.
//!
//! Most of what a resident process seems to need is its own file: the loader reads every relocation, and each page of
//! code that is touched brings its neighbours along (fault-around). The kernel could take those pages back at any time,
//! but counts them as long as nobody else wants the room. Two hundred supervisors share them, yet each shows them.

use std::fs;

use super::sys;

/// Gives back the pages of files that were mapped and never changed. Those that are needed come back at once, from the
/// page cache, without a disk.
pub fn give_back() {
    let Ok(maps) = fs::read_to_string("/proc/self/smaps") else { return };
    // All are found before the first is forgotten: the search needs pages, too.
    for (start, end) in unchanged(&maps) {
        sys::forget(start, end);
    }
}

/// The mappings of files without a page that was changed in its private copy, as relocated addresses are: that would be
/// lost.
fn unchanged(maps: &str) -> Vec<(usize, usize)> {
    let (mut found, mut range) = (Vec::new(), None);
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("Anonymous:"), Some("0")) => found.extend(range.take()),
            (Some("Anonymous:"), Some(_)) => range = None,
            (Some(place), Some(rights)) if rights.len() == 4 && !place.ends_with(':') => {
                let is_file = words.next_back().is_some_and(|path| path.starts_with('/'));
                range = bounds(place).filter(|_| is_file && matches!(rights, "r-xp" | "r--p"));
            }
            _ => {}
        }
    }
    found
}

/// `7f00-8f00`, as proc_pid_maps(5) has it.
fn bounds(place: &str) -> Option<(usize, usize)> {
    let (start, end) = place.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_goes_on_without_its_pages() {
        let text = "kept in the file".to_owned();
        give_back();
        assert_eq!(text + &format!(" {}", 1), "kept in the file 1");
    }

    #[test]
    fn what_was_changed_stays() {
        let maps = "1000-2000 r-xp 00000000 fe:00 7 /a\nRss: 4 kB\nAnonymous:      0 kB\nVmFlags: rd ex\n\
            2000-3000 r--p 00001000 fe:00 7 /a b\nAnonymous:      4 kB\n\
            3000-4000 rw-p 00002000 fe:00 7 /a\nAnonymous:      0 kB\n\
            4000-5000 r--p 00000000 00:00 0 [vvar]\nAnonymous:      0 kB\n\
            5000-6000 r--p 00000000 fe:00 7 /memfd:x (deleted)\nAnonymous:      0 kB\n";
        assert_eq!(unchanged(maps), [(0x1000, 0x2000)]);
    }
}
