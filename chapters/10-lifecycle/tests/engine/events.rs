//! What happened, in order.

use std::time::Duration;

use harness::Outcome;
use serde_json::Value;

use crate::site::Site;

fn actions(site: &Site, more: &[&str]) -> Outcome<Vec<String>> {
    let args =
        [&["events", "--since", "1h", "--until", "0s", "--format", "{{.Actor.Attributes.name}} {{.Action}}"], more]
            .concat();
    Ok(site.ok(&args)?.lines().map(str::to_owned).collect())
}

pub fn order(site: &Site) -> Outcome {
    let id = site.start_with("one", &["--label", "tier=front"], "exit 3")?;
    assert_eq!(site.ok(&["wait", "one"])?, "3");
    site.create("two", "sleep 1000")?;
    site.ok(&["rename", "two", "deux"])?;
    site.ok(&["start", "deux"])?;
    site.ok(&["stop", "-t", "0", "deux"])?;
    site.ok(&["rm", "one", "deux"])?;
    let of = |name: &str| actions(site, &["--filter", &format!("container={name}")]);
    assert_eq!(of("one")?, ["one create", "one start", "one die", "one destroy"]);
    assert_eq!(of("two")?, ["two create"]);
    let deux = of("deux")?;
    assert_eq!(deux.first().map(String::as_str), Some("deux rename"));
    assert_eq!(deux.last().map(String::as_str), Some("deux destroy"));
    let at = |action: &str| deux.iter().position(|line| line == &format!("deux {action}"));
    assert!(
        at("start") < at("kill") && at("kill") < at("die") && at("die") <= at("stop") && at("stop") < at("destroy"),
        "{deux:?}"
    );
    assert_eq!(actions(site, &["--filter", "event=die", "--filter", "label=tier=front"])?, ["one die"]);
    assert!(actions(site, &["--filter", "type=image"])?.is_empty());

    let json = site.ok(&[
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--format",
        "json",
        "--filter",
        "event=die",
        "--filter",
        "container=one",
    ])?;
    let die: Value = serde_json::from_str(&json)?;
    assert_eq!((&die["Type"], &die["status"], &die["scope"]), (&"container".into(), &"die".into(), &"local".into()));
    let attributes = &die["Actor"]["Attributes"];
    assert_eq!((&die["Actor"]["ID"], &die["id"]), (&id.as_str().into(), &id.as_str().into()));
    assert_eq!(
        (&attributes["exitCode"], &attributes["tier"], &attributes["name"]),
        (&"3".into(), &"front".into(), &"one".into())
    );
    assert_eq!(die["timeNano"].as_i64().map(|nanos| nanos / 1_000_000_000), die["time"].as_i64());
    let text = site.ok(&[
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "container=one",
        "--filter",
        "event=create",
    ])?;
    assert!(text.contains(&format!(" container create {id} (")) && text.contains("name=one"), "{text}");
    site.run(&["events", "--filter", "colour=red"])?.fails()?.stderr_has("colour=red")?;
    site.run(&["events", "--since", "yesterday"])?.fails()?;
    Ok(())
}

pub fn follow(site: &Site) -> Outcome {
    site.create("before", "true")?;
    let mut watching = site.command(&["events", "--format", "{{.Actor.Attributes.name}} {{.Action}}"]).spawn()?;
    std::thread::sleep(Duration::from_millis(300));
    site.start("after", "exit 0")?;
    watching.says("after create")?;
    watching.says("after die")?;
    assert!(!watching.output().0.contains("before"), "without --since only what comes: {:?}", watching.output());
    let bounded = site.command(&["events", "--until", "1s"]).run()?.ok();
    assert!(bounded.is_ok(), "an end in the past is the end");
    Ok(())
}
