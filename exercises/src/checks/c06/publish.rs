//! Calls to a published port, from everywhere.

use super::world::{self, HOST, Shown, WORLD};
use crate::Failure;
use crate::check::{Check, Verdict};
use crate::lab::Lab;

pub const CHECKS: [Check; 5] = [
    Check::new("host and container reach each other", cable).points(2),
    Check::new("a call from outside", outside).points(2),
    Check::new("calls from the host itself", host).points(2),
    Check::new("a call from the container itself", itself),
    Check::new("what is not published is left alone", others).beside("a call from outside"),
];

/// What a call shall meet, and by which addresses.
struct Case {
    subnet: String,
    gateway: String,
    address: String,
    word: String,
    host_port: String,
    port: String,
}

impl Case {
    fn new(lab: &Lab) -> Self {
        let [subnet, gateway, address] = world::subnet(lab);
        let (host_port, port) = (lab.number(2000, 30000).to_string(), lab.number(31000, 60000).to_string());
        Self { subnet, gateway, address, word: lab.nonce(), host_port, port }
    }

    /// Publishes the port, with a server behind it; then goes on with the script, in which `$2` is the published port
    /// and `$3` the container's.
    fn run(&self, lab: &Lab, script: &str) -> Result<Shown, Failure> {
        self.run_anyway(lab, &format!("test $code = 0 || {{ cat said >&2; exit $code; }}\n{script}"))
    }

    /// The same, also if the program fails; its exit code is shown as `code`.
    fn run_anyway(&self, lab: &Lab, script: &str) -> Result<Shown, Failure> {
        let start = r#""$PROGRAM" /run/netns/box $1 $2 $3 2> said; code=$?; show code $code"#;
        let script = format!("{start}\nserve box 0.0.0.0:$3 $4\n{script}");
        world::run(lab, &script, &[&self.subnet, &self.host_port, &self.port, &self.word])
    }
}

fn cable(lab: &Lab) -> Verdict {
    let case = Case::new(lab);
    let Case { gateway, address, word, port, .. } = &case;
    // By an address of the host that is in another subnet, so that the default route counts.
    let script = format!("serve host 0.0.0.0:90 h$4; call inward host {address}:$3; call outward box {HOST}:90");
    // The rules may be missing yet: they come next.
    let shown = case.run_anyway(lab, &script)?;
    if shown.get("code") != "0" && shown.get("outward").is_empty() {
        let said = lab.read("said").unwrap_or_default();
        return Err(world::fails(shown.get("code"), &said));
    }
    let note = "Is the near end in the bridge, and are both ends up? Has the far end its address?";
    shown.answers("inward", &format!("a call from the host to the container, {address}:{port}"), (word, ""), note)?;
    let note = format!("What is not in its subnet the container sends by its default route, to {gateway}.");
    let what = format!("a call from the container to the host's other address, {HOST}");
    shown.answers("outward", &what, (&format!("h{word}"), ""), &note)
}

fn outside(lab: &Lab) -> Verdict {
    let case = Case::new(lab);
    let shown = case.run(lab, &format!("call answer world {HOST}:$2"))?;
    let what = format!("a call from outside to {HOST}:{}", case.host_port);
    let note = match shown.get("answer") {
        "" => "What comes from outside passes `prerouting`: there its destination must be rewritten, by dnat.",
        _ => "The server shall see who calls from outside. Only a source that it cannot answer to is rewritten.",
    };
    shown.answers("answer", &what, (&case.word, WORLD), note)
}

fn host(lab: &Lab) -> Verdict {
    let case = Case::new(lab);
    let shown = case.run(lab, &format!("call own host {HOST}:$2; call loopback host 127.0.0.1:$2"))?;
    let note = "Packets that the host makes itself do not pass `prerouting`: they begin at `output`.";
    let what = |address: &str| format!("a call from the host itself to {address}:{}", case.host_port);
    shown.answers("own", &what(HOST), (&case.word, ""), note)?;
    let note = "It must leave with another source: in the container, 127.0.0.1 means the container itself.";
    shown.answers("loopback", &what("127.0.0.1"), (&case.word, ""), note)
}

fn itself(lab: &Lab) -> Verdict {
    let case = Case::new(lab);
    let shown = case.run(lab, &format!("call answer box {HOST}:$2"))?;
    let note = "The packet has to leave the bridge by the very port by which it came, which a switch does in hairpin mode \
                only; and the answer has to come back by the host, so its source must be the host's.";
    let what = format!("a call from the container itself to {HOST}:{}", case.host_port);
    shown.answers("answer", &what, (&case.word, ""), note)
}

fn others(lab: &Lab) -> Verdict {
    let case = Case::new(lab);
    let script = format!(
        "serve world 0.0.0.0:$2 w$4; serve host 0.0.0.0:$3 h$4
         call away host {WORLD}:$2; call other world {HOST}:$3"
    );
    let shown = case.run(lab, &script)?;
    let Case { word, host_port, port, .. } = &case;
    let note = "Only what is addressed to this host is for the container: see `fib daddr type local` in nft(8).";
    let what = format!("a call from the host to {WORLD}:{host_port}, another machine that has a server at that port");
    shown.answers("away", &what, (&format!("w{word}"), ""), note)?;
    let what = format!("a call from outside to {HOST}:{port}, which is not published, and where the host has a server");
    shown.answers("other", &what, (&format!("h{word}"), ""), "Only the published port leads to the container.")
}
