//! What may not follow in a state is refused, in words that scripts know, and with the way out.

use harness::Outcome;

use crate::site::Site;

/// The command must fail with these words and a way out.
fn refused(site: &Site, args: &[&str], words: &str) -> Outcome {
    let done = site.run(args)?.fails()?.stderr_has(words)?.stderr_has("help:")?;
    assert_eq!(done.stdout, "", "{args:?}");
    Ok(())
}

pub fn all(site: &Site) -> Outcome {
    site.create("made", "true")?;
    site.start("runs", "sleep 1000")?;
    site.create("ended", "exit 3")?;
    site.ok(&["start", "ended"])?;
    site.ok(&["wait", "ended"])?;
    for name in ["made", "ended"] {
        refused(site, &["kill", name], "container is not running")?;
        refused(site, &["pause", name], "container is not running")?;
        refused(site, &["unpause", name], "container is not paused")?;
        refused(site, &["exec", name, "true"], "container is not running")?;
        refused(site, &["top", name], "container is not running")?;
        refused(site, &["attach", name], "cannot attach to a stopped container, start it first")?;
        assert_eq!(site.ok(&["stop", name])?, name);
    }
    assert_eq!(site.ok(&["wait", "made"])?, "0");
    refused(site, &["rm", "runs"], "container is running: stop the container before removing or force remove")?;
    refused(site, &["unpause", "runs"], "container is not paused")?;
    refused(site, &["start", "-a", "runs"], "runs already")?;
    assert_eq!(site.status("runs")?, "running", "nothing of all that has touched it");
    assert_eq!(site.inspect("ended", "{{.State.ExitCode}}")?, "3");
    for command in
        ["start", "stop", "kill", "pause", "unpause", "rm", "wait", "restart", "top", "attach", "logs", "port"]
    {
        refused(site, &[command, "nobody"], "no such container: nobody")?;
    }
    site.run(&["kill", "-s", "NOPE", "runs"])?.fails()?.stderr_has("NOPE")?;
    Ok(())
}

/// A removal that was cut short, and one that failed, leave states of their own.
pub fn crashed(site: &Site) -> Outcome {
    let id = site.create("web", "true")?;
    let file = site.directory(&id).join("state.json");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("\"created\"", "\"removing\""))?;
    assert_eq!(site.status("web")?, "dead", "nobody is removing it any more");
    assert!(site.ok(&["ps", "-a"])?.contains("Dead"));
    refused(site, &["start", "web"], "container is marked for removal and cannot be started")?;
    refused(site, &["restart", "web"], "container is marked for removal and cannot be started")?;
    refused(site, &["rename", "web", "other"], "marked for removal")?;
    refused(site, &["update", "--restart", "always", "web"], "marked for removal")?;
    assert_eq!(site.ok(&["rm", "web"])?, "web");
    // A state that is no JSON: told, and `rm -f` mends it.
    let id = site.create("torn", "true")?;
    std::fs::write(site.directory(&id).join("state.json"), "{\"status\":")?;
    site.run(&["start", "torn"])?.fails()?.stderr_has("state.json")?;
    assert_eq!(site.ok(&["rm", "-f", "torn"])?, "torn");
    assert!(!site.directory(&id).exists());
    Ok(())
}

pub fn restarting(site: &Site) -> Outcome {
    site.start_with("loops", &["--restart", "always"], "exit 1")?;
    // The waits double: 100 ms, 200 ms, …; soon there is time to look.
    for _ in 0..1000 {
        let state = site.inspect("loops", "{{.RestartCount}} {{.State.Status}}")?;
        if state.starts_with(|digit: char| ('4'..='9').contains(&digit)) && state.ends_with("restarting") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(site.status("loops")?, "restarting");
    assert!(site.ok(&["ps"])?.contains("Restarting (1)"), "{}", site.ok(&["ps"])?);
    refused(site, &["exec", "loops", "true"], "container is restarting, wait until the container is running")?;
    refused(site, &["pause", "loops"], "container is restarting, wait until the container is running")?;
    refused(site, &["attach", "loops"], "cannot attach to a restarting container, wait until it is running")?;
    refused(site, &["rm", "loops"], "container is restarting: stop the container before removing or force remove")?;
    assert_eq!(site.ok(&["start", "loops"])?, "loops", "it is on its way");
    assert_eq!(site.ok(&["stop", "loops"])?, "loops");
    assert_eq!(site.status("loops")?, "exited");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(site.status("loops")?, "exited", "and stays so");
    Ok(())
}

pub fn paused(site: &Site) -> Outcome {
    site.start("web", "while :; do date +%s%N > /tick; sleep 0.02; done")?;
    assert_eq!(site.ok(&["pause", "web"])?, "web");
    assert_eq!(site.inspect("web", "{{.State.Status}} {{.State.Running}} {{.State.Paused}}")?, "paused true true");
    assert!(site.ok(&["ps"])?.contains("(Paused)"));
    refused(site, &["pause", "web"], "container is already paused")?;
    refused(site, &["start", "web"], "cannot start a paused container, try unpause instead")?;
    refused(site, &["exec", "web", "true"], "container is paused, unpause the container before exec")?;
    refused(site, &["attach", "web"], "cannot attach to a paused container, unpause it first")?;
    refused(site, &["rm", "web"], "container is paused and must be unpaused first")?;
    assert!(site.ok(&["top", "web"])?.contains("sh -c"), "its processes can be looked at");
    let tick = || site.command(&["cp", "web:/tick", "-"]).run().map(|done| done.stdout);
    let first = tick()?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(tick()?, first, "it stands still");
    assert_eq!(site.ok(&["unpause", "web"])?, "web");
    refused(site, &["unpause", "web"], "container is not paused")?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_ne!(tick()?, first, "it goes on");
    site.ok(&["pause", "web"])?;
    assert_eq!(site.ok(&["stop", "-t", "1", "web"])?, "web", "a paused container can be ended");
    site.ok(&["start", "web"])?;
    site.ok(&["pause", "web"])?;
    assert_eq!(site.ok(&["rm", "-f", "web"])?, "web");
    Ok(())
}
