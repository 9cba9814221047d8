//! Disks: rates by device (`io.max`), and a share when several want one (`io.weight`).

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::sys::stat::{major, minor};
use process::{Error, OrCall, Result, explain};

use crate::limits::Setting;
use crate::{Bytes, Controller};

/// `PATH:RATE`, a device and how much of it per second: bytes for `bps`, operations for `iops`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRate {
    /// The device node.
    pub path: PathBuf,
    /// Bytes or operations in a second.
    pub rate: u64,
}

impl FromStr for DeviceRate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.rsplit_once(':').filter(|(path, _)| path.starts_with('/'));
        let rate = parts.and_then(|(_, rate)| rate.parse::<Bytes>().ok()).filter(|rate| rate.0 > 0);
        match (parts, rate) {
            (Some((path, _)), Some(rate)) => Ok(Self { path: path.into(), rate: rate.0 }),
            _ => Err(Error::invalid(format!("{text:?} is no rate of a device"))
                .help("write PATH:RATE, as in /dev/sda:10m, with a rate above 0 per second")),
        }
    }
}

/// The write to `io.max` for one rate; `key` is rbps, wbps, riops or wiops. Keys not named stay as they are.
///
/// # Errors
/// A path that is no disk.
pub fn rate(option: &'static str, key: &str, rate: &DeviceRate) -> Result<Setting> {
    let device = disk(&rate.path, Path::new("/sys/dev/block")).map_err(|error| error.at(option))?;
    Ok(Setting::new(Controller::Io, option, "io.max", format!("{device} {key}={}", rate.rate)))
}

/// `--blkio-weight`, 10 to 1000, for both schedulers of disks that know weights: BFQ and the cost model.
///
/// The cost model counts from 1 to 10000; the line between is drawn as runc and crun draw it.
///
/// # Errors
/// A weight out of range.
pub fn weight(weight: u16) -> Result<Option<Setting>> {
    if weight == 0 {
        return Ok(None);
    }
    if !(10..=1000).contains(&weight) {
        return Err(Error::invalid(format!("--blkio-weight {weight} is out of range")).help("give 10 to 1000"));
    }
    let of_cost_model = 1 + (u64::from(weight) - 10) * 9999 / 990;
    let mut setting = Setting::new(Controller::Io, "--blkio-weight", "io.bfq.weight", weight.to_string());
    setting.files.push(("io.weight", format!("default {of_cost_model}")));
    Ok(Some(setting))
}

/// `MAJOR:MINOR` of the whole disk that `path` is or is a part of: the kernel keeps rates for disks only.
fn disk(path: &Path, sysfs: &Path) -> Result<String> {
    let metadata = std::fs::metadata(path).or_call("stat", path.display())?;
    if !metadata.file_type().is_block_device() {
        return Err(Error::invalid(format!("{} is no block device", path.display()))
            .help("`lsblk -p` lists the disks; `findmnt -no SOURCE -T DIR` tells on which one a directory lies"));
    }
    let device = format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
    let whole = whole_disk(&device, sysfs)?;
    if whole != device {
        explain!(4, "a partition: the rate goes to its whole disk", "{} is {device}, of {whole}", path.display());
    }
    Ok(whole)
}

/// In sysfs a partition is a directory below its disk's, with a file `partition` in it.
fn whole_disk(device: &str, sysfs: &Path) -> Result<String> {
    let entry = sysfs.join(device);
    if !entry.join("partition").exists() {
        return Ok(device.to_owned());
    }
    // The entry is a link; `..` must be the parent of what it points to.
    let parent = std::fs::canonicalize(&entry).or_call("readlink", entry.display())?.join("../dev");
    let text = std::fs::read_to_string(&parent).or_call("read", parent.display())?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_path_and_a_number() {
        let rate: DeviceRate = "/dev/disk/by-path/pci-0:1:10m".parse().unwrap();
        assert_eq!((rate.path.to_str().unwrap(), rate.rate), ("/dev/disk/by-path/pci-0:1", 10 << 20));
        for text in ["/dev/sda", "/dev/sda:", "/dev/sda:0", ":10m", "sda:1m", "/dev/sda:-1"] {
            assert!(text.parse::<DeviceRate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_partition_means_its_disk() {
        let sysfs = tempfile::tempdir().unwrap();
        let disk = sysfs.path().join("devices/sda");
        std::fs::create_dir_all(disk.join("sda1")).unwrap();
        std::fs::write(disk.join("dev"), "8:0\n").unwrap();
        std::fs::write(disk.join("sda1/partition"), "1\n").unwrap();
        std::os::unix::fs::symlink("devices/sda", sysfs.path().join("8:0")).unwrap();
        std::os::unix::fs::symlink("devices/sda/sda1", sysfs.path().join("8:1")).unwrap();
        assert_eq!(whole_disk("8:1", sysfs.path()).unwrap(), "8:0");
        assert_eq!(whole_disk("8:0", sysfs.path()).unwrap(), "8:0");
        assert_eq!(whole_disk("7:0", sysfs.path()).unwrap(), "7:0");
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        for path in ["/dev/null", "/"] {
            let rate = DeviceRate { path: path.into(), rate: 1 };
            assert!(super::rate("--device-read-bps", "rbps", &rate).unwrap_err().what().contains("no block device"));
        }
    }

    #[test]
    fn weights_fill_the_range() {
        let of = |weight| super::weight(weight).unwrap().unwrap().files[1].1.clone();
        assert_eq!((of(10), of(1000)), ("default 1".into(), "default 10000".into()));
        assert!(super::weight(9).is_err() && super::weight(1001).is_err());
        assert!(super::weight(0).unwrap().is_none());
    }
}
