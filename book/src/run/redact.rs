//! What is another at each run, made the same: so two runs can be compared, and the page keeps real values.

use std::sync::LazyLock;

use regex::Regex;

/// Each pattern and what stands for it; the order matters.
const PATTERNS: [(&str, &str); 20] = [
    // Ids of containers, images, layers: long ones, and the twelve digits that people use.
    (r"\b[0-9a-f]{64}\b", "[ID]"),
    (r"\b[0-9a-f]{12}\b…?", "[ID]"),
    (r"\bveth[0-9a-f]{4,}\b", "[LINK]"),
    (r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "[MAC]"),
    (r"\b0x[0-9a-f]{4,}\b", "[ADDR]"),
    // Made of the link's MAC (RFC 4291), and the number of a link's other end (ip-link(8)).
    (r"\bfe80::[0-9a-f:]+", "[LINKLOCAL]"),
    (r"@if\d+\b", "@if[N]"),
    // Inodes of namespaces, as in /proc/PID/ns (namespaces(7)).
    (r"\b(cgroup|ipc|mnt|net|pid|time|user|uts)(_for_children)?:\[\d+\]", "$1:[INODE]"),
    (r"\binode (\d+)", "inode [INODE]"),
    // Dates and times of day, then durations.
    (r"\b\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", "[TIME]"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "[TIME]"),
    // As `ls -l` writes it.
    (r"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} +(\d\d:\d\d|\d{4})\b", "[TIME]"),
    (r"\b(Less than a second|About an? (minute|hour)|\d+ (second|minute|hour|day)s?)( ago)?\b", "[TIME]"),
    (r"\b\d+(\.\d+)?( ?)(ns|us|µs|ms|s|sec|seconds)\b", "[TIME]"),
    // Process ids where they are named as such: in words, in paths, in the calls that take or give them.
    (r"(?i)\b(pid|ppid|tid|pgid|sid|process)([ :=]+)\d+\b", "$1$2[PID]"),
    (r"/proc/\d+\b", "/proc/[PID]"),
    (
        r"\b(clone3?|fork|vfork|wait4|waitpid|waitid|kill|tgkill|pidfd_open|pidfd_send_signal|setns)\(([^)]*?)\b\d+\b",
        "$1($2[PID]",
    ),
    (r"\b(clone3?|fork|vfork|getpid|getppid|setsid|waitpid|wait4)(\([^)]*\)) = \d+", "$1$2 = [PID]"),
    (r"\b(newuidmap|newgidmap|nsenter -t) \d+", "$1 [PID]"),
    // A shell that tells how a child of it ended.
    (r"(/run/book/shell|\bbash|\bsh): line \d+: +\d+ ", "$1: line [N]: [PID] "),
];

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = PATTERNS.iter().map(|(pattern, stands)| (Regex::new(pattern).expect("a constant"), *stands));
    rules.collect()
});

static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+([.,]\d+)*").expect("a constant"));

static SPACE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[ \t]+").expect("a constant"));

static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
    // Control sequences, titles and what else a terminal is told (ECMA-48).
    Regex::new(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b[@-Z\\-_=>()][0-9A-B]?")
        .expect("a constant")
});

static COLUMN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"  +").expect("a constant"));

/// The text with ids, inodes, addresses, times and process ids replaced by what they are; the columns beside them move.
pub fn volatile(text: &str) -> String {
    let text = RULES.iter().fold(text.to_owned(), |text, (rule, stands)| rule.replace_all(&text, *stands).into_owned());
    COLUMN.replace_all(&text, "  ").into_owned()
}

/// The text with every number replaced, and columns of any width.
pub fn shape(text: &str) -> String {
    let text = volatile(text);
    SPACE.replace_all(&NUMBER.replace_all(&text, "[N]"), " ").into_owned()
}

/// What a page keeps of what was said: no escape sequences, no carriage returns, no spaces at the ends of lines.
pub fn plain(text: &str) -> String {
    let text = ESCAPE.replace_all(text, "").replace("\r\n", "\n");
    let mut out = String::new();
    for line in text.lines() {
        // A line that was written over shows what was written last.
        let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
        let mut shown = String::new();
        for one in line.chars() {
            match one {
                '\u{8}' => drop(shown.pop()),
                '\t' => shown.push('\t'),
                one if one.is_control() => {}
                one => shown.push(one),
            }
        }
        out += shown.trim_end();
        out.push('\n');
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    if out == "\n" { String::new() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_named() {
        let cases = [
            ("  clone3(PIDFD) = 4242   a child", "  clone3(PIDFD) = [PID]  a child"),
            ("net:[4026531840]", "net:[INODE]"),
            ("waitid(P_PIDFD, 77)", "waitid(P_PIDFD, [PID])"),
            ("kill(77, TERM)", "kill([PID], TERM)"),
            ("cat /proc/77/status at 12:00:01 in 1.25 s", "cat /proc/[PID]/status at [TIME] in [TIME]"),
            ("0123456789ab is up", "[ID] is up"),
            ("newuidmap 4 0 1000 1", "newuidmap [PID] 0 1000 1"),
            ("Up 12 seconds    web", "Up [TIME]  web"),
            ("2: eth0@if4: inet6 fe80::42:aff/64", "2: eth0@if[N]: inet6 [LINKLOCAL]/64"),
            ("mem 0xffff8000", "mem [ADDR]"),
            ("memory.max = 67108864", "memory.max = 67108864"),
            ("exit code 143, 12 apples", "exit code 143, 12 apples"),
        ];
        for (text, wanted) in cases {
            assert_eq!(volatile(text), wanted);
        }
    }

    #[test]
    fn a_terminal_becomes_text() {
        assert_eq!(plain("\x1b[1mbold\x1b[0m\r\n10%\r100%\r\nab\u{8}c  \r\n\r\n"), "bold\n100%\nac\n");
        assert_eq!(plain(""), "");
        assert_eq!(plain("\x1b[?2004hx"), "x\n");
    }

    #[test]
    fn a_shape_knows_no_numbers() {
        assert_eq!(shape("  PID TTY\n   12 ?   0.5"), " PID TTY\n [N] ? [N]");
    }
}
