//! How a child ended, for codes and signals alike.

use crate::check::{Check, Verdict, same};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("the code of a child that exits", exits),
    Check::new("128 and the number for a child that a signal ends", signals).points(2),
    Check::new("a child that does not begin to run", missing),
];

fn exits(lab: &Lab) -> Verdict {
    for code in [0, 1, lab.number(2, 250)] {
        let done = lab.run(&["sh", "-c", &format!("exit {code}")])?;
        same(&format!("the exit code after `sh -c 'exit {code}'`"), i64::from(code), i64::from(done.code))?;
    }
    Ok(())
}

fn signals(lab: &Lab) -> Verdict {
    for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
        let done = lab.run(&["sh", "-c", &format!("kill -{name} $$")])?;
        let what = format!("the exit code after the child was ended by SIG{name}");
        same(&what, 128 + number, done.code)?;
    }
    Ok(())
}

fn missing(lab: &Lab) -> Verdict {
    let done = lab.run(&[&format!("/no/such/{}", lab.nonce())])?;
    same("the exit code if there is no such program", 127, done.code)
}
