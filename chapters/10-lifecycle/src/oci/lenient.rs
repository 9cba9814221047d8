//! From bytes to oci-spec's types. Where the two disagree with the specification, the specification wins.
//!
//! Almost every config.json is read in one pass. Only if that fails is it read as plain JSON, mended, and read again:
//! a capability or an architecture that the types do not know is left out with a warning, as the specification wants
//! it (config.md, "capabilities"), and names that the types misspell are respelled.

use oci_spec::runtime::{Capability, Spec};
use process::{Error, Result};
use serde_json::Value;

/// Architectures of libseccomp that oci-spec has no name for. A filter for another machine's calls is none for ours.
const FOREIGN: [&str; 7] = [
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_PPC64LE_V2",
];
/// The specification's names of flags, and oci-spec's.
const RESPELLED: [(&str, &str); 2] =
    [("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"), ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN")];

/// The configuration that `bytes` are.
///
/// # Errors
/// What is no JSON, or none of a configuration; the message says at which line, or at which property.
pub fn spec(bytes: &[u8]) -> Result<Spec> {
    let first = match serde_json::from_slice(bytes) {
        Ok(spec) => return Ok(spec),
        Err(error) => error,
    };
    let wrong = |error: &serde_json::Error| {
        Error::invalid(error.to_string()).help("see config.md of the OCI runtime specification")
    };
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return Err(wrong(&first)) };
    mend(&mut value);
    // The first error knows the line, the second one what is still wrong.
    again(&value).map_err(|second| if first.is_data() { without_place(&second) } else { wrong(&first) })
}

/// `process` of a file of its own, as `exec --process` takes it.
///
/// # Errors
/// As [`spec`].
pub fn process(bytes: &[u8]) -> Result<oci_spec::runtime::Process> {
    if let Ok(process) = serde_json::from_slice(bytes) {
        return Ok(process);
    }
    let wrong = |error: serde_json::Error| Error::invalid(format!("process: {error}"));
    let mut value = serde_json::from_slice::<Value>(bytes).map_err(wrong)?;
    mend_process(&mut value);
    again(&value).map_err(wrong)
}

/// From JSON in memory to a type. By way of text: a second deserializer would make the program a third longer.
///
/// # Errors
/// What does not fit the type.
pub fn again<T: serde::de::DeserializeOwned>(value: &Value) -> serde_json::Result<T> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}

/// What is wrong in mended text, whose lines are not the file's.
fn without_place(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let what = text.split_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    Error::invalid(what).help("see config.md of the OCI runtime specification")
}

/// Does `needle` occur? A cheap look that spares a second reading.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn mend(spec: &mut Value) {
    if let Some(process) = spec.get_mut("process") {
        mend_process(process);
    }
    if let Some(seccomp) = spec.pointer_mut("/linux/seccomp") {
        keep(seccomp.get_mut("architectures"), |name| !FOREIGN.contains(&name));
        // It is about programs that answer for the container's calls, which are asked for by listenerPath.
        keep(seccomp.get_mut("flags"), |name| name != "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
    }
}

fn mend_process(process: &mut Value) {
    if let Some(object) = process.as_object_mut() {
        object.entry("user").or_insert_with(|| serde_json::json!({}));
    }
    for set in ["bounding", "effective", "inheritable", "permitted", "ambient"] {
        keep(process.pointer_mut(&format!("/capabilities/{set}")), is_capability);
    }
    for flag in process.pointer_mut("/scheduler/flags").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some((_, ours)) = RESPELLED.iter().find(|(theirs, _)| flag == theirs) {
            *flag = (*ours).into();
        }
    }
}

fn keep(names: Option<&mut Value>, wanted: impl Fn(&str) -> bool) {
    let Some(names) = names.and_then(Value::as_array_mut) else { return };
    names.retain(|name| {
        let wanted = name.as_str().is_none_or(&wanted);
        if !wanted {
            eprintln!("warning: config.json: {name} is not known here and left out");
        }
        wanted
    });
}

fn is_capability(name: &str) -> bool {
    again::<Capability>(&name.into()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_types_do_not_know_is_mended() {
        let text = r#"{"ociVersion":"1.2.0","process":{"cwd":"/","args":["sh"],
            "capabilities":{"bounding":["CAP_KILL","CAP_FLY"]},
            "scheduler":{"policy":"SCHED_OTHER","flags":["SCHED_FLAG_RESET_ON_FORK","SCHED_FLAG_DL_OVERRUN"]}},
            "linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_LOONGARCH64","SCMP_ARCH_X86_64"]}}}"#;
        let spec = spec(text.as_bytes()).unwrap();
        let process = spec.process().as_ref().unwrap();
        assert_eq!(process.user().uid(), 0);
        assert_eq!(process.capabilities().as_ref().unwrap().bounding().as_ref().unwrap().len(), 1);
        assert_eq!(process.scheduler().as_ref().unwrap().flags().as_ref().unwrap().len(), 2);
    }

    #[test]
    fn errors_say_where() {
        let error = spec(b"{\"ociVersion\":\n nonsense}").unwrap_err();
        assert!(error.what().contains("line 2"), "{error}");
        let error = spec(br#"{"linux":{"namespaces":[{"type":"sideways"}]}}"#).unwrap_err();
        assert!(error.what().contains("sideways"), "{error}");
    }
}
