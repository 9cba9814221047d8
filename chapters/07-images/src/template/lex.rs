//! Characters to tokens: text outside of `{{ }}`, and what stands inside.

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// Outside of `{{ }}`.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `.` alone.
    Dot,
    /// `.Name`, of the dot.
    Field(String),
    /// `.Name` directly behind a variable, a bracket or another field.
    Chain(String),
    /// `$` or `$name`, with the dollar sign.
    Variable(String),
    /// A name: a function or a keyword.
    Word(String),
    /// `"quoted"` or with backquotes.
    Quoted(String),
    /// A number.
    Number(f64),
    /// One of `| ( ) , = :=`.
    Sign(&'static str),
}

/// All tokens of `text`.
pub fn lex(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some(at) = rest.find("{{") {
        let (before, mut inside) = (&rest[..at], &rest[at + 2..]);
        let before = if trim { before.trim_start() } else { before };
        let trims_before = inside.strip_prefix('-').filter(|after| after.starts_with(char::is_whitespace));
        push_text(&mut tokens, if trims_before.is_some() { before.trim_end() } else { before });
        inside = trims_before.unwrap_or(inside);
        if let Some(comment) = inside.trim_start().strip_prefix("/*") {
            let end = comment.find("*/").ok_or("unclosed comment")?;
            (rest, trim) = close(&comment[end + 2..]).ok_or("comment ends before closing delimiter")?;
            continue;
        }
        tokens.push(Token::Open);
        (rest, trim) = action(inside, &mut tokens)?;
        tokens.push(Token::Close);
    }
    push_text(&mut tokens, if trim { rest.trim_start() } else { rest });
    Ok(tokens)
}

fn push_text(tokens: &mut Vec<Token>, text: &str) {
    if !text.is_empty() {
        tokens.push(Token::Text(text.to_owned()));
    }
}

/// If `text` begins with the end of an action: what follows, and whether space there is to be dropped.
fn close(text: &str) -> Option<(&str, bool)> {
    let inner = text.trim_start();
    match inner.strip_prefix("-}}") {
        Some(after) if inner.len() < text.len() => Some((after, true)),
        _ => inner.strip_prefix("}}").map(|after| (after, false)),
    }
}

/// The tokens up to `}}`, and what follows it.
fn action<'a>(mut text: &'a str, tokens: &mut Vec<Token>) -> Result<(&'a str, bool), String> {
    loop {
        if let Some(done) = close(text) {
            return Ok(done);
        }
        let chained =
            matches!(tokens.last(), Some(Token::Field(_) | Token::Chain(_) | Token::Variable(_) | Token::Sign(")")));
        let chained = chained && text.starts_with('.');
        text = text.trim_start();
        let first = text.chars().next().ok_or("unclosed action")?;
        let (token, length) = match first {
            '"' => quoted(text)?,
            '`' => {
                let end = text[1..].find('`').ok_or("unterminated raw quoted string")?;
                (Token::Quoted(text[1..=end].to_owned()), end + 2)
            }
            '.' => match word(&text[1..]) {
                "" => (Token::Dot, 1),
                name if chained => (Token::Chain(name.to_owned()), 1 + name.len()),
                name => (Token::Field(name.to_owned()), 1 + name.len()),
            },
            '$' => {
                let name = word(&text[1..]);
                (Token::Variable(format!("${name}")), 1 + name.len())
            }
            '0'..='9' | '-' | '+' => number(text)?,
            ':' if text.starts_with(":=") => (Token::Sign(":="), 2),
            '|' => (Token::Sign("|"), 1),
            '(' => (Token::Sign("("), 1),
            ')' => (Token::Sign(")"), 1),
            ',' => (Token::Sign(","), 1),
            '=' => (Token::Sign("="), 1),
            _ => match word(text) {
                "" => return Err(format!("unexpected {first:?} in an action")),
                name => (Token::Word(name.to_owned()), name.len()),
            },
        };
        tokens.push(token);
        text = &text[length..];
    }
}

/// The letters, digits and underscores that `text` begins with.
fn word(text: &str) -> &str {
    let end = text.find(|one: char| !one.is_alphanumeric() && one != '_').unwrap_or(text.len());
    &text[..end]
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let end = text[1..].find(|one: char| !one.is_ascii_alphanumeric() && one != '.').map_or(text.len(), |at| at + 1);
    let number = text[..end].parse().map_err(|_| format!("bad number syntax: {:?}", &text[..end]))?;
    Ok((Token::Number(number), end))
}

fn quoted(text: &str) -> Result<(Token, usize), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, one)) = characters.next() {
        match one {
            '"' => return Ok((Token::Quoted(value), at + 1)),
            '\n' => break,
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err("unterminated quoted string".to_owned())
}
