//! The proof of one exercise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::thread;

use exercises::compile::Libraries;
use exercises::source::Variant;
use exercises::{Exercise, Failure, catalog, generate, judge};
use harness::{Outcome, Sandbox};

use crate::beforehand;

/// How often a verdict must be the same.
const TIMES: usize = 10;

/// A learner's clone has a learner's files: there, what was committed counts.
pub fn up_to_date() -> Outcome {
    let all = catalog::load()?;
    let made: BTreeMap<_, _> = generate::files(&all)?.into_iter().collect();
    let mut differ = generate::write(&all, true)?;
    differ.retain(|path| committed(path).as_ref() != made.get(path));
    assert!(differ.is_empty(), "cargo run -p exercises -- generate; these differ: {differ:?}");
    Ok(())
}

fn committed(path: &Path) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(catalog::root()).arg("show").arg(format!("HEAD:{}", path.display()));
    let output = git.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// What the runner and the book say of each other: the page has the heading that the runner names, and the list.
fn on_its_page(exercise: &Exercise) -> Outcome {
    let (page, anchor) = exercise.about.page.split_once('#').ok_or("`page` names no heading")?;
    let text = std::fs::read_to_string(catalog::root().join("book/pages").join(page))?;
    let slug = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect::<String>()
    };
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    assert!(headings.map(slug).any(|slug| slug == anchor), "{page} has no heading #{anchor}");
    let table = format!("{{{{#exercises {}}}}}", &exercise.chapter[..2]);
    assert!(text.contains(&table), "{page} has no {table}");
    Ok(())
}

pub fn holds(exercise: &Exercise) -> Outcome {
    let about = &exercise.about;
    assert!((10..=120).contains(&about.minutes), "{} minutes", about.minutes);
    assert!(about.wrong.len() >= 2, "two wrong answers at least");
    let named: BTreeSet<_> = about.wrong.iter().map(|wrong| wrong.name.clone()).collect();
    assert_eq!(exercise.source.wrong(), named, "the wrong answers of the source and of the .toml");
    let others = exercise.checks().iter().filter_map(|check| check.beside);
    let is_there = |name: &str| exercise.checks().iter().any(|check| check.name == name);
    others.for_each(|other| assert!(is_there(other), "no check {other:?}"));
    on_its_page(exercise)?;
    let dir = tempfile::tempdir()?;
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut libraries = None;
    for (number, variant) in exercise.variants().iter().enumerate() {
        let program = dir.path().join(number.to_string());
        if !beforehand::take(exercise, variant, &program)? {
            let libraries = match &mut libraries {
                Some(libraries) => libraries,
                none => none.insert(Libraries::build(exercise)?),
            };
            compile(libraries, exercise, variant, &program)?;
        }
        let failed = failures(exercise, &program)?;
        hold(exercise, variant, &failed);
        let is_ours_to_give = !beforehand::is_for_vm(exercise); // a control group is not, where nothing delegates
        if *variant == Variant::Solution && is_ours_to_give && nix::unistd::geteuid().is_root() {
            as_ordinary_user(exercise, &program)?;
        }
        if !matches!(variant, Variant::Wrong(_)) {
            again(exercise, variant, &program, &names(&failed))?;
        }
    }
    Ok(())
}

/// The same verdict, time and again, also beside other runs.
fn again(exercise: &Exercise, variant: &Variant, program: &Path, first: &[String]) -> Outcome {
    let once = || failures(exercise, program).map(|failed| names(&failed)).map_err(|error| format!("{error:?}"));
    let verdicts: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (1..TIMES).map(|_| scope.spawn(once)).collect();
        runs.into_iter().map(|run| run.join().expect("a check panics")).collect()
    });
    for verdict in verdicts {
        assert_eq!(verdict?, first, "another verdict on {variant:?}");
    }
    Ok(())
}

/// No exercise needs root.
fn as_ordinary_user(exercise: &Exercise, program: &Path) -> Outcome {
    let user = Sandbox::ordinary()?;
    let check = user.program(env!("CARGO_BIN_EXE_exercises")).args(["__check", &exercise.name]);
    let done = check.arg(program).run()?.ok()?;
    let found: Vec<judge::Found> = serde_json::from_str(done.stdout.trim())?;
    for found in &found {
        assert!(found.verdict.is_ok(), "as an ordinary user: {}: {:?}", found.check, found.verdict);
    }
    assert_eq!(found.len(), exercise.checks().len());
    Ok(())
}

fn names(failed: &[(String, String)]) -> Vec<String> {
    failed.iter().map(|(name, _)| name.clone()).collect()
}

/// Every variant compiles, and stands as rustfmt would have it.
pub fn compile(libraries: &Libraries, exercise: &Exercise, variant: &Variant, program: &Path) -> Outcome {
    let file = program.with_extension("rs");
    std::fs::write(&file, exercise.source.render(variant))?;
    let config = catalog::root().join("rustfmt.toml");
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2024", "--config-path"]).arg(config).arg(&file);
    let formatted = rustfmt.output()?;
    assert!(formatted.status.success(), "{variant:?}: {}", String::from_utf8_lossy(&formatted.stdout));
    libraries.compile(&file, program)?.map_err(|said| format!("{variant:?} does not compile:\n{said}"))?;
    Ok(())
}

/// The checks that do not pass, and what they say.
fn failures(exercise: &Exercise, program: &Path) -> Outcome<Vec<(String, String)>> {
    let tool = Path::new(env!("CARGO_BIN_EXE_exercises"));
    let mut failed = Vec::new();
    for found in judge::here(exercise, tool, program) {
        match found.verdict {
            Ok(()) => {}
            Err(failure @ Failure::Machine(_)) => return Err(format!("{}: {failure}", found.check).into()),
            Err(failure) => failed.push((found.check, failure.to_string())),
        }
    }
    Ok(failed)
}

fn hold(exercise: &Exercise, variant: &Variant, failed: &[(String, String)]) {
    let names: BTreeSet<_> = failed.iter().map(|(name, _)| name.as_str()).collect();
    let all: BTreeSet<_> = exercise.about.red.iter().map(String::as_str).collect();
    let said: String = failed.iter().map(|(name, message)| format!("{name}: {message}\n")).collect();
    match variant {
        Variant::Solution => assert!(failed.is_empty(), "the solution fails:\n{said}"),
        Variant::Starter => assert_eq!(names, all, "the starter fails others than its own checks:\n{said}"),
        Variant::Wrong(name) => {
            assert!(!failed.is_empty(), "{name} passes");
            let wrong = exercise.about.wrong.iter().find(|wrong| wrong.name == *name).expect("it comes from this list");
            assert!(said.contains(&wrong.says), "{name} is told something else than {:?}:\n{said}", wrong.says);
        }
    }
}
