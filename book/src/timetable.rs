//! The timetable: each page's minutes, and what they add up to.

use crate::Page;

/// A table of the pages that say how long they take.
pub fn table(pages: &[Page]) -> String {
    let mut table =
        String::from("| Page | Minutes | In all | Fast path | Program | After |\n|---|--:|--:|--:|---|---|\n");
    let (mut all, mut fast) = (0, 0);
    for page in pages {
        let Some(minutes) = page.front.minutes else { continue };
        all += minutes;
        fast += page.front.fast.unwrap_or(0);
        let quick = page.front.fast.map(|minutes| minutes.to_string()).unwrap_or_default();
        let program = page.front.step.map(|step| format!("`step{step:02}`")).unwrap_or_default();
        let title = |name: &String| pages.iter().find(|page| page.name() == *name).map(link).unwrap_or(name.clone());
        let after = page.front.requires.iter().map(title).collect::<Vec<_>>().join(", ");
        table += &format!("| {} | {minutes} | {} | {quick} | {program} | {after} |\n", link(page), clock(all));
    }
    table + &format!("| **All pages** | {all} | {} | {fast} | | |\n", clock(all))
}

fn link(page: &Page) -> String {
    format!("[{}]({})", page.title, page.path.display())
}

fn clock(minutes: u32) -> String {
    format!("{}:{:02}", minutes / 60, minutes % 60)
}
