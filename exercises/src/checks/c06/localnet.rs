//! A container and the host's 127.0.0.1.

use super::world::{self, HOST, Shown};
use crate::Failure;
use crate::check::{Check, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 3] = [
    Check::new("the attack reaches the host's 127.0.0.1", breaks).points(2),
    Check::new("nothing from the container reaches it", closed).beside("honest calls are answered").points(2),
    Check::new("honest calls are answered", honest).points(2),
];

/// A host with a container that has a published port, and a service on 127.0.0.1.
struct Case {
    subnet: String,
    gateway: String,
    /// What the service on 127.0.0.1 says.
    secret: String,
    /// What the container's server says.
    word: String,
    /// The published port, the service's, and the container's.
    ports: [String; 3],
}

impl Case {
    fn new(lab: &Lab) -> Self {
        let [subnet, gateway, _] = world::subnet(lab);
        let ports = [(2000, 19999), (20000, 39999), (40000, 60000)].map(|(from, to)| lab.number(from, to).to_string());
        Self { subnet, gateway, secret: lab.nonce(), word: lab.nonce(), ports }
    }

    /// In the script `$host` is the published port, `$own` that of the service on 127.0.0.1.
    fn run(&self, lab: &Lab, script: &str) -> Result<Shown, Failure> {
        let script = format!(
            "subnet=$1 gateway=$2 secret=$3 word=$4 host=$5 own=$6 port=$7
             \"$PROGRAM\" start /run/netns/box $subnet $host $port || exit
             serve host 127.0.0.1:$own $secret; serve box 0.0.0.0:$port $word
             {script}"
        );
        let [host, own, port] = &self.ports;
        world::run(lab, &script, &[&self.subnet, &self.gateway, &self.secret, &self.word, host, own, port])
    }
}

fn breaks(lab: &Lab) -> Verdict {
    let case = Case::new(lab);
    // Against the open host, whatever the guard in the file is by now.
    let script = r#"
        nft flush ruleset; echo 1 > /proc/sys/net/ipv4/conf/switch/route_localnet
        patiently said box "$PROGRAM" attack $gateway $own
        show said $(tr -d '[]' < said); show complaint $(head -c 400 said.err)"#;
    let shown = case.run(lab, script)?;
    if shown.get("said").contains(&case.secret) {
        return Ok(());
    }
    let what = format!("what `attack` prints, of a service of the host at 127.0.0.1:{}", case.ports[1]);
    let seen = format!("{} {}", shown.get("said"), shown.get("complaint"));
    let seen = if seen.trim().is_empty() { "nothing".to_owned() } else { seen };
    let note = if seen.contains("not yet implemented") {
        "There is still a todo!() in it."
    } else {
        "Does the packet leave the container at all? A counter in a rule of the host's prerouting shows it. And does the \
         answer come back with an address that the container accepts?"
    };
    Err(Failure::wrong(what, format!("the answer: {}", case.secret), seen).note(note))
}

fn closed(lab: &Lab) -> Verdict {
    let case = Case::new(lab);
    // Both at once, for a call that is not answered takes its time: the second goes to another port.
    let script = r#"
        second=$((own + 1)); serve host 127.0.0.1:$second $secret
        at box nft "table ip trick {
            chain out { type filter hook postrouting priority 0; ip daddr 198.18.0.1 ip daddr set 127.0.0.1; }
            chain in { type filter hook prerouting priority -350; tcp sport $own ip saddr set 198.18.0.1; }; }"
        at box sh -c '
            for link in all eth0; do echo 1 > /proc/sys/net/ipv4/conf/$link/route_localnet; done
            ip address delete 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via '$gateway
        (call trick box 198.18.0.1:$own) & (call route box 127.0.0.1:$second) & wait"#;
    let shown = case.run(lab, script)?;
    let ways = [
        ("trick", "a packet whose destination was rewritten to 127.0.0.1 in the container", ""),
        (
            "route",
            "a packet to 127.0.0.1 that the container sends by a route to the host",
            " This is another way than nft's.",
        ),
    ];
    for (name, how, more) in ways {
        if shown.get(name).contains(&case.secret) {
            let what = format!("a call to the host's 127.0.0.1:{}, by {how}", case.ports[1]);
            let note = format!(
                "It came in by `switch`, with a destination in 127.0.0.0/8. No honest packet does, before anything is \
                 rewritten.{more}"
            );
            return Err(Failure::wrong(what, "no answer", format_args!("the answer: {}", shown.get(name))).note(note));
        }
    }
    Ok(())
}

fn honest(lab: &Lab) -> Verdict {
    let case = Case::new(lab);
    let script = format!(
        "serve host $gateway:90 g$word
         call outside world {HOST}:$host; call gateway box $gateway:90; call own host 127.0.0.1:$own
         call loopback host 127.0.0.1:$host
         show switch $(cat /proc/sys/net/ipv4/conf/switch/route_localnet)"
    );
    let shown = case.run(lab, &script)?;
    let Case { word, secret, ports: [host, own, _], gateway, .. } = &case;
    shown.answers(
        "outside",
        &format!("a call from outside to {HOST}:{host}"),
        (word, ""),
        "The published port is open.",
    )?;
    let note = "Services of the host on the gateway's address are meant for containers.";
    shown.answers("gateway", &format!("a call from the container to {gateway}:90"), (&format!("g{word}"), ""), note)?;
    let note = "The host itself may call its own services.";
    shown.answers("own", &format!("a call from the host to 127.0.0.1:{own}"), (secret, ""), note)?;
    let note = match shown.get("switch") {
        "0" => {
            "route_localnet is off: then no call by 127.0.0.1 leaves by the bridge, and no published port answers there."
        }
        _ => {
            "The container's answer comes in by the bridge, and conntrack turns its destination back to 127.0.0.1, at \
             priority -100 of prerouting. A rule that stands behind sees it rewritten already, and cannot tell it from \
             an attack by its addresses alone."
        }
    };
    shown.answers("loopback", &format!("a call from the host to 127.0.0.1:{host}"), (word, ""), note)
}
