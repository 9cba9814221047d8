//! Commands change an overlay; then it is looked at what its upper directory has.

use super::overlay::on_overlay;
use crate::Failure;
use crate::check::{Check, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("what is read and written", |lab| compare(lab, &WRITTEN)),
    Check::new("what is renamed and linked", |lab| compare(lab, &RENAMED)),
    Check::new("what is deleted", |lab| compare(lab, &DELETED)),
];

/// A question; the shell's command that looks, where the upper directory is; why the answer is what it is.
struct Question {
    words: &'static str,
    look: &'static str,
    because: &'static str,
}

const WRITTEN: [Question; 4] = [
    Question { words: "cat read: upper/read", look: "kind read", because: "Reading copies nothing." },
    Question {
        words: "chmod 600 mode: upper/mode",
        look: "kind mode",
        because: "The layer is never written, so the new mode must stand above it: on a copy.",
    },
    Question {
        words: "chmod 600 mode (a file of 100000 bytes): the bytes of upper/mode",
        look: "stat -c %s mode",
        because: "Copy-up knows whole files only, also where no byte of the contents changes.",
    },
    Question {
        words: "exec 3>> open (opens it and writes nothing): upper/open",
        look: "kind open",
        because: "The kernel copies when a file is opened for writing: the descriptor must be the copy's.",
    },
];

const RENAMED: [Question; 4] = [
    Question {
        words: "mv old new: upper/old",
        look: "kind old",
        because: "The layer still has it under its old name: a whiteout hides it.",
    },
    Question {
        words: "mv old new: upper/new",
        look: "kind new",
        because: "The contents come from the layer, by copy-up, and then get the new name.",
    },
    Question {
        words: "ln one two (a hard link): upper/one",
        look: "kind one",
        because: "A hard link is a second name of one inode, and changes the number of names in it: it is copied up, \
                  and both names are names of the copy.",
    },
    Question {
        words: "mv dir moved (mv does that by copying): upper/dir",
        look: "kind dir",
        because: "The layer still has it. After copying mv deletes the old directory as `rm -r` does: one whiteout.",
    },
];

const DELETED: [Question; 4] = [
    Question {
        words: "rm deep/x: upper/deep",
        look: "kind deep",
        because: "The whiteout of `x` has to stand somewhere: in a copy of its directory, without the contents.",
    },
    Question {
        words: "rm -r tree: upper/tree",
        look: "kind tree",
        because: "The layer still has it. One mark hides the whole directory.",
    },
    Question {
        words: "rm -r again; mkdir again: upper/again",
        look: "kind again",
        because: "A plain directory would show what the layer has at its place. One mark hides the whole directory: \
                  the attribute `opaque`.",
    },
    Question {
        words: "echo hello > fresh; rm fresh: upper/fresh",
        look: "kind fresh",
        because: "The layer never had it, so there is nothing to hide.",
    },
];

const LAYER: &str = "
for file in read open old one gone; do echo hello > $file; done
head -c 100000 /dev/zero > mode
mkdir deep tree again dir; for dir in deep tree again dir; do echo hello > $dir/x; done
";

const COMMANDS: &str = "
cat read > /tmp/said
chmod 600 mode
(exec 3>> open)
mv old new
ln one two
mv dir moved
rm deep/x
rm -r tree
rm -r again; mkdir again
echo hello > fresh; rm fresh
";

/// `kind NAME` in the upper directory.
const KIND: &str = r"
cd upper || exit 94
kind() {
    if test -c $1; then test $(stat -c %t:%T $1) = 0:0 && echo whiteout || echo device
    elif test -d $1; then
        if tar --xattrs --no-recursion -cf - $1 | grep -aq user.overlay.opaque=y; then echo opaque
        else echo directory; fi
    elif test -e $1; then echo file
    else echo nothing
    fi
}
";

fn compare(lab: &Lab, questions: &[Question]) -> Verdict {
    let answers = lab.run(&[])?;
    let looks: String = questions.iter().map(|question| format!("{}\n", question.look)).collect();
    let done = on_overlay(lab, LAYER, COMMANDS, &format!("{KIND}{looks}"), &[])?;
    let facts: Vec<_> = done.stdout.lines().collect();
    if facts.len() != questions.len() {
        return Err(Failure::Machine(format!("the upper directory cannot be read: {}", done.stderr.trim())));
    }
    let given = |question: &Question| {
        let line = answers.stdout.lines().find_map(|line| line.strip_prefix(question.words)?.strip_prefix(" = "));
        line.map_or("?".to_owned(), |answer| answer.trim().trim_end_matches(" bytes").to_lowercase())
    };
    let open = questions.iter().filter(|question| given(question) == "?").count();
    if open > 0 {
        let seen = format!("{open} of {} have none", questions.len());
        return Err(Failure::wrong("the answers", "an answer to each question", seen)
            .note("Guess if you must: what counts is that your answer stands there before the kernel gives its own."));
    }
    match questions.iter().zip(facts).find(|(question, fact)| given(question) != *fact) {
        None => Ok(()),
        Some((question, fact)) => {
            let what = format!("\"{}\", done and looked at", question.words);
            Err(Failure::wrong(what, fact, format!("your answer is {}", given(question))).note(question.because))
        }
    }
}
