//! Sources that would have the compiler do more than compile.

use std::fs;

use exercises::catalog;
use harness::Outcome;

use crate::class::{Class, of};

/// Name, what the message says, and the whole file.
const ATTACKS: [(&str, &str, &str); 14] = [
    ("shadow", "couldn't read", r#"fn main() { print!("{}", include_str!("/etc/shadow")) }"#),
    ("canary", "couldn't read", r#"fn main() { print!("{}", include_str!("CANARY")) }"#),
    ("solution", "couldn't read", r#"include!("SOLUTION");"#),
    ("relative", "couldn't read", r#"#[path = "../../../../../../CANARY"] mod canary; fn main() {}"#),
    ("device", "had to be stopped", r#"static A: &[u8] = include_bytes!("/dev/zero"); fn main() { print!("{A:?}") }"#),
    ("pipe", "couldn't read", r#"fn main() { print!("{}", include_str!("/dev/stdout")) }"#),
    (
        "const",
        "had to be stopped",
        "#![allow(long_running_const_eval)]\nconst A: u8 = { let mut n = 0_u64; while n < u64::MAX { n += 1 } 0 };\n
         fn main() { print!(\"{A}\") }",
    ),
    (
        "macro",
        "",
        "#![recursion_limit = \"1000000\"]\nmacro_rules! m { ($($t:tt)*) => { m!($($t)* $($t)*); } } m!(a b); fn main() {}",
    ),
    ("static", "", "static A: [u8; 1 << 40] = [1; 1 << 40]; fn main() { print!(\"{}\", A[7]) }"),
    ("large", "", "static A: [u8; 3 << 30] = [1; 3 << 30]; fn main() { print!(\"{}\", A[7]) }"),
    ("types", "", "fn f<T: Clone>(t: T, n: u8) { if n > 0 { f((t.clone(), t), n - 1) } } fn main() { f(1, 9) }"),
    ("unsafe", "unsafe", "#![allow(unsafe_code)] fn main() { unsafe { std::hint::unreachable_unchecked() } }"),
    ("no-text", "UTF-8", "\u{0}BYTES"),
    ("empty", "`main`", ""),
];

pub fn sources() -> Outcome {
    let class = Class::new()?;
    let canary = class.sandbox.file("canary", "fn sings() {}")?;
    let solution = catalog::root().join("exercises/sources/01-process/exit_code.rs");
    for (name, _, text) in ATTACKS {
        let text = text.replace("../CANARY", canary.to_str().unwrap_or_default().trim_start_matches('/'));
        let text = text.replace("CANARY", &canary.display().to_string());
        let text = text.replace("SOLUTION", &solution.display().to_string()).into_bytes();
        class.hand_in(name, if text.ends_with(b"BYTES") { vec![0xff, 0xfe, 0] } else { text })?;
    }
    // Nesting that no parser's stack bears.
    class.hand_in("nested", format!("fn main() {{ {} }}", "(".repeat(200_000)))?;
    let names: Vec<_> = ATTACKS.iter().map(|(name, ..)| *name).chain(["nested"]).collect();
    let (done, report) = class.grade(&names, &["--seconds", "1", "--jobs", "3"])?;
    done.ok()?;
    for (name, says, _) in ATTACKS {
        let exercise = &of(&report, name)["exercises"][0];
        assert_eq!(exercise["points"], 0, "{name}: {exercise:#}");
        let message = exercise["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("it does not compile") && message.contains(says), "{name} is told {exercise:#}");
        assert!(!message.contains("sings") && !message.contains("root:"), "{name} reads this machine: {message}");
    }
    assert_eq!(fs::read_to_string(canary)?, "fn sings() {}");
    Ok(())
}
