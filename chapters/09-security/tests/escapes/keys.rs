//! Keys of the kernel: those of whoever calls the engine must not be found inside.

use std::fs;

use harness::{Outcome, Run};

use crate::act;
use crate::place::{Place, ends};

const KEY: &str = "cooper-escape";
const UNFILTERED: &[&str] = &["--security-opt", "seccomp=unconfined"];

/// `escapes with-key PROGRAM…`: puts a key into a session keyring of its own, tells its number, becomes the program.
pub fn main(command: &[String]) -> ! {
    use std::os::unix::process::CommandExt;
    match act::add_key(KEY, "the key") {
        Ok(serial) => {
            let words = command.iter().map(|word| word.replace("SERIAL", &serial.to_string()));
            let words: Vec<_> = words.collect();
            panic!("{}", std::process::Command::new(&words[0]).args(&words[1..]).exec())
        }
        Err(errno) => {
            println!("no keys: {errno:?}");
            std::process::exit(0)
        }
    }
}

/// This program, which has a key, and then the engine.
fn engine(place: &Place) -> Outcome<Run> {
    Ok(place.sandbox.program(&place.attacker).arg("with-key").arg(place.engine_file()?))
}

/// The session's keyring, the user's, a key by its number, and a request that goes up to them.
pub fn session(place: &Place) -> Outcome {
    let attacks = ["key-of-session:cooper-escape", "key-by-request:cooper-escape", "key-by-number:SERIAL"];
    let attacker = crate::place::volume(&place.attacker, "/attack:ro");
    let run = |options: &[&str]| -> Outcome<Option<Vec<String>>> {
        let run = engine(place)?.args(["run", "--rm", "--network", "none", "-v", &attacker]).args(options);
        let done = run.args(["host", "/attack", "act"]).args(attacks).run()?.ok()?;
        told(&done.stdout)
    };
    let Some(held) = run(&[])? else { return Ok(()) };
    assert_eq!(held, ["EPERM"; 3], "the filter");
    let unfiltered = run(UNFILTERED)?.unwrap_or_default();
    assert_eq!(unfiltered[..2], ["ENOKEY", "ENOKEY"], "a keyring of its own: {unfiltered:?}");
    assert!(["EACCES", "ENOKEY"].contains(&unfiltered[2].as_str()), "{unfiltered:?}");
    // Without a container, and without either of the two.
    let direct = place.sandbox.program(&place.attacker).arg("with-key").arg(&place.attacker).arg("act");
    let direct = told(&direct.args(attacks).run()?.ok()?.stdout)?.unwrap_or_default();
    assert_eq!(direct, ["the key"; 3]);
    beside(place, &attacks)
}

/// And of a program that is executed in a container. Its keyring is left out if config.json says so; that shows what
/// would be found without one.
fn beside(place: &Place, attacks: &[&str]) -> Outcome {
    let running = place.idle("one", UNFILTERED)?;
    let exec = || -> Outcome<Option<Vec<String>>> {
        told(&engine(place)?.args(["exec", "one", "/attack", "act"]).args(attacks).run()?.ok()?.stdout)
    };
    let held = exec()?.unwrap_or_default();
    assert_eq!(held[..2], ["ENOKEY", "ENOKEY"], "{held:?}");
    let containers = fs::read_dir(place.sandbox.data().join("containers"))?.flatten();
    let file = containers.map(|entry| entry.path().join("security.json")).find(|file| file.exists());
    let file = file.ok_or("no security.json")?;
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("\"keepKeyring\": false", "\"keepKeyring\": true"))?;
    let open = exec()?.unwrap_or_default();
    // A user namespace does not see the keys of another, whatever the keyring.
    let wanted = if place.is_ordinary() { "ENOKEY" } else { "the key" };
    assert!(open[0] == "the key" || open[0] == wanted, "{open:?}");
    place.end("one", running)
}

/// How each ended, by their lines; nothing on a kernel without keys.
fn told(said: &str) -> Outcome<Option<Vec<String>>> {
    if said.starts_with("no keys") {
        return Ok(None);
    }
    let attacks: Vec<_> = said.lines().filter_map(|line| line.split(": ").next()).collect();
    ends(said, &attacks).map(Some)
}
