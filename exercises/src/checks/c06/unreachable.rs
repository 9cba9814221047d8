//! From the host to a container, and from the container to the world.

use super::world::{self, HOST, WORLD};
use crate::check::{Check, Failure, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("the host reaches the container", inwards),
    Check::new("the container reaches the world", outwards).points(2),
    Check::new("the world needs no route to the container", unknown).points(2),
];

fn inwards(lab: &Lab) -> Verdict {
    let ([subnet, _, address], word) = (world::subnet(lab), lab.nonce());
    let script = r#"
        "$PROGRAM" /run/netns/box $1 || exit
        serve box 0.0.0.0:80 $3
        call answer host $2:80
        show links $(ip -brief link show type veth | awk '$1 !~ /uplink/ { print $1, $2 }')
        show inside $(at box ip -brief link | awk '{ print $1, $2 }')"#;
    let shown = world::run(lab, script, &[&subnet, &address, &word])?;
    let links = format!("{}; in the container {}", shown.get("links"), shown.get("inside"));
    let what = format!("a call from the host to {address}, the container");
    let note = format!("A cable carries nothing unless both of its ends are up. Seen afterwards: {links}");
    shown.answers("answer", &what, (&word, ""), &note)
}

/// What the rest of the way looks like, after a call from the container to the world.
const OUT: &str = r#"
    serve world 0.0.0.0:80 $2
    at world nft "table ip watch { chain input { type filter hook input priority 0; ip saddr $1 counter; }; }"
    call answer box 192.0.2.1:80
    show route $(at box ip route show default)
    show forward $(cat /proc/sys/net/ipv4/ip_forward)
    show arrived $(at world nft list chain ip watch input | grep -o 'packets [0-9]*')"#;

fn outwards(lab: &Lab) -> Verdict {
    let ([subnet, gateway, _], word) = (world::subnet(lab), lab.nonce());
    // Here the world does have a route, so that nothing depends on masquerade.
    let script = format!(
        r#"
        at world ip route add $1 via {HOST}
        "$PROGRAM" /run/netns/box $1 || exit
        {OUT}"#
    );
    let shown = world::run(lab, &script, &[&subnet, &word])?;
    let note = match (shown.get("route"), shown.get("forward")) {
        ("", _) => {
            format!("The container has no default route: it knows its own subnet only. The host is {gateway} there.")
        }
        (_, "0") => "ip_forward is 0: the host throws away what is not for itself.".to_owned(),
        (route, _) => format!("The container's route: {route}. Its gateway must be an address of the host: {gateway}."),
    };
    let what = format!("a call from the container to {WORLD}, a neighbour of the host that knows a way back");
    shown.answers("answer", &what, (&word, ""), &note)
}

fn unknown(lab: &Lab) -> Verdict {
    let ([subnet, _, address], word) = (world::subnet(lab), lab.nonce());
    let script = format!("\"$PROGRAM\" /run/netns/box $1 || exit\n{OUT}");
    let shown = world::run(lab, &script, &[&subnet, &word])?;
    let what = format!("a call from the container to {WORLD}, a neighbour of the host that knows nothing of {subnet}");
    if shown.get("answer").is_empty() && !matches!(shown.get("arrived"), "" | "packets 0") {
        let seen = format!("no answer: {} arrived there, from {subnet}", shown.get("arrived"));
        let note = format!(
            "The packets come to the world with the container's own address, {address}, as their source, and the answer has \
             nowhere to go. Which packets does the rule masquerade?"
        );
        return Err(Failure::wrong(what, format!("the answer: {word} to {HOST}"), seen).note(note));
    }
    let note = "The call has to arrive there (see the check before), and with the host's address as its source.";
    shown.answers("answer", &what, (&word, HOST), note)
}
