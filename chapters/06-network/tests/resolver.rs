//! The name server on 127.0.0.11, asked by containers.

use std::time::{Duration, Instant};

use harness::{Done, Outcome, Sandbox, Suite};

mod common;
use common::{Place, Running, container, start};

#[path = "resolver/life.rs"]
mod life;
#[path = "resolver/world.rs"]
mod world;
use world::{ask, serve_names};

const NEEDS: &[&str] = &["nft", "ip", "perl", "busybox"];

fn main() {
    Suite::new()
        .root("names, aliases and several addresses", names)
        .needs(NEEDS)
        .root("addresses turned back into names", reverse)
        .needs(NEEDS)
        .root("only who shares a network is known, and at once", strangers)
        .needs(NEEDS)
        .root("what is not ours is asked of others, by UDP and by TCP", forwarded)
        .needs(NEEDS)
        .root("name servers that do not answer", dead)
        .needs(NEEDS)
        .root("a flood of questions is bounded, and does not keep others from theirs", flood)
        .needs(NEEDS)
        .root("garbage does no harm", garbage)
        .needs(NEEDS)
        .root("resolv.conf: search and options kept", files)
        .needs(NEEDS)
        .root("a name server of the container's own", own_server)
        .needs(NEEDS)
        .root("an internal network has no way out by names", internal)
        .needs(NEEDS)
        .root("who has said all that it asks still gets the answer", half_closed)
        .needs(NEEDS)
        .root("its first network with names while it runs", life::connected)
        .needs(NEEDS)
        .root("an engine that was killed while it connected", life::torn)
        .needs(NEEDS)
        .root("nothing is left, whoever is killed", life::killed)
        .needs(NEEDS)
        .root("a name server that was killed is there again with the next container", life::mended)
        .needs(NEEDS)
        .root("the name server has no privileges", life::powerless)
        .needs(NEEDS)
        .run();
}

fn network(sandbox: &Sandbox, words: &str) -> Outcome<Done> {
    sandbox.step(6).arg("network").args(words.split_whitespace()).run()?.ok()
}

/// Asks from there; gives what came, sorted: `NOERROR 10.220.0.2 10.220.0.3`.
fn asked(from: &Running, words: &str) -> Outcome<String> {
    ask(from.place(), words)
}

fn names() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --ipv6 --subnet 10.220.0.0/24 --subnet fd00:9::/64 blue")?;
    let web = start(&sandbox, "web", "--network blue --network-alias www --hostname box", "")?;
    let one = start(&sandbox, "one", "--network name=blue,alias=many", "")?;
    let two = start(&sandbox, "two", "--network name=blue,alias=many", "")?;
    for name in ["web", "WEB", "www", "box", "web.blue", "www.blue"] {
        assert_eq!(asked(&one, &format!("udp {name} A"))?, "NOERROR 10.220.0.2", "{name}");
        assert_eq!(asked(&one, &format!("tcp {name} A"))?, "NOERROR 10.220.0.2", "{name}");
    }
    assert_eq!(asked(&one, "udp many A")?, "NOERROR 10.220.0.3 10.220.0.4");
    let firsts: std::collections::BTreeSet<_> =
        (0..4).map(|_| ask(web.place(), "first many A")).collect::<Outcome<_>>()?;
    assert_eq!(firsts.len(), 2, "in turn: {firsts:?}");
    assert!(asked(&one, "udp web AAAA")?.starts_with("NOERROR fd00:9:"));
    // It is there, but has nothing of this kind; which is not the same as not being there.
    assert_eq!(asked(&one, "udp web MX")?, "NOERROR");
    let script = "busybox nslookup web; hostname";
    let done = container(&sandbox, "--network blue", script)?.run()?.ok()?;
    done.stdout_has("127.0.0.11")?.stdout_has("10.220.0.2")?;
    [web, one, two].into_iter().try_for_each(Running::stop)
}

fn reverse() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--network blue --network-alias www", "")?;
    assert_eq!(asked(&web, "udp 2.0.220.10.in-addr.arpa PTR")?, "NOERROR web.blue");
    assert_eq!(asked(&web, "udp 2.0.220.10.in-addr.arpa A")?, "NOERROR");
    // Ours, but nobody's: the world is not asked, though nobody there would answer.
    let begun = Instant::now();
    assert_eq!(asked(&web, "udp 9.0.220.10.in-addr.arpa PTR")?, "NXDOMAIN");
    assert!(begun.elapsed() < Duration::from_secs(1));
    web.stop()
}

fn strangers() -> Outcome {
    let sandbox = Sandbox::new()?;
    let world = serve_names(Place::Outside, "192.0.2.1")?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    network(&sandbox, "create --subnet 10.221.0.0/24 red")?;
    let dns = "--dns 192.0.2.1";
    let web = start(&sandbox, "web", &format!("{dns} --network blue"), "")?;
    let other = start(&sandbox, "other", &format!("{dns} --network red"), "")?;
    let plain = start(&sandbox, "plain", dns, "")?;
    assert_eq!(asked(&other, "udp web A")?, "NXDOMAIN");
    assert_eq!(asked(&web, "udp plain A")?, "NXDOMAIN", "the default network has no names");
    network(&sandbox, "connect --alias www blue other")?;
    assert_eq!(asked(&other, "udp web A")?, "NOERROR 10.220.0.2");
    assert_eq!(asked(&web, "udp www A")?, "NOERROR 10.220.0.3");
    network(&sandbox, "disconnect blue other")?;
    assert_eq!(asked(&web, "udp www A")?, "NXDOMAIN");
    assert_eq!(asked(&other, "udp web A")?, "NXDOMAIN");
    drop(world);
    [web, other, plain].into_iter().try_for_each(Running::stop)
}

fn forwarded() -> Outcome {
    let sandbox = Sandbox::new()?;
    let world = serve_names(Place::Outside, "192.0.2.1")?;
    network(&sandbox, "create blue")?;
    let web = start(&sandbox, "web", "--network blue --dns 192.0.2.1", "")?;
    assert_eq!(asked(&web, "udp site.test A")?, "NOERROR 203.0.113.7");
    assert_eq!(asked(&web, "tcp site.test A")?, "NOERROR 203.0.113.7");
    assert_eq!(asked(&web, "udp nobody A")?, "NXDOMAIN");
    // 60 addresses are too many for UDP: it says so, and who asks again by TCP gets all.
    assert_eq!(asked(&web, "udp big.test A")?, "NOERROR cut");
    let all = asked(&web, "tcp big.test A")?;
    assert_eq!(all.split(' ').count(), 61, "{all}");
    // Whoever takes longer answers by UDP has them fetched by TCP, if they fit.
    let all = asked(&web, "edns big.test A")?;
    assert_eq!(all.split(' ').count(), 61, "{all}");
    assert_eq!(asked(&web, "edns huge.test A")?, "NOERROR cut");
    assert_eq!(asked(&web, "tcp huge.test A")?.split(' ').count(), 201);
    // Somebody who guesses the answer does not know its number.
    assert_eq!(asked(&web, "udp forged.test A")?, "NOERROR 203.0.113.7");
    drop(world);
    web.stop()
}

fn half_closed() -> Outcome {
    let sandbox = Sandbox::new()?;
    let world = serve_names(Place::Outside, "192.0.2.1")?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--network blue --dns 192.0.2.1", "")?;
    assert_eq!(asked(&web, "half web A")?, "NOERROR 10.220.0.2");
    // Also if the answer has to come from elsewhere first.
    assert_eq!(asked(&web, "half slow.test A")?, "NOERROR 203.0.113.7");
    let server = life::resolver_of(&web)?.ok_or("no name server")?;
    assert!(life::is_at_rest(server)?, "it waits for nothing, and turns no circles");
    drop(world);
    web.stop()
}

fn dead() -> Outcome {
    let sandbox = Sandbox::new()?;
    let world = serve_names(Place::Outside, "192.0.2.1")?;
    network(&sandbox, "create blue")?;
    // Nobody has 192.0.2.77; on 192.0.2.2, the host itself, nobody listens.
    let patient = start(&sandbox, "patient", "--network blue --dns 192.0.2.77 --dns 192.0.2.2 --dns 192.0.2.1", "")?;
    let lost = start(&sandbox, "lost", "--network blue --dns 192.0.2.77", "")?;
    let begun = Instant::now();
    assert_eq!(asked(&patient, "udp site.test A")?, "NOERROR 203.0.113.7");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(asked(&lost, "udp site.test A")?, "SERVFAIL");
    assert_eq!(asked(&lost, "udp patient A")?.split(' ').next(), Some("NOERROR"), "ours are known all the same");
    // Who refuses is not the last word while there are others.
    assert_eq!(asked(&patient, "udp refused.test A")?, "REFUSED");
    drop(world);
    [patient, lost].into_iter().try_for_each(Running::stop)
}

fn flood() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--network blue --dns 192.0.2.77", "")?;
    let server = life::resolver_of(&web)?.ok_or("no name server")?;
    let descriptors = || std::fs::read_dir(format!("/proc/{server}/fd")).map(Iterator::count);
    let before = descriptors()?;
    ask(web.place(), "flood site.test A")?;
    let begun = Instant::now();
    assert_eq!(asked(&web, "udp web A")?, "NOERROR 10.220.0.2");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let most = descriptors()?;
    assert!(most <= before + 200, "{most} descriptors");
    std::thread::sleep(Duration::from_millis(2500));
    assert!(descriptors()? <= before, "all are given up in the end");
    web.stop()
}

fn garbage() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    ask(web.place(), "garbage x A")?;
    assert_eq!(asked(&web, "udp web A")?, "NOERROR 10.220.0.2");
    assert_eq!(asked(&web, "tcp web A")?, "NOERROR 10.220.0.2");
    web.stop()
}

fn files() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create blue")?;
    let show = "cat /etc/resolv.conf";
    let options = "--network blue --dns 192.0.2.1 --dns-search a.test --dns-option ndots:3 --dns-option timeout:1";
    let done = container(&sandbox, options, show)?.run()?.ok()?;
    assert_eq!(done.stdout, "nameserver 127.0.0.11\nsearch a.test\noptions ndots:3 timeout:1\n");
    let done = container(&sandbox, "--network blue --dns-search . --dns-option rotate", show)?.run()?.ok()?;
    assert_eq!(done.stdout, "nameserver 127.0.0.11\noptions rotate ndots:0\n");
    let done = container(&sandbox, "--dns 192.0.2.1 --dns-search a.test", show)?.run()?.ok()?;
    assert!(done.stdout.starts_with("nameserver 192.0.2.1\n"), "the default network keeps the host's: {}", done.stdout);
    Ok(())
}

fn own_server() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    let server = serve_names(web.place(), "0.0.0.0")?;
    assert_eq!(asked(&web, "udp web A")?, "NOERROR 10.220.0.2");
    let other = start(&sandbox, "other", "--network blue --dns 10.220.0.2", "")?;
    assert_eq!(asked(&other, "udp site.test A")?, "NOERROR 203.0.113.7");
    drop(server);
    [web, other].into_iter().try_for_each(Running::stop)
}

fn internal() -> Outcome {
    let sandbox = Sandbox::new()?;
    let world = serve_names(Place::Outside, "192.0.2.1")?;
    network(&sandbox, "create --internal --subnet 10.220.0.0/24 blue")?;
    let web = start(&sandbox, "web", "--network blue --dns 192.0.2.1", "")?;
    assert_eq!(asked(&web, "udp web A")?, "NOERROR 10.220.0.2");
    assert_eq!(asked(&web, "udp secret.site.test A")?, "SERVFAIL");
    drop(world);
    web.stop()
}
