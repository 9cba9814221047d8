//! The options of a mount, as words (config.md, "Linux mount options"; mount(8)).

use crate::oci::sys::{ATIME, NOATIME, NODEV, NODIRATIME, NOEXEC, NOSUID, NOSYMFOLLOW, RDONLY, STRICTATIME};

/// What the words come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Some: a bind mount; true: with what is mounted below the source.
    pub bind: Option<bool>,
    /// Flags of mount(2) that are asked for.
    pub set: u64,
    /// And those that are asked not to be.
    pub clear: u64,
    /// Attributes of mount_setattr(2) for the mount and all below it.
    pub recursive_set: u64,
    /// And those to take away there.
    pub recursive_clear: u64,
    /// `MS_SHARED` and so on, with `MS_REC` or without, in their order.
    pub propagation: Vec<u64>,
    /// Fill a new tmpfs with what was there.
    pub copy_up: bool,
    /// Some: with mapped ids; true: below it too.
    pub idmap: Option<bool>,
    /// What only the file system understands.
    pub data: Vec<String>,
}

/// What one word does.
#[derive(Clone, Copy)]
enum Word {
    Nothing,
    Bind(bool),
    Set(u64),
    Clear(u64),
    Recursive(u64, u64),
    Propagate(u64),
    CopyUp,
    Idmap(bool),
}
use Word::{Bind, Clear, CopyUp, Idmap, Nothing, Propagate, Recursive, Set};

/// `MS_NOSYMFOLLOW` (mount(2)), which the C library does not name.
pub const MS_NOSYMFOLLOW: u64 = 0x100;

/// All of them, but those of file systems.
const WORDS: [(&str, Word); 64] = [
    ("acl", Set(libc::MS_POSIXACL)),
    ("async", Clear(libc::MS_SYNCHRONOUS)),
    ("atime", Clear(libc::MS_NOATIME)),
    ("bind", Bind(false)),
    ("defaults", Nothing),
    ("dev", Clear(libc::MS_NODEV)),
    ("diratime", Clear(libc::MS_NODIRATIME)),
    ("dirsync", Set(libc::MS_DIRSYNC)),
    ("exec", Clear(libc::MS_NOEXEC)),
    ("idmap", Idmap(false)),
    ("iversion", Set(libc::MS_I_VERSION)),
    ("lazytime", Set(libc::MS_LAZYTIME)),
    ("loud", Clear(libc::MS_SILENT)),
    ("mand", Set(libc::MS_MANDLOCK)),
    ("noacl", Clear(libc::MS_POSIXACL)),
    ("noatime", Set(libc::MS_NOATIME)),
    ("nodev", Set(libc::MS_NODEV)),
    ("nodiratime", Set(libc::MS_NODIRATIME)),
    ("noexec", Set(libc::MS_NOEXEC)),
    ("noiversion", Clear(libc::MS_I_VERSION)),
    ("nolazytime", Clear(libc::MS_LAZYTIME)),
    ("nomand", Clear(libc::MS_MANDLOCK)),
    ("norelatime", Clear(libc::MS_RELATIME)),
    ("nostrictatime", Clear(libc::MS_STRICTATIME)),
    ("nosuid", Set(libc::MS_NOSUID)),
    ("nosymfollow", Set(MS_NOSYMFOLLOW)),
    ("private", Propagate(libc::MS_PRIVATE)),
    ("ratime", Recursive(0, NOATIME)),
    ("rbind", Bind(true)),
    ("rdev", Recursive(0, NODEV)),
    ("rdiratime", Recursive(0, NODIRATIME)),
    ("relatime", Set(libc::MS_RELATIME)),
    ("remount", Set(libc::MS_REMOUNT)),
    ("rexec", Recursive(0, NOEXEC)),
    ("ridmap", Idmap(true)),
    ("rnoatime", Recursive(NOATIME, ATIME)),
    ("rnodev", Recursive(NODEV, 0)),
    ("rnodiratime", Recursive(NODIRATIME, 0)),
    ("rnoexec", Recursive(NOEXEC, 0)),
    ("rnorelatime", Recursive(0, 0)),
    ("rnostrictatime", Recursive(0, STRICTATIME)),
    ("rnosuid", Recursive(NOSUID, 0)),
    ("rnosymfollow", Recursive(NOSYMFOLLOW, 0)),
    ("ro", Set(libc::MS_RDONLY)),
    ("rprivate", Propagate(libc::MS_PRIVATE | libc::MS_REC)),
    ("rrelatime", Recursive(0, ATIME)),
    ("rro", Recursive(RDONLY, 0)),
    ("rrw", Recursive(0, RDONLY)),
    ("rshared", Propagate(libc::MS_SHARED | libc::MS_REC)),
    ("rslave", Propagate(libc::MS_SLAVE | libc::MS_REC)),
    ("rstrictatime", Recursive(STRICTATIME, ATIME)),
    ("rsuid", Recursive(0, NOSUID)),
    ("rsymfollow", Recursive(0, NOSYMFOLLOW)),
    ("runbindable", Propagate(libc::MS_UNBINDABLE | libc::MS_REC)),
    ("rw", Clear(libc::MS_RDONLY)),
    ("shared", Propagate(libc::MS_SHARED)),
    ("silent", Set(libc::MS_SILENT)),
    ("slave", Propagate(libc::MS_SLAVE)),
    ("strictatime", Set(libc::MS_STRICTATIME)),
    ("suid", Clear(libc::MS_NOSUID)),
    ("symfollow", Clear(MS_NOSYMFOLLOW)),
    ("sync", Set(libc::MS_SYNCHRONOUS)),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagate(libc::MS_UNBINDABLE)),
];

impl Options {
    /// Reads the words; of contradicting ones the last counts.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Self {
        let mut options = Self::default();
        for word in words.iter().map(AsRef::as_ref) {
            match WORDS.iter().find(|(name, _)| *name == word) {
                Some((_, effect)) => options.apply(*effect),
                None if word.is_empty() => {}
                None => options.data.push(word.to_owned()),
            }
        }
        options
    }

    /// All options that have a name of their own, for `features`.
    pub fn known() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(name, _)| *name)
    }

    fn apply(&mut self, word: Word) {
        match word {
            Nothing => {}
            Bind(recursive) => self.bind = Some(recursive || self.bind == Some(true)),
            Set(flags) => (self.set, self.clear) = (self.set | flags, self.clear & !flags),
            Clear(flags) => (self.set, self.clear) = (self.set & !flags, self.clear | flags),
            Recursive(set, clear) => {
                self.recursive_set = self.recursive_set & !clear & !set | set;
                self.recursive_clear = self.recursive_clear & !set | clear;
            }
            Propagate(flags) => self.propagation.push(flags),
            CopyUp => self.copy_up = true,
            Idmap(recursive) => self.idmap = Some(recursive || self.idmap == Some(true)),
        }
    }

    /// The flags that belong to a mount and not to its file system, as mount_setattr(2) has them: to set, to clear.
    pub fn attributes(&self) -> (u64, u64) {
        let pairs = [
            (libc::MS_RDONLY, RDONLY),
            (libc::MS_NOSUID, NOSUID),
            (libc::MS_NODEV, NODEV),
            (libc::MS_NOEXEC, NOEXEC),
            (libc::MS_NODIRATIME, NODIRATIME),
            (MS_NOSYMFOLLOW, NOSYMFOLLOW),
        ];
        let translate =
            |flags: u64| pairs.iter().filter(|(flag, _)| flags & flag != 0).fold(0, |all, (_, attr)| all | attr);
        let (mut set, mut clear) = (translate(self.set), translate(self.clear));
        // How access times are kept is one value of three, not a flag; 0 stands for relatime.
        let times = [(libc::MS_NOATIME, NOATIME), (libc::MS_STRICTATIME, STRICTATIME), (libc::MS_RELATIME, 0)];
        if let Some((_, value)) = times.iter().find(|(flag, _)| self.set & flag != 0) {
            (set, clear) = (set | value, clear | ATIME);
        } else if self.clear & libc::MS_NOATIME != 0 {
            clear |= ATIME;
        }
        (set, clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_that_contradict_counts() {
        let options = Options::parse(&["ro", "rw", "nosuid", "suid", "nosuid"]);
        assert_eq!((options.set, options.clear), (libc::MS_NOSUID, libc::MS_RDONLY));
        let options = Options::parse(&["rro", "rrw", "rnoatime", "rstrictatime"]);
        assert_eq!((options.recursive_set, options.recursive_clear), (STRICTATIME, RDONLY | ATIME));
    }

    #[test]
    fn what_is_no_word_is_the_file_systems() {
        let options = Options::parse(&["mode=755", "", "size=64k", "nosuid", "newinstance"]);
        assert_eq!(options.data, ["mode=755", "size=64k", "newinstance"]);
    }

    #[test]
    fn flags_become_attributes() {
        let of = |words: &[&str]| Options::parse(words).attributes();
        assert_eq!(of(&["ro", "nodev"]), (RDONLY | NODEV, 0));
        assert_eq!(of(&["rw", "noatime"]), (NOATIME, RDONLY | ATIME));
        assert_eq!(of(&["strictatime"]), (STRICTATIME, ATIME));
        assert_eq!(of(&["relatime"]), (0, ATIME));
        assert_eq!(of(&["nosymfollow", "sync"]), (NOSYMFOLLOW, 0));
    }

    #[test]
    fn binds() {
        assert_eq!(Options::parse(&["rbind", "bind"]).bind, Some(true));
        assert_eq!(Options::parse(&["bind", "rprivate"]).propagation, [libc::MS_PRIVATE | libc::MS_REC]);
        assert_eq!(Options::parse(&["ro"]).bind, None);
    }

    #[test]
    fn every_word_once() {
        assert!(crate::oci::bundle::twice(WORDS.iter().map(|(name, _)| *name)).is_none());
    }
}
