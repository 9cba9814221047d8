//! The attacker: this test program again, executed in a container.
//!
//! `escapes act WORD…` tries each word, in a process of its own, and says on a line how it ended: `mount: EPERM`. A
//! word is the name of an attack, with what it needs behind colons: `mknod:b:7:0`.

mod calls;
mod files;
mod keys;
mod network;
mod processes;
mod roots;
#[allow(unsafe_code)]
pub mod sys;

pub use keys::add as add_key;

use std::process::Command;

use nix::errno::Errno;

/// How an attack ended: with what it gained, or with what the kernel said.
pub type Tried = Result<String, Errno>;

/// It got what it wanted, and there is nothing to show.
pub const DONE: &str = "done";

/// Does what the words say; does not return.
pub fn main(words: &[String]) -> ! {
    if let [word] = words {
        println!("{word}: {}", tell(attack(word)));
    } else {
        for word in words {
            let ourselves = std::env::current_exe().expect("our own path");
            let done = Command::new(ourselves).args(["act", word]).status();
            if !done.as_ref().is_ok_and(std::process::ExitStatus::success) {
                println!("{word}: ended with {done:?}");
            }
        }
    }
    std::process::exit(0)
}

fn tell(tried: Tried) -> String {
    tried.unwrap_or_else(|errno| format!("{errno:?}"))
}

fn attack(word: &str) -> Tried {
    let mut parts = word.split(':');
    let name = parts.next().unwrap_or_default();
    let args: Vec<_> = parts.collect();
    let found = calls::mounts(name, &args)
        .or_else(|| calls::kernel(name))
        .or_else(|| calls::namespaces(name))
        .or_else(|| files::attack(name, &args))
        .or_else(|| processes::attack(name, &args))
        .or_else(|| roots::attack(name, &args))
        .or_else(|| keys::attack(name, &args))
        .or_else(|| network::attack(name, &args));
    found.unwrap_or_else(|| panic!("no attack is called {word}"))
}

/// The errno of a failed call of the standard library.
pub fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}
