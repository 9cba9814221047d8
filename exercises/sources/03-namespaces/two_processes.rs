//! Two processes, two lists of inodes: what can each do to the other?
//!
//! On one machine run two processes, red and blue. `ls -l /proc/RED/ns /proc/BLUE/ns` shows:
//!
//! ```text
//!           red           blue
//! cgroup    4026531835    4026531835
//! ipc       4026532201    4026532201
//! mnt       4026532204    4026532311
//! net       4026532207    4026532313
//! pid       4026532202    4026532202
//! time      4026531834    4026531834
//! user      4026532199    4026532310
//! uts       4026532205    4026532205
//! ```
//!
//! Red is root of its user namespace. Blue's user namespace was made by red and lies below it, and so do blue's mnt and
//! net belong to it. Blue's `/proc/self/uid_map` is `0 0 1`: it is root in there, and outside the same user as red.
//! Both have all capabilities in their own user namespace. `/proc` is one mount for both: the one that red sees.
//!
//! Write `yes` or `no` for each question. `two_processes` then prints your answers; the check makes the two processes
//! and tries all of it.
//!
//! Read: the book, chapter 3, from "Eight pointers" on; namespaces(7), user_namespaces(7); ptrace(2), "Ptrace access
//! mode checking", for whatever lies below /proc/PID of somebody else.

/// A question, and your answer.
const ANSWERS: [(&str, &str); 10] = [
    //@ starter
    ("red may send blue a signal", "?"),
    ("blue may send red a signal", "?"),
    ("red may read /proc/BLUE/environ", "?"),
    ("blue may read /proc/RED/environ", "?"),
    ("blue may listen on TCP port 8080 while red does", "?"),
    ("red changes the host name: blue sees the new one", "?"),
    ("blue may change the host name", "?"),
    ("red makes a System V message queue: blue finds it in /proc/sysvipc/msg", "?"),
    ("blue mounts a tmpfs on /mnt and makes /mnt/file: red finds /mnt/file", "?"),
    ("red finds the same file as /proc/BLUE/root/mnt/file", "?"),
    //@ solution
    ("red may send blue a signal", "yes"),
    ("blue may send red a signal", "yes"),
    ("red may read /proc/BLUE/environ", "yes"),
    ("blue may read /proc/RED/environ", "no"),
    ("blue may listen on TCP port 8080 while red does", "yes"),
    ("red changes the host name: blue sees the new one", "yes"),
    ("blue may change the host name", "no"),
    ("red makes a System V message queue: blue finds it in /proc/sysvipc/msg", "yes"),
    ("blue mounts a tmpfs on /mnt and makes /mnt/file: red finds /mnt/file", "no"),
    ("red finds the same file as /proc/BLUE/root/mnt/file", "yes"),
    //@ wrong root-is-root
    ("red may send blue a signal", "yes"),
    ("blue may send red a signal", "yes"),
    ("red may read /proc/BLUE/environ", "yes"),
    ("blue may read /proc/RED/environ", "yes"),
    ("blue may listen on TCP port 8080 while red does", "yes"),
    ("red changes the host name: blue sees the new one", "yes"),
    ("blue may change the host name", "yes"),
    ("red makes a System V message queue: blue finds it in /proc/sysvipc/msg", "yes"),
    ("blue mounts a tmpfs on /mnt and makes /mnt/file: red finds /mnt/file", "no"),
    ("red finds the same file as /proc/BLUE/root/mnt/file", "yes"),
    //@ wrong user-namespace-is-a-wall
    ("red may send blue a signal", "yes"),
    ("blue may send red a signal", "no"),
    ("red may read /proc/BLUE/environ", "yes"),
    ("blue may read /proc/RED/environ", "no"),
    ("blue may listen on TCP port 8080 while red does", "yes"),
    ("red changes the host name: blue sees the new one", "yes"),
    ("blue may change the host name", "no"),
    ("red makes a System V message queue: blue finds it in /proc/sysvipc/msg", "yes"),
    ("blue mounts a tmpfs on /mnt and makes /mnt/file: red finds /mnt/file", "no"),
    ("red finds the same file as /proc/BLUE/root/mnt/file", "yes"),
    //@ wrong mounts-are-gone
    ("red may send blue a signal", "yes"),
    ("blue may send red a signal", "yes"),
    ("red may read /proc/BLUE/environ", "yes"),
    ("blue may read /proc/RED/environ", "no"),
    ("blue may listen on TCP port 8080 while red does", "no"),
    ("red changes the host name: blue sees the new one", "yes"),
    ("blue may change the host name", "no"),
    ("red makes a System V message queue: blue finds it in /proc/sysvipc/msg", "yes"),
    ("blue mounts a tmpfs on /mnt and makes /mnt/file: red finds /mnt/file", "no"),
    ("red finds the same file as /proc/BLUE/root/mnt/file", "no"),
    //@ end
];

fn main() {
    for (question, answer) in ANSWERS {
        println!("{question} = {answer}");
    }
}
