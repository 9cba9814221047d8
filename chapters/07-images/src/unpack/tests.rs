use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;

/// An archive that is put together by hand, so that it can be as wicked as one likes.
#[derive(Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(nix::unistd::geteuid().as_raw().into());
        header.set_gid(nix::unistd::getegid().as_raw().into());
        header.set_mtime(1_000_000);
        header
    }

    fn raw(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn named(self, kind: EntryType, name: &[u8], link: &str, data: &[u8], mode: Option<u32>) -> Self {
        let mut header = Self::header(kind, data.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        if let Some(mode) = mode {
            header.set_mode(mode);
        }
        self.raw(header, data)
    }

    pub fn file(self, name: &str, data: &str) -> Self {
        self.named(EntryType::Regular, name.as_bytes(), "", data.as_bytes(), None)
    }

    pub fn dir(self, name: &str) -> Self {
        self.named(EntryType::Directory, name.as_bytes(), "", b"", None)
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.named(EntryType::Symlink, name.as_bytes(), target, b"", None)
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.named(EntryType::Link, name.as_bytes(), target, b"", None)
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..).find(|length| length.to_string().len() + rest == *length).unwrap();
            body.extend_from_slice(format!("{length} {key}=").as_bytes());
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        self.raw(Self::header(EntryType::XHeader, body.len() as u64), &body)
    }

    pub fn unpack(&self, dir: &Path) -> Result<Unpacked> {
        let limits = Limits { bytes: 1 << 20, files: 100, depth: 20, ratio: 1 };
        unpack(&self.0[..], dir, limits)
    }
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_plain_layer() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let tar = Tar::default()
        .dir("./")
        .dir("a/")
        .file("a/one", "1")
        .named(EntryType::Regular, b"a/suid", "", b"s", Some(0o4755))
        .symlink("a/abs", "/a/one")
        .link("hard", "a/one")
        .named(EntryType::Regular, b"a/\xff\xfe", "", b"x", None)
        .file("implied/b/c", "c");
    let done = tar.unpack(dir.path()).unwrap();
    assert_eq!(read(at("hard")), "1");
    assert_eq!(std::fs::metadata(at("hard")).unwrap().nlink(), 2);
    assert_eq!(std::fs::read_link(at("a/abs")).unwrap(), Path::new("/a/one"));
    assert_eq!(std::fs::metadata(at("a/suid")).unwrap().permissions().mode() & 0o7777, 0o4755);
    assert_eq!(std::fs::metadata(at("a")).unwrap().mtime(), 1_000_000, "times of directories are set last");
    assert_eq!(std::fs::metadata(at("a/one")).unwrap().mtime(), 1_000_000);
    assert_eq!(std::fs::metadata(at("implied")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(done.implied, [Path::new("implied"), Path::new("implied/b")]);
    assert_eq!((done.files, done.size), (8, 4));
}

#[test]
fn nothing_gets_out() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "safe").unwrap();
    let out = outside.path().to_str().unwrap();
    let refused = |tar: Tar| {
        let dir = tempfile::tempdir().unwrap();
        let error = tar.unpack(dir.path()).unwrap_err();
        assert_eq!(read(victim.clone()), "safe");
        error.what().to_owned()
    };
    assert!(refused(Tar::default().file("../x", "")).contains("leads out"));
    assert!(refused(Tar::default().file("a/../../x", "")).contains("leads out"));
    assert!(refused(Tar::default().link("x", "../../victim")).contains("leads out"));
    assert!(refused(Tar::default().file(".wh.", "")).contains("names nothing"));
    assert!(refused(Tar::default().file(".wh...", "")).contains("names nothing"));
    assert!(refused(Tar::default().symlink("/", "x")).contains("root"));
    // A link to the outside means a place inside, where nothing is.
    let through = Tar::default().symlink("link", out).file("link/victim", "gotcha");
    assert!(refused(through).contains("ENOENT") || read(victim.clone()) == "safe");
    // A hard link to the outside waits for a layer below that has the file, and none has.
    let dir = tempfile::tempdir().unwrap();
    let done = Tar::default().symlink("link", out).link("hard", "link/victim").unpack(dir.path()).unwrap();
    assert!(complete(dir.path(), &done, &[]).unwrap_err().what().contains("no layer has"));
    assert_eq!(std::fs::metadata(&victim).unwrap().nlink(), 1);
}

#[test]
fn a_link_is_replaced_and_never_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let tar = Tar::default()
        .file("target", "old")
        .symlink("x", "target")
        .file("x", "new")
        .dir("d")
        .file("d/in", "")
        .file("d", "a file now")
        .symlink("dl", "real")
        .dir("real")
        .file("dl/through", "inside");
    tar.unpack(dir.path()).unwrap();
    assert_eq!((read(at("target")), read(at("x"))), ("old".into(), "new".into()));
    assert_eq!((read(at("d")), read(at("real/through"))), ("a file now".into(), "inside".into()));
}

#[test]
fn deletions_hide_the_layers_below_only() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // Both orders: an entry of the same layer stays, a directory made anew hides the old one.
    let tar = Tar::default()
        .file(".wh.gone", "")
        .file("kept", "k")
        .file(".wh.kept", "")
        .file(".wh.again", "")
        .dir("again")
        .file("again/x", "x")
        .file("opaque/a", "a")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/b", "b")
        .file(".wh.implied", "")
        .file("implied/y", "y");
    tar.unpack(dir.path()).unwrap();
    let gone = std::fs::symlink_metadata(at("gone")).unwrap();
    assert_eq!((gone.mode() & libc::S_IFMT, gone.rdev()), (libc::S_IFCHR, 0));
    assert_eq!(read(at("kept")), "k");
    assert_eq!(read(at("opaque/a")) + &read(at("opaque/b")), "ab");
    for name in ["again", "opaque", "implied"] {
        let path = tree::c_path(at(name)).unwrap();
        assert_eq!(
            crate::sys::getxattr(&path, crate::overlay::opaque()).unwrap().as_deref(),
            Some(&b"y"[..]),
            "{name}"
        );
    }
}

#[test]
fn extended_headers_carry_what_headers_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(200));
    let value = b"a\nb\0c";
    let tar = Tar::default()
        .pax(&[
            ("path", long.as_bytes()),
            ("mtime", b"1234.5"),
            ("SCHILY.xattr.user.cooper", value),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ])
        .file("short", "data")
        .raw(Tar::header(EntryType::GNULongName, 120), &[b'n'; 120])
        .file("ignored", "long name");
    tar.unpack(dir.path()).unwrap();
    let path = dir.path().join(&long);
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (1234, 500_000_000));
    let path = tree::c_path(path).unwrap();
    assert_eq!(crate::sys::getxattr(&path, c"user.overlay.opaque").unwrap(), None);
    assert!(crate::sys::getxattr(&path, c"user.cooper").unwrap().is_none_or(|found| found == value));
    assert_eq!(read(dir.path().join("n".repeat(120))), "long name");
}

#[test]
fn sparse_files_stay_sparse() {
    let dir = tempfile::tempdir().unwrap();
    let mut body = b"1\n1048576\n3\n".to_vec();
    body.resize(512, 0);
    body.extend_from_slice(b"end");
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"sparse"),
        ("GNU.sparse.realsize", b"1048579"),
    ];
    let tar = Tar::default().pax(&records).raw(Tar::header(EntryType::Regular, 515), &body).file("after", "ok");
    tar.unpack(dir.path()).unwrap();
    let meta = std::fs::metadata(dir.path().join("sparse")).unwrap();
    assert_eq!(meta.len(), 1_048_579);
    assert!(meta.blocks() < 100, "{} blocks", meta.blocks());
    assert!(std::fs::read(dir.path().join("sparse")).unwrap().ends_with(b"\0end"));
    assert_eq!(read(dir.path().join("after")), "ok");
}

#[test]
fn bombs_end_early() {
    let what = |tar: Tar| tar.unpack(tempfile::tempdir().unwrap().path()).unwrap_err().to_string();
    let many = (0..101).fold(Tar::default(), |tar, number| tar.file(&number.to_string(), ""));
    assert!(what(many).contains("too many files"));
    assert!(what(Tar::default().file("big", &"x".repeat(2 << 20))).contains("COOPER_UNPACK_BYTES"));
    assert!(what(Tar::default().file(&"d/".repeat(40), "")).contains("too deep"));
    assert!(what(Tar::default().raw(Tar::header(EntryType::XHeader, 1 << 40), b"")).contains("too large"));
    let huge = Tar::header(EntryType::Regular, u64::MAX - 5);
    assert!(what(Tar::default().raw(huge, b"")).contains("bad"));
}

#[test]
fn a_layer_takes_over_from_the_ones_below() {
    let (low, high) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lower = Tar::default().named(EntryType::Directory, b"tmp", "", b"", Some(0o1777)).file("tmp/old", "content");
    lower.unpack(low.path()).unwrap();
    let done = Tar::default()
        .file("tmp/new", "")
        .link("tmp/link", "tmp/old")
        .link("two", "/tmp/old")
        .unpack(high.path())
        .unwrap();
    complete(high.path(), &done, &[low.path().to_owned()]).unwrap();
    assert_eq!(std::fs::metadata(high.path().join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(read(high.path().join("tmp/link")), "content");
    assert_eq!(std::fs::metadata(high.path().join("two")).unwrap().nlink(), 2);
}

#[test]
fn torn_archives_are_noticed() {
    let whole = Tar::default().dir("d").file("d/f", "some data").0;
    for length in [100, 512 + 1, 1024 + 3, 1024 + 511] {
        let dir = tempfile::tempdir().unwrap();
        let error = Tar(whole[..length].to_vec()).unpack(dir.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{length}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_archive_stays_inside(
        entries in proptest::collection::vec(
            (0..5_u8, "(/|\\.\\./|\\./|a/|b/|\\.wh\\.){0,3}(a|b|\\.\\.|\\.wh\\.a|\\.wh\\.\\.wh\\.\\.opq)?", "(/|\\.\\./|a/|b/){0,4}(a|b|\\.\\.)"), 1..12),
    ) {
        let around = tempfile::tempdir().unwrap();
        let dir = around.path().join("layer");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(around.path().join("a"), "outside").unwrap();
        for (kind, name, link) in entries {
            let tar = match kind {
                0 => Tar::default().file(&name, "inside"),
                1 => Tar::default().dir(&name),
                2 => Tar::default().symlink(&name, &link),
                3 => Tar::default().link(&name, &link),
                _ => Tar::default().named(EntryType::Fifo, name.as_bytes(), "", b"", None),
            };
            let _ = tar.unpack(&dir);
        }
        prop_assert_eq!(read(around.path().join("a")), "outside");
        prop_assert_eq!(std::fs::read_dir(around.path()).unwrap().count(), 2);
    }
}
