//! Networks of containers that are kept: connected and disconnected while they run and while they do not.

use harness::Outcome;

use crate::site::Site;

const PLACES: &str = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
const LINKS: &[&str] = &["exec", "web", "sh", "-c", "cd /sys/class/net; echo *"];

/// A container goes into networks and out of them, and is in the same ones after its next start.
pub fn kept(site: &Site) -> Outcome {
    site.ok(&["network", "create", "--subnet", "10.99.7.0/24", "blue"])?;
    site.ok(&["network", "create", "--subnet", "10.99.8.0/24", "green"])?;
    let create = ["create", "--name", "web", "--stop-signal", "KILL", "--network", "blue", "host", "sleep", "1000"];
    site.ok(&create)?;
    assert_eq!(site.inspect("web", PLACES)?, "blue");
    // Before it ever ran; what makes no sense is refused.
    site.ok(&["network", "connect", "--ip", "10.99.8.9", "--alias", "www", "green", "web"])?;
    site.run(&["network", "connect", "green", "web"])?.code(125)?.stderr_has("already exists in network green")?;
    site.run(&["network", "connect", "red", "web"])?.code(125)?.stderr_has("red")?;
    site.run(&["network", "disconnect", "bridge", "web"])?.code(125)?.stderr_has("is not connected")?;
    assert_eq!(site.inspect("web", PLACES)?, "blue green");
    site.ok(&["start", "web"])?;
    assert_eq!(site.ok(LINKS)?, "eth0 eth1 lo");
    let green = site.inspect(
        "web",
        "{{with .NetworkSettings.Networks.green}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Aliases}}{{end}}",
    )?;
    assert_eq!(green, "10.99.8.9/24 [www]");
    assert_eq!(
        site.ok(&["ps", "--filter", "network=green", "--format", "{{.Names}} {{.Networks}}"])?,
        "web blue,green"
    );
    // While it runs; and so it stays.
    site.ok(&["network", "disconnect", "blue", "web"])?;
    assert_eq!(site.ok(LINKS)?, "eth1 lo");
    site.ok(&["restart", "web"])?;
    assert_eq!(site.inspect("web", PLACES)?, "green");
    assert_eq!(site.ok(LINKS)?, "eth0 lo");
    site.run(&["network", "rm", "green"])?.code(1)?.stderr_has("has active endpoints")?;
    // A network that somebody counts on is not pruned; one that was removed all the same keeps the container from
    // starting, until it is disconnected.
    site.ok(&["stop", "web"])?;
    assert_eq!(site.ok(&["network", "prune", "-f"])?, "Deleted Networks:\nblue");
    site.ok(&["network", "rm", "green"])?;
    site.run(&["start", "web"])?.stderr_has("network green")?;
    site.ok(&["network", "disconnect", "green", "web"])?;
    site.ok(&["start", "web"])?;
    assert_eq!(site.ok(LINKS)?, "lo");
    site.ok(&["rm", "-f", "web"])?;
    assert_eq!(
        site.ok(&["network", "ls", "--format", "{{.Name}} {{.Driver}}"])?,
        "bridge bridge\nhost host\nnone null"
    );
    Ok(())
}
