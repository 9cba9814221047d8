//! An init that misses nobody.
//!
//! `reaper COMMAND…` runs a program below itself, as `--init` does. It makes itself a subreaper, so that orphans become
//! its children. It passes signals on. What is missing is `reap`: to collect everybody who has ended.
//!
//! `reap` is called each time that SIGCHLD has come. Signals do not queue: if ten children end while SIGCHLD is pending,
//! it still comes once. And between two of them the init must not sleep anywhere but in `SigSet::wait`: a SIGTERM for
//! the program would not be passed on.
//!
//! When the main child has ended, `reap` gives its exit code, as a shell shows it: 128 and the number for a signal. The
//! code of an orphan interests nobody.
//!
//! Try: `cargo run -q -p lab01 --bin reaper -- sh -c '(sleep 1 &); (sleep 1 &); sleep 2; ps -o pid,s,args --ppid $PPID'`
//!
//! Read: the book, chapter 1, "Zombies, orphans, and --init"; waitpid(2), WNOHANG; signal(7), "Queueing".

use std::process::ExitCode;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{ForkResult, Pid};
use process::{Program, sys};

fn main() -> ExitCode {
    let program = Program::new(std::env::args_os().skip(1), std::env::vars_os().collect());
    set_child_subreaper(true).expect("prctl");
    // Before the child exists: its end must not come while nobody listens.
    SigSet::all().thread_block().expect("sigprocmask");
    let main = match sys::fork().expect("fork") {
        ForkResult::Child => {
            SigSet::all().thread_unblock().expect("sigprocmask");
            eprintln!("reaper: {}", program.exec());
            sys::exit_now(127)
        }
        ForkResult::Parent { child } => child,
    };
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(main) {
                    return ExitCode::from(code);
                }
            }
            Ok(signal) => drop(kill(main, signal)),
            Err(_) => {}
        }
    }
}

/// Collects all who have ended by now; gives the code of `main` if it is one of them.
fn reap(main: Pid) -> Option<u8> {
    todo!("collect whoever has ended, and look out for {main}")
}
