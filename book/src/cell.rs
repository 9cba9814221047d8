//! Cells: the commands of a page, and what they said when they were recorded.

use std::ops::Range;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// How the output of a run is held against the recorded one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compare {
    /// The same text, apart from what is another at each run: process ids, inodes, addresses, times.
    #[default]
    Pattern,
    /// The same text.
    Exact,
    /// The same words; every number may be another, and so may the width of columns.
    Shape,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its page: `01-process`.
    pub page: String,
    /// Its name, unique on its page.
    pub name: String,
    /// The line of its opening fence, counted from 1.
    pub line: usize,
    /// The lines between its fences, counted from 0.
    pub body: Range<usize>,
    /// What it needs: `root`, `vm`, `cgroup2`, `userns`, `subuid`, `network`, or a program.
    pub needs: Vec<String>,
    /// How it is compared.
    pub compare: Compare,
    /// May the lines come in any order? Parent and child of `--explain` do.
    pub unordered: bool,
    /// Is a failure what it shows?
    pub fails: bool,
    /// Does it run on a terminal?
    pub tty: bool,
    /// When a command of it is killed.
    pub timeout: Duration,
    /// Its commands.
    pub commands: Vec<Command>,
}

/// One command of a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// What is typed, without the prompt; several lines if it is continued.
    pub text: String,
    /// What is typed to the program once it waits: the lines that begin with `< `.
    pub keys: Vec<String>,
    /// What it said.
    pub output: String,
    /// Its exit code: a line `[exit N]` after the output.
    pub exit: i32,
}

impl Cell {
    /// What a server takes for its command: page, name, commands and how they run, hashed. The output is no part of it.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        let how = format!("{}\0{}\0{}\0{}\0", self.page, self.name, self.tty, self.needs.join(","));
        hash.update(how);
        for command in &self.commands {
            hash.update(format!("{}\0{}\0", command.text, command.keys.join("\n")));
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A fence of a code block, and what stands behind it.
pub struct Fence<'a> {
    ticks: &'a str,
    /// The word behind it: `console`, `rust`.
    pub language: &'a str,
    /// What follows that word.
    pub info: &'a str,
}

/// The code blocks of a text that stand at the margin: fence, and the lines between, counted from 0.
pub fn blocks(text: &str) -> Vec<(Fence<'_>, Range<usize>)> {
    let mut found = Vec::new();
    let mut open: Option<(Fence<'_>, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        if ticks.len() < 3 {
            continue;
        }
        let rest = line[ticks.len()..].trim();
        match open.take() {
            Some((fence, start)) if rest.is_empty() && ticks.len() >= fence.ticks.len() => {
                found.push((fence, start..number));
            }
            Some(still) => open = Some(still),
            None => {
                let language = rest.split([' ', ',']).next().unwrap_or_default();
                let info = rest[language.len()..].trim();
                open = Some((Fence { ticks, language, info }, number + 1));
            }
        }
    }
    found
}

/// The cells of a page.
///
/// # Errors
/// A cell that cannot be read, with its page and line.
pub fn parse(shown: &str, page: &str, text: &str) -> Result<Vec<Cell>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut cells: Vec<Cell> = Vec::new();
    for (fence, body) in blocks(text) {
        if fence.language != "console" || fence.info.is_empty() {
            continue; // without a name it is none: lint tells
        }
        let at = |error: Error| error.at(format!("{shown}:{}", body.start));
        let cell = one(page, &fence, body.clone(), &lines[body.clone()]).map_err(at)?;
        if cells.iter().any(|other| other.name == cell.name) {
            return Err(at(Error::invalid(format!("a second cell named {}", cell.name))));
        }
        cells.push(cell);
    }
    Ok(cells)
}

fn one(page: &str, fence: &Fence<'_>, body: Range<usize>, lines: &[&str]) -> Result<Cell> {
    let mut cell = Cell {
        page: page.to_owned(),
        name: String::new(),
        line: body.start,
        body,
        needs: Vec::new(),
        compare: Compare::default(),
        unordered: false,
        fails: false,
        tty: false,
        timeout: Duration::from_secs(20),
        commands: Vec::new(),
    };
    fence.info.split_whitespace().try_for_each(|option| cell.option(option))?;
    let is_plain = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
    if cell.name.is_empty() || !cell.name.chars().all(is_plain) {
        return Err(Error::invalid("a cell needs a name: cell=NAME, of small letters, digits and hyphens"));
    }
    cell.commands = commands(lines, cell.tty)?;
    Ok(cell)
}

impl Cell {
    fn option(&mut self, option: &str) -> Result<()> {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match (key, value) {
            ("cell", name) => self.name = name.to_owned(),
            ("needs", list) => self.needs = list.split(',').map(str::to_owned).collect(),
            ("compare", "pattern") => self.compare = Compare::Pattern,
            ("compare", "exact") => self.compare = Compare::Exact,
            ("compare", "shape") => self.compare = Compare::Shape,
            ("timeout", seconds) if seconds.parse::<u64>().is_ok() => {
                self.timeout = Duration::from_secs(seconds.parse().unwrap_or(20));
            }
            ("unordered", "") => self.unordered = true,
            ("fails", "") => self.fails = true,
            ("tty", "") => self.tty = true,
            _ => {
                let known = "cell=NAME needs=A,B compare=pattern|exact|shape timeout=SECONDS unordered fails tty";
                return Err(Error::invalid(format!("a cell has no option {option}")).help(known));
            }
        }
        Ok(())
    }
}

fn commands(lines: &[&str], tty: bool) -> Result<Vec<Command>> {
    let mut commands: Vec<Command> = Vec::new();
    let mut continues = false;
    for line in lines {
        if let Some(text) = line.strip_prefix("$ ") {
            commands.push(Command { text: text.to_owned(), ..Command::default() });
            continues = true;
            continue;
        }
        let Some(command) = commands.last_mut() else {
            return Err(Error::invalid("a cell begins with a command: `$ …`"));
        };
        let more = line.strip_prefix("> ").or((*line == ">").then_some("")).filter(|_| continues);
        if let Some(more) = more {
            command.text = format!("{}\n{more}", command.text);
            continue;
        }
        continues = false;
        let code = line.strip_prefix("[exit ").and_then(|rest| rest.strip_suffix(']')?.parse().ok());
        match (line.strip_prefix("< ").filter(|_| tty), code) {
            (Some(keys), _) => command.keys.push(keys.to_owned()),
            (None, Some(code)) => command.exit = code,
            (None, None) => {
                let said = line.strip_prefix('\\').unwrap_or(line);
                command.output = format!("{}{said}\n", command.output);
            }
        }
    }
    if commands.is_empty() {
        return Err(Error::invalid("a cell without a command"));
    }
    Ok(commands)
}

/// The lines between the fences, for these commands with this output.
pub fn body(commands: &[Command]) -> String {
    let mut body = String::new();
    for command in commands {
        body += &format!("$ {}\n", command.text.replace('\n', "\n> "));
        body.extend(command.keys.iter().map(|keys| format!("< {keys}\n")));
        body.extend(command.output.lines().map(|line| format!("{}{line}\n", guard(line))));
        if command.exit != 0 {
            body += &format!("[exit {}]\n", command.exit);
        }
    }
    body
}

/// Output that looks like one of our marks has a backslash before it: the prompt of a shell within, say.
fn guard(line: &str) -> &'static str {
    let marks = ["$ ", "> ", "< ", "[exit ", "```", "\\"];
    if marks.iter().any(|mark| line.starts_with(mark)) || line == "$" { "\\" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
text
```console cell=two-parts needs=root,nft compare=shape timeout=5 fails
$ echo a \\
> b
a b

c
$ false
[exit 1]
```
```text
$ not a cell
```
````console cell=typed tty
$ sh
< echo $((6*7))
/ # echo $((6*7))
42
````
";

    #[test]
    fn cells_are_read_and_written_alike() {
        let cells = parse("p.md", "p", PAGE).unwrap();
        assert_eq!(cells.len(), 2);
        let cell = &cells[0];
        assert_eq!((cell.line, cell.needs.len(), cell.compare, cell.fails), (2, 2, Compare::Shape, true));
        assert_eq!(cell.commands[0].text, "echo a \\\nb");
        assert_eq!(cell.commands[0].output, "a b\n\nc\n");
        assert_eq!(cell.commands[1].exit, 1);
        assert_eq!(cells[1].commands[0].keys, ["echo $((6*7))"]);
        let lines: Vec<&str> = PAGE.lines().collect();
        assert_eq!(body(&cell.commands), lines[cell.body.clone()].join("\n") + "\n");
    }

    #[test]
    fn a_hash_knows_commands_not_output() {
        let cells = parse("p.md", "p", PAGE).unwrap();
        let mut other = cells[0].clone();
        other.commands[0].output.clear();
        assert_eq!(other.hash(), cells[0].hash());
        other.commands[0].text.push('!');
        assert_ne!(other.hash(), cells[0].hash());
    }

    #[test]
    fn output_that_looks_like_a_mark_is_output() {
        let output = "$ a\n> b\n\\c\n[exit 3]\n```\n";
        let command = Command { text: "x".into(), output: output.into(), ..Command::default() };
        let text = format!("```console cell=a tty\n{}```\n", body(std::slice::from_ref(&command)));
        assert_eq!(parse("p", "p", &text).unwrap()[0].commands, [command]);
    }

    #[test]
    fn errors_name_page_and_line() {
        let error = parse("p.md", "p", "\n```console cell=a colour\n$ x\n```\n").unwrap_err();
        assert_eq!(error.what(), "p.md:2: a cell has no option colour");
        let error = parse("p.md", "p", "```console cell=a\nx\n```\n").unwrap_err();
        assert!(error.what().starts_with("p.md:1: a cell begins with a command"));
    }
}
