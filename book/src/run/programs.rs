//! The programs that cells run, built before the first of them: what a reader's `cargo run` would start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use process::OrCall;
use regex::Regex;

use crate::cell::Cell;
use crate::{Error, Result};

/// Where cargo puts programs: this one lies in `target/debug`, a test of it in `target/debug/deps`.
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let dir = exe.parent().unwrap_or(Path::new("."));
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    dir.to_owned()
}

/// Builds what these cells run, all at once.
///
/// # Errors
/// What cargo says.
pub fn build<'a>(root: &Path, cells: impl IntoIterator<Item = &'a Cell>) -> Result<()> {
    let named = Regex::new(r"\b(step[0-9]{2}|cooper|exercises)\b").expect("a constant");
    let mut programs = BTreeSet::new();
    for command in cells.into_iter().flat_map(|cell| &cell.commands) {
        programs.extend(named.find_iter(&command.text).map(|found| found.as_str().to_owned()));
    }
    let packages = ["cooper", "exercises"];
    let known = |name: &String| packages.contains(&name.as_str()) || crate::diff::chapter(root, name).is_ok();
    programs.retain(known);
    if programs.is_empty() || !root.join("Cargo.toml").exists() {
        return Ok(());
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--quiet"]);
    cargo.arg("--target-dir").arg(target_dir().parent().unwrap_or(Path::new("target")));
    for name in &programs {
        cargo.args(["-p", name, "--bin", name]);
    }
    let status = cargo.status().or_call("execve", "cargo")?;
    if status.success() { Ok(()) } else { Err(Error::invalid(format!("cargo build: {status}"))) }
}

/// The `cargo` of the sandbox: it starts what was built, and builds nothing.
pub const CARGO: &str = r#"#!/bin/sh
# In the book's sandbox all is built already: `cargo run -p NAME -- …` starts what cargo built, as cargo would.
name=cooper
if [ "$1" != run ] && [ "$1" != r ]; then
  echo "error: the book's sandbox only has \`cargo run\`: use your own terminal for \`cargo $1\`" >&2
  exit 101
fi
shift
while [ $# -gt 0 ]; do
  case $1 in
    -p | --package | --bin) name=$2; shift 2 ;;
    -q | --quiet | --release) shift ;;
    --) shift; break ;;
    -*) echo "error: the book's sandbox knows no \`cargo run $1\`" >&2; exit 101 ;;
    *) break ;;
  esac
done
if [ ! -x "$HOME/.cargo/bin/$name" ]; then
  echo "error: $name was not built before this cell" >&2
  exit 101
fi
exec "$name" "$@"
"#;
