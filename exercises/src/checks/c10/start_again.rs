//! Whether and when a container is started again: lists of ends that nobody can know beforehand.

use crate::check::{Check, Verdict, that};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("who is started again", who),
    Check::new("on-failure with a number", counted),
    Check::new("twice as long each time, a minute at most", doubled).points(2),
    Check::new("anew after a good run", anew).points(2),
];

/// An exit code, and milliseconds of a run.
type End = (u32, u32);

/// Docker's rules, once more.
fn expected(policy: &str, ends: &[End]) -> Vec<String> {
    let (mut waited, mut lines) = (0, Vec::new());
    for (index, &(code, ran)) in ends.iter().enumerate() {
        let most = policy.strip_prefix("on-failure:").and_then(|most| most.parse().ok());
        let wanted = match policy {
            "no" => false,
            "always" => true,
            _ => code != 0 && most.is_none_or(|most: usize| index < most),
        };
        if !wanted {
            lines.push("-".into());
            break;
        }
        waited = if waited == 0 || ran >= 10_000 { 100 } else { (waited * 2).min(60_000) };
        lines.push(waited.to_string());
    }
    lines
}

fn compare(lab: &Lab, policy: &str, ends: &[End], note: &str) -> Verdict {
    let words: Vec<_> = ends.iter().map(|(code, ran)| format!("{code}:{ran}")).collect();
    let args: Vec<_> = [policy].into_iter().chain(words.iter().map(String::as_str)).collect();
    let done = lab.run(&args)?;
    let (expected, seen) = (expected(policy, ends).join(" "), done.stdout.lines().collect::<Vec<_>>().join(" "));
    let what = format!("`start_again {}`", args.join(" "));
    let note = if done.stderr.contains("not yet implemented") { "It still has a todo!()." } else { note };
    let shown = if done.code == 0 { seen.clone() } else { format!("{seen}; exit code {}", done.code) };
    that(done.code == 0 && seen == expected, &what, &expected, shown).map_err(|failure| failure.note(note))
}

/// Shorter than a good run.
fn short(lab: &Lab, code: u32) -> End {
    (code, lab.number(1, 9_900))
}

fn who(lab: &Lab) -> Verdict {
    let failed = lab.number(1, 255);
    compare(lab, "no", &[short(lab, failed)], "`no` means never, whatever the exit code.")?;
    let ends = [short(lab, 0), short(lab, failed), short(lab, 0)];
    compare(lab, "always", &ends, "`always` does not ask for the exit code.")?;
    let ends = [short(lab, failed), short(lab, failed), short(lab, 0), short(lab, failed)];
    compare(
        lab,
        "on-failure",
        &ends,
        "0 is no failure, every other code is one; without a number there is no end of it.",
    )
}

fn counted(lab: &Lab) -> Verdict {
    let most = lab.number(2, 4);
    let mut ends: Vec<_> = (0..6).map(|_| short(lab, lab.number(1, 255))).collect();
    ends[1].1 = lab.number(10_000, 90_000);
    let note = "The number counts the starts again, over all: with on-failure:N a program that always fails runs one \
                time more than N.";
    compare(lab, &format!("on-failure:{most}"), &ends, note)
}

fn doubled(lab: &Lab) -> Verdict {
    let ends: Vec<_> = (0..13).map(|_| short(lab, lab.number(1, 255))).collect();
    compare(lab, "always", &ends, "100 first, then twice the last one, a minute at most (60000).")
}

fn anew(lab: &Lab) -> Verdict {
    let mut ends: Vec<_> = (0..9).map(|_| short(lab, 1)).collect();
    let at = lab.number(2, 5) as usize;
    ends[at].1 = 10_000;
    ends[at + 2].1 = lab.number(10_001, 900_000);
    compare(lab, "always", &ends, "Who ran for 10000 milliseconds or longer ran well: the wait after it is 100 again.")
}
