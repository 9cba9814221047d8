//! The program nft(8): all of a script or nothing of it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use namespaces::find_program;
use process::{Error, Kind, OrCall, Result, explain};

use serde::{Deserialize, Serialize};

use super::{generation, remove_script};

/// A script that is in force, and how to see that it still is: while the number stands, nobody has changed any rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    script: String,
    generation: u32,
    /// The boot and the network namespace in which that number counts.
    place: String,
}

/// As [`apply`], unless the script is in force already: twenty containers without ports need no more rules than one. Says
/// what is in force now, as far as that is sure.
///
/// # Errors
/// As [`apply`].
pub fn apply_if_changed(table: &str, script: String, in_force: Option<InForce>) -> Result<Option<InForce>> {
    let (place, before) = (place(), generation::current());
    if let (Some(old), Some(place), Some(now)) = (&in_force, &place, before)
        && old.script == script
        && old.generation == now
        && old.place == *place
    {
        explain!(6, "the rules are in force already", "NFT_MSG_GETGEN = {now}");
        return Ok(in_force);
    }
    apply(table, &script)?;
    let after = generation::current();
    // One transaction more is ours; two, and somebody else's may have undone it.
    let ours = before.zip(after).filter(|(before, after)| before.wrapping_add(1) == *after);
    Ok(ours.zip(place).map(|((_, generation), place)| InForce { script, generation, place }))
}

fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let netns = fs::metadata("/proc/thread-self/ns/net").ok()?.ino();
    Some(format!("{} {netns}", boot.trim()))
}

/// Replaces the table by what `script` says, all of it or nothing.
///
/// # Errors
/// [`Kind::Unsupported`] without the program nft; what nft says otherwise, for example `EPERM`.
pub fn apply(table: &str, script: &str) -> Result<()> {
    run(script)?;
    explain!(6, "the rules as a whole, in one transaction", "nft -f - < table inet {table}");
    Ok(())
}

/// Removes the table, if it is there.
///
/// # Errors
/// As [`apply`]. Without nft there is no table, and nothing to do.
pub fn remove(table: &str) -> Result<()> {
    match run(&remove_script(table)) {
        Err(error) if error.kind() == Kind::Unsupported => Ok(()),
        Ok(()) => {
            explain!(6, "no rule of ours is left", "nft delete table inet {table}");
            Ok(())
        }
        refused => refused,
    }
}

fn run(script: &str) -> Result<()> {
    // Looked for where the system keeps it: after `su` root's PATH may lack /usr/sbin.
    let program = find_program("nft").ok_or_else(missing)?;
    let mut child = Command::new(program)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .or_call("exec", "nft")?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whether all of it was read shows in nft's exit status.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().or_call("wait", "nft")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("Error")).or(said.lines().next()).unwrap_or("no reason given");
    Err(Error::new(Kind::Unavailable, format!("nft -f -: {}", line.trim()))
        .help("the kernel needs nf_tables with nat, masquerade and fib (modprobe nft_masq nft_fib_inet); `doctor` checks them"))
}

fn missing() -> Error {
    Error::unsupported("the program nft is not installed")
        .help("apt install nftables, or run with --network none or host")
}
