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
    ("state", "?"),
    // A program calls exit(300). What is $? in the shell that started it? A number.
    ("code", "?"),
    // A shell calls `exec sleep 100`. Has the sleep the shell's number, or another? `same` or `new`.
    ("number", "?"),
    // Process 20 starts 21, that one starts 22. Now 21 ends; 20 lives; nobody called itself a subreaper. What is the
    // number of 22's parent? A number.
    ("parent", "?"),
    // A shell says `trap '' TERM`, then `exec sleep 100`. SIGTERM is sent to the sleep. `lives` or `ends`.
    ("ignored", "?"),
];

fn main() {
    for (question, answer) in ANSWERS {
        println!("{question} = {answer}");
    }
}
