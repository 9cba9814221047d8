//! How code and cells look on a page, in HTML and Markdown.

use crate::cell::Cell;
use crate::source::Piece;
use crate::{Front, escape};

/// Pieces of source as one listing, with a caption that says where they stand.
pub fn code(pieces: &[Piece]) -> String {
    let text = pieces.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>().join("\n");
    let file = pieces.first().map_or("", |piece| &piece.file);
    let lines = pieces.iter().map(|piece| match (piece.lines.start(), piece.lines.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}–{last}"),
    });
    let caption = format!("{file}:{}", lines.collect::<Vec<_>>().join(", "));
    listing(pieces.first().map(anchor).as_deref(), &caption, language(file), &text)
}

/// Where a listing that begins with this piece stands on its page.
pub fn anchor(first: &Piece) -> String {
    let name: String = first.file.chars().map(|one| if one.is_alphanumeric() { one } else { '-' }).collect();
    format!("code-{name}-{}", first.lines.start())
}

/// A listing under a caption.
pub fn listing(anchor: Option<&str>, caption: &str, language: &str, text: &str) -> String {
    // A fence longer than any within.
    let longest = text.split(|one| one != '`').map(str::len).max().unwrap_or(0).max(2);
    let fence = "`".repeat(longest + 1);
    let caption = escape(caption);
    let id = anchor.map(|anchor| format!(" id=\"{anchor}\"")).unwrap_or_default();
    format!(
        "<figure class=\"code\"{id}>\n\n{fence}{language}\n{text}{fence}\n\n<figcaption>{caption}</figcaption>\n\n</figure>\n"
    )
}

fn language(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("rs") => "rust",
        Some("toml") => "toml",
        Some("json") => "json",
        Some("sh") => "bash",
        _ => "text",
    }
}

/// A cell: its commands, and below each what it said.
pub fn cell(cell: &Cell) -> String {
    let mut text = String::new();
    for command in &cell.commands {
        let typed = escape(&command.text.replace('\n', "\n> "));
        text += &format!("<span class=\"prompt\">$ </span><span class=\"typed\">{typed}</span>&#10;");
        if !command.output.is_empty() {
            text += &format!("<span class=\"said\">{}</span>", escape(&command.output));
        }
        if command.exit != 0 {
            text += &format!("<span class=\"exit\">exit code {}</span>&#10;", command.exit);
        }
    }
    let needs: String = cell.needs.iter().map(|need| format!("<span class=\"need\">{}</span>", escape(need))).collect();
    let tty = if cell.tty { " data-tty=\"\"" } else { "" };
    format!(
        "<figure class=\"cell\" id=\"cell-{name}\" data-cell=\"{name}\" data-page=\"{page}\" data-hash=\"{hash}\"{tty}>\
         <div class=\"cell-bar\"><span class=\"cell-name\">{name}</span>{needs}</div>\
         <pre tabindex=\"0\" aria-label=\"commands and recorded output of {name}\">\
         <code class=\"nohighlight\">{text}</code></pre></figure>\n",
        name = cell.name,
        page = escape(&cell.page),
        hash = cell.hash(),
    )
}

/// What stands below a page's title: minutes, program, what comes before.
pub fn facts(front: &Front) -> String {
    let mut facts = Vec::new();
    facts.extend(front.minutes.map(|minutes| format!("{minutes} minutes")));
    facts.extend(front.step.map(|step| format!("program <code>step{step:02}</code>")));
    if facts.is_empty() { String::new() } else { format!("<p class=\"facts\">{}</p>\n", facts.join(" · ")) }
}

/// What stands at a page's foot: where its output was recorded.
pub fn foot(front: &Front) -> String {
    if front.recorded.is_empty() {
        return String::new();
    }
    let lanes = front.recorded.iter().map(|(lane, record)| {
        let lane = match lane.as_str() {
            "user" => "an ordinary user",
            "root" => "root",
            _ => "the virtual machine",
        };
        let (kernel, cgroup) = (escape(&record.kernel), escape(&record.cgroup));
        format!("<li>as {lane}: {kernel}, cgroup {cgroup}, commit <code>{}</code></li>", escape(&record.commit))
    });
    let lanes: String = lanes.collect();
    format!(
        "\n<footer class=\"record\"><p>The output on this page was recorded by running it:</p><ul>{lanes}</ul></footer>\n"
    )
}
