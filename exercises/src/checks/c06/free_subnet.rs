//! Which subnet is chosen, with the routes of a host that the room plays.

use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 4] = [
    Check::new("the first subnet if nothing is in the way", first),
    Check::new("subnets of which a part is in use", parts).points(2),
    Check::new("subnets that lie in something larger", larger).points(2),
    Check::new("nothing is left", none),
];

const DEFAULT: &str =
    "A default route (0.0.0.0/0) covers everything, and is in nobody's way: more specific routes go before it.";

/// Asks once, where the host has these routes; nothing is expected if no subnet is free.
fn asks(lab: &Lab, what: &str, (routes, lines): (&[&str], &[String]), expected: Option<&str>, note: &str) -> Verdict {
    let script = r#"
        for route; do ip route add blackhole $route || exit 99; done
        "$PROGRAM" < lines"#;
    lab.file("lines", lines.join("\n") + "\n")?;
    let done = lab.sh(script, routes)?;
    if done.code == 99 {
        return Err(Failure::Machine(format!("ip route add: {}", done.stderr.trim())));
    }
    let seen = (done.code, done.stdout.trim());
    if seen == expected.map_or((1, ""), |subnet| (0, subnet)) {
        return Ok(());
    }
    let what = format!("the choice where {what}: routes {}; {}", routes.join(", "), lines.join("; "));
    let expected = expected.map_or("nothing, exit code 1".to_owned(), |subnet| format!("{subnet}, exit code 0"));
    let seen = format!("{}, exit code {} {}", if seen.1.is_empty() { "nothing" } else { seen.1 }, seen.0, done.stderr);
    let note = if done.stderr.contains("not yet implemented") { "There is still a todo!() in it." } else { note };
    Err(Failure::wrong(what, expected, seen).note(note))
}

/// `pool 10.N.0.0/16 24`, and N.
fn pool(lab: &Lab) -> (String, u32) {
    let second = lab.number(1, 200);
    (format!("pool 10.{second}.0.0/16 24"), second)
}

fn first(lab: &Lab) -> Verdict {
    let (line, second) = pool(lab);
    let expected = format!("10.{second}.0.0/24");
    let other = format!("network 10.{}.0.0/24", second + 1);
    asks(lab, "nothing is in the way", (&["default"], &[line, other]), Some(&expected), DEFAULT)
}

fn parts(lab: &Lab) -> Verdict {
    let (line, second) = pool(lab);
    let used = lab.number(2, 9);
    // One address or a few of each: by routes and by networks in turn.
    let nets: Vec<_> = (0..used).map(|third| format!("10.{second}.{third}.{}", 16 * lab.number(1, 14))).collect();
    let (routes, networks): (Vec<_>, Vec<_>) = nets.iter().enumerate().partition(|(number, _)| number % 2 == 0);
    let routes: Vec<_> = routes.into_iter().map(|(_, net)| format!("{net}/32")).collect();
    let networks = networks.into_iter().map(|(_, net)| format!("network {net}/28"));
    let lines: Vec<_> = [line].into_iter().chain(networks).collect();
    let routes: Vec<_> = ["default"].into_iter().chain(routes.iter().map(String::as_str)).collect();
    let expected = format!("10.{second}.{used}.0/24");
    let note = "A subnet is not free if a part of it is in use, one address even. But the pool has further subnets.";
    asks(lab, "a few addresses are in use", (&routes, &lines), Some(&expected), note)
}

fn larger(lab: &Lab) -> Verdict {
    let (line, second) = pool(lab);
    let note = "A subnet is not free if it lies in something larger that is in use: look both ways.";
    // Four subnets of 256 addresses each are in one of 1024.
    let (route, expected) = (format!("10.{second}.0.0/22"), format!("10.{second}.4.0/24"));
    asks(
        lab,
        "a larger route covers some",
        (&["default", &route], std::slice::from_ref(&line)),
        Some(&expected),
        note,
    )?;
    let third = lab.number(0, 255);
    let next = format!("pool 192.168.{third}.0/24 26");
    let lines = [line, next, format!("network 192.168.{third}.0/25")];
    let expected = format!("192.168.{third}.128/26");
    asks(lab, "a route covers the whole pool", (&["default", "10.0.0.0/8"], &lines), Some(&expected), note)
}

fn none(lab: &Lab) -> Verdict {
    let (line, second) = pool(lab);
    let lines = [line, format!("network 10.{second}.128.0/17")];
    let route = format!("10.{second}.0.0/17");
    asks(lab, "two halves cover the pool", (&[&route], &lines), None, "Both halves of the pool are in use.")
}
