//! Is this what was recorded?

use similar::TextDiff;

use crate::cell::{Cell, Compare};
use crate::run::redact;

/// A line that stands for any number of lines.
const LINES: &str = "[...]";

/// Within a line: any text.
const ANY: &str = "[..]";

/// Does `said` match `recorded`, as the cell wants it compared? `recorded` may hold `[..]` and lines `[...]`.
pub fn matches(cell: &Cell, recorded: &str, said: &str) -> bool {
    let (wanted, got) = (lines(cell, recorded), lines(cell, said));
    if cell.unordered { unordered(&wanted, &got) } else { ordered(&wanted, &got) }
}

/// The difference as a person reads it: `-` was recorded, `+` was said.
pub fn difference(cell: &Cell, recorded: &str, said: &str) -> String {
    let (wanted, got) = (recorded.to_owned(), said.to_owned());
    let equal = |a: &str, b: &str| matches(&Cell { unordered: false, ..cell.clone() }, a, b);
    let mut out = String::new();
    for change in TextDiff::from_lines(&wanted, &got).iter_all_changes() {
        out += &format!("    {}{}\n", change.tag(), change.value().trim_end_matches('\n'));
    }
    // Where only some lines matter, show those alone.
    let (old, new): (Vec<&str>, Vec<&str>) = (recorded.lines().collect(), said.lines().collect());
    if old.len() == new.len() && !recorded.contains(ANY) && !recorded.contains(LINES) {
        let pairs = old.iter().zip(&new).filter(|(old, new)| !equal(old, new));
        let short: String = pairs.map(|(old, new)| format!("    -{old}\n    +{new}\n")).collect();
        if !short.is_empty() && !cell.unordered {
            return short;
        }
    }
    out
}

/// The lines of what was said, each with a mark: ` ` as recorded, `+` not recorded; and `-` those recorded only.
pub fn marked(cell: &Cell, recorded: &str, said: &str) -> Vec<(char, String)> {
    let shown = redact::plain(said);
    if matches(cell, recorded, said) {
        return shown.lines().map(|line| (' ', line.to_owned())).collect();
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (recorded.lines().collect(), shown.lines().collect());
    let (before, after) = (lines(cell, recorded), lines(cell, said));
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
    let mut out = Vec::new();
    for change in TextDiff::from_slices(&before, &after).iter_all_changes() {
        let line = match (change.new_index(), change.old_index()) {
            (Some(index), _) => new.get(index),
            (None, Some(index)) => old.get(index),
            (None, None) => None,
        };
        let mark = change.tag().to_string().chars().next().unwrap_or(' ');
        out.push((mark, line.copied().unwrap_or_default().to_owned()));
    }
    out
}

fn lines(cell: &Cell, text: &str) -> Vec<String> {
    let text = redact::plain(text);
    let text = match cell.compare {
        Compare::Exact => text,
        Compare::Pattern => redact::volatile(&text),
        Compare::Shape => redact::shape(&text),
    };
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn ordered(wanted: &[String], got: &[String]) -> bool {
    let Some((first, rest)) = wanted.split_first() else {
        return got.is_empty();
    };
    if first.trim() == LINES {
        return (0..=got.len()).any(|skip| ordered(rest, &got[skip..]));
    }
    got.split_first().is_some_and(|(line, others)| fits(first, line) && ordered(rest, others))
}

fn unordered(wanted: &[String], got: &[String]) -> bool {
    let mut left: Vec<&String> = got.iter().collect();
    for line in wanted.iter().filter(|line| line.trim() != LINES) {
        match left.iter().position(|other| fits(line, other)) {
            Some(at) => drop(left.swap_remove(at)),
            None => return false,
        }
    }
    left.is_empty() || wanted.iter().any(|line| line.trim() == LINES)
}

fn fits(wanted: &str, got: &str) -> bool {
    let mut parts = wanted.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = got.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(options: &str) -> Cell {
        let page = format!("```console cell=a {options}\n$ x\n```\n");
        crate::cell::parse("p", "p", &page).unwrap().remove(0)
    }

    #[test]
    fn each_way_of_comparing() {
        let cases = [
            ("", "pid 1 is up\n", "pid 2 is up\n", true),
            ("", "64 apples\n", "65 apples\n", false),
            ("compare=exact", "pid 1\n", "pid 2\n", false),
            ("compare=shape", "a   64\n", "a 6\n", true),
            ("compare=shape", "a 64\n", "b 64\n", false),
            ("", "a [..] c\n", "a long way to c\n", true),
            ("", "a [..] c\n", "a long way to d\n", false),
            ("", "a\n[...]\nz\n", "a\nb\nc\nz\n", true),
            ("", "a\n[...]\nz\n", "a\nz\n", true),
            ("", "a\n[...]\n", "b\nz\n", false),
            ("", "a\nb\n", "b\na\n", false),
            ("unordered", "a\nb\n", "b\na\n", true),
            ("unordered", "a\nb\n", "b\na\na\n", false),
            ("", "x\n", "x  \n\n", true),
        ];
        for (options, recorded, said, wanted) in cases {
            assert_eq!(matches(&cell(options), recorded, said), wanted, "{options}: {recorded:?} and {said:?}");
        }
    }

    #[test]
    fn a_difference_shows_what_matters() {
        let text = difference(&cell(""), "pid 1\n64 apples\n", "pid 2\n65 apples\n");
        assert_eq!(text, "    -64 apples\n    +65 apples\n");
    }
}
