//! `--format`: the part of Go's template language that people use with `docker inspect` and `docker ps`.
//!
//! Values are JSON. What there is: text, `{{.Field.Sub}}`, `{{range}}`, `{{if}}`, `{{with}}`, `{{else}}`, variables,
//! pipelines, trimming by `{{-` and `-}}`, comments, and the functions of [`functions`]. What there is not: named
//! templates and methods. (Go, package text/template; docker/cli, templates/templates.go.)

mod eval;
mod functions;
mod lex;
mod parse;

use process::{Error, Result};
use serde_json::Value;

use parse::Node;

/// A template, parsed.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`Kind::Invalid`](process::Kind::Invalid), with what is wrong in Go's words where it has some.
    pub fn parse(text: &str) -> Result<Self> {
        parse::parse(text).map(|nodes| Self { nodes }).map_err(|what| {
            Error::invalid(format!("template parsing error: {what}"))
                .help("for example '{{.State.Status}}', '{{json .Config}}', '{{range .Mounts}}{{.Source}} {{end}}'")
        })
    }

    /// The text that it makes of `value`.
    ///
    /// # Errors
    /// A field that is not there, or a function whose arguments make no sense.
    pub fn render(&self, value: &Value) -> Result<String> {
        eval::render(&self.nodes, value)
            .map_err(|what| Error::invalid(format!("template execution error: {what}")))
            .map_err(|error| error.help(fields_of(value)))
    }
}

/// Which fields there are: the first thing that one wants to know after a wrong one.
fn fields_of(value: &Value) -> String {
    match value {
        Value::Object(map) => format!("there are: {}", map.keys().cloned().collect::<Vec<_>>().join(" ")),
        _ => "`{{json .}}` shows what there is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Value {
        json!({
            "Name": "/web", "Id": "0123456789abcdef", "Restarts": 3, "Empty": [], "None": null, "Ratio": 1.5,
            "State": {"Status": "running", "Running": true, "ExitCode": 0},
            "Mounts": [{"Source": "/a", "RW": true}, {"Source": "/b", "RW": false}],
            "Labels": {"a.b": "1", "c": "two"},
            "Cmd": ["sh", "-c", "echo \"x\" <y>"],
        })
    }

    fn render(text: &str) -> String {
        match Template::parse(text).and_then(|template| template.render(&sample())) {
            Ok(text) => text,
            Err(error) => format!("ERROR {}", error.what()),
        }
    }

    #[test]
    fn what_people_write() {
        for (text, wanted) in [
            ("{{.State.Status}}", "running"),
            ("{{ .Name }}: {{.Restarts}}", "/web: 3"),
            ("{{json .State}}", r#"{"ExitCode":0,"Running":true,"Status":"running"}"#),
            ("{{json .Cmd}}", r#"["sh","-c","echo \"x\" <y>"]"#),
            ("{{range .Mounts}}{{.Source}} {{end}}", "/a /b "),
            ("{{range $i, $m := .Mounts}}{{$i}}={{$m.Source}};{{end}}", "0=/a;1=/b;"),
            ("{{range $k, $v := .Labels}}{{$k}}:{{$v}} {{end}}", "a.b:1 c:two "),
            ("{{range .Empty}}x{{else}}none{{end}}", "none"),
            (r#"{{index .Labels "a.b"}}"#, "1"),
            (r#"{{index .Labels "zz"}}"#, ""),
            ("{{(index .Mounts 1).Source}}", "/b"),
            ("{{len .Mounts}} {{len .Name}}", "2 4"),
            ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
            (r#"{{if eq .State.Status "exited"}}a{{else if gt .Restarts 2}}b{{end}}"#, "b"),
            ("{{with .State}}{{.ExitCode}} {{$.Name}}{{end}}", "0 /web"),
            (r#"{{join .Cmd " "}}"#, "sh -c echo \"x\" <y>"),
            ("{{.State.Status | upper}}", "RUNNING"),
            (r#"{{printf "%s-%d|%5s|%-4s|%q" .Name .Restarts "x" "y" "z"}}"#, "/web-3|    x|y   |\"z\""),
            ("{{truncate .Id 4}}{{println}}", "0123\n"),
            (r#"{{split "a,b" ","}} {{pad "x" 1 2}}."#, "[a b]  x  ."),
            (
                "{{.Cmd}} {{.State}} {{.None}} {{.Ratio}}",
                "[sh -c echo \"x\" <y>] map[ExitCode:0 Running:true Status:running] <no value> 1.5",
            ),
            ("a {{- /* a comment */ -}} b", "ab"),
            ("{{- .Name -}}  x", "/webx"),
            ("{{$x := .Name}}{{$x}}{{$x = \"y\"}}{{$x}}", "/weby"),
            ("{{if and .State.Running (not .Empty)}}1{{end}}{{if or .Empty .None}}2{{end}}", "1"),
            ("{{`raw \\n`}}{{\"\\t\"}}{{slice .Id 2 4}}", "raw \\n\t23"),
            ("{{eq 1 2 1}} {{ne 1 2}} {{le 1 1}} {{lt \"a\" \"b\"}} {{ge 1 2}}", "true true true true false"),
        ] {
            assert_eq!(render(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, wanted) in [
            ("{{.Nope}}", "map has no entry for key \"Nope\""),
            ("{{.Name.First}}", "can't evaluate field First in type string"),
            ("{{nope .}}", "function \"nope\" not defined"),
            ("{{.Name", "unclosed action"),
            ("{{if .Name}}x", "unexpected EOF"),
            ("{{end}}", "unexpected {{end}}"),
            ("{{else}}", "unexpected {{else}}"),
            ("{{\"x}}", "unterminated quoted string"),
            ("{{index .Mounts 9}}", "index out of range: 9"),
            ("{{range .Restarts}}{{end}}", "range can't iterate over 3"),
            ("{{$nope}}", "undefined variable \"$nope\""),
            ("{{template \"x\"}}", "named templates are not supported"),
            ("{{lt 1 \"a\"}}", "incompatible types for comparison"),
            ("{{.Name | }}", "missing value for command"),
            ("{{}}", "missing value for command"),
            ("{{len 3}}", "len of type number"),
        ] {
            let found = render(text);
            assert!(found.starts_with("ERROR") && found.contains(wanted), "{text}: {found}");
        }
        // Deep nesting is refused before the stack is.
        assert!(render(&format!("{{{{{}1{}}}}}", "(".repeat(500), ")".repeat(500))).contains("too deep"));
    }
}
