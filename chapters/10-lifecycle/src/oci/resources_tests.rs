//! Which writes `linux.resources` becomes.

use super::*;

fn lines(json: &str) -> Result<Vec<String>> {
    let resources = serde_json::from_str(json).unwrap();
    Ok(writes(Some(&resources))?.iter().map(|write| format!("{}={}", write.file, write.value)).collect())
}

#[test]
fn every_property_has_its_file() {
    let all = r#"{"memory":{"limit":8388608,"swap":10485760,"reservation":4194304},
        "cpu":{"shares":1024,"quota":50000,"period":200000,"burst":1000,"cpus":"0-1","mems":"0","idle":0},
        "pids":{"limit":-1},"blockIO":{"weight":100,"weightDevice":[{"major":8,"minor":0,"weight":10}],
        "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]},
        "hugepageLimits":[{"pageSize":"2MB","limit":4194304}],"rdma":{"mlx5":{"hcaHandles":3}},
        "unified":{"memory.high":"1\n2","cpu.weight":"7"}}"#;
    assert_eq!(
        lines(all).unwrap(),
        [
            "memory.swap.max=2097152",
            "memory.max=8388608",
            "memory.low=4194304",
            "cpu.idle=0",
            "cpu.weight=100",
            "cpu.max=50000 200000",
            "cpu.max.burst=1000",
            "cpuset.cpus=0-1",
            "cpuset.mems=0",
            "pids.max=max",
            "io.bfq.weight=100",
            "io.bfq.weight=8:0 10",
            "io.max=8:0 rbps=7",
            "io.max=8:0 wiops=max",
            "hugetlb.2MB.max=4194304",
            "rdma.max=mlx5 hca_handle=3",
            "cpu.weight=7",
            "memory.high=1",
            "memory.high=2",
        ]
    );
}

#[test]
fn nothing_asked_is_nothing_written() {
    let none = r#"{"memory":{"limit":0,"swap":0},"cpu":{"shares":0,"quota":0,"period":0,"cpus":""},"pids":{"limit":0},
        "blockIO":{"weight":0},"network":{"classID":0},"devices":[{"allow":false,"access":"rwm"}]}"#;
    assert!(lines(none).unwrap().is_empty());
}

#[test]
fn swap_is_what_the_specification_means_by_it() {
    assert_eq!(swap(Some(8), Some(8)).unwrap().as_deref(), Some("0"));
    assert_eq!(swap(Some(8), Some(-1)).unwrap().as_deref(), Some("max"));
    assert_eq!(swap(Some(-1), None).unwrap().as_deref(), Some("max"));
    assert_eq!(swap(Some(8), None).unwrap(), None);
    assert!(swap(Some(8), Some(7)).is_err() && swap(None, Some(7)).is_err());
}

#[test]
fn what_cannot_be_is_refused() {
    for bad in [
        r#"{"memory":{"swappiness":1}}"#,
        r#"{"memory":{"disableOOMKiller":true}}"#,
        r#"{"cpu":{"realtimeRuntime":1}}"#,
        r#"{"cpu":{"cpus":"x"}}"#,
        r#"{"cpu":{"idle":2}}"#,
        r#"{"blockIO":{"weight":9}}"#,
        r#"{"network":{"classID":1}}"#,
        r#"{"hugepageLimits":[{"pageSize":"2XB","limit":1}]}"#,
        r#"{"unified":{"../x.y":"1"}}"#,
        r#"{"unified":{"memory":"1"}}"#,
    ] {
        assert!(lines(bad).is_err(), "{bad}");
    }
}
