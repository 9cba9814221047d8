//! Capabilities by name, and sets of them: root's power in pieces (capabilities(7)).

use std::fmt;
use std::str::FromStr;

use caps::Capability;
use process::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[allow(unsafe_code)]
pub mod sys;

/// A set of capabilities: bit N is capability N of linux/capability.h, as in `CapEff:` of /proc/PID/status.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CapSet(pub u64);

/// What a container of Docker may do when nobody says otherwise (moby, daemon/pkg/oci/caps/defaults.go).
const DEFAULT: [Capability; 14] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FSETID,
    Capability::CAP_FOWNER,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_KILL,
    Capability::CAP_AUDIT_WRITE,
];

impl CapSet {
    /// None at all.
    pub const EMPTY: Self = Self(0);

    /// Docker's default set.
    pub fn docker() -> Self {
        DEFAULT.into_iter().collect()
    }

    /// All that this kernel has; where /proc/sys/kernel/cap_last_cap cannot be read it is asked one by one.
    pub fn of_kernel() -> Self {
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
        match last.and_then(|text| text.trim().parse::<u32>().ok()) {
            Some(last) if last < 64 => Self(u64::MAX >> (63 - last)),
            _ => caps::runtime::thread_all_supported().into_iter().collect(),
        }
    }

    /// All that this process could give: those of its own bounding set. Root in a container has fewer than root.
    ///
    /// Each is asked of the kernel by number, since a container's /proc may say anything.
    pub fn of_ours() -> Self {
        (0..64).filter(|&number| sys::is_bounding(number)).fold(Self::EMPTY, |set, number| Self(set.0 | 1 << number))
    }

    /// Is `capability` in it?
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & capability.bitmask() != 0
    }

    /// This set with `capability`.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bitmask())
    }

    /// This set without `capability`.
    #[must_use]
    pub fn without(self, capability: Capability) -> Self {
        Self(self.0 & !capability.bitmask())
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in one of them.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one and not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Is nothing in it?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers of its capabilities, ascending.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |number| self.0 >> number & 1 == 1)
    }

    /// Their names, with `CAP_`; a number that has no name yet is `CAP_41`.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.numbers().map(Self::name)
    }

    /// The name of capability `number`.
    pub fn name(number: u8) -> String {
        let named = caps::all().into_iter().find(|capability| capability.index() == number);
        named.map_or_else(|| format!("CAP_{number}"), |capability| capability.to_string())
    }
}

/// `net_admin`, `CAP_NET_ADMIN`: the capability that is meant.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) for a name that is none, with those that look like it.
pub fn parse(text: &str) -> Result<Capability> {
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    Capability::from_str(&full).map_err(|_| {
        let error = Error::invalid(format!("there is no capability {text:?}"));
        let near = near(&full);
        if near.is_empty() {
            error.help("capabilities(7) has the list: NET_ADMIN, SYS_PTRACE, …, or ALL")
        } else {
            error.help(format!("did you mean {}?", near.join(" or ")))
        }
    })
}

/// The names that differ from `full` by little, or have one of its words; the nearest first.
fn near(full: &str) -> Vec<String> {
    let mut all: Vec<_> =
        caps::all().into_iter().map(|one| one.to_string()).map(|one| (distance(&one, full), one)).collect();
    all.sort();
    let wanted = full.trim_start_matches("CAP_");
    let close = |&(distance, ref one): &(usize, String)| distance <= 2 || (wanted.len() > 2 && one.contains(wanted));
    all.into_iter().filter(close).map(|(_, one)| one.trim_start_matches("CAP_").to_owned()).take(4).collect()
}

/// How many letters must be changed, added or left out to make the one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, wanted) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(letter != wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

impl FromIterator<Capability> for CapSet {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        iter.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// As the kernel writes it in /proc/PID/status.
impl fmt::Display for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// A list of names, as in config.json.
impl Serialize for CapSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for CapSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let number = |name: &str| name.strip_prefix("CAP_").and_then(|number| number.parse::<u8>().ok());
        names.iter().try_fold(Self::EMPTY, |set, name| match number(name) {
            Some(number) if number < 64 => Ok(Self(set.0 | 1 << number)),
            _ => parse(name).map(|capability| set.with(capability)).map_err(serde::de::Error::custom),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_default_is_the_number_that_everybody_knows() {
        assert_eq!(CapSet::docker().to_string(), "00000000a80425fb");
    }

    #[test]
    fn names_in_any_spelling() {
        for text in ["net_admin", "NET_ADMIN", "CAP_NET_ADMIN", "Cap_Net_Admin"] {
            assert_eq!(parse(text).unwrap(), Capability::CAP_NET_ADMIN, "{text}");
        }
    }

    #[test]
    fn unknown_names_bring_those_near() {
        let help = |text: &str| parse(text).unwrap_err().way_out().unwrap().to_owned();
        assert_eq!(help("NET_ADMINN"), "did you mean NET_ADMIN?");
        assert_eq!(help("CAP_SYS_PTRASE"), "did you mean SYS_PTRACE?");
        assert!(help("admin").contains("SYS_ADMIN") && help("admin").contains("NET_ADMIN"), "{}", help("admin"));
        assert!(help("xyzzy").contains("capabilities(7)"));
    }

    #[test]
    fn sets_are_stored_by_name() {
        let set = CapSet::EMPTY.with(Capability::CAP_KILL).with(Capability::CAP_BPF);
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(text, r#"["CAP_KILL","CAP_BPF"]"#);
        assert_eq!(serde_json::from_str::<CapSet>(&text).unwrap(), set);
        let future = CapSet(1 << 60);
        assert_eq!(serde_json::from_str::<CapSet>(&serde_json::to_string(&future).unwrap()).unwrap(), future);
        assert!(serde_json::from_str::<CapSet>(r#"["CAP_NONSENSE"]"#).is_err());
    }
}
