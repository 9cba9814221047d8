//! What an exec makes of the five sets.
//!
//! Six times a process executes `grep Cap /proc/self/status`. Say beforehand what stands there. A set is written as the
//! names in it, `chown`, `kill` or `chown,kill`, or `none`. The question marks are yours; they are in the order of
//! /proc/PID/status: inheritable, permitted, effective, bounding, ambient.
//!
//! The check then makes the six experiments for real, and shows what the kernel said.
//!
//! Read: the book, chapter 9, "Capabilities: root in pieces"; capabilities(7), "Transformation of capabilities during
//! execve()" and "Capabilities and execution of programs by root".

/// Experiments, and what you expect of each.
const ANSWERS: [(&str, [&str; 5]); 6] = [
    // Root, with all capabilities, and a bounding set of chown and kill, executes grep.
    ("root", ["?", "?", "?", "?", "?"]),
    // Root has chown in its inheritable set, and a bounding set of kill alone, and executes grep.
    ("root-inheritable", ["?", "?", "?", "?", "?"]),
    // Bounding set chown and kill; root becomes user 1000 (all three ids), and executes grep.
    ("user", ["?", "?", "?", "?", "?"]),
    // The same, with chown in the inheritable and in the ambient set.
    ("user-ambient", ["?", "?", "?", "?", "?"]),
    // Bounding set chown and kill; user 1000 executes a copy of grep that belongs to root and has the set-user-ID bit.
    ("set-user-id", ["?", "?", "?", "?", "?"]),
    // The same copy, the same user, who has set no_new_privs before.
    ("no-new-privs", ["?", "?", "?", "?", "?"]),
];

fn main() {
    for (name, sets) in ANSWERS {
        println!("{name} = {}", sets.join(" "));
    }
}
