//! Images of one layer.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use harness::Outcome;
use tar::EntryType::{self, Block, Char, Fifo, GNULongLink, GNULongName, GNUSparse, Regular};

use crate::archive::Archive;
use crate::both::Both;
use crate::tree::{self, Tree, assert_same};

/// The same in the layer's directory, in a container, and by umoci.
pub fn same(archive: Archive) -> Outcome {
    compared(archive).map(drop)
}

/// The same, and by buildah too.
pub fn same_by_all(archive: Archive) -> Outcome {
    let both = compared(archive)?;
    assert_same(&as_buildah(tree::read(&both.layers()?[0])?), &both.buildahs()?);
    Ok(())
}

/// What buildah does otherwise than we, umoci and GNU tar: it knows no time before 1970, and in its store a hard link to
/// something else than a file is a copy.
pub fn as_buildah(mut tree: Tree) -> Tree {
    for (path, file) in &mut tree {
        if file.mtime.0 < 0 {
            file.mtime = (0, 0);
        }
        if file.mode & libc::S_IFMT != libc::S_IFREG {
            file.same_as.clone_from(path);
        }
    }
    tree
}

fn compared(archive: Archive) -> Outcome<Both> {
    let both = Both::new(vec![archive.shell()?])?;
    let theirs = both.theirs()?;
    assert!(theirs.len() > 5);
    assert_same(&tree::read(&both.layers()?[0])?, &theirs);
    assert_same(&both.ours()?, &theirs);
    Ok(both)
}

/// The time of everything that has no other.
pub const TIME: u64 = 1_700_000_000;

/// `vfs_cap_data` of revision 2 (capabilities(7)): CAP_NET_RAW, permitted and effective.
pub const NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub fn described() -> Archive {
    described_for_anybody()
        .raw(owned("data/both", 0o6555, 4_000_000, 3_000_000_000), b"x")
        .pax(&[("uid", b"123456"), ("gid", b"654321")])
        .file("data/owned-by-pax", "")
}

fn owned(name: &str, mode: u32, uid: u64, gid: u64) -> tar::Header {
    let mut header = Archive::header_of(name, Regular, mode, 1);
    header.set_uid(uid);
    header.set_gid(gid);
    header
}

/// With owners that an ordinary user's range of ids has.
pub fn described_for_anybody() -> Archive {
    Archive::default()
        .dir("data/", 0o755)
        .raw(owned("data/setuid", 0o4755, 0, 0), b"x")
        .raw(owned("data/setuid-of-another", 0o4711, 1000, 1001), b"x")
        .raw(owned("data/setgid", 0o2755, 0, 42), b"x")
        .raw(owned("data/nothing", 0, 0, 0), b"x")
        .dir("data/sticky", 0o1777)
        .dir("data/setgid-dir", 0o2775)
        .file("data/setgid-dir/inside", "of its own group")
        .dir("data/closed", 0o000)
        .pax(&[("SCHILY.xattr.security.capability", &NET_RAW)])
        .raw(owned("data/capable", 0o755, 7, 7), b"x")
        .pax(&[("SCHILY.xattr.user.bytes", b"a\nb\0c=d\xff"), ("SCHILY.xattr.user.empty-not", b"1")])
        .file("data/attributes", "")
        .pax(&[("SCHILY.xattr.user.dir", b"x")])
        .dir("data/attributed", 0o750)
        .pax(&[("mtime", b"1234567890.123456789")])
        .file("data/nanoseconds", "")
        .pax(&[("mtime", b"1234567890.000000001")])
        .symlink("data/link-nanoseconds", "nowhere")
        .pax(&[("mtime", b"1111111111.5")])
        .dir("data/dir-nanoseconds", 0o755)
        .file("data/dir-nanoseconds/inside", "")
        .pax(&[("mtime", b"-86400.25")])
        .file("data/before-1970", "")
        .pax(&[("mtime", b"8589934592")])
        .file("data/after-2106", "")
        .node(Fifo, "data/fifo", (0, 0))
        .node(Char, "data/null", (1, 3))
        .node(Block, "data/loop", (7, 300))
}

pub fn named() -> Archive {
    let long = format!("data/{}/{}/{}", "d".repeat(200), "e".repeat(255), "f".repeat(255));
    let of = |length: usize| format!("data/{}", "n".repeat(length - 5));
    let mut ustar = tar::Header::new_ustar();
    ustar.set_path(format!("data/{}/{}", "p".repeat(120), "q".repeat(90))).unwrap();
    for set in [tar::Header::set_size, tar::Header::set_uid, tar::Header::set_gid, tar::Header::set_mtime] {
        set(&mut ustar, 0);
    }
    ustar.set_mode(0o600);
    ustar.set_entry_type(Regular);
    let deep = format!("data/{}file", "deep/".repeat(100));
    let mut archive = Archive::default().dir("data/", 0o755);
    for path in [&long, &deep, &format!("data/{}/q", "p".repeat(120))] {
        // Directories that the archive lacks would have the time of their making.
        let parents: Vec<_> =
            Path::new(path).parent().unwrap().ancestors().filter(|path| path.as_os_str().len() > 4).collect();
        for parent in parents.into_iter().rev() {
            archive = archive.pax(&[("path", parent.as_os_str().as_bytes())]).dir("short/", 0o755);
        }
    }
    archive
        .file(&of(99), "99")
        .file(&of(100), "100")
        .gnu(GNULongName, of(101).as_bytes())
        .file("data/cut", "101")
        .pax(&[("path", of(255).as_bytes())])
        .file("data/cut", "255")
        .pax(&[("path", long.as_bytes())])
        .file("data/cut", "716")
        .pax(&[("path", deep.as_bytes())])
        .file("data/cut", "deep")
        .raw(ustar, b"")
        .entry(Regular, b"data/\xff\xfe\x80", b"", 0o644, b"latin")
        .entry(EntryType::Directory, b"data/dir-\xe4/", b"", 0o755, b"")
        .entry(Regular, b"data/dir-\xe4/\xf6", b"", 0o644, b"inside")
        .entry(EntryType::Symlink, b"data/link-\xfc", b"dir-\xe4/\xf6", 0o777, b"")
        .gnu(GNULongName, &[&b"data/"[..], &[0xe9; 200]].concat())
        .file("data/cut", "long and no UTF-8")
        .pax(&[("path", "data/größe – 大".as_bytes())])
        .file("data/cut", "UTF-8")
        .file("data/new\nline and space ", "white")
        .file("data/\u{1b}[31m", "control")
        .file("data/back\\slash", "")
        .file("data/-rf *", "")
        .gnu(GNULongLink, of(240).as_bytes())
        .symlink("data/long-link", "cut")
        .pax(&[("linkpath", long.as_bytes())])
        .link("data/hard-to-long", "cut")
        .pax(&[("path", b""), ("linkpath", b"")])
        .symlink("data/empty-records", "are-none")
}

pub fn linked() -> Archive {
    Archive::default()
        .dir("data/", 0o755)
        .dir("data/sub/", 0o755)
        .raw(Archive::header_of("data/one", Regular, 0o4755, 3), b"one")
        .link_like("data/two", "data/one", 0o4755, TIME)
        .link_like("data/sub/three", "./data/two", 0o4755, TIME)
        .link_like("data/four", "/data/one", 0o4755, TIME)
        .symlink("data/symbolic", "one")
        .link("data/hard-to-symbolic", "data/symbolic")
        .node(Fifo, "data/fifo", (0, 0))
        .link_like("data/hard-to-fifo", "data/fifo", 0o660, TIME)
        .symlink("data/way", "sub")
        .file("data/way/through", "a link inside the root")
        .link("data/through-too", "data/way/through")
}

/// As GNU tar has it, and most others: of a link only name and target count.
pub fn linked_in_passing() -> Archive {
    Archive::default()
        .dir("data/", 0o755)
        .raw(Archive::header_of("data/one", Regular, 0o4755, 3), b"one")
        .link("data/two", "data/one")
        .pax(&[("SCHILY.xattr.user.note", b"x"), ("mtime", b"1.5")])
        .link("data/three", "data/two")
        .file("data/four", "")
        .link("data/five", "data/four")
}

pub fn sparse() -> Outcome {
    let mut map = b"2\n1048576\n3\n2097152\n4\n".to_vec();
    map.resize(512, 0);
    map.extend_from_slice(b"onefour");
    let version =
        |major: &'static [u8], minor: &'static [u8]| [("GNU.sparse.major", major), ("GNU.sparse.minor", minor)];
    let in_data =
        [&version(b"1", b"0")[..], &[("GNU.sparse.name", b"data/pax-1.0"), ("GNU.sparse.realsize", b"9000000")]]
            .concat();
    let in_map: [(&str, &[u8]); 4] = [
        ("GNU.sparse.map", b"1048576,3,2097152,4"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.name", b"data/pax-0.1"),
        ("GNU.sparse.size", b"9000000"),
    ];
    let mut old = Archive::header_of("data/old", GNUSparse, 0o644, 7);
    let gnu = old.as_gnu_mut().unwrap();
    for (field, (offset, length)) in gnu.sparse.iter_mut().zip([(1 << 20, 3), (2 << 20, 4), (9_000_000, 0)]) {
        field.offset.copy_from_slice(format!("{offset:011o}\0").as_bytes());
        field.numbytes.copy_from_slice(format!("{length:011o}\0").as_bytes());
    }
    gnu.realsize.copy_from_slice(format!("{:011o}\0", 9_000_000).as_bytes());
    let archive = Archive::default()
        .dir("data/", 0o755)
        .pax(&in_data)
        .raw(Archive::header_of("data/cut", Regular, 0o644, 519), &map)
        .pax(&in_map)
        .raw(Archive::header_of("data/cut", Regular, 0o644, 7), b"onefour")
        .file("data/after", "what follows is read right")
        .shell()?;
    let mut theirs = Both::new(vec![archive.clone()])?.theirs()?;
    let both = Both::new(vec![archive.raw(old, b"onefour").file("data/after", "what follows is read right")])?;
    let mut ours = tree::read(&both.layers()?[0])?;
    for name in ["pax-1.0", "pax-0.1", "old"] {
        assert!(ours[Path::new(name)].has_holes, "{name} is not sparse");
    }
    // umoci does not know the oldest format, and writes the zeros of the others.
    assert_eq!(
        ours.remove(Path::new("old")).map(|file| file.contents),
        Some(theirs[Path::new("pax-1.0")].contents.clone())
    );
    ours.values_mut().chain(theirs.values_mut()).for_each(|file| file.has_holes = false);
    assert_same(&ours, &theirs);
    Ok(())
}

pub fn replaced() -> Archive {
    Archive::default()
        .dir("data/", 0o700)
        .file("data/file", "first")
        .file("data/file", "second")
        .dir("data/file-then-dir", 0o755)
        .file("data/dir-then-file/inside", "")
        .dir("data/dir", 0o700)
        .file("data/dir/inside", "stays")
        .dir("data/dir", 0o751)
        .symlink("data/link", "file")
        .file("data/link", "is no link any more")
        .file("data/now-a-link", "")
        .symlink("data/now-a-link", "file")
        .dir("data/", 0o711)
        .file("data/dir-then-file", "")
        .file("data/hard", "one")
        .link("data/other", "data/hard")
        .file("data/hard", "two: the other name keeps the one")
}
