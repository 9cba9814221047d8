//! Eight ways to end.
//!
//! Each of these containers ends. Which exit code does `inspect` show afterwards? It is the program's own code if it
//! has one, or 128 and the number of the signal that ended it; codes of the engine count as a shell's. Put a number in
//! the place of each question mark. The check then makes all eight for real.
//!
//! The numbers of signals are in signal(7). A container's program is process 1 of its PID namespace, unless there is an
//! init before it; below it says so where that matters.
//!
//! Read: the book, chapter 10, "The end: stop and kill"; wait(2), pid_namespaces(7).

const ANSWERS: [(&str, &str); 8] = [
    // `sh -c 'exit 300'`
    ("exit-300", "?"),
    // A program that is not in the image.
    ("not-there", "?"),
    // A file that is in the image, and that nobody may execute: /etc/passwd.
    ("not-executable", "?"),
    // A program with an init before it; somebody sends it SIGKILL.
    ("killed", "?"),
    // `yes`, with an init before it, which writes to a pipe that nobody reads any more.
    ("no-reader", "?"),
    // A shell that has said `trap "exit 3" TERM`, and gets SIGTERM.
    ("handler", "?"),
    // `sleep 1000` as process 1; `stop` sends SIGTERM, waits, and sends SIGKILL.
    ("stopped", "?"),
    // `sh -c 'kill -KILL $$; exit 5'` as process 1.
    ("kills-itself", "?"),
];

fn main() {
    for (name, code) in ANSWERS {
        println!("{name} = {code}");
    }
}
