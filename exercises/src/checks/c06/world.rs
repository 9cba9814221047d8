//! A small world in the room: the room itself is the host, `box` shall be the container, and `world` is a neighbour on
//! the host's wire, which knows nothing of containers.

use std::collections::BTreeMap;

use crate::Failure;
use crate::check::Verdict;
use crate::lab::Lab;

/// The host's address on its wire; the world's is [`WORLD`].
pub const HOST: &str = "192.0.2.2";
/// The world's address.
pub const WORLD: &str = "192.0.2.1";

/// What every script begins with. Namespaces take over this machine's switches, whatever they are: they are set anew.
///
/// - `serve SPACE ADDRESS:PORT WORD`: an HTTP server there, which answers the word and who calls.
/// - `patiently FILE SPACE COMMAND…`: runs it until it ends, or gets no answer; its output is in FILE and FILE.err.
/// - `call NAME SPACE ADDRESS:PORT`: calls from there; `NAME = ANSWER` is written to the standard output.
/// - `show NAME TEXT…`: writes that, on one line.
const PRELUDE: &str = r#"
    switches='
        for file in ip_forward conf/all/route_localnet conf/default/route_localnet conf/all/rp_filter conf/default/rp_filter
        do echo 0 > /proc/sys/net/ipv4/$file; done
        ip link set lo up'
    # Not by `ip netns exec`: that mounts /sys anew, which a room does not allow.
    at() { if [ $1 = host ]; then shift; "$@"; else net=/run/netns/$1; shift; nsenter --net=$net "$@"; fi; }
    show() { name=$1; shift; echo "$name =" $*; }
    serve() {
        mkdir -p www-$3/cgi-bin
        printf '#!/bin/sh\necho; echo "%s to $REMOTE_ADDR"\n' $3 | sed 's/::ffff://' > www-$3/cgi-bin/who
        chmod +x www-$3/cgi-bin/who
        at $1 busybox httpd -p $2 -h www-$3 || echo "serve = $1 $2 fails"
    }
    # Not by a time limit alone, which a busy machine exceeds: what has no answer stays in SYN_SENT (02), and only that.
    # The kernel answers by itself, so it takes no time on a processor to get out of it.
    patiently() {
        out=$1 who=$2 ticks=0 unanswered=0; shift 2
        if [ $who = host ]; then "$@" > $out 2> $out.err & else nsenter --net=/run/netns/$who "$@" > $out 2> $out.err & fi
        while kill -0 $! 2> /dev/null && [ $ticks -lt 150 ] && [ $unanswered -lt 18 ]; do
            sleep 0.03; ticks=$((ticks+1))
            if at $who grep -q '^ *[0-9]*: [0-9A-F]*:[0-9A-F]* [0-9A-F]*:[0-9A-F]* 02 ' /proc/net/tcp
            then unanswered=$((unanswered+1)); else unanswered=0; fi
        done
        kill $! 2> /dev/null
    }
    call() { patiently call-$1 $2 busybox wget -qO- http://$3/cgi-bin/who; show $1 $(tr -d '[]' < call-$1); }
    for space in world box; do ip netns add $space || exit 99; done
    for space in host world box; do at $space sh -c "$switches" || exit 99; done
    ip link add uplink type veth peer name wire netns world
    ip address add 192.0.2.2/24 dev uplink; ip link set uplink up
    at world ip address add 192.0.2.1/24 dev wire; at world ip link set wire up
    ip route add default via 192.0.2.1
"#;

/// What a script has shown, by name.
pub struct Shown(BTreeMap<String, String>);

impl Shown {
    /// What was shown by this name; nothing if nothing was.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Passes if this call was answered by the server of this word, which saw this caller.
    ///
    /// # Errors
    /// Another answer, or none.
    pub fn answers(&self, name: &str, what: &str, (word, caller): (&str, &str), note: &str) -> Verdict {
        let (expected, seen) = (format!("{word} to {caller}"), self.get(name));
        if seen == expected || (caller.is_empty() && seen.starts_with(&expected)) {
            return Ok(());
        }
        let expected = if caller.is_empty() { format!("an answer: {word}") } else { format!("the answer: {expected}") };
        let seen = if seen.is_empty() { "no answer".into() } else { format!("the answer: {seen}") };
        Err(Failure::wrong(what, expected, seen).note(note))
    }
}

/// A subnet that nobody can know beforehand, with its first two addresses: `10.7.8.0/24`, `10.7.8.1`, `10.7.8.2`.
pub fn subnet(lab: &Lab) -> [String; 3] {
    let start = format!("10.{}.{}", lab.number(1, 250), lab.number(1, 250));
    [format!("{start}.0/24"), format!("{start}.1"), format!("{start}.2")]
}

/// Runs a script in such a world. It shall end with exit code 0 where the learner's program runs (`|| exit`).
///
/// # Errors
/// The learner's program fails; there is no room on this machine.
pub fn run(lab: &Lab, script: &str, args: &[&str]) -> Result<Shown, Failure> {
    let done = lab.sh(&format!("{PRELUDE}\n{script}"), args)?;
    if done.code == 99 {
        return Err(Failure::Machine(format!("its network namespaces: {}", done.stderr.trim())));
    }
    if done.code != 0 {
        return Err(fails(done.code, &done.stderr));
    }
    let lines = done.stdout.lines().filter_map(|line| line.split_once(" ="));
    Ok(Shown(lines.map(|(name, text)| (name.to_owned(), text.trim().to_owned())).collect()))
}

/// The learner's program ended with this exit code.
pub fn fails(code: impl std::fmt::Display, said: &str) -> Failure {
    let code = code.to_string();
    let note = if code == "101" { "There is still a todo!() in it, or it panics." } else { "See what it says." };
    let said = said.lines().filter(|line| !line.starts_with("note: run with")).collect::<Vec<_>>().join("\n");
    let seen = format!("exit code {code}: {}", said.trim());
    Failure::wrong("the program, when it sets up the network", "exit code 0", seen).note(note)
}
