//! A network namespace of its own for the engine with a neighbour.
//!
//! An engine whose rules are in force leaves nft alone, but must look again when anybody else has changed a rule of the
//! same network. Here the others that are compared do so between any two of its starts, which no host knows.

use std::fs::File;
use std::process::Command;

use harness::Outcome;
use nix::sched::{CloneFlags, setns, unshare};

/// The namespace, and the way back.
pub struct Apart {
    home: File,
    there: File,
}

impl Apart {
    /// Makes it, with its loopback link up.
    pub fn new() -> Outcome<Self> {
        let current = || File::open("/proc/self/ns/net");
        let home = current()?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let there = current();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        setns(&home, CloneFlags::CLONE_NEWNET)?;
        up?;
        Ok(Self { home, there: there? })
    }

    /// Has this thread, and what it starts, be there for `act`.
    pub fn within<T>(&self, act: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        setns(&self.there, CloneFlags::CLONE_NEWNET)?;
        let done = act();
        setns(&self.home, CloneFlags::CLONE_NEWNET)?;
        done
    }
}
