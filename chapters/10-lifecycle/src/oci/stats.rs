//! Statistics of a group as runc prints them (runc, types/events.go): cAdvisor and others read these names.

use std::path::Path;

use cgroups::{Group, Stats};
use process::Result;
use serde_json::{Map, Value, json};

/// `{"type":"stats","id":…,"data":…}`
///
/// # Errors
/// `ENODEV` or `ENOENT` if the group is gone.
pub fn event(id: &str, group: &Group) -> Result<Value> {
    let stats = group.stats()?;
    let data = json!({
        "cpu": cpu(&stats),
        "cpuset": cpuset(group),
        "memory": memory(group, &stats),
        "pids": pids(&stats),
        "blkio": blkio(&group.read("io.stat").unwrap_or_default()),
        "hugetlb": hugetlb(group),
        "intel_rdt": {},
        "network_interfaces": null,
    });
    Ok(json!({ "type": "stats", "id": id, "data": data }))
}

/// Nanoseconds, where the kernel has microseconds.
fn cpu(stats: &Stats) -> Value {
    let cpu = &stats.cpu;
    json!({
        "usage": { "total": cpu.usage_usec * 1000, "kernel": cpu.system_usec * 1000, "user": cpu.user_usec * 1000 },
        "throttling": {
            "periods": cpu.nr_periods, "throttledPeriods": cpu.nr_throttled, "throttledTime": cpu.throttled_usec * 1000,
        },
    })
}

fn cpuset(group: &Group) -> Value {
    let list = |file| group.read(file).map(|text| numbers(text.trim())).unwrap_or_default();
    json!({ "cpus": list("cpuset.cpus.effective"), "mems": list("cpuset.mems.effective") })
}

/// `0-2,5` as `[0, 1, 2, 5]`.
fn numbers(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse::<u32>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// The limits of "no limit" are the greatest number; those of swap count memory in, as they did in cgroup v1.
fn memory(group: &Group, stats: &Stats) -> Value {
    let Some(memory) = &stats.memory else { return json!({}) };
    let raw = raw(&group.read("memory.stat").unwrap_or_default());
    let limit = memory.max.unwrap_or(u64::MAX);
    let both = memory.swap_max.map_or(u64::MAX, |swap| swap.saturating_add(limit));
    json!({
        "cache": memory.file,
        "usage": { "limit": limit, "usage": memory.current, "max": memory.peak, "failcnt": memory.hit_max },
        "swap": { "limit": both, "usage": memory.current + memory.swap, "failcnt": 0 },
        "kernel": { "limit": 0, "usage": raw.get("kernel"), "failcnt": 0 },
        "kernelTCP": { "limit": 0, "failcnt": 0 },
        "raw": raw,
    })
}

fn raw(stat: &str) -> Map<String, Value> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse::<u64>().ok()?.into()))
    };
    stat.lines().filter_map(pair).collect()
}

fn pids(stats: &Stats) -> Value {
    let Some(pids) = &stats.pids else { return json!({}) };
    let mut found = json!({ "current": pids.current });
    if let Some(max) = pids.max {
        found["limit"] = max.into();
    }
    found
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`, one line a disk.
fn blkio(stat: &str) -> Value {
    let (mut bytes, mut requests) = (Vec::new(), Vec::new());
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse::<u64>(), minor.parse::<u64>()) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse::<u64>() else { continue };
            let entry = |op: &str| json!({ "major": major, "minor": minor, "op": op, "value": value });
            match key {
                "rbytes" => bytes.push(entry("Read")),
                "wbytes" => bytes.push(entry("Write")),
                "rios" => requests.push(entry("Read")),
                "wios" => requests.push(entry("Write")),
                _ => {}
            }
        }
    }
    let mut found = Map::new();
    if !bytes.is_empty() {
        found.insert("ioServiceBytesRecursive".to_owned(), bytes.into());
        found.insert("ioServicedRecursive".to_owned(), requests.into());
    }
    found.into()
}

/// One entry for each size of page that the group counts: the files are `hugetlb.2MB.current` and so on.
fn hugetlb(group: &Group) -> Value {
    let mut found = Map::new();
    let names = std::fs::read_dir::<&Path>(group.path()).into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let size = name.strip_prefix("hugetlb.").and_then(|rest| rest.strip_suffix(".current"));
        let Some(size) = size.filter(|size| !size.ends_with(".rsvd")) else { continue };
        let usage = group.read(&name).ok().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
        let failcnt = group.value(&format!("hugetlb.{size}.events"), "max").unwrap_or(0);
        found.insert(size.to_owned(), json!({ "usage": usage, "failcnt": failcnt }));
    }
    found.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_runcs() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("cpu.stat", "usage_usec 3\nuser_usec 2\nsystem_usec 1\n"),
            ("cpuset.cpus.effective", "0-1,4\n"),
            ("memory.current", "1000\n"),
            ("memory.max", "max\n"),
            ("memory.swap.max", "max\n"),
            ("memory.stat", "anon 10\nfile 20\nkernel 5\n"),
            ("pids.current", "3\n"),
            ("pids.max", "20\n"),
            ("io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n"),
            ("hugetlb.2MB.current", "0\n"),
            ("hugetlb.2MB.rsvd.current", "0\n"),
        ] {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        let event = event("web", &Group::open(dir.path()).unwrap()).unwrap();
        let data = &event["data"];
        assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!("web")));
        assert_eq!(data["cpu"]["usage"], json!({ "total": 3000, "kernel": 1000, "user": 2000 }));
        assert_eq!(data["cpuset"]["cpus"], json!([0, 1, 4]));
        assert_eq!(data["memory"]["usage"]["usage"], 1000);
        assert_eq!(data["memory"]["usage"]["limit"], u64::MAX);
        assert_eq!(data["memory"]["raw"], json!({ "anon": 10, "file": 20, "kernel": 5 }));
        assert_eq!(data["pids"], json!({ "current": 3, "limit": 20 }));
        let read = json!({ "major": 8, "minor": 0, "op": "Read", "value": 10 });
        assert_eq!(data["blkio"]["ioServiceBytesRecursive"][0], read);
        assert_eq!(data["hugetlb"], json!({ "2MB": { "usage": 0, "failcnt": 0 } }));
    }
}
