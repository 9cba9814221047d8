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
    //@ starter
    ("root", ["?", "?", "?", "?", "?"]),
    //@ solution
    ("root", ["none", "chown,kill", "chown,kill", "chown,kill", "none"]),
    //@ wrong root-is-root
    ("root", ["none", "all", "all", "chown,kill", "none"]),
    //@ end
    // Root has chown in its inheritable set, and a bounding set of kill alone, and executes grep.
    //@ starter
    ("root-inheritable", ["?", "?", "?", "?", "?"]),
    //@ solution
    ("root-inheritable", ["chown", "chown,kill", "chown,kill", "kill", "none"]),
    //@ wrong bounding-is-all
    ("root-inheritable", ["chown", "kill", "kill", "kill", "none"]),
    //@ end
    // Bounding set chown and kill; root becomes user 1000 (all three ids), and executes grep.
    //@ starter
    ("user", ["?", "?", "?", "?", "?"]),
    //@ solution
    ("user", ["none", "none", "none", "chown,kill", "none"]),
    //@ end
    // The same, with chown in the inheritable and in the ambient set.
    //@ starter
    ("user-ambient", ["?", "?", "?", "?", "?"]),
    //@ solution
    ("user-ambient", ["chown", "chown", "chown", "chown,kill", "chown"]),
    //@ wrong ambient-is-all
    ("user-ambient", ["none", "none", "none", "chown,kill", "chown"]),
    //@ end
    // Bounding set chown and kill; user 1000 executes a copy of grep that belongs to root and has the set-user-ID bit.
    //@ starter
    ("set-user-id", ["?", "?", "?", "?", "?"]),
    //@ solution
    ("set-user-id", ["none", "chown,kill", "chown,kill", "chown,kill", "none"]),
    //@ end
    // The same copy, the same user, who has set no_new_privs before.
    //@ starter
    ("no-new-privs", ["?", "?", "?", "?", "?"]),
    //@ solution
    ("no-new-privs", ["none", "none", "none", "chown,kill", "none"]),
    //@ wrong bit-counts
    ("no-new-privs", ["none", "chown,kill", "chown,kill", "chown,kill", "none"]),
    //@ end
];

fn main() {
    for (name, sets) in ANSWERS {
        println!("{name} = {}", sets.join(" "));
    }
}
