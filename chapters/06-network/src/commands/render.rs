//! How lists are written: as a table or as JSON. Templates are a later chapter's.

use process::{Error, Result};
use serde_json::Value;

/// Writes rows: in the format asked for, by `default` (the template of a line, with `\t` between columns), under `heads`
/// (a column's field and its title).
pub type Render = fn(format: Option<&str>, default: &str, heads: &[(&str, &str)], rows: &[Value]) -> Result<String>;

/// Space between columns, and their least width with it, as Docker has them.
const PADDING: usize = 3;
const LEAST: usize = 10;

/// A table of all columns, or `json`: an object a line.
///
/// # Errors
/// [`Kind::Unsupported`](process::Kind::Unsupported) for a template.
pub fn plain(format: Option<&str>, _: &str, heads: &[(&str, &str)], rows: &[Value]) -> Result<String> {
    match format.map(str::trim) {
        Some("json") => Ok(rows.iter().map(|row| format!("{row}\n")).collect()),
        None | Some("" | "table") => Ok(table(heads, rows)),
        Some(other) => Err(Error::unsupported(format!("--format {other:?}: this step knows table and json"))
            .help("templates come with a later chapter's step")),
    }
}

fn table(heads: &[(&str, &str)], rows: &[Value]) -> String {
    let cell = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let mut lines = vec![heads.iter().map(|(_, head)| (*head).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| heads.iter().map(|(field, _)| cell(row, field)).collect()));
    let width = |column: usize| {
        let widest = lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        (widest + PADDING).max(LEAST)
    };
    let mut text = String::new();
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            let width = if column + 1 < line.len() { width(column) } else { 0 };
            text += &format!("{cell:<width$}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_forms() {
        let heads = [("ID", "NETWORK ID"), ("Name", "NAME")];
        let rows = [json!({ "ID": "0123456789ab", "Name": "blue" })];
        let text = plain(None, "", &heads, &rows).unwrap();
        assert_eq!(text, "NETWORK ID     NAME\n0123456789ab   blue\n");
        assert_eq!(plain(Some("json"), "", &heads, &rows).unwrap(), "{\"ID\":\"0123456789ab\",\"Name\":\"blue\"}\n");
        assert!(plain(Some("{{.ID}}"), "", &heads, &rows).is_err());
    }
}
