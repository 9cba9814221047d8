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

/// Programs that are not called as the package that they belong to.
const OF_OTHER_PACKAGES: [(&str, &str); 1] = [("cooper-runtime", "step10")];

/// Is this a program of the workspace that cells may start?
pub fn is_ours(name: &str) -> bool {
    let step = name.strip_prefix("step").is_some_and(|number| number.len() == 2);
    step || ["cooper", "cooper-runtime", "exercises"].contains(&name)
}

/// Builds what these cells run, all at once.
///
/// # Errors
/// What cargo says.
pub fn build<'a>(root: &Path, cells: impl IntoIterator<Item = &'a Cell>) -> Result<()> {
    let named =
        Regex::new(r"\b(step[0-9]{2}|cooper-runtime|exercises)\b|(?:^|\s)(cooper)(?:\s|$)").expect("a constant");
    let mut programs = BTreeSet::new();
    for command in cells.into_iter().flat_map(|cell| &cell.commands) {
        let found = named.captures_iter(&command.text);
        programs.extend(found.filter_map(|found| Some(found.get(1).or(found.get(2))?.as_str().to_owned())));
    }
    let known = |name: &String| !name.starts_with("step") || crate::diff::chapter(root, name).is_ok();
    programs.retain(known);
    if programs.is_empty() || !root.join("Cargo.toml").exists() {
        return Ok(());
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--quiet"]);
    cargo.arg("--target-dir").arg(target_dir().parent().unwrap_or(Path::new("target")));
    for name in &programs {
        let package =
            OF_OTHER_PACKAGES.iter().find(|(program, _)| program == name).map_or(&**name, |(_, package)| package);
        cargo.args(["-p", package, "--bin", name]);
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
