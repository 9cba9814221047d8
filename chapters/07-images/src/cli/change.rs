//! `--change`: an instruction of a Dockerfile, applied to an image's configuration.

use std::str::FromStr;

use process::{Error, Result};
use serde_json::{Map, Value};

/// One instruction: `CMD ["sh"]`, `ENV A=b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    instruction: String,
    rest: String,
}

/// Those that change a configuration and no file.
const KNOWN: [&str; 10] =
    ["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];

impl FromStr for Change {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (instruction, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let change = Self { instruction: instruction.to_ascii_uppercase(), rest: rest.trim().to_owned() };
        if !KNOWN.contains(&change.instruction.as_str()) || change.rest.is_empty() {
            return Err(Error::invalid(format!("{text:?} is no change of an image"))
                .help(format!("write an instruction as in a Dockerfile: {}", KNOWN.join(", "))));
        }
        change.apply(&mut Map::new())?;
        Ok(change)
    }
}

impl Change {
    /// Applies it to a `Config`.
    ///
    /// # Errors
    /// Words that are not `NAME=VALUE` where that is meant, or quotes that do not end.
    pub fn apply(&self, config: &mut Map<String, Value>) -> Result<()> {
        let rest = self.rest.as_str();
        match self.instruction.as_str() {
            "CMD" => drop(config.insert("Cmd".into(), command(rest))),
            "ENTRYPOINT" => drop(config.insert("Entrypoint".into(), command(rest))),
            "ENV" => {
                for (name, value) in pairs(rest)? {
                    let all = list(config, "Env");
                    all.retain(|one| !one.as_str().is_some_and(|one| one.starts_with(&format!("{name}="))));
                    all.push(format!("{name}={value}").into());
                }
            }
            "LABEL" => pairs(rest)?.into_iter().for_each(|(name, value)| {
                map(config, "Labels").insert(name, value.into());
            }),
            "EXPOSE" => rest.split_whitespace().for_each(|port| {
                let port = if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") };
                map(config, "ExposedPorts").insert(port, Map::new().into());
            }),
            "VOLUME" => {
                let paths = match serde_json::from_str::<Vec<String>>(rest) {
                    Ok(paths) => paths,
                    Err(_) => words(rest)?,
                };
                paths.into_iter().for_each(|path| drop(map(config, "Volumes").insert(path, Map::new().into())));
            }
            "ONBUILD" => list(config, "OnBuild").push(rest.into()),
            "STOPSIGNAL" => {
                process::parse_signal(rest)?;
                config.insert("StopSignal".into(), rest.into());
            }
            "USER" => drop(config.insert("User".into(), rest.into())),
            _ => {
                let before = config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/");
                let path = std::path::Path::new(before).join(rest);
                config.insert("WorkingDir".into(), path.to_string_lossy().into());
            }
        }
        Ok(())
    }
}

/// The list of that name, made if it is missing.
fn list<'a>(config: &'a mut Map<String, Value>, name: &str) -> &'a mut Vec<Value> {
    let value = config.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().expect("it is a list by now")
}

/// The map of that name, made if it is missing.
fn map<'a>(config: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let value = config.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it is a map by now")
}

/// A JSON list is the program and its arguments; anything else is for the shell.
fn command(text: &str) -> Value {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => words.into(),
        Err(_) => vec!["/bin/sh", "-c", text].into(),
    }
}

/// `A=b C="d e"`, or the old `A b c`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let words = words(text)?;
    if !words.iter().any(|word| word.contains('=')) && words.len() > 1 {
        let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::invalid(format!("{word:?} is not NAME=VALUE"))),
    };
    words.iter().map(pair).collect()
}

/// Words as a Dockerfile has them: quotes hold them together, a backslash takes the next character as it is.
fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote, mut inside) = (Vec::new(), String::new(), None, false);
    let mut rest = text.chars();
    while let Some(one) = rest.next() {
        match (one, quote) {
            ('\\', _) if quote != Some('\'') => word.extend(rest.next()),
            (one, Some(open)) if one == open => quote = None,
            ('"' | '\'', None) => (quote, inside) = (Some(one), true),
            (one, None) if one.is_whitespace() => {
                if inside || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                inside = false;
            }
            (one, _) => word.push(one),
        }
    }
    if quote.is_some() {
        return Err(Error::invalid(format!("a quote in {text:?} does not end")));
    }
    if inside || !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instructions_change_the_configuration() {
        let mut config = Map::new();
        for text in [
            "CMD [\"sh\", \"-c\"]",
            "entrypoint echo $HOME",
            "ENV A=1 B=\"two words\"",
            "ENV A=2",
            "ENV OLD form of it",
            "LABEL a.b=c",
            "EXPOSE 80 53/udp",
            "VOLUME [\"/data\"]",
            "VOLUME /log /tmp",
            "WORKDIR /srv",
            "WORKDIR app",
            "USER 1:2",
            "STOPSIGNAL SIGQUIT",
        ] {
            text.parse::<Change>().unwrap().apply(&mut config).unwrap();
        }
        let wanted = json!({
            "Cmd": ["sh", "-c"], "Entrypoint": ["/bin/sh", "-c", "echo $HOME"],
            "Env": ["B=two words", "A=2", "OLD=form of it"], "Labels": {"a.b": "c"},
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Volumes": {"/data": {}, "/log": {}, "/tmp": {}},
            "WorkingDir": "/srv/app", "User": "1:2", "StopSignal": "SIGQUIT",
        });
        assert_eq!(Value::from(config), wanted);
        for bad in ["RUN true", "CMD", "", "ENV \"x", "STOPSIGNAL NOPE", "LABEL =x"] {
            assert!(bad.parse::<Change>().is_err(), "{bad}");
        }
    }
}
