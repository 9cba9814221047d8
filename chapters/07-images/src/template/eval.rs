//! The tree and a value to text.

use serde_json::Value;

use super::functions;
use super::parse::{Base, Command, Node, Operand, Pipe};

/// What `nodes` make of `root`.
pub fn render(nodes: &[Node], root: &Value) -> Result<String, String> {
    let mut scope = Scope { variables: vec![("$".to_owned(), root.clone())], out: String::new() };
    scope.nodes(nodes, root)?;
    Ok(scope.out)
}

struct Scope {
    variables: Vec<(String, Value)>,
    out: String,
}

impl Scope {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        let outer = self.variables.len();
        let done = nodes.iter().try_for_each(|node| self.node(node, dot));
        self.variables.truncate(outer); // what a block declares ends with it
        done
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), String> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipe) => {
                let value = self.pipe(pipe, dot)?;
                self.out.push_str(&functions::show(&value));
            }
            Node::Set { name, new, pipe } => {
                let value = self.pipe(pipe, dot)?;
                self.set(name, *new, value)?;
            }
            Node::If { pipe, with, variable, then, otherwise } => {
                let outer = self.variables.len();
                let value = self.pipe(pipe, dot)?;
                variable.iter().for_each(|name| self.variables.push((name.clone(), value.clone())));
                match (functions::is_true(&value), with) {
                    (true, true) => self.nodes(then, &value)?,
                    (true, false) => self.nodes(then, dot)?,
                    (false, _) => self.nodes(otherwise, dot)?,
                }
                self.variables.truncate(outer);
            }
            Node::Range { pipe, key, value, body, otherwise } => {
                let pairs = pairs(self.pipe(pipe, dot)?)?;
                if pairs.is_empty() {
                    return self.nodes(otherwise, dot);
                }
                for (index, item) in pairs {
                    let outer = self.variables.len();
                    key.iter().for_each(|name| self.variables.push((name.clone(), index.clone())));
                    value.iter().for_each(|name| self.variables.push((name.clone(), item.clone())));
                    self.nodes(body, &item)?;
                    self.variables.truncate(outer);
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, new: bool, value: Value) -> Result<(), String> {
        if new {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        let found = self.variables.iter_mut().rev().find(|(other, _)| other == name);
        found.map(|(_, old)| *old = value).ok_or_else(|| format!("undefined variable {name:?}"))
    }

    fn pipe(&self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        pipe.iter()
            .try_fold(None, |last, command| self.command(command, last, dot).map(Some))
            .map(Option::unwrap_or_default)
    }

    fn command(&self, command: &Command, last: Option<Value>, dot: &Value) -> Result<Value, String> {
        let Some((first, others)) = command.split_first() else { return Err("an empty command".to_owned()) };
        if let Base::Function(name) = &first.base {
            let mut arguments = others.iter().map(|one| self.operand(one, dot)).collect::<Result<Vec<_>, _>>()?;
            arguments.extend(last);
            return functions::call(name, arguments);
        }
        if last.is_some() || !others.is_empty() {
            return Err(format!("can't give argument to non-function {}", functions::show(&self.operand(first, dot)?)));
        }
        self.operand(first, dot)
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        let base = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(other, _)| other == name);
                found.map(|(_, value)| value.clone()).ok_or_else(|| format!("undefined variable {name:?}"))?
            }
            Base::Text(text) => text.clone().into(),
            Base::Number(number) => functions::number(*number),
            Base::Bool(truth) => (*truth).into(),
            Base::Nil => Value::Null,
            Base::Function(name) => functions::call(name, Vec::new())?,
            Base::Pipe(pipe) => self.pipe(pipe, dot)?,
        };
        operand.fields.iter().try_fold(base, field)
    }
}

fn field(value: Value, name: &String) -> Result<Value, String> {
    match value {
        Value::Object(mut map) => map.remove(name).ok_or_else(|| format!("map has no entry for key {name:?}")),
        Value::Null => Err(format!("nil pointer evaluating field {name}")),
        other => Err(format!("can't evaluate field {name} in type {}", functions::type_of(&other))),
    }
}

/// What `{{range}}` goes over: an index or a key, and a value.
fn pairs(value: Value) -> Result<Vec<(Value, Value)>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items.into_iter().enumerate().map(|(index, item)| (index.into(), item)).collect()),
        Value::Object(map) => Ok(map.into_iter().map(|(key, item)| (key.into(), item)).collect()),
        other => Err(format!("range can't iterate over {}", functions::show(&other))),
    }
}
