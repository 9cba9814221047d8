//! Disks: rates are kept by the kernel, and a partition's is its disk's.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{Outcome, Sandbox};

use crate::common::{root, run};

/// A loop device over a file, gone on drop.
struct Disk(String);

impl Disk {
    fn new(sandbox: &Sandbox) -> Outcome<Self> {
        let file = sandbox.file("disk", partition_table())?;
        fs::File::options().write(true).open(&file)?.set_len(32 << 20)?;
        let done = sandbox.program("losetup").args(["--find", "--show", "--partscan"]).arg(&file).run()?.ok()?;
        Ok(Self(done.text().to_owned()))
    }

    /// `7:0`
    fn number(&self) -> Outcome<String> {
        let name = Path::new(&self.0).file_name().unwrap_or_default();
        Ok(fs::read_to_string(Path::new("/sys/class/block").join(name).join("dev"))?.trim().to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

/// A master boot record with one partition of 10 MiB, 1 MiB behind the beginning.
fn partition_table() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[446 + 4] = 0x83; // Linux
    sector[446 + 8..446 + 12].copy_from_slice(&2048_u32.to_le_bytes());
    sector[446 + 12..446 + 16].copy_from_slice(&20480_u32.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

pub fn disk() -> Outcome {
    let sandbox = Sandbox::new()?;
    let disk = Disk::new(&sandbox)?;
    let number = disk.number()?;
    let root = root(&sandbox)?;
    let (major, minor) = number.split_once(':').ok_or("no number")?;
    sandbox.program("busybox").args(["mknod"]).arg(root.join("disk")).args(["b", major, minor]).run()?.ok()?;

    let rate = |rate: &str| format!("{}:{rate}", disk.0);
    let options = [
        ("--device-read-bps", rate("1m")),
        ("--device-write-bps", rate("2m")),
        ("--device-read-iops", rate("100")),
        ("--device-write-iops", rate("200")),
    ];
    let options: Vec<_> = options.iter().flat_map(|(option, value)| [*option, value]).collect();
    let script =
        "cat /sys/fs/cgroup/io.max; dd if=/disk of=/dev/null bs=1M count=4 2>/dev/null; grep . /sys/fs/cgroup/io.stat";
    let begin = Instant::now();
    let done = run(&sandbox, &options, script)?.ok()?;
    let done = done.stdout_has(&format!("{number} rbps=1048576 wbps=2097152 riops=100 wiops=200"))?;
    let read =
        done.stdout.split("rbytes=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0_u64);
    assert!(read >= 4 << 20, "{}", done.stdout);
    assert!(begin.elapsed() > Duration::from_millis(2500), "4 MiB at 1 MiB/s took {:?}", begin.elapsed());
    Ok(())
}

pub fn partition() -> Outcome {
    let sandbox = Sandbox::new()?;
    let disk = Disk::new(&sandbox)?;
    let partition = format!("{}p1", disk.0);
    if !Path::new(&partition).exists() {
        return Err(format!("{partition} has not come up").into());
    }
    let script = "cat /sys/fs/cgroup/io.max";
    let done = run(&sandbox, &["--device-read-bps", &format!("{partition}:1m")], script)?.ok()?;
    done.stdout_has(&format!("{} rbps=1048576", disk.number()?))?;
    Ok(())
}
