//! Lists and descriptions.

use harness::Outcome;
use serde_json::Value;

use crate::site::Site;

pub fn ps(site: &Site) -> Outcome {
    assert_eq!(site.ok(&["ps"])?, "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES");
    let first = site.start_with("first", &["--label", "a=1"], "sleep 1000")?;
    let second = site.create("second", "exit 0")?;
    let table = site.ok(&["ps", "-a"])?;
    let row = table.lines().find(|line| line.ends_with("first")).ok_or("no row")?;
    assert!(row.starts_with(&first[..12]) && row.contains("\"sh -c 'sleep 1000'\"") && row.contains("Up "), "{table}");
    assert!(table.lines().any(|line| line.starts_with(&second[..12]) && line.contains("Created")), "{table}");
    assert_eq!(site.ok(&["ps", "-q"])?, first[..12]);
    assert_eq!(site.ok(&["ps", "-q", "--no-trunc"])?, first);
    assert_eq!(site.ok(&["ps", "-aq"])?.lines().count(), 2);
    for (args, wanted) in [
        (&["-l"][..], "second"),
        (&["-n", "1"], "second"),
        (&["-n", "5"], "second first"),
        (&["-f", "status=created"], "second"),
        (&["-f", "status=created", "-f", "status=running"], "second first"),
        (&["-f", "name=fir"], "first"),
        (&["-a", "-f", "name=^second$"], "second"),
        (&["-f", "label=a"], "first"),
        (&["-a", "-f", "label=a=2"], ""),
        (&["-a", "-f", "ancestor=host"], "second first"),
        (&["-f", "since=first"], "second"),
        (&["-f", "before=second"], "first"),
        (&["-a", "-f", &format!("id={}", &second[..10])], "second"),
        (&["-f", "network=none"], "first"),
        (&["-f", "exited=0"], ""),
        (&["-f", "health=none"], "first"),
    ] {
        let done = site.ok(&[&["ps", "--format", "{{.Names}}"], args].concat())?;
        assert_eq!(done.split_whitespace().collect::<Vec<_>>().join(" "), wanted, "{args:?}");
    }
    let json: Value = serde_json::from_str(&site.ok(&["ps", "--format", "json"])?)?;
    let keys: Vec<_> = json.as_object().ok_or("no object")?.keys().map(String::as_str).collect();
    // What the docker client 28.2.2 prints, but for its null `Platform`.
    let dockers =
        "Command CreatedAt ID Image Labels LocalVolumes Mounts Names Networks Ports RunningFor Size State Status";
    assert_eq!(keys.join(" "), dockers);
    assert_eq!((&json["State"], &json["Labels"]), (&"running".into(), &json["Labels"]));
    assert_eq!(site.ok(&["ps", "--format", "table {{.Names}}\\t{{.State}}"])?, "NAMES     STATE\nfirst     running");
    assert!(site.ok(&["ps", "-s"])?.contains("(virtual "));
    site.run(&["ps", "-f", "colour=red"])?.fails()?.stderr_has("colour=red")?;
    site.run(&["ps", "--format", "{{.Nope}}"])?.fails()?.stderr_has("Nope")?.stderr_has("Names")?;
    Ok(())
}

/// Who sees a container running sees its health too, however early.
pub fn health(site: &Site) -> Outcome {
    for name in ["h1", "h2", "h3", "h4", "h5"] {
        site.start_with(name, &["--health-cmd", "true", "--health-interval", "60s"], "sleep 1000")?;
        assert_eq!(site.ok(&["inspect", "-f", "{{.State.Health.Status}}", name])?, "starting");
    }
    assert_eq!(site.ok(&["ps", "-q", "-f", "health=starting"])?.lines().count(), 5);
    Ok(())
}

/// The fields of Docker's answer that tools read, recorded from dockerd 20.10, in its order, which people know by sight.
const KEYS: &str = "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount \
    Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config \
    NetworkSettings";

/// Those of `State`, by name.
const STATE: &str = "Dead Error ExitCode FinishedAt OOMKilled Paused Pid Restarting Running StartedAt Status";

/// Some of `HostConfig`'s.
const HOST_CONFIG: &str = "AutoRemove CapAdd CapDrop CpuShares Devices Dns LogConfig MaskedPaths Memory MemorySwap NanoCpus \
    OomScoreAdj PidsLimit PortBindings Privileged ReadonlyPaths ReadonlyRootfs SecurityOpt Ulimits";

pub fn shape(site: &Site) -> Outcome {
    let options = "-e X=1 --label a=1 -v vol1:/v --tmpfs /t --restart on-failure:3 --stop-timeout 3 --init";
    let options: Vec<_> = options.split(' ').collect();
    let id = site.start_with("web", &options, "echo hi; sleep 1000")?;
    let shown = site.json("web")?;
    let text = site.ok(&["inspect", "web"])?;
    let order: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("        \"")?.split('"').next()).collect();
    assert_eq!(order, KEYS.split_whitespace().collect::<Vec<_>>());
    assert_eq!((&shown["Id"], &shown["Name"], &shown["Path"]), (&id.as_str().into(), &"/web".into(), &"sh".into()));
    assert_eq!(shown["Args"], serde_json::json!(["-c", "echo hi; sleep 1000"]));
    assert!(shown["Image"].as_str().is_some_and(|image| image.starts_with("sha256:")));
    assert!(std::path::Path::new(shown["LogPath"].as_str().unwrap_or_default()).exists(), "{}", shown["LogPath"]);
    assert_eq!(keys(&shown["State"]), STATE.split_whitespace().collect::<Vec<_>>());
    assert_eq!(shown["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
    let host = &shown["HostConfig"];
    assert_eq!(host["RestartPolicy"], serde_json::json!({"Name": "on-failure", "MaximumRetryCount": 3}));
    assert_eq!(
        (&host["Binds"], &host["NetworkMode"], &host["Init"]),
        (&serde_json::json!(["vol1:/v"]), &"none".into(), &true.into())
    );
    for key in HOST_CONFIG.split_whitespace() {
        assert!(host.get(key).is_some(), "HostConfig.{key}");
    }
    parts(&shown)?;
    site.ok(&["kill", "web"])?;
    let shown = site.json("web")?;
    assert_eq!((&shown["State"]["Running"], &shown["State"]["Pid"]), (&false.into(), &0.into()));
    assert_ne!(shown["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
    let sized = site.ok(&["inspect", "-s", "--format", "{{.SizeRw}} {{gt .SizeRootFs 0}}", "web"])?;
    assert!(sized.ends_with(" true"), "{sized}");
    Ok(())
}

/// Mounts, configuration and networks.
fn parts(shown: &Value) -> Outcome {
    let mounts = shown["Mounts"].as_array().ok_or("no mounts")?;
    let volume = mounts.iter().find(|mount| mount["Destination"] == "/v").ok_or("no volume")?;
    assert_eq!((&volume["Type"], &volume["Name"], &volume["RW"]), (&"volume".into(), &"vol1".into(), &true.into()));
    assert!(mounts.iter().any(|mount| mount["Type"] == "tmpfs" && mount["Destination"] == "/t"));
    let config = &shown["Config"];
    assert!(config["Env"].as_array().is_some_and(|env| env.contains(&"X=1".into())));
    assert_eq!(
        (&config["Labels"]["a"], &config["StopTimeout"], &config["Tty"]),
        (&"1".into(), &3.into(), &false.into())
    );
    assert_eq!(keys(&shown["NetworkSettings"]["Networks"]), ["none"]);
    Ok(())
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

pub fn format(site: &Site) -> Outcome {
    site.start_with("web", &["-v", "vol1:/v", "--label", "a.b=c"], "sleep 1000")?;
    for (format, wanted) in [
        ("{{.State.Status}}", "running"),
        ("{{range .Mounts}}{{.Destination}}{{end}}", "/v"),
        ("{{index .Config.Labels \"a.b\"}}", "c"),
        ("{{json .State.Running}}", "true"),
        ("{{len .Args}}", "2"),
        ("{{join .Args \"|\"}}", "-c|sleep 1000"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{.Name | upper}}", "/WEB"),
    ] {
        assert_eq!(site.inspect("web", format)?, wanted, "{format}");
    }
    let json: Value = serde_json::from_str(&site.ok(&["inspect", "--format", "json", "web"])?)?;
    assert_eq!(json[0]["Name"], "/web");
    site.run(&["inspect", "--format", "{{.Nope}}", "web"])?.code(1)?.stderr_has("map has no entry for key \"Nope\"")?;
    site.run(&["inspect", "--format", "{{.Name", "web"])?.fails()?.stderr_has("template parsing error")?;
    let done = site.run(&["inspect", "nobody"])?.code(1)?.stderr_has("no such object: nobody")?;
    assert_eq!(done.text(), "[]");
    Ok(())
}

pub fn others(site: &Site) -> Outcome {
    site.start_with("web", &["-v", "vol1:/v"], "sleep 1000")?;
    let all = site.ok(&["inspect", "--format", "{{json .}}", "web", "host", "vol1"])?;
    let all: Vec<Value> = all.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(all[0]["Name"], "/web");
    assert_eq!(all[1]["RepoTags"][0], "host:latest");
    assert_eq!((&all[2]["Name"], &all[2]["Driver"]), (&"vol1".into(), &"local".into()));
    site.run(&["inspect", "--type", "image", "web"])?.code(1)?.stderr_has("web")?;
    site.run(&["inspect", "--type", "volume", "web"])?.code(1)?;
    Ok(())
}
