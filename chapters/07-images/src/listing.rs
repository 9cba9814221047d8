//! Lists of things: as a table, as JSON, or as a template says (`docker ps --format`).

use process::Result;
use serde_json::{Map, Value};

use crate::template::Template;

/// Space between columns, and their least width with it (docker/cli, formatter.go: `tabwriter.NewWriter(…, 10, 1, 3)`).
const PADDING: usize = 3;
const LEAST: usize = 10;

/// How a list is written.
#[derive(Debug)]
pub struct Listing {
    template: Template,
    table: bool,
}

impl Listing {
    /// `format` as given: none and `table` mean `default`, which is the template of a line with tabs between the
    /// columns; `json`; `table TEMPLATE`; or a template alone.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn new(format: Option<&str>, default: &str) -> Result<Self> {
        let (text, table) = match format.map(str::trim) {
            None | Some("" | "table") => (default, true),
            Some("json") => ("{{json .}}", false),
            Some(format) => match format.strip_prefix("table ") {
                Some(columns) => (columns.trim(), true),
                None => (format, false),
            },
        };
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        Ok(Self { template: Template::parse(&text)?, table })
    }

    /// The lines. `heads` are the columns' names, by field.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render(&self, heads: &[(&str, &str)], rows: &[Value]) -> Result<String> {
        let mut lines = Vec::new();
        if self.table {
            let heads: Map<_, _> = heads.iter().map(|(field, head)| ((*field).to_owned(), (*head).into())).collect();
            lines.push(self.template.render(&Value::Object(heads))?);
        }
        for row in rows {
            lines.push(self.template.render(row)?);
        }
        Ok(if self.table { align(&lines) } else { lines.iter().map(|line| format!("{line}\n")).collect() })
    }
}

/// A listing made and rendered, for an earlier chapter that takes a function.
///
/// # Errors
/// As [`Listing::new`] and [`Listing::render`].
pub fn render(format: Option<&str>, default: &str, heads: &[(&str, &str)], rows: &[Value]) -> Result<String> {
    Listing::new(format, default)?.render(heads, rows)
}

/// Puts what stands between tabs into columns. What follows the last tab is in none.
fn align(lines: &[String]) -> String {
    let cells: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let aligned = cells.iter().filter(|row| row.len() > column + 1);
        aligned.map(|row| row[column].chars().count() + PADDING).max().unwrap_or(0).max(LEAST)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        for (column, cell) in row.iter().enumerate() {
            let width = if column + 1 < row.len() { widths[column] } else { 0 };
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

    const HEADS: [(&str, &str); 2] = [("ID", "CONTAINER ID"), ("Names", "NAMES")];

    fn list(format: Option<&str>) -> String {
        let rows = [json!({"ID": "abc", "Names": "web"}), json!({"ID": "0123456789ab", "Names": "a-long-name"})];
        Listing::new(format, "{{.ID}}\\t{{.Names}}").unwrap().render(&HEADS, &rows).unwrap()
    }

    #[test]
    fn the_forms() {
        let table = "CONTAINER ID   NAMES\nabc            web\n0123456789ab   a-long-name\n";
        assert_eq!(list(None), table);
        assert_eq!(list(Some("table")), table);
        assert_eq!(list(Some("table {{.Names}}")), "NAMES\nweb\na-long-name\n");
        assert_eq!(list(Some("{{.ID}}={{.Names}}")), "abc=web\n0123456789ab=a-long-name\n");
        assert_eq!(list(Some("json")).lines().next(), Some(r#"{"ID":"abc","Names":"web"}"#));
    }

    #[test]
    fn a_column_has_a_least_width() {
        assert_eq!(align(&["a\tb".into(), "cc\td".into()]), "a         b\ncc        d\n");
    }
}
