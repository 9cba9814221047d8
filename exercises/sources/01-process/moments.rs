//! Moments of a fork and an exec.
//!
//! Five questions about things that the kernel decides. Write your answers between the quotes, in the form that the
//! question asks for, before you try anything: `cargo run -p exercises -- run moments` then makes each experiment for
//! real and says what the kernel showed. Afterwards try them by hand, with sh, ps and /proc/PID/status.
//!
//! Read: the book, chapter 1, from "execve" to "Zombies, orphans, and --init"; proc_pid_status(5).

/// Question and answer.
const ANSWERS: [(&str, &str); 5] = [
    // A child has ended. Its parent lives, and has not waited for it. Which letter does ps show as the child's state?
    //@ starter
    ("state", "?"),
    //@ solution
    ("state", "Z"),
    //@ wrong no-trace
    ("state", "X"),
    //@ end
    // A program calls exit(300). What is $? in the shell that started it? A number.
    //@ starter
    ("code", "?"),
    //@ solution
    ("code", "44"),
    //@ wrong as-given
    ("code", "300"),
    //@ end
    // A shell calls `exec sleep 100`. Has the sleep the shell's number, or another? `same` or `new`.
    //@ starter
    ("number", "?"),
    //@ solution
    ("number", "same"),
    //@ wrong as-given
    ("number", "new"),
    //@ end
    // Process 20 starts 21, that one starts 22. Now 21 ends; 20 lives; nobody called itself a subreaper. What is the
    // number of 22's parent? A number.
    //@ starter
    ("parent", "?"),
    //@ solution
    ("parent", "1"),
    //@ wrong no-trace
    ("parent", "20"),
    //@ end
    // A shell says `trap '' TERM`, then `exec sleep 100`. SIGTERM is sent to the sleep. `lives` or `ends`.
    //@ starter
    ("ignored", "?"),
    //@ solution
    ("ignored", "lives"),
    //@ wrong no-trace
    ("ignored", "ends"),
    //@ end
];

fn main() {
    for (question, answer) in ANSWERS {
        println!("{question} = {answer}");
    }
}
