//! The functions of templates: those of Go (text/template, "Functions"), and those that Docker adds.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Calls function `name`.
pub fn call(name: &str, mut arguments: Vec<Value>) -> Result<Value, String> {
    let count = arguments.len();
    let wants = |least: usize, most: usize| match count {
        count if (least..=most).contains(&count) => Ok(()),
        _ => Err(format!("wrong number of args for {name}: want {least} got {count}")),
    };
    Ok(match name {
        "json" => {
            wants(1, 1)?;
            arguments[0].to_string().into()
        }
        "lower" | "upper" | "title" => {
            wants(1, 1)?;
            case(name, text(name, &arguments[0])?).into()
        }
        "join" => {
            wants(2, 2)?;
            let Value::Array(items) = &arguments[0] else { return Err(wrong(name, &arguments[0])) };
            items.iter().map(show).collect::<Vec<_>>().join(text(name, &arguments[1])?).into()
        }
        "split" => {
            wants(2, 2)?;
            let separator = text(name, &arguments[1])?.to_owned();
            text(name, &arguments[0])?.split(&separator).map(str::to_owned).collect::<Vec<_>>().into()
        }
        "pad" => {
            wants(3, 3)?;
            let (before, after) = (natural(name, &arguments[1])?, natural(name, &arguments[2])?);
            format!("{:before$}{}{:after$}", "", text(name, &arguments[0])?, "").into()
        }
        "truncate" => {
            wants(2, 2)?;
            let length = natural(name, &arguments[1])?;
            text(name, &arguments[0])?.chars().take(length).collect::<String>().into()
        }
        "len" => {
            wants(1, 1)?;
            length(&arguments[0])?.into()
        }
        "index" => {
            wants(1, usize::MAX)?;
            let base = arguments.remove(0);
            arguments.iter().try_fold(base, index)?
        }
        "slice" => slice(&arguments)?,
        "print" => arguments.iter().map(show).collect::<String>().into(),
        "println" => (arguments.iter().map(show).collect::<Vec<_>>().join(" ") + "\n").into(),
        "printf" => {
            wants(1, usize::MAX)?;
            printf(text(name, &arguments[0])?, &arguments[1..]).into()
        }
        "not" => {
            wants(1, 1)?;
            (!is_true(&arguments[0])).into()
        }
        "and" | "or" => {
            wants(1, usize::MAX)?;
            let decides = |value: &Value| is_true(value) == (name == "or");
            let at = arguments.iter().position(decides).unwrap_or(count - 1);
            arguments.swap_remove(at)
        }
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => {
            wants(2, if name == "eq" { usize::MAX } else { 2 })?;
            compare(name, &arguments)?.into()
        }
        _ => return Err(format!("function {name:?} not defined")),
    })
}

/// As Go prints a value (`%v`).
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{}", show(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

/// What counts as true: neither zero nor empty.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// A whole number stays one.
pub fn number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { (number as i64).into() } else { Number::from_f64(number).into() }
}

/// The type's name, for messages.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "map",
    }
}

fn wrong(name: &str, value: &Value) -> String {
    format!("wrong type for {name}: {}", type_of(value))
}

fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| wrong(name, value))
}

/// A count of characters, of a size that makes sense.
fn natural(name: &str, value: &Value) -> Result<usize, String> {
    value.as_u64().filter(|&number| number <= 1 << 16).map(|number| number as usize).ok_or_else(|| wrong(name, value))
}

fn case(name: &str, text: &str) -> String {
    match name {
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        _ => {
            let mut rest = text.chars();
            rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
        }
    }
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::String(text) => Ok(text.len()),
        Value::Array(items) => Ok(items.len()),
        Value::Object(map) => Ok(map.len()),
        Value::Null => Ok(0),
        other => Err(format!("len of type {}", type_of(other))),
    }
}

/// A key that a map does not have gives an empty text, as Go's zero value of a map of texts does.
fn index(value: Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Object(mut map), Value::String(key)) => Ok(map.remove(key).unwrap_or_else(|| "".into())),
        (Value::Array(mut items), key) => match key.as_u64().map(|at| at as usize) {
            Some(at) if at < items.len() => Ok(items.swap_remove(at)),
            _ => Err(format!("index out of range: {}", show(key))),
        },
        (Value::Null, _) => Err("index of untyped nil".to_owned()),
        (other, _) => Err(format!("can't index item of type {}", type_of(&other))),
    }
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let Some((base, bounds)) = arguments.split_first() else { return Err("slice of untyped nil".to_owned()) };
    let all = length(base)?;
    let bound = |at: usize, or: usize| bounds.get(at).map_or(Ok(or), |value| natural("slice", value));
    let (from, to) = (bound(0, 0)?, bound(1, all)?);
    let outside = || format!("index out of range: {from}:{to}");
    match base {
        Value::String(text) => text.get(from..to).map(Value::from).ok_or_else(outside),
        Value::Array(items) => items.get(from..to).map(|part| part.to_vec().into()).ok_or_else(outside),
        other => Err(wrong("slice", other)),
    }
}

fn compare(name: &str, arguments: &[Value]) -> Result<bool, String> {
    let (first, others) = (&arguments[0], &arguments[1..]);
    if matches!(name, "eq" | "ne") {
        return Ok(others.iter().any(|other| same(first, other)) == (name == "eq"));
    }
    let order = match (first, &others[0]) {
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Number(one), Value::Number(other)) => {
            one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal)
        }
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    Ok(match name {
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        "gt" => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// `%s %d %v %q %%`, with a width that a `-` puts to the right of the value.
fn printf(format: &str, arguments: &[Value]) -> String {
    let (mut text, mut arguments) = (String::new(), arguments.iter());
    let mut rest = format.chars().peekable();
    while let Some(one) = rest.next() {
        if one != '%' {
            text.push(one);
            continue;
        }
        let left = rest.next_if_eq(&'-').is_some();
        let mut width = 0_usize;
        while let Some(digit) = rest.peek().and_then(|digit| digit.to_digit(10)) {
            width = (width * 10 + digit as usize).min(1 << 12);
            rest.next();
        }
        let shown = match rest.next() {
            None | Some('%') => "%".to_owned(),
            Some(verb) => match (verb, arguments.next()) {
                (_, None) => format!("%!{verb}(MISSING)"),
                ('q', Some(value)) => Value::from(show(value)).to_string(),
                ('s' | 'd' | 'v', Some(value)) => show(value),
                (other, Some(value)) => format!("%!{other}({})", show(value)),
            },
        };
        text += &if left { format!("{shown:<width$}") } else { format!("{shown:>width$}") };
    }
    text
}
