// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Commands as documents and `--help` show them, for tests that run them.

/// A document's path and text.
pub type Document = (&'static str, &'static str);

/// All documents of this repository (`tests/documented.rs` checks that none is
/// missing).
pub const DOCUMENTS: &[Document] = &[
    ("README.md", README),
    ("CHANGELOG.md", include_str!("../../CHANGELOG.md")),
    ("CONTRIBUTING.md", include_str!("../../CONTRIBUTING.md")),
    ("docs/README.md", include_str!("../../docs/README.md")),
    ("docs/ab.md", include_str!("../../docs/ab.md")),
    (
        "docs/architecture.md",
        include_str!("../../docs/architecture.md"),
    ),
    (
        "docs/benchmarks.md",
        include_str!("../../docs/benchmarks.md"),
    ),
    (
        "docs/coming-from-the-c-tool.md",
        include_str!("../../docs/coming-from-the-c-tool.md"),
    ),
    ("docs/decisions.md", include_str!("../../docs/decisions.md")),
    (
        "docs/filters-and-groups.md",
        include_str!("../../docs/filters-and-groups.md"),
    ),
    ("docs/glossary.md", include_str!("../../docs/glossary.md")),
    ("docs/json.md", include_str!("../../docs/json.md")),
    (
        "docs/principles.md",
        include_str!("../../docs/principles.md"),
    ),
    ("docs/run-file.md", include_str!("../../docs/run-file.md")),
    ("docs/stages.md", include_str!("../../docs/stages.md")),
    (
        "docs/statistics.md",
        include_str!("../../docs/statistics.md"),
    ),
    (
        "docs/troubleshooting.md",
        include_str!("../../docs/troubleshooting.md"),
    ),
    (
        "docs/what-is-counted.md",
        include_str!("../../docs/what-is-counted.md"),
    ),
    (
        "exporter/README.md",
        include_str!("../../exporter/README.md"),
    ),
    (
        "tools/vm/README.md",
        include_str!("../../tools/vm/README.md"),
    ),
    ("vmlinux/README.md", include_str!("../../vmlinux/README.md")),
];

/// The first document that users read.
pub const README: &str = include_str!("../../README.md");

/// What a fenced block is, by the words after its backticks. CONTRIBUTING.md
/// has the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `console`: commands behind `$ `, and what they print.
    Session,
    /// `sh`: commands.
    Script,
    /// `promql`: queries, which `tests/kernel/exporter/promql.rs` runs.
    Queries,
    /// `text`: output or a drawing.
    Text,
    /// `sh illustration`: commands that cannot be run as they stand.
    Shown,
    /// `promql illustration`: a query that cannot be run as it stands.
    ShownQuery,
}

impl Kind {
    /// `None`: nobody has said what the block is.
    fn of(words: &str) -> Option<Kind> {
        Some(match words {
            "console" => Kind::Session,
            "sh" => Kind::Script,
            "promql" => Kind::Queries,
            "text" => Kind::Text,
            "sh illustration" => Kind::Shown,
            "promql illustration" => Kind::ShownQuery,
            _ => return None,
        })
    }
}

/// A fenced block of a Markdown text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Number of the line that opens it.
    pub line: usize,
    /// `None`: nobody has said what it is.
    pub kind: Option<Kind>,
    /// What is in it.
    pub lines: Vec<String>,
    /// Whether something closes it.
    pub closed: bool,
}

impl Block {
    /// The commands in it, whatever they run.
    pub fn commands(&self) -> Vec<String> {
        self.split().0
    }

    /// What the commands of a session print.
    pub fn output(&self) -> String {
        self.split().1
    }

    fn split(&self) -> (Vec<String>, String) {
        let lines = self.lines.iter().map(String::as_str);
        match self.kind {
            Some(Kind::Session) => split(lines, |line| line.strip_prefix("$ ")),
            Some(Kind::Script | Kind::Shown) => split(lines, |line| {
                (!line.is_empty() && !line.starts_with('#')).then_some(line)
            }),
            _ => (Vec::new(), String::new()),
        }
    }

    /// Whether its commands are to be run.
    pub fn is_run(&self) -> bool {
        matches!(self.kind, Some(Kind::Session | Kind::Script))
    }
}

/// The fenced blocks of a Markdown text, those in lists too.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let fence = line.trim_start().strip_prefix("```");
        match (blocks.last_mut().filter(|block| !block.closed), fence) {
            (Some(block), Some(_)) => block.closed = true,
            (Some(block), None) => block.lines.push(line.to_owned()),
            (None, Some(words)) => blocks.push(Block {
                line: number,
                kind: Kind::of(words.trim()),
                lines: Vec::new(),
                closed: false,
            }),
            (None, None) => (),
        }
    }
    blocks
}

/// The netstacklat commands in a text of `--help`.
pub fn in_help(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    split(lines, |line| is_netstacklat(line).then_some(line)).0
}

/// Those that run netstacklat and can be run as they stand.
pub fn of_netstacklat(commands: Vec<String>) -> Vec<String> {
    let complete = |command: &String| is_netstacklat(command) && !command.contains("...");
    commands.into_iter().filter(complete).collect()
}

fn is_netstacklat(command: &str) -> bool {
    let command = command.strip_prefix("sudo ").unwrap_or(command);
    command == "netstacklat" || command.starts_with("netstacklat ")
}

/// Commands from the lines that `begins` one (without its prompt), with the lines
/// that they continue on, after a backslash or in single quotes; and the other
/// lines. What stands behind two spaces is a remark, unless it is quoted.
fn split<'a>(
    lines: impl Iterator<Item = &'a str>,
    begins: impl Fn(&'a str) -> Option<&'a str>,
) -> (Vec<String>, String) {
    let is_open = |command: &str| command.matches('\'').count() % 2 == 1;
    let mut commands: Vec<String> = Vec::new();
    let mut others = String::new();
    let mut continues = false;
    for line in lines {
        let part = if continues {
            line.trim()
        } else if let Some(part) = begins(line) {
            commands.push(String::new());
            part
        } else {
            others.extend([line, "\n"]);
            continue;
        };
        let command = commands.last_mut().expect("it has begun");
        let remark = part.match_indices("  ").find(|(at, _)| {
            let before = format!("{command}{}", &part[..*at]);
            !is_open(&before)
        });
        let part = remark.map_or(part, |(at, _)| &part[..at]);
        command.push_str(part.trim_end_matches('\\'));
        continues = part.ends_with('\\') || is_open(command);
        if is_open(command) {
            command.push('\n');
        }
    }
    (commands, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_whole() {
        let text = "Text.\n```console\n$ { a; b; } >rules\n$ sudo netstacklat compare --x \\\n    --y 'z'\n\
                    out  put\n$ jq 'a\n       | b' c\n1\n```\nnetstacklat is\n\
                    - ```sh\n  a\n  ```\n";
        let found = blocks(text);
        let expected = [
            "{ a; b; } >rules",
            "sudo netstacklat compare --x --y 'z'",
            "jq 'a\n| b' c",
        ];
        assert_eq!(found[0].commands(), expected);
        assert_eq!(found[0].output(), "out  put\n1\n");
        assert!(found[0].is_run() && found[0].closed && found[0].line == 2);
        let script = blocks("```sh\nsudo netstacklat undo   # a remark\n\n# not one\nb\n```\n");
        assert_eq!(script[0].commands(), ["sudo netstacklat undo", "b"]);
        let help = "Examples:\n  netstacklat -r 1   each second\n  netstacklat a \\\n    b   c\n";
        assert_eq!(in_help(help), ["netstacklat -r 1", "netstacklat a b"]);
    }

    #[test]
    fn a_block_is_what_it_is_called() {
        let kinds = |text| blocks(text).into_iter().map(|b| b.kind).collect::<Vec<_>>();
        assert_eq!(kinds("```\na\n```\n"), [None]);
        assert_eq!(kinds("```bash\na\n```\n"), [None]);
        let shown = "  ```sh illustration\n  make x\n  ```\n```text\na\n```\n";
        assert_eq!(kinds(shown), [Some(Kind::Shown), Some(Kind::Text)]);
        assert!(!blocks(shown)[0].is_run());
        assert!(!blocks("```sh\na\n")[0].closed);
    }
}
