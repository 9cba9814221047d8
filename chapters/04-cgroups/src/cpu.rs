//! CPU time: a share of what others leave (`cpu.weight`), a ceiling (`cpu.max`), a choice of CPUs (`cpuset`).

use process::{Error, Result};

use crate::limits::{Machine, Setting};
use crate::{Controller, NumberList};

/// The kernel's default period, in microseconds.
const PERIOD: u64 = 100_000;

/// `--cpus`: a number of CPUs with a fraction.
///
/// # Errors
/// What is no positive number.
pub fn parse_cpus(text: &str) -> Result<f64> {
    match text.parse::<f64>() {
        Ok(cpus) if cpus.is_finite() && cpus >= 0.01 => Ok(cpus),
        _ => {
            Err(Error::invalid(format!("{text:?} is no number of CPUs")).help("write a number from 0.01 on, as in 1.5"))
        }
    }
}

/// `cpu.max` for `--cpus`: so many microseconds of CPU time in every period.
///
/// # Errors
/// More CPUs than the machine has.
pub fn cpus(cpus: f64, machine: &Machine) -> Result<Setting> {
    let there = machine.cpus.0.len();
    if cpus > there as f64 {
        return Err(Error::invalid(format!("--cpus {cpus}: this machine has {there}"))
            .help(format!("give a number from 0.01 to {there}")));
    }
    let quota = (cpus * PERIOD as f64).round() as u64;
    Ok(Setting::new(Controller::Cpu, "--cpus", "cpu.max", format!("{quota} {PERIOD}")))
}

/// `cpu.max` for `--cpu-quota` and `--cpu-period`, with Docker's bounds, which are the kernel's.
///
/// # Errors
/// Values that the kernel would refuse.
pub fn quota(quota: Option<i64>, period: Option<u64>) -> Result<Option<Setting>> {
    if let Some(period) = period.filter(|period| !(1000..=1_000_000).contains(period)) {
        return Err(Error::invalid(format!("--cpu-period {period} is out of range"))
            .help("give microseconds from 1000 (1 ms) to 1000000 (1 s)"));
    }
    if let Some(quota) = quota.filter(|quota| (1..1000).contains(quota)) {
        return Err(Error::invalid(format!("--cpu-quota {quota} is out of range"))
            .help("give microseconds from 1000 (1 ms) on, or -1 for no limit"));
    }
    if quota.is_none() && period.is_none() {
        return Ok(None);
    }
    let allowed = quota.filter(|&quota| quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
    let value = format!("{allowed} {}", period.unwrap_or(PERIOD));
    Ok(Some(Setting::new(Controller::Cpu, "--cpu-quota", "cpu.max", value)))
}

/// `cpu.weight` for `--cpu-shares`; 0 means that nothing is set, as in Docker.
pub fn shares(shares: u64) -> Option<Setting> {
    let weight = (shares > 0).then(|| weight_of_shares(shares))?;
    Some(Setting::new(Controller::Cpu, "--cpu-shares", "cpu.weight", weight.to_string()))
}

/// Version 1 counted shares from 2 to 262144 around 1024, version 2 counts weights from 1 to 10000 around 100.
///
/// The first formula of the OCI runtimes drew a straight line between the ends, which made 39 of the default
/// 1024. Since runc 1.3.2 and crun 1.23 the three points are met by a curve that is quadratic in the logarithms
/// (github.com/opencontainers/cgroups, pull request 20); we take this one, so that a container with the
/// default shares weighs as much as its neighbours.
pub fn weight_of_shares(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    // Rounded up, but not over an error in the last digit of the floating point.
    (10_f64.powf(exponent) - 1e-9).ceil() as u64
}

/// `cpuset.cpus` or `cpuset.mems`.
///
/// # Errors
/// Numbers that the machine does not have: the kernel would take them and then use other ones.
pub fn set(option: &'static str, file: &'static str, wanted: &NumberList, there: &NumberList) -> Result<Setting> {
    let missing = wanted.without(there);
    if !missing.0.is_empty() {
        return Err(Error::invalid(format!("{option} {wanted}: this machine has no {missing}"))
            .help(format!("available are {there}")));
    }
    Ok(Setting::new(Controller::Cpuset, option, file, wanted.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(setting: &Setting) -> &str {
        &setting.files[0].1
    }

    #[test]
    fn shares_meet_the_three_points() {
        for (shares, weight) in [(1, 1), (2, 1), (1024, 100), (262_144, 10_000), (999_999, 10_000)] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        assert!(super::shares(0).is_none());
        let weights: Vec<_> = (2..5000).map(weight_of_shares).collect();
        assert!(weights.is_sorted());
    }

    #[test]
    fn cpus_become_a_quota() {
        let machine = Machine { cpus: "0-3".parse().unwrap(), mems: "0".parse().unwrap() };
        assert_eq!(value(&cpus(1.5, &machine).unwrap()), "150000 100000");
        assert_eq!(value(&cpus(0.01, &machine).unwrap()), "1000 100000");
        assert!(cpus(4.5, &machine).unwrap_err().what().contains("has 4"));
        for text in ["0", "-1", "x", "inf", "NaN", "0.001"] {
            assert!(parse_cpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quota_and_period_have_docker_s_bounds() {
        assert_eq!(value(&quota(Some(50_000), None).unwrap().unwrap()), "50000 100000");
        assert_eq!(value(&quota(Some(-1), Some(50_000)).unwrap().unwrap()), "max 50000");
        assert_eq!(value(&quota(None, Some(1000)).unwrap().unwrap()), "max 1000");
        assert!(quota(Some(999), None).is_err());
        assert!(quota(None, Some(999)).is_err());
        assert!(quota(None, Some(1_000_001)).is_err());
        assert!(quota(None, None).unwrap().is_none());
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused() {
        let list = |text: &str| text.parse::<NumberList>().unwrap();
        assert_eq!(value(&set("--cpuset-cpus", "cpuset.cpus", &list("1,0"), &list("0-3")).unwrap()), "0-1");
        let error = set("--cpuset-cpus", "cpuset.cpus", &list("2-5"), &list("0-3")).unwrap_err();
        assert!(error.what().contains("no 4-5"), "{error}");
    }
}
