//! The exercises, as the pages list them: they are told by their own package, so the book cannot fall behind it.

use exercises::catalog;
use exercises::{Exercise, Result};

/// A table of a chapter's exercises; of all, by chapter, if none is named.
///
/// # Errors
/// The exercises cannot be read.
pub fn table(chapter: Option<&str>) -> Result<String> {
    let all = catalog::load()?;
    let is_wanted = |exercise: &&Exercise| chapter.is_none_or(|chapter| exercise.chapter.starts_with(chapter));
    let column = if chapter.is_none() { "| Chapter " } else { "" };
    let line = if chapter.is_none() { "|---" } else { "" };
    let mut table = format!("{column}| Exercise | What you do | Minutes |\n{line}|---|---|--:|\n");
    for exercise in all.iter().filter(is_wanted) {
        if chapter.is_none() {
            table += &format!("| {} ", exercise.chapter[..2].trim_start_matches('0'));
        }
        let about = &exercise.about;
        table += &format!("| `{}` | *{}:* {} | {} |\n", exercise.name, about.kind, about.title, about.minutes);
    }
    Ok(table)
}

/// What learners get wrong, exercise by exercise.
///
/// # Errors
/// The exercises cannot be read.
pub fn mistakes() -> Result<String> {
    let line = |exercise: Exercise| {
        let page = exercise.about.page.split('#').next().unwrap_or_default().to_owned();
        format!("| [`{}`]({page}#exercises) | {} |\n", exercise.name, exercise.about.mistakes.trim().replace('\n', " "))
    };
    let lines: String = catalog::load()?.into_iter().map(line).collect();
    Ok(format!("| Exercise | What learners get wrong, and what helps |\n|---|---|\n{lines}"))
}
