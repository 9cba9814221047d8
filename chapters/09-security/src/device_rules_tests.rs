//! The rendered program against what the rules say, on a machine of our own.

use proptest::prelude::*;

use super::*;
use crate::bpf::interpret;

fn compiled(rules: &[DeviceRule]) -> Vec<u64> {
    render(rules).into_iter().map(Op::encode).collect()
}

fn ask(program: &[u64], kind: u32, wanted: u32, major: u32, minor: u32) -> bool {
    interpret(program, &[wanted << 16 | kind, major, minor]).expect("the verifier would refuse it") == 1
}

fn deny(rule: &str) -> DeviceRule {
    DeviceRule { allow: false, ..rule.parse().unwrap() }
}

/// What a list of rules means, said as plainly as possible.
fn means(rules: &[DeviceRule], kind: u32, wanted: u32, major: u32, minor: u32) -> bool {
    let names = |rule: &&DeviceRule, bit: u32| {
        rule.kind.is_none_or(|one| one == if kind == BLOCK { DeviceKind::Block } else { DeviceKind::Char })
            && rule.major.is_none_or(|one| one == major)
            && rule.minor.is_none_or(|one| one == minor)
            && rule.access.bits() & bit != 0
    };
    let decided = |bit| rules.iter().rev().find(|rule| names(rule, bit)).is_some_and(|rule| rule.allow);
    [READ, WRITE, MKNOD].into_iter().filter(|bit| wanted & bit != 0).all(decided)
}

#[test]
fn the_defaults_are_dockers() {
    let program = compiled(&default_rules());
    for (major, minor) in
        [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, 0), (136, 77), (10, 200)]
    {
        assert!(ask(&program, CHAR, READ | WRITE, major, minor), "{major}:{minor}");
    }
    for (kind, major, minor) in
        [(CHAR, 1, 1), (CHAR, 1, 4), (BLOCK, 1, 3), (BLOCK, 8, 0), (CHAR, 10, 229), (CHAR, 4, 0)]
    {
        assert!(ask(&program, kind, MKNOD, major, minor), "a node of {major}:{minor}");
        for wanted in [READ, WRITE, READ | WRITE] {
            assert!(!ask(&program, kind, wanted, major, minor), "{major}:{minor}");
        }
    }
}

#[test]
fn the_last_rule_decides_each_thing_that_is_wanted() {
    let rules = [deny("a *:* rwm"), "c 1:3 rw".parse().unwrap(), deny("c 1:* w"), "c 1:3 m".parse().unwrap()];
    let program = compiled(&rules);
    assert!(ask(&program, CHAR, READ, 1, 3) && ask(&program, CHAR, READ | MKNOD, 1, 3));
    assert!(!ask(&program, CHAR, WRITE, 1, 3) && !ask(&program, CHAR, READ | WRITE, 1, 3));
    assert!(ask(&compiled(&[]), CHAR, 0, 1, 3), "nothing is asked for, as by access(2) with F_OK");
    assert!(!ask(&compiled(&[]), CHAR, READ, 1, 3), "what no rule names is denied");
}

#[test]
fn nothing_stands_behind_a_rule_about_everything() {
    let rules = ["c 1:3 r".parse().unwrap(), deny("a *:* rwm")];
    assert_eq!(render(&rules).len(), 6 + 3 + 2);
}

#[test]
fn rules_are_read_as_docker_reads_them() {
    for good in ["c 1:3 rwm", "a *:* rwm", "b 8:* m", "c *:7 wr"] {
        let rule: DeviceRule = good.parse().unwrap();
        assert!(rule.allow);
        assert_eq!(rule.to_string().parse::<DeviceRule>().unwrap(), rule);
    }
    for bad in ["", "c", "c 1:3", "c 1 rwm", "d 1:3 r", "c 1:3 x", "c 1:3 rwmr", "c -1:3 r", "c 1:3  r", "c 1:3 "] {
        let error = bad.parse::<DeviceRule>().unwrap_err();
        assert!(error.way_out().is_some(), "{bad}");
    }
}

fn number() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![Just(None), (0_u32..3).prop_map(Some), Just(Some(u32::MAX)), Just(Some(0x8000_0000))]
}

fn rule() -> impl Strategy<Value = DeviceRule> {
    let kind = prop_oneof![Just(None), Just(Some(DeviceKind::Block)), Just(Some(DeviceKind::Char))];
    let access = (any::<bool>(), any::<bool>(), any::<bool>());
    (any::<bool>(), kind, number(), number(), access).prop_map(|(allow, kind, major, minor, (read, write, mknod))| {
        DeviceRule { allow, kind, major, minor, access: Access { read, write, mknod } }
    })
}

proptest! {
    #[test]
    fn the_program_says_what_the_rules_mean(
        rules in proptest::collection::vec(rule(), 0..12),
        kind in 1_u32..3,
        wanted in 0_u32..8,
        major in number(),
        minor in number(),
    ) {
        let (major, minor) = (major.unwrap_or(9), minor.unwrap_or(9));
        prop_assert_eq!(ask(&compiled(&rules), kind, wanted, major, minor), means(&rules, kind, wanted, major, minor));
    }
}
