//! `--filter` of `images` and `image prune`: of `reference` any value fits, of every other key all must.

use std::str::FromStr;
use std::time::SystemTime;

use process::{Error, Result};

use super::text::{created, parse_time};
use crate::store::Image;
use crate::{Reference, Store, duration};

/// One `--filter`.
#[derive(Debug, Clone)]
pub struct Filter {
    key: String,
    value: String,
}

const KEYS: [&str; 7] = ["before", "dangling", "label", "label!", "reference", "since", "until"];

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // `label!=x` has the mark before the sign.
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| KEYS.contains(key)) else {
            return Err(Error::invalid(format!("invalid filter {text:?}"))
                .help(format!("write KEY=VALUE; the keys are {}", KEYS.join(", "))));
        };
        let filter = Self { key: key.to_owned(), value: value.to_owned() };
        match key {
            "dangling" => drop(truth(value)?),
            "until" => drop(until(value)?),
            _ => {}
        }
        Ok(filter)
    }
}

/// The filters of one command, with the images that they compare with looked up.
pub struct Filters {
    all: Vec<Filter>,
    before: Vec<Option<SystemTime>>,
    since: Vec<Option<SystemTime>>,
}

impl Filters {
    /// Looks up what `before` and `since` name.
    ///
    /// # Errors
    /// As [`Store::find`].
    pub fn new(store: &Store, all: &[Filter]) -> Result<Self> {
        let times = |key: &str| {
            let named = all.iter().filter(|filter| filter.key == key);
            named.map(|filter| Ok(created(&store.find(&filter.value)?.config))).collect::<Result<Vec<_>>>()
        };
        Ok(Self { all: all.to_vec(), before: times("before")?, since: times("since")? })
    }

    /// Does the image pass those that are about images?
    pub fn image(&self, image: &Image) -> bool {
        let made = created(&image.config);
        self.all.iter().all(|filter| filter.fits(image, made))
            && self.before.iter().all(|other| made < *other)
            && self.since.iter().all(|other| made > *other)
    }

    /// Does this name of an image pass those that are about names?
    pub fn name(&self, name: Option<&Reference>) -> bool {
        let mut wanted = self.all.iter().filter(|filter| filter.key == "reference").peekable();
        wanted.peek().is_none() || name.is_some_and(|name| wanted.any(|filter| matches(&filter.value, name)))
    }
}

impl Filter {
    /// `dangling=false`, which `image prune` takes for `--all`.
    pub fn is_not_dangling(&self) -> bool {
        self.key == "dangling" && truth(&self.value).is_ok_and(|dangling| !dangling)
    }

    fn fits(&self, image: &Image, made: Option<SystemTime>) -> bool {
        let has_label = || {
            let labels = image.config.config().as_ref().and_then(|config| config.labels().as_ref());
            match self.value.split_once('=') {
                Some((name, value)) => labels.is_some_and(|all| all.get(name).is_some_and(|found| found == value)),
                None => labels.is_some_and(|all| all.contains_key(&self.value)),
            }
        };
        match self.key.as_str() {
            "dangling" => truth(&self.value).ok() == Some(image.names.is_empty()),
            "label" => has_label(),
            "label!" => !has_label(),
            "until" => until(&self.value).is_ok_and(|until| made.is_some_and(|made| made < until)),
            _ => true,
        }
    }
}

fn truth(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(Error::invalid(format!("{text:?} is neither true nor false"))),
    }
}

/// A point in time: RFC 3339, a date, seconds since 1970, or a duration that counts back from now.
fn until(text: &str) -> Result<SystemTime> {
    if let Some(time) = parse_time(text).or_else(|| parse_time(&format!("{text}T00:00:00Z"))) {
        return Ok(time);
    }
    if let Ok(seconds) = text.parse::<u64>() {
        let time = SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
        return time.ok_or_else(|| Error::invalid(format!("{text:?} is no point in time")));
    }
    let ago = duration::parse(text).map_err(|_| {
        Error::invalid(format!("{text:?} is no point in time"))
            .help("write 2026-01-02T15:04:05Z, 2026-01-02, 1767366245 or, to count back from now, 24h")
    })?;
    Ok(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// A name against a pattern, as `path.Match` of Go: `*` and `?` stop at slashes; with a tag or without, short or whole.
pub fn matches(pattern: &str, name: &Reference) -> bool {
    let names = [name.familiar_name(), name.familiar(), name.name(), name.to_string()];
    names.iter().any(|name| glob(pattern.as_bytes(), name.as_bytes()))
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            // As far as there is no slash.
            let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
            (0..=end).any(|at| glob(rest, &text[at..]))
        }
        ([b'?', rest @ ..], [byte, others @ ..]) => *byte != b'/' && glob(rest, others),
        ([b'[', rest @ ..], [byte, others @ ..]) => match rest.iter().position(|&one| one == b']') {
            Some(end) => in_set(&rest[..end], *byte) && glob(&rest[end + 1..], others),
            None => false,
        },
        ([b'\\', wanted, rest @ ..], [byte, others @ ..]) | ([wanted, rest @ ..], [byte, others @ ..]) => {
            wanted == byte && glob(rest, others)
        }
        _ => false,
    }
}

/// `a-z0`, or `^a-z` for all others.
fn in_set(set: &[u8], byte: u8) -> bool {
    let (not, set) = match set {
        [b'^', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let ranges = set.windows(3).any(|three| three[1] == b'-' && (three[0]..=three[2]).contains(&byte));
    (ranges || set.contains(&byte)) != not
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["colour=red", "dangling", "dangling=maybe", "until=yesterday"] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
        for text in ["label=a=b", "label!=a", "until=24h", "until=2024-01-02", "until=1700000000", "reference=*"] {
            assert!(text.parse::<Filter>().is_ok(), "{text}");
        }
    }

    #[test]
    fn names_fit_patterns() {
        let name: Reference = "quay.example/team/app:1.2".parse().unwrap();
        for pattern in ["quay.example/team/app", "quay.example/*/app", "*/*/*:1.?", "quay.example/team/[a-c]pp:1.2"] {
            assert!(matches(pattern, &name), "{pattern}");
        }
        for pattern in ["app", "*", "quay.example/*", "*:2", "[", "quay.example/team/[^a]pp"] {
            assert!(!matches(pattern, &name), "{pattern}");
        }
        assert!(matches("busy*", &"busybox".parse().unwrap()) && matches("*:latest", &"busybox".parse().unwrap()));
    }
}
