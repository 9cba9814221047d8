//! An event as Docker shows it (moby, api/types/events).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::supervisor::exit::Event;

/// One event. Field by field Docker's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The action once more, where clients from before API 1.22 look for it; so are the next two.
    status: String,
    id: String,
    from: String,
    /// What it happened to.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What happened: `create`, `start`, `die`, …
    #[serde(rename = "Action")]
    pub action: String,
    /// To which one.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// Always `local`: there is no swarm.
    scope: String,
    /// When, in seconds.
    time: i64,
    /// When, in nanoseconds.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// What something happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name, image and labels, and what belongs to the action.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

impl From<Event> for Shown {
    fn from(event: Event) -> Self {
        let mut attributes = event.attributes;
        attributes.insert("name".to_owned(), event.name);
        Self {
            status: event.action.clone(),
            id: event.id.clone(),
            from: attributes.get("image").cloned().unwrap_or_default(),
            kind: event.kind,
            action: event.action,
            actor: Actor { id: event.id, attributes },
            scope: "local".to_owned(),
            time: event.time.seconds(),
            time_nano: event.time.nanoseconds(),
        }
    }
}

/// What is known of the containers that events tell of. A supervisor knows no image and no labels; but it is always
/// later than a command that knew them.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<String, BTreeMap<String, String>>);

impl Known {
    /// The event as it is shown, with the image and the labels of its container.
    pub fn complete(&mut self, mut event: Event) -> Shown {
        if matches!(event.action.as_str(), "create" | "start") && event.attributes.contains_key("image") {
            self.0.insert(event.id.clone(), event.attributes.clone());
        } else {
            let known = self.0.entry(event.id.clone()).or_insert_with(|| {
                let found = crate::engine::container::find(&event.id);
                found.map(|dir| super::about(dir.config())).unwrap_or_default()
            });
            for (key, value) in known.iter() {
                event.attributes.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        if event.action == "destroy" {
            self.0.remove(&event.id);
        }
        event.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_dockers() {
        let start = Event::now("start", "ab", "web").with("image", "host").with("tier", "front");
        let mut known = Known::default();
        let value = serde_json::to_value(known.complete(start)).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["Action", "Actor", "Type", "from", "id", "scope", "status", "time", "timeNano"]);
        assert_eq!((&value["Actor"]["ID"], &value["from"]), (&"ab".into(), &"host".into()));
        let die = known.complete(Event::now("die", "ab", "web").with("exitCode", 3));
        let attributes: Vec<_> = die.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(attributes, ["exitCode=3", "image=host", "name=web", "tier=front"]);
    }
}
