// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Commands as documents and `--help` show them, for tests that run them.

/// The shell commands in a Markdown text's code blocks, whatever they run.
pub fn in_markdown(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks
        .flat_map(|block| joined(block.lines(), "$ "))
        .collect()
}

/// The netstacklat commands in a text of `--help`.
pub fn in_help(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    let commands = joined(lines, "").into_iter();
    commands.filter(|command| is_netstacklat(command)).collect()
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

/// Lines that begin with the prompt or with netstacklat, with those that they
/// continue on; what stands behind two spaces is a remark.
fn joined<'a>(lines: impl Iterator<Item = &'a str>, prompt: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in lines {
        let begins = line
            .strip_prefix(prompt)
            .or(is_netstacklat(line).then_some(line));
        let part = match begins {
            _ if continues => line.trim(),
            Some(part) => {
                commands.push(String::new());
                part
            }
            None => continue,
        };
        let part = part.split("  ").next().unwrap_or_default();
        continues = part.ends_with('\\');
        let command = commands.last_mut().expect("it has begun");
        command.push_str(part.trim_end_matches('\\'));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_whole() {
        let text = "Text.\n```\n$ { a; b; } >rules\n$ sudo netstacklat compare --x \\\n    --y 'z'\n\
                    out put\nsudo netstacklat undo   # a remark\n```\nnetstacklat is\n```\nno\n```\n";
        let found = in_markdown(text);
        let expected = [
            "{ a; b; } >rules",
            "sudo netstacklat compare --x --y 'z'",
            "sudo netstacklat undo",
        ];
        assert_eq!(found, expected);
        let help = "Examples:\n  netstacklat -r 1   each second\n  netstacklat a \\\n    b   c\n";
        assert_eq!(in_help(help), ["netstacklat -r 1", "netstacklat a b"]);
    }
}
