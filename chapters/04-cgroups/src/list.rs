//! Lists of CPUs and memory nodes, `0-3,5`, as the kernel writes them (cpuset(7), "List format").

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use process::Error;

/// More CPUs than Linux can be built for.
const HIGHEST: u32 = 8191;

/// A set of small numbers in the kernel's list format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberList(pub BTreeSet<u32>);

impl NumberList {
    /// The members that `other` does not have.
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).copied().collect())
    }
}

impl FromStr for NumberList {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|&number| number <= HIGHEST);
        let mut list = BTreeSet::new();
        for part in text.trim().split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => list.extend(first..=last),
                _ => {
                    return Err(Error::invalid(format!("{text:?} is no list of numbers"))
                        .help("write single numbers and ranges with commas between, as in 0-3,5"));
                }
            }
        }
        Ok(Self(list))
    }
}

impl fmt::Display for NumberList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for &number in &self.0 {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        let ranges = ranges
            .iter()
            .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
        f.write_str(&ranges.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_kernels_format() {
        for (text, again) in [("0", "0"), ("0-3,5", "0-3,5"), ("5,0,1", "0-1,5"), ("0-1,1-2\n", "0-2")] {
            assert_eq!(text.parse::<NumberList>().unwrap().to_string(), again);
        }
        for text in ["", "3-1", "a", "0-", "1,,2", "0-4294967295", "-1"] {
            assert!(text.parse::<NumberList>().is_err(), "{text}");
        }
    }

    #[test]
    fn knows_what_is_missing() {
        let list = |text: &str| text.parse::<NumberList>().unwrap();
        assert_eq!(list("0-3").without(&list("0-1")), list("2-3"));
    }
}
