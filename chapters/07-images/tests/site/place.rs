//! A sandbox with a good image in its store, which must still be served whatever happens.

use std::path::{Path, PathBuf};

use harness::{Done, Outcome, Run, Sandbox};

use crate::image::{Layer, files, put};
use crate::site::Site;

/// A sandbox with a good image in its store, and the site that it came from.
pub struct Place {
    pub sandbox: Sandbox,
    pub site: Site,
    pub before: Vec<PathBuf>,
}

impl Place {
    pub fn new() -> Outcome<Self> {
        let mut place = Self::unborn()?;
        place.begin()?;
        Ok(place)
    }

    /// Without the good image: nothing has been done in the sandbox yet.
    pub fn unborn() -> Outcome<Self> {
        Ok(Self { sandbox: Sandbox::new()?, site: Site::start(), before: Vec::new() })
    }

    /// Brings the good image.
    pub fn begin(&mut self) -> Outcome {
        put(&self.site, "good", &[Layer::gzip(files(&[("etc/good", "good")]))]);
        self.pull("good").run()?.ok()?;
        self.before = tree(&self.sandbox.data())?;
        Ok(())
    }

    pub fn step(&self, args: &[&str]) -> Run {
        self.sandbox.step(7).args(args).env("COOPER_REGISTRY_TIMEOUT", "1")
    }

    pub fn pull(&self, name: &str) -> Run {
        self.step(&["pull", &self.site.name(name)])
    }

    /// The pull fails and says this; nothing of it stays, and the good image is still served.
    pub fn refuses(&self, name: &str, says: &[&str]) -> Outcome<Done> {
        let done = self.pull(name).run()?;
        self.is_refused(done, says)
    }

    pub fn is_refused(&self, done: Done, says: &[&str]) -> Outcome<Done> {
        let mut done = done.code(125)?;
        for text in says {
            done = done.stderr_has(text)?;
        }
        assert_eq!(tree(&self.sandbox.data())?, self.before, "the store is as it was");
        self.step(&["inspect", &self.site.name("good")]).run()?.ok()?;
        let again = self.pull("good").run()?.ok()?;
        assert!(again.stdout.contains("Already exists") && again.stdout.contains("up to date"), "{}", again.stdout);
        Ok(done)
    }
}

/// Everything in the store, by path, without what is only there for a moment.
pub fn tree(data: &Path) -> Outcome<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![data.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The directory of the only layer of an image.
pub fn layer_of(place: &Place, name: &str) -> Outcome<PathBuf> {
    let shown = place.step(&["inspect", &place.site.name(name)]).run()?.ok()?.stdout;
    let json: serde_json::Value = serde_json::from_str(&shown)?;
    let lowers = json[0]["GraphDriver"]["Data"]["LowerDir"].as_str().unwrap().to_owned();
    Ok(lowers.split(':').next().unwrap().into())
}

/// Text that does not compress well, so that a layer has several pieces.
pub fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + ((state >> 33) % 90) as u8)
    };
    (0..length).map(|_| next()).collect()
}
