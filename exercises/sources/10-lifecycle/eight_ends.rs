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
    //@ starter
    ("exit-300", "?"),
    //@ solution
    ("exit-300", "44"),
    //@ end
    // A program that is not in the image.
    //@ starter
    ("not-there", "?"),
    //@ solution
    ("not-there", "127"),
    //@ end
    // A file that is in the image, and that nobody may execute: /etc/passwd.
    //@ starter
    ("not-executable", "?"),
    //@ solution
    ("not-executable", "126"),
    //@ wrong shell-like
    ("not-executable", "127"),
    //@ end
    // A program with an init before it; somebody sends it SIGKILL.
    //@ starter
    ("killed", "?"),
    //@ solution
    ("killed", "137"),
    //@ wrong bare-number
    ("killed", "9"),
    //@ end
    // `yes`, with an init before it, which writes to a pipe that nobody reads any more.
    //@ starter
    ("no-reader", "?"),
    //@ solution
    ("no-reader", "141"),
    //@ end
    // A shell that has said `trap "exit 3" TERM`, and gets SIGTERM.
    //@ starter
    ("handler", "?"),
    //@ solution
    ("handler", "3"),
    //@ end
    // `sleep 1000` as process 1; `stop` sends SIGTERM, waits, and sends SIGKILL.
    //@ starter
    ("stopped", "?"),
    //@ solution
    ("stopped", "137"),
    //@ wrong term-is-enough
    ("stopped", "143"),
    //@ end
    // `sh -c 'kill -KILL $$; exit 5'` as process 1.
    //@ starter
    ("kills-itself", "?"),
    //@ solution
    ("kills-itself", "5"),
    //@ wrong kill-is-kill
    ("kills-itself", "137"),
    //@ end
];

fn main() {
    for (name, code) in ANSWERS {
        println!("{name} = {code}");
    }
}
