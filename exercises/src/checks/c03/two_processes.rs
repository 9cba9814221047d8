//! Two processes are made, and it is tried what each can do to the other.

use crate::Failure;
use crate::check::{Check, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("what passes between them", |lab| compare(lab, &BETWEEN)).points(2),
    Check::new("the network, names and queues", |lab| compare(lab, &NAMES)).points(2),
    Check::new("files and mounts", |lab| compare(lab, &MOUNTS)),
];

/// A question, the command that answers it (run by the room's shell, in red or in blue), and what it teaches.
struct Question {
    words: &'static str,
    trial: &'static str,
    because: &'static str,
}

const BETWEEN: [Question; 4] = [
    Question {
        words: "red may send blue a signal",
        trial: "red kill -0 $blue",
        because: "The PID namespace is the same, so each has a number for the other; and red has every capability over \
                  the user namespaces below its own.",
    },
    Question {
        words: "blue may send red a signal",
        trial: "blue sh -c \"kill -0 $red\"",
        because: "kill(2) compares the ids that the kernel stores, and by the map `0 0 1` both are the same user \
                  there. A user namespace alone does not keep processes of one user apart.",
    },
    Question {
        words: "red may read /proc/BLUE/environ",
        trial: "red cat /proc/$blue/environ",
        because: "To look into a process takes CAP_SYS_PTRACE in its user namespace; red has all capabilities in those \
                  below its own.",
    },
    Question {
        words: "blue may read /proc/RED/environ",
        trial: "blue cat /proc/$red/environ",
        because: "To look into a process takes CAP_SYS_PTRACE in its user namespace: blue has it in its own only, and \
                  red's lies above.",
    },
];

const NAMES: [Question; 4] = [
    Question {
        words: "blue may listen on TCP port 8080 while red does",
        trial: "blue perl /tmp/listen",
        because: "Ports belong to the network namespace, and blue has its own.",
    },
    Question {
        words: "red changes the host name: blue sees the new one",
        trial: "red hostname crimson && test $(blue uname -n) = crimson",
        because: "Both have the same UTS namespace: there is one name.",
    },
    Question {
        words: "blue may change the host name",
        trial: "blue hostname azure",
        because: "It would take CAP_SYS_ADMIN in the user namespace that owns the UTS namespace. Blue has that in its \
                  own, and the user namespace that owns this UTS namespace is red's.",
    },
    Question {
        words: "red makes a System V message queue: blue finds it in /proc/sysvipc/msg",
        trial: "red ipcmk --queue && test $(blue sh -c 'wc -l < /proc/sysvipc/msg') -gt 1",
        because: "Both have the same IPC namespace, which has one table of queues.",
    },
];

const MOUNTS: [Question; 2] = [
    Question {
        words: "blue mounts a tmpfs on /mnt and makes /mnt/file: red finds /mnt/file",
        trial: "red cat /mnt/file",
        because: "Each has a mount namespace of its own: the tmpfs is in blue's table of mounts only.",
    },
    Question {
        words: "red finds the same file as /proc/BLUE/root/mnt/file",
        trial: "red cat /proc/$blue/root/mnt/file",
        because: "/proc/PID/root leads to the root of that process, with the mounts that it sees. Whoever may look \
                  into a process (ptrace(2)) may go that way, whatever his own mount namespace.",
    },
];

/// Red listens on a port, blue has mounted a tmpfs; both then wait. `red` and `blue` run a command in their namespaces.
const MAKE: &str = r#"
mkdir -p /mnt
cat > /tmp/listen <<'END'
use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
bind($s, sockaddr_in(8080, INADDR_ANY)) or die $!;
listen($s, 1) or die $!;
if (@ARGV) { print "up\n"; close STDOUT; sleep 300; }
END
mkfifo /tmp/red /tmp/blue
perl /tmp/listen stay > /tmp/red & red=$!
read -r line < /tmp/red
unshare --user --map-root-user --mount --net /bin/sh -c '
    mount -t tmpfs blue /mnt && echo hello > /mnt/file && echo up > /tmp/blue && exec sleep 300
' & blue=$!
read -r line < /tmp/blue
red() { "$@"; }
blue() { nsenter --target $blue --user --mount --net --preserve-credentials "$@"; }
"#;

fn compare(lab: &Lab, questions: &[Question]) -> Verdict {
    let answers = lab.run(&[])?;
    let facts = try_out(lab, questions)?;
    let lines: Vec<_> = answers.stdout.lines().filter_map(|line| line.split_once(" = ")).collect();
    let mut wrong = Vec::new();
    for (question, fact) in questions.iter().zip(facts) {
        let given = lines.iter().find(|(words, _)| *words == question.words);
        let given = given.map_or("?".to_owned(), |(_, answer)| answer.trim().to_lowercase());
        if given != if fact { "yes" } else { "no" } {
            wrong.push((question, given, fact));
        }
    }
    let Some((first, given, fact)) = wrong.first() else { return Ok(()) };
    let open = wrong.iter().filter(|(_, given, _)| *given == "?").count();
    if open > 0 {
        let seen = format!("{open} of {} have none", questions.len());
        return Err(Failure::wrong("the answers", "`yes` or `no` to each question", seen)
            .note("Guess if you must: what counts is that your answer stands there before the kernel gives its own."));
    }
    let kernel = if *fact { "yes: the kernel allowed it" } else { "no: it was tried, and failed" };
    let what = format!("\"{}\", tried with two such processes", first.words);
    Err(Failure::wrong(what, kernel, format!("your answer is {given}")).note(first.because))
}

/// Makes the processes and tries; the kernel's answer to each question.
fn try_out(lab: &Lab, questions: &[Question]) -> Result<Vec<bool>, Failure> {
    let trial = |question: &Question| {
        format!("if {{ {}; }} > /tmp/said 2>&1; then echo yes; else echo no; fi\n", question.trial)
    };
    let done = lab.sh(&format!("{MAKE}{}", questions.iter().map(trial).collect::<String>()), &[])?;
    let facts: Vec<_> = done.stdout.lines().map(|line| line == "yes").collect();
    if facts.len() != questions.len() {
        return Err(Failure::Machine(format!("two processes could not be made: {}", done.stderr.trim())));
    }
    Ok(facts)
}
