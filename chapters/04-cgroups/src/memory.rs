//! Memory: a ceiling (`memory.max`), how much may go to swap (`memory.swap.max`), a protection (`memory.low`).

use std::str::FromStr;

use process::{Error, Result};

use crate::limits::Setting;
use crate::{Bytes, Controller};

/// Docker's minimum: with less, the program dies before it is one.
const MINIMUM: Bytes = Bytes(6 << 20);

/// `--memory-swap`: memory and swap together, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemorySwap {
    /// As much swap as the machine has.
    Unlimited,
    /// Memory and swap together.
    Total(Bytes),
}

impl FromStr for MemorySwap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "-1" { Ok(Self::Unlimited) } else { text.parse().map(Self::Total) }
    }
}

/// The writes for the three options, with Docker's meaning of each.
///
/// # Errors
/// Values that contradict each other, or that no program can live with.
pub fn settings(memory: Option<Bytes>, swap: Option<MemorySwap>, reservation: Option<Bytes>) -> Result<Vec<Setting>> {
    let given = |size: Option<Bytes>| size.filter(|size| size.0 > 0); // 0 is Docker's "not set"
    let (memory, reservation) = (given(memory), given(reservation));
    let swap = swap.filter(|swap| *swap != MemorySwap::Total(Bytes(0)));
    let mut settings = Vec::new();
    if let Some(limit) = memory {
        at_least("--memory", limit)?;
        settings.push(Setting::new(Controller::Memory, "--memory", "memory.max", limit.0.to_string()));
    }
    settings.extend(swap_setting(memory, swap)?);
    if let Some(reserved) = reservation {
        at_least("--memory-reservation", reserved)?;
        if let Some(limit) = memory.filter(|&limit| reserved > limit) {
            return Err(Error::invalid(format!("--memory-reservation {reserved} is more than --memory {limit}"))
                .help("reserve at most what the container may use"));
        }
        let value = reserved.0.to_string();
        settings.push(Setting::new(Controller::Memory, "--memory-reservation", "memory.low", value));
    }
    Ok(settings)
}

/// Docker counts memory and swap together, version 2 counts swap alone.
fn swap_setting(memory: Option<Bytes>, swap: Option<MemorySwap>) -> Result<Option<Setting>> {
    let setting = |value: String| Setting::new(Controller::Memory, "--memory-swap", "memory.swap.max", value);
    match (memory, swap) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::invalid("--memory-swap without --memory").help("give the memory limit too")),
        // As much swap again as memory. Nobody asked for it, so a kernel without swap is no reason to refuse.
        (Some(memory), None) => Ok(Some(setting(memory.0.to_string()).implied())),
        (Some(_), Some(MemorySwap::Unlimited)) => Ok(Some(setting("max".to_owned()))),
        (Some(memory), Some(MemorySwap::Total(total))) => match total.0.checked_sub(memory.0) {
            Some(swap) => Ok(Some(setting(swap.to_string()))),
            None => Err(Error::invalid(format!("--memory-swap {total} is less than --memory {memory}"))
                .help("it is the sum of memory and swap: give at least the memory, which means no swap")),
        },
    }
}

fn at_least(option: &str, size: Bytes) -> Result<()> {
    if size < MINIMUM {
        return Err(Error::invalid(format!("{option} {size} is too little for a program to start in"))
            .help(format!("give {MINIMUM} (6m) at least")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(memory: &str, swap: &str, reservation: &str) -> Result<Vec<String>> {
        let size = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let swap = (!swap.is_empty()).then(|| swap.parse().unwrap());
        let settings = settings(size(memory), swap, size(reservation))?;
        Ok(settings.iter().map(|setting| format!("{}={}", setting.files[0].0, setting.files[0].1)).collect())
    }

    #[test]
    fn swap_is_what_docker_means_by_it() {
        assert_eq!(files("8m", "", "").unwrap(), ["memory.max=8388608", "memory.swap.max=8388608"]);
        assert_eq!(files("8m", "8m", "").unwrap(), ["memory.max=8388608", "memory.swap.max=0"]);
        assert_eq!(files("8m", "10m", "").unwrap(), ["memory.max=8388608", "memory.swap.max=2097152"]);
        assert_eq!(files("8m", "-1", "").unwrap(), ["memory.max=8388608", "memory.swap.max=max"]);
        assert_eq!(files("8m", "0", "6m").unwrap()[2], "memory.low=6291456");
        assert_eq!(files("0", "", "").unwrap(), [""; 0]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (memory, swap, reservation, reason) in [
            ("5m", "", "", "too little"),
            ("8m", "7m", "", "less than --memory"),
            ("", "8m", "", "without --memory"),
            ("8m", "", "9m", "more than --memory"),
            ("", "", "1m", "too little"),
        ] {
            let error = files(memory, swap, reservation).unwrap_err();
            assert!(error.what().contains(reason) && error.way_out().is_some(), "{error}");
        }
    }
}
