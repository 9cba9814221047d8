//! The names in an archive: checked once, so that no other code ever sees a dangerous one.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use process::Result;

use super::corrupt;

/// A path inside the layer: relative, without `.` and `..`; empty for the layer's root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(PathBuf);

/// What a path of a layer asks for (OCI image-spec layer.md, "Whiteouts").
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A file to make.
    File(Name),
    /// `.wh.NAME`: hides NAME of the layers below.
    Whiteout(Name),
    /// `.wh..wh..opq`: hides everything that the layers below have in this directory.
    Opaque(Name),
    /// Other files of aufs's own.
    Nothing,
}

const WHITEOUT: &[u8] = b".wh.";

impl Name {
    /// Checks the bytes of a path. An absolute path is one from the layer's root.
    ///
    /// # Errors
    /// Paths with `..` or a NUL byte, and those of more than `depth` names.
    pub fn new(bytes: &[u8], depth: usize) -> Result<Self> {
        let refuse = |why: &str| Err(corrupt(&format!("the name {:?} {why}", OsStr::from_bytes(bytes))));
        let mut path = Vec::with_capacity(bytes.len());
        let mut count = 0;
        for part in bytes.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return refuse("leads out of the layer"),
                part if part.contains(&0) => return refuse("holds a NUL byte"),
                part => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(part);
                    count += 1;
                }
            }
        }
        if count > depth {
            return refuse("is too deep");
        }
        Ok(Self(OsString::from_vec(path).into()))
    }

    /// The path, relative to the layer's root.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Is it the layer's root itself?
    pub fn is_root(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    /// The directory it lies in.
    pub fn parent(&self) -> Self {
        Self(self.0.parent().unwrap_or(Path::new("")).to_owned())
    }

    /// The last part.
    pub fn file_name(&self) -> &OsStr {
        self.0.file_name().unwrap_or_default()
    }

    /// From the root downwards: `a`, `a/b`, `a/b/c`.
    pub fn steps(&self) -> impl Iterator<Item = Self> {
        let mut steps: Vec<_> = self.0.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        steps.reverse();
        steps.into_iter().map(|path| Self(path.to_owned()))
    }

    /// Is it a file, or the mark of a deletion?
    ///
    /// # Errors
    /// Marks that name nothing, and marks used as directories.
    pub fn meaning(self) -> Result<Meaning> {
        let shown = format!("{:?}", self.0);
        let parent = self.parent();
        if parent.0.iter().any(|part| part.as_bytes().starts_with(WHITEOUT)) {
            return Err(corrupt(&format!("{shown} lies in a whiteout")));
        }
        let Some(hidden) = self.file_name().as_bytes().strip_prefix(WHITEOUT) else { return Ok(Meaning::File(self)) };
        match hidden {
            b"" | b"." | b".." => Err(corrupt(&format!("the whiteout {shown} names nothing"))),
            b".wh..opq" => Ok(Meaning::Opaque(parent)),
            // Hard link stores and the like (aufs(5)); no other engine keeps them either.
            hidden if hidden.starts_with(WHITEOUT) => Ok(Meaning::Nothing),
            hidden => Ok(Meaning::Whiteout(Self(parent.0.join(OsStr::from_bytes(hidden))))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes(), 9).unwrap()
    }

    #[test]
    fn only_paths_inside_pass() {
        assert_eq!(name("./a//b/./c/").path(), Path::new("a/b/c"));
        assert_eq!(name("/etc/passwd").path(), Path::new("etc/passwd"));
        assert!(name("./").is_root() && name("/").is_root());
        for bad in ["..", "../x", "a/../b", "a/..", "/..", "a\0b", "a/b/c/d/e/f/g/h/i/j"] {
            assert!(Name::new(bad.as_bytes(), 9).is_err(), "{bad:?}");
        }
        let steps: Vec<_> = name("a/b/c").steps().map(|step| step.0).collect();
        assert_eq!(steps, [Path::new("a"), Path::new("a/b"), Path::new("a/b/c")]);
    }

    #[test]
    fn whiteouts_are_told_from_files() {
        let meaning = |text: &str| name(text).meaning();
        assert_eq!(meaning("a/.wh.b").unwrap(), Meaning::Whiteout(name("a/b")));
        assert_eq!(meaning("a/.wh..wh..opq").unwrap(), Meaning::Opaque(name("a")));
        assert_eq!(meaning(".wh..wh..opq").unwrap(), Meaning::Opaque(name("")));
        assert_eq!(meaning(".wh..wh.plnk").unwrap(), Meaning::Nothing);
        assert_eq!(meaning("a.wh.b").unwrap(), Meaning::File(name("a.wh.b")));
        for bad in [".wh.", "a/.wh.", ".wh..", "a/.wh...", ".wh.a/b"] {
            assert!(meaning(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_refused_or_lie_within(bytes in "(\\.\\.|\\.|/|\\.wh\\.|[a-c\\x00\u{e9}]){0,12}", depth in 0_usize..6) {
            if let Ok(name) = Name::new(bytes.as_bytes(), depth) {
                use std::path::Component::Normal;
                let parts: Vec<_> = name.path().components().collect();
                proptest::prop_assert!(parts.len() <= depth && parts.iter().all(|part| matches!(part, Normal(_))));
                proptest::prop_assert!(!name.path().as_os_str().as_bytes().contains(&0));
                let again = Name::new(name.path().as_os_str().as_bytes(), depth).unwrap();
                proptest::prop_assert_eq!(&again, &name, "it says the same without its dots");
                proptest::prop_assert_eq!(name.steps().count(), parts.len());
                let parent = name.parent();
                match name.meaning() {
                    // What is hidden is one name in the very directory.
                    Ok(Meaning::Whiteout(hidden)) => {
                        proptest::prop_assert_eq!(hidden.parent(), parent);
                        proptest::prop_assert!(Name::new(hidden.path().as_os_str().as_bytes(), depth).unwrap() == hidden);
                    }
                    Ok(Meaning::Opaque(directory)) => proptest::prop_assert_eq!(directory, parent),
                    Ok(Meaning::File(file)) => {
                        proptest::prop_assert!(file.path().iter().all(|part| !part.as_bytes().starts_with(WHITEOUT)));
                    }
                    Ok(Meaning::Nothing) | Err(_) => {}
                }
            }
        }
    }
}
