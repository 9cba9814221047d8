//! Where the loader looks: files of one name in many directories, of which one is right.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::header;
use crate::check::{Check, Failure, Verdict};
use crate::lab::{Lab, WORK};

pub const CHECKS: [Check; 5] = [
    Check::new("the directory of the file", origin).points(2),
    Check::new("both spellings, several entries", spellings),
    Check::new("LD_LIBRARY_PATH comes first", variable).points(2),
    Check::new("links and relative paths", links).points(2),
    Check::new("what is nowhere is not found", nowhere),
];

/// A program in a directory of an unknown name, and a library of an unknown name.
struct Scene<'a> {
    lab: &'a Lab,
    dir: String,
    library: String,
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab, runpath: &str) -> Result<Self, Failure> {
        let (dir, library) = (lab.nonce(), format!("lib{}.so", lab.nonce()));
        lab.file(&format!("{dir}/bin/app"), header::program("/no/loader", &[&library], runpath))?;
        Ok(Self { lab, dir, library })
    }

    /// Puts the library into a directory, and says there in a few words where it is.
    fn put(&self, dir: &str, words: &str) -> Result<(), Failure> {
        self.lab.file(&format!("{dir}/{}", self.library), words)
    }

    /// Runs the learner's program in a directory, and looks at which library it found.
    fn finds(&self, cwd: &str, file: &str, variable: &str, expected: &str, note: &str) -> Verdict {
        let script = "cd \"$1\" && LD_LIBRARY_PATH=$3 exec \"$PROGRAM\" \"$2\"";
        let done = self.lab.sh(script, &[&format!("{WORK}/{cwd}"), file, variable])?;
        let line = done.stdout.lines().find_map(|line| line.strip_prefix(&self.library)?.trim().strip_prefix("=>"));
        let path = line.map(str::trim);
        // As the room shows it: the path may lead anywhere.
        let there = path.and_then(|path| {
            let path = Path::new(WORK).join(cwd).join(path);
            self.lab.read(path.strip_prefix(WORK).ok()?)
        });
        if there.as_deref() == Some(expected) || (expected.is_empty() && path == Some("not found")) {
            return Ok(());
        }
        let seen = match (path, there) {
            (None, _) => format!("no line for it, exit code {}: {}", done.code, done.stderr.trim()),
            (Some(path), None) => path.to_owned(),
            (Some(path), Some(words)) => format!("{path}\nthat is the one {words}"),
        };
        let what = format!("`origin {file}` in {WORK}/{cwd}, with LD_LIBRARY_PATH={variable:?}");
        let expected = if expected.is_empty() { "not found".into() } else { format!("the one {expected}") };
        Err(Failure::wrong(what, expected, seen).note(note))
    }
}

fn origin(lab: &Lab) -> Verdict {
    let scene = Scene::new(lab, "$ORIGIN/../lib")?;
    scene.put(&format!("{}/lib", scene.dir), "beside the program")?;
    scene.put("lib", "beside the current directory")?;
    let file = format!("{WORK}/{}/bin/app", scene.dir);
    let note = "DT_RUNPATH is $ORIGIN/../lib: the directory of the file, whatever the current directory is";
    lab.file("cwd/other", "")?;
    scene.finds("cwd", &file, "", "beside the program", note)
}

fn spellings(lab: &Lab) -> Verdict {
    let scene = Scene::new(lab, "/nowhere:$ORIGIN/empty:${ORIGIN}/a b/x${ORIGIN}:${ORIGIN}/../plugins")?;
    scene.put(&format!("{}/plugins", scene.dir), "in the last directory of the list")?;
    let file = format!("{WORK}/{}/bin/app", scene.dir);
    let note = "DT_RUNPATH has four entries; the last is ${ORIGIN}/../plugins, with braces";
    scene.finds("", &file, "", "in the last directory of the list", note)
}

fn variable(lab: &Lab) -> Verdict {
    let scene = Scene::new(lab, "$ORIGIN/../lib")?;
    let (dir, file) = (scene.dir.clone(), format!("{WORK}/{}/bin/app", scene.dir));
    scene.put(&format!("{dir}/lib"), "of DT_RUNPATH")?;
    scene.put(&format!("{dir}/extra"), "of LD_LIBRARY_PATH")?;
    let list = format!("/nowhere:{WORK}/{dir}/none;{WORK}/{dir}/extra");
    let note = "LD_LIBRARY_PATH is asked before DT_RUNPATH, and both `:` and `;` part its entries";
    scene.finds("", &file, &list, "of LD_LIBRARY_PATH", note)?;
    let note = "tokens count in LD_LIBRARY_PATH as well: it has one entry here, with $ORIGIN";
    scene.finds("", &file, "$ORIGIN/../extra", "of LD_LIBRARY_PATH", note)?;
    scene.put(&format!("{dir}/here"), "in the current directory")?;
    let note = "an empty entry of LD_LIBRARY_PATH means the current directory";
    scene.finds(&format!("{dir}/here"), &file, "/nowhere:", "in the current directory", note)
}

fn links(lab: &Lab) -> Verdict {
    let scene = Scene::new(lab, "$ORIGIN/../lib")?;
    let dir = &scene.dir;
    scene.put(&format!("{dir}/lib"), "beside the program")?;
    scene.put("links/lib", "beside the link")?;
    lab.file("links/bin/other", "")?;
    symlink(format!("../../{dir}/bin/app"), lab.work().join("links/bin/app"))
        .map_err(|error| Failure::Machine(format!("symlink: {error}")))?;
    let note = "the path was relative: `app` alone names no directory, but the file has one";
    scene.finds(&format!("{dir}/bin"), "app", "", "beside the program", note)?;
    let note = "the path was a link: $ORIGIN is the directory of the file itself";
    scene.finds("", &format!("{WORK}/links/bin/app"), "", "beside the program", note)
}

fn nowhere(lab: &Lab) -> Verdict {
    let scene = Scene::new(lab, "$ORIGIN/../lib")?;
    scene.put("elsewhere", "which nobody has named")?;
    let file = format!("{WORK}/{}/bin/app", scene.dir);
    scene.finds("elsewhere", &file, "", "", "LD_LIBRARY_PATH is set and empty, and DT_RUNPATH names another directory")
}
