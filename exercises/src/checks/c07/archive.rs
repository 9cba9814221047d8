//! Archives made entry by entry, also such as no tar program makes (tar(5), "POSIX ustar").

/// An archive in memory.
#[derive(Default)]
pub struct Archive(Vec<u8>);

const BLOCK: usize = 512;

impl Archive {
    /// A directory more.
    #[must_use]
    pub fn directory(self, name: &str) -> Self {
        self.entry(b'5', name, "", "")
    }

    /// A file more.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        self.entry(b'0', name, "", text)
    }

    /// A symbolic link more.
    #[must_use]
    pub fn link(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, "")
    }

    /// A second name of a file more.
    #[must_use]
    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name, target, "")
    }

    /// The whole of it, with the two empty blocks at its end.
    pub fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }

    fn entry(mut self, kind: u8, name: &str, target: &str, text: &str) -> Self {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, if kind == b'5' { b"0000755" } else { b"0000644" });
        put(108, b"0000000");
        put(116, b"0000000");
        put(124, format!("{:011o}", text.len()).as_bytes());
        put(136, b"00000000000");
        put(148, b"        ");
        put(156, &[kind]);
        put(157, target.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.0.extend(header);
        self.0.extend(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }
}

/// What lies below a directory, a line each: `NAME/`, `NAME = CONTENTS`, `NAME -> TARGET`.
pub fn tree(root: &std::path::Path) -> String {
    let mut lines = Vec::new();
    below(root, "", &mut lines);
    lines.sort();
    if lines.is_empty() { "(nothing)".into() } else { lines.join("\n") }
}

fn below(directory: &std::path::Path, prefix: &str, lines: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
        if let Ok(target) = std::fs::read_link(&path) {
            lines.push(format!("{name} -> {}", target.display()));
        } else if path.is_dir() {
            lines.push(format!("{name}/"));
            below(&path, &format!("{name}/"), lines);
        } else if path.is_file() {
            lines.push(format!("{name} = {}", String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default())));
        } else {
            lines.push(format!("{name}: a pipe or a device")); // which nobody would come back from reading
        }
    }
}
