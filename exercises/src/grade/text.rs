//! What learners' programs say, made fit for terminals and files.

/// The most of a message that a report has.
const MOST: usize = 4000;

/// Without what could command a terminal or break a document, and not too long.
pub fn clean(text: &str) -> String {
    let mut kept = String::new();
    let mut chars = text.trim().chars().peekable();
    let mut count = 0;
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            skip_sequence(&mut chars);
            continue;
        }
        if is_harmless(char) {
            kept.push(char);
            count += 1;
        }
        if count == MOST {
            kept.push_str("\n[…]");
            break;
        }
    }
    kept
}

/// A colour and the like: `ESC [ … letter` (console_codes(4)).
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    if chars.next_if_eq(&'[').is_some() {
        while chars.next_if(|char| matches!(char, ' '..='?')).is_some() {}
        chars.next_if(|char| matches!(char, '@'..='~'));
    }
}

/// Neither a control character, nor one that turns the direction of text, nor one that XML 1.0 does not have.
fn is_harmless(char: char) -> bool {
    let turns = matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char == '\n' || char == '\t' || !(char.is_control() || turns || matches!(char, '\u{fffe}' | '\u{ffff}'))
}

/// The first line.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_goes() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\r\n\u{1b}]0;title\u{7} \u{202e}b\tc"), "red\n]0;title b\tc");
        assert_eq!(clean(&"x".repeat(10_000)).len(), MOST + "\n[…]".len());
        assert_eq!(first_line("a\nb"), "a");
    }
}
