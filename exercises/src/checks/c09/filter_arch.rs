//! A filter that looks at one table of three: what it prints is run here, as the kernel would run it, for calls of each
//! table.

use crate::check::{Check, Failure, Verdict, that};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("x86_64 programs: what is refused, and what is not", native),
    Check::new("no way around by an i386 program", i386).points(2),
    Check::new("no way around by the x32 table", x32),
    Check::new("clone3 is not there", clone3),
];

/// linux/audit.h.
const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;

/// Calls that a container has no use for: name, number on x86_64, on i386.
const CALLS: [(&str, u32, u32); 9] = [
    ("mount", 165, 21),
    ("ptrace", 101, 26),
    ("unshare", 272, 310),
    ("setns", 308, 346),
    ("keyctl", 250, 288),
    ("reboot", 169, 88),
    ("swapon", 167, 87),
    ("bpf", 321, 357),
    ("pivot_root", 155, 217),
];

/// A filter, and the calls that it was asked to refuse.
struct Filter {
    lines: Vec<[u32; 4]>,
    refused: Vec<(&'static str, u32, u32)>,
}

/// Has the program print a filter for some of the calls, and for the one named too.
fn print(lab: &Lab, also: Option<&str>) -> Result<Filter, Failure> {
    let skip = lab.number(0, 8) as usize;
    let refused: Vec<_> = CALLS.into_iter().cycle().skip(skip).take(4).collect();
    let names: Vec<_> = refused.iter().map(|(name, ..)| *name).chain(also).collect();
    let done = lab.run(&names)?;
    let line = |line: &str| {
        let words: Option<Vec<u32>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
        words?.try_into().ok()
    };
    let lines: Option<Vec<[u32; 4]>> = done.stdout.lines().map(line).collect();
    match lines.filter(|lines| done.code == 0 && !lines.is_empty()) {
        Some(lines) => Ok(Filter { lines, refused }),
        None => Err(Failure::wrong(
            format!("what `filter_arch {}` prints", names.join(" ")),
            "four numbers a line: code, jump if true, jump if false, operand",
            format!("exit code {}: {}{}", done.code, done.stdout, done.stderr.trim()),
        )),
    }
}

impl Filter {
    /// The verdict on a call; or why the kernel would not take the filter.
    fn verdict(&self, number: u32, arch: u32) -> Result<u32, Failure> {
        let data = [number, arch];
        let (mut next, mut loaded) = (0, 0);
        loop {
            let at = next;
            let wrong = |why: &str| {
                let shown = self.lines.get(at).map_or("the end".into(), |[a, b, c, d]| format!("{a} {b} {c} {d}"));
                let seen = format!("instruction {at}, `{shown}`: {why}");
                Failure::wrong("the filter", "a program that the kernel takes, and that ends by a return", seen)
            };
            let &[code, yes, no, operand] = self.lines.get(at).ok_or_else(|| wrong("behind the end"))?;
            let jump = |holds: bool| at + 1 + if holds { yes } else { no } as usize;
            next = at + 1;
            match code {
                0x20 if operand % 4 == 0 && operand < 64 => {
                    loaded = data.get(operand as usize / 4).copied().unwrap_or(0);
                }
                0x54 => loaded &= operand,
                0x05 => next += operand as usize,
                0x15 => next = jump(loaded == operand),
                0x25 => next = jump(loaded > operand),
                0x35 => next = jump(loaded >= operand),
                0x45 => next = jump(loaded & operand != 0),
                0x06 => return Ok(operand),
                _ => return Err(wrong("no instruction that is known here")),
            }
        }
    }

    /// Is the call not made?
    fn stops(&self, number: u32, arch: u32) -> Result<bool, Failure> {
        // Kill the process, the thread; trap; an errno.
        let action = self.verdict(number, arch)? & 0xffff_0000;
        Ok(matches!(action, 0x8000_0000 | 0 | 0x0003_0000 | 0x0005_0000))
    }
}

fn told(verdict: u32) -> String {
    let errno = verdict & 0xffff;
    match verdict & 0xffff_0000 {
        0x7fff_0000 => "ALLOW: the call is made".into(),
        0x8000_0000 => "KILL_PROCESS".into(),
        0 => "KILL_THREAD".into(),
        0x0005_0000 => match errno {
            1 => "errno 1 (EPERM)".into(),
            38 => "errno 38 (ENOSYS)".into(),
            other => format!("errno {other}"),
        },
        other => format!("action {other:#x}"),
    }
}

fn native(lab: &Lab) -> Verdict {
    let filter = print(lab, None)?;
    for (name, number, _) in &filter.refused {
        let seen = filter.verdict(*number, X86_64)?;
        let what = format!("an x86_64 program calls `{name}` ({number}), which is to be refused");
        that(seen == 0x0005_0001, &what, "errno 1 (EPERM)", told(seen))?;
    }
    let other = |number: &u32| !filter.refused.iter().any(|(_, refused, _)| refused == number);
    for number in (0..=450).filter(other) {
        let seen = filter.verdict(number, X86_64)?;
        let what = format!("an x86_64 program makes call {number}, which is not to be refused");
        that(seen == 0x7fff_0000, &what, "ALLOW: the call is made", told(seen))?;
    }
    Ok(())
}

fn i386(lab: &Lab) -> Verdict {
    let filter = print(lab, None)?;
    for (name, _, number) in &filter.refused {
        let what = format!("an i386 program calls `{name}`, which is {number} in its table");
        let seen = told(filter.verdict(*number, I386)?);
        that(filter.stops(*number, I386)?, &what, "anything but that the call is made", seen).map_err(|failure| {
            failure.note(
                "Every x86_64 program can do that too, by the instruction `int $0x80`: the filter is asked with \
                 another architecture then. What is not of the table that you know must end at a refusal, not \
                 at ALLOW.",
            )
        })?;
    }
    Ok(())
}

fn x32(lab: &Lab) -> Verdict {
    let filter = print(lab, None)?;
    for (name, number, _) in &filter.refused {
        let number = number | 0x4000_0000;
        let what = format!("a program makes call {number:#x}: `{name}` with bit 30 set, the x32 table");
        let seen = told(filter.verdict(number, X86_64)?);
        that(filter.stops(number, X86_64)?, &what, "anything but that the call is made", seen).map_err(|failure| {
            failure.note("The architecture of such a call is x86_64 all the same. Its number alone tells.")
        })?;
    }
    Ok(())
}

fn clone3(lab: &Lab) -> Verdict {
    let filter = print(lab, Some("clone3"))?;
    let seen = filter.verdict(435, X86_64)?;
    let what = "an x86_64 program calls `clone3` (435), which is to be refused";
    that(seen == 0x0005_0026, what, "errno 38 (ENOSYS)", told(seen)).map_err(|failure| {
        failure.note("EPERM is believed, and the thread is not made. After ENOSYS the C library tries clone(2).")
    })?;
    let (name, number, _) = filter.refused[0];
    let seen = filter.verdict(number, X86_64)?;
    that(seen == 0x0005_0001, &format!("and it calls `{name}`"), "errno 1 (EPERM)", told(seen))
}
