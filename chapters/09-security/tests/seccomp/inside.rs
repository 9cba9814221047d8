//! What the test program does when it stands on the other side of the filter.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use oci_spec::runtime::LinuxSeccomp;
use security::seccomp::{self, Arch, numbers};

use crate::sys;

/// `inside confined PROFILE new-privs|no-new-privs PROGRAM ARGS…`, `inside call NAME ARGS…`, and so on.
pub fn main(args: &[String]) -> ! {
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["confined", profile, privileges, program, rest @ ..] => {
            install(Path::new(profile), *privileges == "no-new-privs");
            panic!("exec {program}: {}", Command::new(program).args(rest).exec());
        }
        ["calls", calls @ ..] => calls.iter().for_each(|call| say(call, &outcome(call))),
        ["thread"] => {
            let thread = std::thread::spawn(|| "a thread of its own");
            println!("{}", thread.join().expect("it does not panic"));
        }
        _ => panic!("{words:?}"),
    }
    let _ = std::io::stdout().flush();
    std::process::exit(0)
}

fn compiled(profile: &Path) -> seccomp::Programs {
    let text = std::fs::read_to_string(profile).expect("the profile");
    let profile: LinuxSeccomp = serde_json::from_str(&text).expect("a profile");
    seccomp::compile(&profile).expect("compile")
}

fn install(profile: &Path, no_new_privs: bool) {
    let filter = compiled(profile);
    if no_new_privs {
        nix::sys::prctl::set_no_new_privs().expect("PR_SET_NO_NEW_PRIVS");
    }
    if let Err(error) = filter.install() {
        eprintln!("{error}");
        std::process::exit(125);
    }
}

fn say(call: &str, outcome: &Result<(), Errno>) {
    let outcome = outcome.map_or_else(|errno| format!("{errno:?}"), |()| "done".to_owned());
    println!("{call} {outcome}");
}

/// `mount`, `socket:38`, `clone:0x10000000`, `500`: a call with its first argument, the others are zero.
fn outcome(call: &str) -> Result<(), Errno> {
    let (name, first) = call.split_once(':').unwrap_or((call, "0"));
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).expect("a number"),
        None => text.parse().expect("a number"),
    };
    if name == "clone" {
        return sys::clone(number(first) as i32);
    }
    let by_name = numbers::number(name, Arch::native()).map(u64::from);
    sys::call(by_name.unwrap_or_else(|| number(name)) as i64, [number(first), 0, 0, 0, 0, 0]).map(drop)
}
