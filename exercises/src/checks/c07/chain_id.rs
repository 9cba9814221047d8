//! Chain ids, against sha256sum(1).

use crate::check::{Check, Failure, Verdict, same};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("the lowest layer", lowest),
    Check::new("each layer over those below it", chain).points(2),
    Check::new("the same layer over another one", elsewhere),
];

/// A digest that nobody can know beforehand.
fn diff_id(lab: &Lab) -> String {
    let hex: String = (0..8).map(|_| format!("{:08x}", lab.number(0, u32::MAX - 1))).collect();
    format!("sha256:{hex}")
}

/// What the program prints for these layers, line by line.
fn printed(lab: &Lab, diff_ids: &[&str]) -> Result<Vec<String>, Failure> {
    let done = lab.run(diff_ids)?;
    let lines: Vec<_> = done.stdout.lines().map(|line| line.trim().to_owned()).collect();
    if done.code == 0 && lines.len() == diff_ids.len() {
        return Ok(lines);
    }
    let said = format!("{} lines, exit code {}: {}", lines.len(), done.code, done.stderr.trim());
    let expected = format!("a line for each of {} layers, exit code 0", diff_ids.len());
    let failure = Failure::wrong("the chain ids", expected, said);
    Err(if done.code == 101 { failure.note("There is still a todo!() in it, or it panics.") } else { failure })
}

/// What it should print, as the shell computes it.
fn computed(lab: &Lab, diff_ids: &[&str]) -> Result<Vec<String>, Failure> {
    let script = r#"
        below=$1; echo "$below"; shift
        for id; do below=sha256:$(printf '%s %s' "$below" "$id" | sha256sum | cut -c 1-64); echo "$below"; done"#;
    Ok(lab.sh(script, diff_ids)?.stdout.lines().map(str::to_owned).collect())
}

fn lowest(lab: &Lab) -> Verdict {
    let id = diff_id(lab);
    let seen = printed(lab, &[&id])?.concat();
    same("the chain id of the lowest layer", id, seen).map_err(|failure| {
        failure.note("Nothing is below the lowest layer: its chain id is its diff id, as it stands.")
    })
}

fn chain(lab: &Lab) -> Verdict {
    let ids: Vec<_> = (0..lab.number(3, 6)).map(|_| diff_id(lab)).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let (seen, expected) = (printed(lab, &ids)?, computed(lab, &ids)?);
    for (number, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
        let note = match number {
            0 => "Nothing is below the lowest layer: its chain id is its diff id, as it stands.".to_owned(),
            1 => format!("This is what a shell says: printf '%s %s' {} {} | sha256sum", ids[0], ids[1]),
            _ => "What goes before the diff id is the chain id of those below, not a diff id.".to_owned(),
        };
        same(&format!("the chain id of layer {} of {}", number + 1, ids.len()), expected, seen)
            .map_err(|failure| failure.note(note))?;
    }
    Ok(())
}

fn elsewhere(lab: &Lab) -> Verdict {
    let (one, other, top) = (diff_id(lab), diff_id(lab), diff_id(lab));
    let [over_one, over_other] =
        [printed(lab, &[&one, &top])?, printed(lab, &[&other, &top])?].map(|ids| ids[1].clone());
    if over_one == over_other {
        let expected = "another chain id, since another layer is below";
        return Err(Failure::wrong("one layer over two others", expected, format_args!("{over_one}, both times")));
    }
    Ok(())
}
