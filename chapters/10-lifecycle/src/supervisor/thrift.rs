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
    let (mut range, mut is_code) = (None, false);
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            // What was changed in its private copy, as relocated addresses are, would be lost.
            (Some("Anonymous:"), Some("0")) if is_code => {
                range.take().into_iter().for_each(|(start, end)| sys::forget(start, end));
            }
            (Some(place), Some(rights)) if rights.len() == 4 && !place.ends_with(':') => {
                range = bounds(place);
                is_code =
                    matches!(rights, "r-xp" | "r--p") && words.next_back().is_some_and(|path| path.starts_with('/'));
            }
            _ => {}
        }
    }
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
        assert_eq!(bounds("1f-20"), Some((31, 32)));
        assert_eq!(bounds("Rss:"), None);
    }
}
