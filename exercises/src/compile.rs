//! From a learner's file to a program, as cargo would do it, and faster: cargo builds what the file needs once and says
//! where that lies, then rustc compiles the one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use process::{Error, OrCall, Result};
use serde_json::Value;

use crate::Exercise;
use crate::catalog::root;

/// What the files of one chapter are compiled against.
#[derive(Debug, Clone)]
pub struct Libraries {
    /// Name and file, for `--extern`.
    externs: Vec<(String, PathBuf)>,
    /// Where the libraries of the libraries are.
    pub deps: PathBuf,
}

/// The edition that all of the workspace is written in.
const EDITION: &str = "2024";

impl Libraries {
    /// Has cargo build them; what it says of its progress goes to stderr.
    ///
    /// # Errors
    /// They do not build.
    pub fn build(exercise: &Exercise) -> Result<Self> {
        let lab = exercise.lab();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--lib", "--message-format=json-render-diagnostics", "--package", &lab]);
        let output = cargo.current_dir(root()).stderr(Stdio::inherit()).output().or_call("exec", "cargo")?;
        if !output.status.success() {
            return Err(Error::unsupported(format!("cargo build --package {lab} fails"))
                .help("the chapters' own code does not build: `git status` tells what you changed"));
        }
        let artifacts: Vec<Artifact> =
            String::from_utf8_lossy(&output.stdout).lines().filter_map(Artifact::parse).collect();
        let wanted = direct_dependencies(&lab)?;
        let mut externs = Vec::new();
        for dependency in wanted.iter().chain([&lab]) {
            let (name, version) = dependency.split_once(' ').unwrap_or((dependency, ""));
            let is_it = |artifact: &&Artifact| artifact.package == name && artifact.version.starts_with(version);
            let artifact = artifacts.iter().find(is_it);
            let artifact = artifact.ok_or_else(|| Error::not_found(format!("cargo says nothing of {dependency}")))?;
            externs.push((artifact.library.clone(), artifact.file.clone()));
        }
        let any = artifacts.iter().find_map(|artifact| artifact.file.parent().filter(|dir| dir.ends_with("deps")));
        let deps = any.ok_or_else(|| Error::not_found("cargo named no library"))?.to_owned();
        Ok(Self { externs, deps })
    }

    /// What rustc is told of all files of the chapter; `at` says where a library of ours lies for it.
    pub fn flags(&self, at: &dyn Fn(&Path) -> String) -> Vec<String> {
        let words = ["--edition", EDITION, "--crate-type", "bin", "--crate-name", "exercise", "-F", "unsafe_code"];
        let mut flags: Vec<_> = words.into_iter().chain(["-A", "unused", "-C", "debuginfo=0", "-L"]).collect();
        let deps = format!("dependency={}", at(&self.deps));
        flags.push(&deps);
        let externs = self.externs.iter().map(|(name, file)| format!("{name}={}", at(file)));
        let externs = externs.flat_map(|found| ["--extern".to_owned(), found]);
        flags.into_iter().map(str::to_owned).chain(externs).collect()
    }

    /// The files of the libraries that a learner's file may name.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.externs.iter().map(|(_, file)| file.as_path())
    }

    /// The command that compiles `file` to `program`.
    pub fn rustc(&self, file: &Path, program: &Path) -> Command {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(self.flags(&|path| path.display().to_string()));
        rustc.arg("-o").arg(program).arg(file).stdin(Stdio::null());
        rustc
    }

    /// Compiles; gives what the compiler says if it does not.
    ///
    /// # Errors
    /// There is no compiler.
    pub fn compile(&self, file: &Path, program: &Path) -> Result<std::result::Result<(), String>> {
        let file = file.strip_prefix(root()).unwrap_or(file); // as the messages shall name it
        let mut rustc = self.rustc(file, program);
        rustc.args(["--color", if colored::control::SHOULD_COLORIZE.should_colorize() { "always" } else { "never" }]);
        let output = rustc.current_dir(root()).output().or_call("exec", "rustc")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(said) })
    }
}

/// Where cargo builds: beside this program's own directory.
///
/// # Errors
/// As readlink(2).
pub fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().or_call("readlink", "/proc/self/exe")?;
    let dir = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists()).or(program.parent());
    Ok(dir.unwrap_or(&program).to_owned())
}

/// A library that cargo has built.
struct Artifact {
    package: String,
    version: String,
    library: String,
    file: PathBuf,
}

impl Artifact {
    fn parse(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        (message["reason"] == "compiler-artifact").then_some(())?;
        let is_library = |file: &&str| file.ends_with(".rlib") || file.ends_with(".so");
        let files = message["filenames"].as_array()?;
        let file = files.iter().filter_map(Value::as_str).find(is_library)?;
        // `…/deps/libNAME-HASH.rlib`; of the workspace's own the name without a hash is told too.
        let id = message["package_id"].as_str()?.rsplit_once('#')?.1;
        let (package, version) = id.split_once('@').unwrap_or(("", id));
        let library = message["target"]["name"].as_str()?.replace('-', "_");
        let package = if package.is_empty() { library.clone() } else { package.to_owned() };
        Some(Self { package, version: version.to_owned(), library, file: file.into() })
    }
}

/// The dependencies of a package as Cargo.lock has them: `NAME`, or `NAME VERSION` if there are several.
fn direct_dependencies(package: &str) -> Result<Vec<String>> {
    let path = root().join("Cargo.lock");
    let text = fs::read_to_string(&path).or_call("read", path.display())?;
    let lock: toml::Table = text.parse().map_err(|error| Error::invalid(format!("Cargo.lock: {error}")))?;
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let ours = packages
        .filter_map(toml::Value::as_table)
        .find(|entry| entry.get("name").and_then(|name| name.as_str()) == Some(package));
    let dependencies = ours.and_then(|entry| entry.get("dependencies")).and_then(toml::Value::as_array);
    let names = dependencies.into_iter().flatten().filter_map(toml::Value::as_str);
    Ok(names.map(str::to_owned).collect())
}
